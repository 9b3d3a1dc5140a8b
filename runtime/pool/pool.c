/* SPDX-License-Identifier: MIT */
/*
 * The pool, opened and closed: its two segments of shared memory, what its
 * workers inherit, and its supervisor.
 */
#include "pool/pool.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/descriptor.h"
#include "base/error.h"
#include "base/library.h"
#include "pool/process.h"

/* Slots that a caller may hold beside the one it reads. */
enum { HELD_MIN = 32 };

static int check_options(const neap_pool_options *options, neap_error *error) {
  const char *what = NULL;
  if (options->workers < 1 || options->workers > NEAP_WORKERS_MAX)
    what = "workers must be 1 to 512";
  else if (options->buffered < 1)
    what = "buffered must be 1 or more";
  else if (options->chunk < 0)
    what = "chunk must be 0 or more";
  else if (options->retries < 0)
    what = "retries must be 0 or more";
  else if (options->timeout_ns < 0)
    what = "timeout_ns must be 0 or more";
  else if (options->span < 0)
    what = "span must be 0 or more";
  else if (options->slot_bytes < 1ull << NEAP_SLOT_BITS_MIN ||
           options->slot_bytes > 1ull << NEAP_SLOT_BITS_MAX)
    what = "slot_bytes must be 2^16 to 2^46";
  else if (options->length < NEAP_ENDLESS)
    what = "length must be 0 or more, or NEAP_ENDLESS";
  else if (options->chain_bytes > 1ull << 40)
    what = "chain_bytes must be 2^40 or less";
  else if (options->chain == NULL && options->chain_bytes > 0)
    what = "chain must not be NULL";
  else if (options->lua_dir == NULL)
    what = "lua_dir must not be NULL";
  if (what == NULL) return NEAP_OK;
  return neap__error_set(error, NEAP_EINVAL, 0, "cannot open a pool: %s", what);
}

static int open_slots(neap_pool *pool, uint32_t slots, neap_error *error) {
  const int rc = neap__segment_open(&pool->slots, "neap-slots",
                                    slots * pool->slot_bytes, error);
  if (rc != NEAP_EMEMORY) return rc;
  return neap__error_set(
      error, NEAP_EMEMORY, error == NULL ? 0 : error->system,
      "cannot reserve %u slots of slot_bytes = %llu: a smaller slot_bytes or "
      "buffered may fit",
      slots, (unsigned long long)pool->slot_bytes);
}

static int open_memory(neap_pool *pool, const neap_pool_options *options,
                       neap_error *error) {
  const uint32_t workers = (uint32_t)options->workers;
  const int32_t chunk = pool->chunk > 0 ? pool->chunk : 1;
  const uint32_t entries = (uint32_t)neap__clamp(
      (pool->buffered + chunk - 1) / chunk, 1, NEAP__ENTRIES_MAX);
  pool->held_max = neap__clamp(entries, HELD_MIN, NEAP__ENTRIES_MAX);
  const uint32_t slots = entries + workers + (uint32_t)pool->held_max;
  const uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
  pool->slot_bytes = (options->slot_bytes + page - 1) / page * page;

  int rc = neap__segment_open(
      &pool->control, "neap-control",
      neap__ring_bytes(workers, entries, slots, options->chain_bytes), error);
  if (rc != NEAP_OK) return rc;
  neap__ring_format(pool->control.base, workers, entries, slots,
                    pool->slot_bytes, options->chain_bytes);
  rc = neap__ring_attach(&pool->ring, pool->control.base, pool->control.bytes,
                         error);
  if (rc != NEAP_OK) return rc;
  neap__library_describe(pool->ring.control->host,
                         sizeof pool->ring.control->host);
  pool->ring.control->memory_bytes = options->memory_bytes;
  if (options->chain_bytes > 0)
    memcpy(pool->control.base + pool->ring.control->chain_offset,
           options->chain, options->chain_bytes);
  if ((rc = open_slots(pool, slots, error)) != NEAP_OK) return rc;
  pool->asked = calloc(entries + 1, sizeof *pool->asked);
  pool->refs = calloc(slots, sizeof *pool->refs);
  if (pool->asked == NULL || pool->refs == NULL)
    return neap__error_set(error, NEAP_EMEMORY, 0,
                           "cannot open a pool: memory is short");
  return NEAP_OK;
}

/* Out of the way of the numbers that a worker inherits. */
static int move_up(int fd) {
  return fd < 0 ? -1 : neap__descriptor_copy(fd, NEAP__FD_COUNT);
}

static int open_supervisor(neap_pool *pool, const neap_pool_options *options,
                           neap_error *error) {
  neap__supervisor *s = &pool->supervisor;
  const int rc =
      neap__spawn_find(options->executable, s->path, sizeof s->path, error);
  if (rc != NEAP_OK) return rc;
  s->ring = &pool->ring;
  s->retries = options->retries;
  s->timeout_ns = options->timeout_ns;
  s->attach_ms = NEAP__ATTACH_MS_MAX;
  s->end_ms = NEAP__END_MS_MAX;
  s->slots = &pool->slots;
  s->slot_bytes = pool->slot_bytes;
  int *inherit = s->inherit;
  inherit[NEAP__FD_CONTROL] = move_up(pool->control.fd);
  inherit[NEAP__FD_SLOTS] = move_up(pool->slots.fd);
  inherit[NEAP__FD_HEAP] = move_up(options->heap_fd);
  inherit[NEAP__FD_STDERR] = move_up(STDERR_FILENO); /* which may be closed */
  if (inherit[NEAP__FD_CONTROL] < 0 || inherit[NEAP__FD_SLOTS] < 0 ||
      (options->heap_fd >= 0 && inherit[NEAP__FD_HEAP] < 0))
    return neap__error_set(error, NEAP_ESYSTEM, errno,
                           "cannot open a pool: descriptors are short");
  strncpy(s->lua_dir, options->lua_dir, sizeof s->lua_dir - 1);
  return neap__supervisor_start(s, error);
}

static bool is_debugging(void) {
  const char *wish = secure_getenv("NEAP_DEBUG");
  return wish != NULL && *wish != '\0' && strcmp(wish, "0") != 0;
}

int neap_pool_open(const neap_pool_options *options, neap_pool **out,
                   neap_error *error) {
  *out = NULL;
  int rc = check_options(options, error);
  if (rc != NEAP_OK) return rc;
  neap_pool *pool = calloc(1, sizeof *pool);
  if (pool == NULL)
    return neap__error_set(error, NEAP_EMEMORY, 0,
                           "cannot open a pool: memory is short");
  neap__origin_open(&pool->origin);
  pool->control.fd = pool->slots.fd = pool->supervisor.bell = -1;
  for (int fd = 0; fd < NEAP__FD_COUNT; fd++)
    pool->supervisor.inherit[fd] = -1;
  pool->length = options->length == NEAP_ENDLESS ? INT64_MAX : options->length;
  pool->buffered = options->buffered;
  pool->is_strict = is_debugging();
  pool->chunk =
      pool->is_strict ? 1 : neap__clamp(options->chunk, 0, NEAP_RUN_MAX);
  if (pool->chunk > pool->buffered) pool->chunk = pool->buffered;
  pool->run_items = pool->chunk > 0 ? pool->chunk : 1;
  pool->is_ordered = options->ordered != 0;
  pool->span = pool->is_ordered ? 0 : options->span;
  pool->has_cores = neap_cores() > 1;
  pool->epoch = 1;
  pool->stop = pool->length;
  if ((rc = open_memory(pool, options, error)) != NEAP_OK) goto fail;
  if ((rc = open_supervisor(pool, options, error)) != NEAP_OK) goto fail;
  *out = pool;
  return NEAP_OK;

fail:
  neap_pool_close(pool);
  return rc;
}

void neap__pool_free_if_done(neap_pool *pool) {
  if (!pool->is_closed || pool->held > 0) return;
  neap__segment_close(&pool->slots);
  free(pool->refs);
  free(pool);
}

void neap_pool_close(neap_pool *pool) {
  if (pool == NULL || pool->is_closed) return;
  neap__supervisor *s = &pool->supervisor;
  if (neap__origin_is_here(&pool->origin)) neap__supervisor_stop(s);
  neap__supervisor_fini(s);
  for (int fd = 0; fd < NEAP__FD_COUNT; fd++)
    if (s->inherit[fd] >= 0) close(s->inherit[fd]);
  neap__segment_close(&pool->control);
  neap__origin_close(&pool->origin);
  free(pool->asked);
  pool->asked = NULL;
  pool->is_closed = true;
  neap__pool_free_if_done(pool);
}

int64_t neap_pool_length(const neap_pool *pool) {
  return pool->length == INT64_MAX ? NEAP_ENDLESS : pool->length;
}
