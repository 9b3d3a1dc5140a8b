/* SPDX-License-Identifier: MIT */
/*
 * A filler: claims runs that the consumer asks for, and publishes them.
 *
 * A task takes a slot before it claims an entry, so that it can always publish
 * what it claims.
 */
#include "ring/filler.h"

#include <sched.h>

#include "base/error.h"
#include "base/fault.h"
#include "base/futex.h"

enum { SLOT_LOOKS_MAX = 10000 };

/*
 * There always is a free slot (ring.h), but a search may miss it while others
 * take and release theirs.
 */
static bool take_slot(neap__filler *filler, neap_task *task) {
  task->slot = -1;
  for (int look = 0; look < SLOT_LOOKS_MAX && task->slot < 0; look++) {
    if (look > 0) sched_yield();
    task->slot = neap__slot_acquire(filler->ring, filler->number, filler->last);
  }
  FAULT("acquired");
  task->has_slot = task->slot >= 0;
  if (!task->has_slot) return false;
  task->base = neap__buffer_slot(filler->buffer, (uint32_t)task->slot);
  task->bytes = filler->buffer->slot_bytes;
  task->progress = (int32_t *)&filler->ring->slots[task->slot].progress;
  return true;
}

int neap__filler_claim(neap__filler *filler, neap_task *task, int64_t now_ns,
                       neap_error *error) {
  if (!task->has_slot && !take_slot(filler, task))
    return neap__error_set(error, NEAP_EDAMAGED, 0,
                           "cannot work: no slot is free");
  neap__slot *slot = &filler->ring->slots[task->slot];
  atomic_store_explicit(&slot->progress, 0, memory_order_relaxed);
  task->entry = neap__ring_claim(filler->ring, filler->number,
                                 (uint32_t)task->slot, task, &task->ticket);
  if (task->entry < 0) return NEAP_AGAIN;
  task->undone = 0;
  if (task->count < 1 || task->count > NEAP_RUN_MAX)
    return neap__error_set(error, NEAP_EDAMAGED, 0,
                           "cannot work: a run cannot have %d items",
                           (int)task->count);
  if (filler->claims++ == 0) filler->busy_ns = now_ns;
  task->began_ns = now_ns;
  atomic_store_explicit(&slot->began_ns, now_ns, memory_order_relaxed);
  return NEAP_OK;
}

/* Only this filler writes its counters: no atomic add is needed. */
static void add(_Atomic int64_t *counter, int64_t amount) {
  atomic_store_explicit(
      counter, atomic_load_explicit(counter, memory_order_relaxed) + amount,
      memory_order_relaxed);
}

static int64_t start_of_next(const neap__filler *filler) {
  return filler->free_ns != 0 ? filler->free_ns : neap__now_ns();
}

int neap__filler_try_next(neap__filler *filler, neap_task *task,
                          neap_error *error) {
  if (neap__ring_is_stopped(filler->ring)) return NEAP_END;
  return neap__filler_claim(filler, task, start_of_next(filler), error);
}

int neap__filler_next(neap__filler *filler, neap_task *task,
                      neap_error *error) {
  neap__ring *ring = filler->ring;
  int64_t now_ns = start_of_next(filler);
  const int64_t since_ns = now_ns;
  for (;;) {
    if (neap__ring_is_stopped(ring)) return NEAP_END;
    const int rc = neap__filler_claim(filler, task, now_ns, error);
    if (rc < 0) return rc;
    if (rc == NEAP_OK) break;
    neap__ring_rest(ring, filler->number);
    now_ns = neap__now_ns();
  }
  add(&ring->records[filler->number].idle_ns, now_ns - since_ns);
  return NEAP_OK;
}

static void set_began(neap__filler *filler, const neap_task *task,
                      int64_t now_ns) {
  atomic_store_explicit(&filler->ring->slots[task->slot].began_ns, now_ns,
                        memory_order_relaxed);
  filler->free_ns = now_ns;
}

void neap__filler_wait(neap__filler *filler, const neap_task *task) {
  set_began(filler, task, 0);
}

void neap__filler_resume(neap__filler *filler, const neap_task *task) {
  set_began(filler, task, neap__now_ns());
}

void neap__filler_publish(neap__filler *filler, neap_task *task,
                          uint64_t used) {
  neap__worker_record *record = &filler->ring->records[filler->number];
  neap__slot *slot = &filler->ring->slots[task->slot];
  const int64_t now_ns = neap__now_ns(), cost_ns = now_ns - task->began_ns;
  atomic_store_explicit(&slot->used, used, memory_order_relaxed);
  atomic_store_explicit(&slot->cost_ns, cost_ns, memory_order_relaxed);
  const uint64_t touched = used > task->undone ? used : task->undone;
  if (touched > atomic_load_explicit(&slot->touched, memory_order_relaxed))
    atomic_store_explicit(&slot->touched, touched, memory_order_relaxed);
  add(&record->items, task->count);
  add(&record->runs, 1);
  add(&record->bytes, (int64_t)used);
  add(&record->busy_ns, now_ns - filler->busy_ns);
  filler->busy_ns = now_ns;
  filler->claims--;
  atomic_store_explicit(&slot->began_ns, 0, memory_order_relaxed);
  const enum neap__published published =
      neap__ring_publish(filler->ring, filler->number, (uint32_t)task->entry,
                         (uint32_t)task->slot, task->ticket);
  /* The next run begins at this time, unless waking took long. */
  filler->free_ns = published == NEAP__WOKE ? 0 : now_ns;
  if (published == NEAP__CANCELLED) return;
  filler->last = (uint32_t)task->slot;
  task->has_slot = 0;
}
