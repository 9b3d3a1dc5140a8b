/* SPDX-License-Identifier: MIT */
/*
 * The statistics of a pool: sums over its workers, and the host's counts; and
 * what its workers warn of.
 */
#include "pool/pool.h"

#include <string.h>
#include <unistd.h>

#include "neap_lua.h"

/* Reads a worker's counter. It may have any value; sums must not overflow. */
static int64_t read_counter(const _Atomic int64_t *counter) {
  const int64_t most = 1ll << 53;
  const int64_t count = atomic_load_explicit(counter, memory_order_relaxed);
  return count < 0 ? 0 : count > most ? most : count;
}

int32_t neap_pool_read_worker(const neap_pool *pool, int32_t worker,
                              neap_stats *out) {
  *out = (neap_stats){.workers = 1};
  if (pool->is_closed || worker < 0 ||
      (uint32_t)worker >= pool->ring.worker_count)
    return 0;
  const neap__worker_record *record = &pool->ring.records[worker];
  out->items = read_counter(&record->items);
  out->runs = read_counter(&record->runs);
  out->bytes = read_counter(&record->bytes);
  out->busy_ns = read_counter(&record->busy_ns);
  out->idle_ns = read_counter(&record->idle_ns);
  return pool->crew == &pool->threads.crew
             ? (int32_t)getpid()
             : atomic_load(&pool->supervisor.pids[worker]);
}

void neap_pool_read_stats(const neap_pool *pool, neap_stats *out) {
  neap_stats sum = {.held = pool->lender.held};
  if (!pool->is_closed) {
    sum.slots = (int32_t)pool->ring.slot_count;
    sum.slot_bytes = pool->buffer.slot_bytes;
  }
  for (uint32_t w = 0; !pool->is_closed && w < pool->ring.worker_count; w++) {
    neap_stats one;
    neap_pool_read_worker(pool, (int32_t)w, &one);
    sum.items += one.items;
    sum.runs += one.runs;
    sum.bytes += one.bytes;
    sum.busy_ns += one.busy_ns;
    sum.idle_ns += one.idle_ns;
    sum.workers++;
  }
  sum.consumer_wait_ns = pool->consumer.wait_ns;
  sum.consumer_ns = neap__consumer_elapsed(&pool->consumer);
  sum.first_ns = pool->consumer.first_ns;
  sum.restarts = atomic_load(&pool->supervisor.restarts);
  sum.retries = atomic_load(&pool->supervisor.retried);
  *out = sum;
}

void neap_pool_read_stage(const neap_pool *pool, int32_t stage,
                          neap_stage *out) {
  neap_stage sum = {0};
  const bool is_known = !pool->is_closed && stage >= 0 &&
                        (uint32_t)stage < pool->ring.stage_count;
  for (uint32_t w = 0; is_known && w < pool->ring.worker_count; w++) {
    const neap_stage *one = &neap__ring_stages(&pool->ring, w)[stage];
    sum.calls += read_counter((const _Atomic int64_t *)&one->calls);
    sum.busy_ns += read_counter((const _Atomic int64_t *)&one->busy_ns);
  }
  *out = sum;
}

/* A worker may write anything, at any time: the text is cut, and then ended. */
int neap_pool_take_warning(neap_pool *pool, char *text) {
  if (pool->is_closed) return 0;
  const neap__control *control = pool->ring.control;
  const uint32_t left = atomic_load(&control->warnings) & ~pool->warnings_taken;
  for (int k = 0; left != 0 && k < NEAP_WARNINGS; k++) {
    if ((left >> k & 1) == 0) continue;
    pool->warnings_taken |= 1u << k;
    memcpy(text, control->warning[k], NEAP_WARNING_BYTES);
    text[NEAP_WARNING_BYTES - 1] = '\0';
    return 1;
  }
  return 0;
}
