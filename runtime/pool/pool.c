/* SPDX-License-Identifier: MIT */
/*
 * Opens and closes a pool: its two segments of shared memory, the descriptors
 * that its workers inherit, and its crew.
 */
#include "pool/pool.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/descriptor.h"
#include "base/error.h"
#include "base/library.h"
#include "pool/process.h"

/* held_max: slots that a caller may hold, as many as entries within these. */
enum { HELD_MIN = 32, HELD_MAX = 1024 };
/* Entries, unless workers may hold more claims. */
enum { ENTRIES_MAX = 1024 };

static int check_options(const neap_pool_options *options, neap_error *error) {
  const char *what = NULL;
  if (options->workers < 1 || options->workers > NEAP_WORKERS_MAX)
    what = "workers must be 1 to 512";
  else if (options->concurrency < 0 ||
           options->concurrency > NEAP_CLAIMS_MAX / options->workers)
    what = "workers * concurrency must be 4096 or less";
  else if (options->buffered < 1)
    what = "buffered must be 1 or more";
  else if (options->chunk < 0)
    what = "chunk must be 0 or more";
  else if (options->retries < 0)
    what = "retries must be 0 or more";
  else if (options->timeout_ns < 0)
    what = "timeout_ns must be 0 or more";
  else if (options->stages < 0 || options->stages > NEAP__STAGES_MAX)
    what = "stages must be 0 to 1024";
  else if (options->wait_ns < 0)
    what = "wait_ns must be 0 or more";
  else if (options->span < 0)
    what = "span must be 0 or more";
  else if (options->slot_bytes != 0 &&
           (options->slot_bytes < 1ull << NEAP_SLOT_BITS_MIN ||
            options->slot_bytes > 1ull << NEAP_SLOT_BITS_MAX))
    what = "slot_bytes must be 2^16 to 2^46, or 0";
  else if (options->length < NEAP_ENDLESS)
    what = "length must be 0 or more, or NEAP_ENDLESS";
  else if (options->chain_bytes > 1ull << 40)
    what = "chain_bytes must be 2^40 or less";
  else if (options->chain == NULL && options->chain_bytes > 0)
    what = "chain must not be NULL";
  else if (options->threads == NULL && !options->launch.is_native &&
           options->launch.arguments == NULL)
    what = "launch.arguments must not be NULL";
  else if (options->concurrency > 1 &&
           (options->threads != NULL || options->launch.is_native))
    what = "concurrency is of workers that run Lua";
  else if (options->threads != NULL && options->timeout_ns > 0)
    what = "timeout_ns is of worker processes: a thread cannot be ended";
  else if (options->threads != NULL && options->memory_bytes > 0)
    what = "memory_bytes is of worker processes: threads share the host's";
  if (what == NULL) return NEAP_OK;
  return neap__error_set(error, NEAP_EINVAL, 0, "cannot open a pool: %s", what);
}

static int no_memory(neap_error *error) {
  return neap__error_set(error, NEAP_EMEMORY, 0,
                         "cannot open a pool: memory is short");
}

static int try_slots(neap_pool *pool, uint32_t slots, uint64_t slot_bytes,
                     neap_error *error) {
  pool->buffer.slot_bytes = slot_bytes;
  return neap__segment_open(&pool->buffer.segment, "neap-slots",
                            slots * slot_bytes, error);
}

/*
 * Opens slots of a default size. Where that fails, it finds by halving what
 * twice the slots fit, so that the process keeps as much address space.
 */
static int open_default_slots(neap_pool *pool, uint32_t slots,
                              neap_error *error) {
  int bits = NEAP_SLOT_BITS;
  int rc = try_slots(pool, slots, 1ull << bits, error);
  while (rc == NEAP_EMEMORY && bits > NEAP_SLOT_BITS_LEAST) {
    rc = try_slots(pool, 2 * slots, 1ull << --bits, error);
    if (rc != NEAP_OK) continue;
    neap__segment_close(&pool->buffer.segment);
    return try_slots(pool, slots, 1ull << bits, error);
  }
  return rc;
}

static int open_slots(neap_pool *pool, uint32_t slots,
                      const neap_pool_options *options, neap_error *error) {
  const uint64_t wanted = options->slot_bytes;
  const uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
  const int rc =
      wanted == 0
          ? open_default_slots(pool, slots, error)
          : try_slots(pool, slots, (wanted + page - 1) / page * page, error);
  if (rc != NEAP_EMEMORY) return rc;
  const int reason = error == NULL ? 0 : error->system;
  return neap__error_set(
      error, NEAP_EMEMORY, reason,
      "cannot reserve %u slots of %llu bytes of address space\n"
      "help: raise the limit (ulimit -%s), or set %s%sbuffered or workers "
      "lower",
      slots, (unsigned long long)pool->buffer.slot_bytes,
      reason == EFBIG ? "f" : "v", wanted == 0 ? "" : "slot_bytes, ",
      options->concurrency > 1 ? "concurrency, " : "");
}

static int open_memory(neap_pool *pool, const neap_pool_options *options,
                       neap_error *error) {
  const uint32_t workers = (uint32_t)options->workers;
  const neap__consumer *c = &pool->consumer;
  const int32_t chunk = c->chunk > 0 ? c->chunk : 1;
  const uint32_t concurrency =
      options->concurrency > 1 ? (uint32_t)options->concurrency : 1;
  const uint32_t claims = workers * concurrency;
  const uint32_t entries =
      (uint32_t)neap__clamp((c->buffered + chunk - 1) / chunk, 1,
                            claims > ENTRIES_MAX ? claims : ENTRIES_MAX);
  const int32_t held_max = neap__clamp(entries, HELD_MIN, HELD_MAX);
  const uint32_t slots = entries + claims + (uint32_t)held_max;
  pool->lender.held_max = held_max;

  int rc = open_slots(pool, slots, options, error);
  if (rc != NEAP_OK) return rc;
  const neap__counts counts = {
      .workers = workers,
      .entries = entries,
      .slots = slots,
      .stages = (uint32_t)options->stages,
      .slot_bytes = pool->buffer.slot_bytes,
      .chain_bytes = options->chain_bytes,
  };
  rc = neap__segment_open(&pool->control, "neap-control",
                          neap__ring_bytes(&counts), error);
  if (rc != NEAP_OK) return rc;
  neap__ring_format(pool->control.base, &counts);
  rc = neap__ring_attach(&pool->ring, pool->control.base, pool->control.bytes,
                         error);
  if (rc != NEAP_OK) return rc;
  neap__library_describe(pool->ring.control->host,
                         sizeof pool->ring.control->host);
  pool->ring.control->memory_bytes = options->memory_bytes;
  pool->ring.control->concurrency = concurrency;
  if (options->chain_bytes > 0)
    memcpy(pool->control.base + pool->ring.control->chain_offset,
           options->chain, options->chain_bytes);
  return NEAP_OK;
}

/* Copies a descriptor above the numbers that a worker inherits. */
static int move_up(int fd) {
  return fd < 0 ? -1 : neap__descriptor_copy(fd, NEAP__FD_COUNT);
}

/*
 * Opens what wakes workers that rest in poll(). They are the pool's, not the
 * supervisor's: the consumer may write to them when a worker has just died, and
 * its successor inherits the same one.
 */
static int open_wake_fds(neap_pool *pool, neap_error *error) {
  const uint32_t workers = pool->ring.worker_count;
  pool->wake_fds = malloc(workers * sizeof *pool->wake_fds);
  if (pool->wake_fds == NULL) return no_memory(error);
  for (uint32_t w = 0; w < workers; w++)
    pool->wake_fds[w] = -1;
  for (uint32_t w = 0; w < workers; w++) {
    const int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    pool->wake_fds[w] = move_up(fd);
    if (fd >= 0) close(fd);
    if (pool->wake_fds[w] < 0)
      return neap__error_set(error, NEAP_ESYSTEM, errno,
                             "cannot open a pool: no descriptor is free");
  }
  pool->ring.wake_fds = pool->wake_fds;
  return NEAP_OK;
}

static void close_wake_fds(neap_pool *pool) {
  for (uint32_t w = 0; pool->wake_fds != NULL && w < pool->ring.worker_count;
       w++)
    if (pool->wake_fds[w] >= 0) close(pool->wake_fds[w]);
  free(pool->wake_fds);
  pool->wake_fds = NULL;
}

static int open_supervisor(neap_pool *pool, const neap_pool_options *options,
                           neap_error *error) {
  neap__supervisor *s = &pool->supervisor;
  const int rc = neap__launcher_open(&s->launcher, &options->launch, error);
  if (rc != NEAP_OK) return rc;
  s->ring = &pool->ring;
  s->retries = options->retries;
  s->timeout_ns = options->timeout_ns;
  s->attach_ms = NEAP__ATTACH_MS_MAX;
  s->end_ms = NEAP__END_MS_MAX;
  s->buffer = &pool->buffer;
  int *inherit = s->inherit;
  inherit[NEAP__FD_CONTROL] = move_up(pool->control.fd);
  inherit[NEAP__FD_SLOTS] = move_up(pool->buffer.segment.fd);
  inherit[NEAP__FD_HEAP] = move_up(options->heap_fd);
  inherit[NEAP__FD_STDERR] = move_up(STDERR_FILENO); /* which may be closed */
  if (inherit[NEAP__FD_CONTROL] < 0 || inherit[NEAP__FD_SLOTS] < 0 ||
      (options->heap_fd >= 0 && inherit[NEAP__FD_HEAP] < 0))
    return neap__error_set(error, NEAP_ESYSTEM, errno,
                           "cannot open a pool: no descriptor is free");
  return s->crew.ops->start(&s->crew, error);
}

/* With `threads` in the options, these; else processes. */
static int open_crew(neap_pool *pool, const neap_pool_options *options,
                     neap_error *error) {
  if (options->threads == NULL) return open_supervisor(pool, options, error);
  pool->threads.ring = &pool->ring;
  pool->threads.buffer = &pool->buffer;
  pool->threads.chain = options->threads;
  return pool->crew->ops->start(pool->crew, error);
}

static bool is_debugging(void) {
  const char *value = secure_getenv("NEAP_DEBUG");
  return value != NULL && *value != '\0' && strcmp(value, "0") != 0;
}

/* Sets the consumer and the lender up from the options. */
static void set_up(neap_pool *pool, const neap_pool_options *options) {
  neap__consumer *c = &pool->consumer;
  const bool is_strict = is_debugging();
  const int32_t chunk =
      is_strict ? 1 : neap__clamp(options->chunk, 0, NEAP_RUN_MAX);
  *c = (neap__consumer){
      .ring = &pool->ring,
      .buffer = &pool->buffer,
      .lender = &pool->lender,
      .crew = pool->crew,
      .length = options->length == NEAP_ENDLESS ? INT64_MAX : options->length,
      .buffered = options->buffered,
      .chunk = chunk < options->buffered ? chunk : options->buffered,
      .is_ordered = options->ordered != 0,
      .span = options->ordered != 0 ? 0 : options->span,
      .wait_ns_max = options->wait_ns,
      .has_cores = neap_cores() > 1,
  };
  pool->lender = (neap__lender){
      .ring = &pool->ring,
      .buffer = &pool->buffer,
      .is_strict = is_strict,
  };
}

int neap_pool_open(const neap_pool_options *options, neap_pool **out,
                   neap_error *error) {
  *out = NULL;
  int rc = check_options(options, error);
  if (rc != NEAP_OK) return rc;
  neap_pool *pool = calloc(1, sizeof *pool);
  if (pool == NULL) return no_memory(error);
  neap__origin_open(&pool->origin);
  pool->control.fd = pool->buffer.segment.fd = -1;
  neap__supervisor_init(&pool->supervisor);
  neap__threads_init(&pool->threads);
  pool->crew =
      options->threads != NULL ? &pool->threads.crew : &pool->supervisor.crew;
  set_up(pool, options);
  if ((rc = open_memory(pool, options, error)) != NEAP_OK) goto fail;
  if (neap__lender_init(&pool->lender) != NEAP_OK ||
      neap__consumer_init(&pool->consumer) != NEAP_OK) {
    rc = no_memory(error);
    goto fail;
  }
  if (options->concurrency > 1 && (rc = open_wake_fds(pool, error)) != NEAP_OK)
    goto fail;
  if ((rc = open_crew(pool, options, error)) != NEAP_OK) goto fail;
  *out = pool;
  return NEAP_OK;

fail:
  neap_pool_close(pool);
  return rc;
}

static void free_if_done(neap_pool *pool) {
  if (!pool->is_closed || pool->lender.held > 0) return;
  neap__segment_close(&pool->buffer.segment);
  neap__lender_fini(&pool->lender);
  free(pool);
}

void neap_pool_close(neap_pool *pool) {
  if (pool == NULL || pool->is_closed) return;
  if (neap__origin_is_here(&pool->origin)) {
    pool->crew->ops->stop(pool->crew);
    neap__lender_trim_others(&pool->lender);
  }
  neap__supervisor_fini(&pool->supervisor);
  neap__threads_fini(&pool->threads);
  close_wake_fds(pool);
  neap__segment_close(&pool->control);
  neap__origin_close(&pool->origin);
  neap__consumer_fini(&pool->consumer);
  pool->is_closed = true;
  free_if_done(pool);
}

/* -- Reading: the consumer's functions, while there are workers -- */

/* `what` is what the caller wants to do. */
static int check_open(const neap_pool *pool, const char *what,
                      neap_error *error) {
  if (pool->is_closed)
    return neap__error_set(error, NEAP_ECLOSED, 0,
                           "cannot %s: the prefetch is closed", what);
  if (neap__origin_is_here(&pool->origin)) return NEAP_OK;
  return neap__error_set(error, NEAP_ECLOSED, 0,
                         "cannot %s: this process was forked off the one whose "
                         "prefetch it is\n"
                         "help: make a prefetch of its own in this process",
                         what);
}

int neap_pool_next(neap_pool *pool, neap_run *run, neap_error *error) {
  *run = (neap_run){.slot = -1};
  const int rc = check_open(pool, "read", error);
  if (rc != NEAP_OK) return rc;
  return neap__consumer_next(&pool->consumer, true, run, error);
}

int neap_pool_try_next(neap_pool *pool, neap_run *run, neap_error *error) {
  *run = (neap_run){.slot = -1};
  const int rc = check_open(pool, "read", error);
  if (rc != NEAP_OK) return rc;
  return neap__consumer_next(&pool->consumer, false, run, error);
}

int neap_pool_get(neap_pool *pool, int64_t epoch, int64_t index, neap_run *run,
                  neap_error *error) {
  *run = (neap_run){.slot = -1};
  const int rc = check_open(pool, "read", error);
  if (rc != NEAP_OK) return rc;
  return neap__consumer_get(&pool->consumer, epoch, index, run, error);
}

int neap_pool_seek(neap_pool *pool, int64_t epoch, int64_t index,
                   neap_error *error) {
  const int rc = check_open(pool, "seek", error);
  if (rc != NEAP_OK) return rc;
  return neap__consumer_seek(&pool->consumer, epoch, index, error);
}

void neap_pool_shorten(neap_pool *pool, int64_t length) {
  if (check_open(pool, "read", NULL) == NEAP_OK)
    neap__consumer_shorten(&pool->consumer, length);
}

int64_t neap_pool_length(const neap_pool *pool) {
  const int64_t length = pool->consumer.length;
  return length == INT64_MAX ? NEAP_ENDLESS : length;
}

/* -- Slots that the caller holds -- */

int neap_pool_retain(neap_pool *pool, int32_t slot) {
  if (slot < 0) return NEAP_OK;
  if (!neap__lender_has_lent(&pool->lender, slot)) return NEAP_EINVAL;
  pool->lender.refs[slot]++;
  return NEAP_OK;
}

int neap_pool_release(neap_pool *pool, int32_t slot) {
  if (slot < 0) return NEAP_OK;
  if (!neap__lender_has_lent(&pool->lender, slot)) return NEAP_EINVAL;
  const bool is_ours = !pool->is_closed && neap__origin_is_here(&pool->origin);
  neap__lender_release(&pool->lender, (uint32_t)slot, is_ours);
  free_if_done(pool);
  return NEAP_OK;
}

int32_t neap_pool_held(const neap_pool *pool) {
  return pool->lender.held;
}

int32_t neap_pool_held_max(const neap_pool *pool) {
  return pool->lender.held_max;
}
