/* SPDX-License-Identifier: MIT */
/*
 * The loader, opened and closed: its two segments of shared memory, what its
 * workers inherit, and its supervisor.
 */
#include "pool/loader.h"

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

static int check_options(const neap_options *options, neap_error *error) {
  const char *what = NULL;
  if (options->workers < 1 || options->workers > NEAP__WORKERS_MAX)
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
  else if (options->slot_bytes < 1 << 16 || options->slot_bytes > 1ull << 46)
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
  return neap__error_set(error, NEAP_EINVAL, 0, "cannot open a loader: %s",
                         what);
}

static int open_slots(neap_loader *loader, uint32_t slots, neap_error *error) {
  const int rc = neap__segment_open(&loader->slots, "neap-slots",
                                    slots * loader->slot_bytes, error);
  if (rc != NEAP_EMEMORY) return rc;
  return neap__error_set(
      error, NEAP_EMEMORY, error == NULL ? 0 : error->system,
      "cannot reserve %u slots of slot_bytes = %llu: a smaller slot_bytes or "
      "buffered may fit",
      slots, (unsigned long long)loader->slot_bytes);
}

static int open_memory(neap_loader *loader, const neap_options *options,
                       neap_error *error) {
  const uint32_t workers = (uint32_t)options->workers;
  const int32_t chunk = loader->chunk > 0 ? loader->chunk : 1;
  const uint32_t entries = (uint32_t)neap__clamp(
      (loader->buffered + chunk - 1) / chunk, 1, NEAP__ENTRIES_MAX);
  loader->held_max = neap__clamp(entries, HELD_MIN, NEAP__ENTRIES_MAX);
  const uint32_t slots = entries + workers + (uint32_t)loader->held_max;
  const uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
  loader->slot_bytes = (options->slot_bytes + page - 1) / page * page;

  int rc = neap__segment_open(
      &loader->control, "neap-control",
      neap__ring_bytes(workers, entries, slots, options->chain_bytes), error);
  if (rc != NEAP_OK) return rc;
  neap__ring_format(loader->control.base, workers, entries, slots,
                    loader->slot_bytes, options->chain_bytes);
  rc = neap__ring_attach(&loader->ring, loader->control.base,
                         loader->control.bytes, error);
  if (rc != NEAP_OK) return rc;
  neap__library_describe(loader->ring.control->host,
                         sizeof loader->ring.control->host);
  loader->ring.control->memory_bytes = options->memory_bytes;
  if (options->chain_bytes > 0)
    memcpy(loader->control.base + loader->ring.control->chain_offset,
           options->chain, options->chain_bytes);
  if ((rc = open_slots(loader, slots, error)) != NEAP_OK) return rc;
  loader->asked = calloc(entries + 1, sizeof *loader->asked);
  loader->refs = calloc(slots, sizeof *loader->refs);
  if (loader->asked == NULL || loader->refs == NULL)
    return neap__error_set(error, NEAP_EMEMORY, 0,
                           "cannot open a loader: memory is short");
  return NEAP_OK;
}

/* Out of the way of the numbers that a worker inherits. */
static int move_up(int fd) {
  return fd < 0 ? -1 : neap__descriptor_copy(fd, NEAP__FD_COUNT);
}

static int open_supervisor(neap_loader *loader, const neap_options *options,
                           neap_error *error) {
  neap__supervisor *s = &loader->supervisor;
  const int rc =
      neap__spawn_find(options->executable, s->path, sizeof s->path, error);
  if (rc != NEAP_OK) return rc;
  s->ring = &loader->ring;
  s->retries = options->retries;
  s->timeout_ns = options->timeout_ns;
  s->attach_ms = NEAP__ATTACH_MS_MAX;
  s->end_ms = NEAP__END_MS_MAX;
  s->slots = &loader->slots;
  s->slot_bytes = loader->slot_bytes;
  int *inherit = s->inherit;
  inherit[NEAP__FD_CONTROL] = move_up(loader->control.fd);
  inherit[NEAP__FD_SLOTS] = move_up(loader->slots.fd);
  inherit[NEAP__FD_HEAP] = move_up(options->heap_fd);
  inherit[NEAP__FD_STDERR] = move_up(STDERR_FILENO); /* which may be closed */
  if (inherit[NEAP__FD_CONTROL] < 0 || inherit[NEAP__FD_SLOTS] < 0 ||
      (options->heap_fd >= 0 && inherit[NEAP__FD_HEAP] < 0))
    return neap__error_set(error, NEAP_ESYSTEM, errno,
                           "cannot open a loader: descriptors are short");
  strncpy(s->lua_dir, options->lua_dir, sizeof s->lua_dir - 1);
  return neap__supervisor_start(s, error);
}

static bool is_debugging(void) {
  const char *wish = secure_getenv("NEAP_DEBUG");
  return wish != NULL && *wish != '\0' && strcmp(wish, "0") != 0;
}

int neap_open(const neap_options *options, neap_loader **out,
              neap_error *error) {
  *out = NULL;
  int rc = check_options(options, error);
  if (rc != NEAP_OK) return rc;
  neap_loader *loader = calloc(1, sizeof *loader);
  if (loader == NULL)
    return neap__error_set(error, NEAP_EMEMORY, 0,
                           "cannot open a loader: memory is short");
  neap__origin_open(&loader->origin);
  loader->control.fd = loader->slots.fd = loader->supervisor.bell = -1;
  for (int fd = 0; fd < NEAP__FD_COUNT; fd++)
    loader->supervisor.inherit[fd] = -1;
  loader->length =
      options->length == NEAP_ENDLESS ? INT64_MAX : options->length;
  loader->buffered = options->buffered;
  loader->is_strict = is_debugging();
  loader->chunk =
      loader->is_strict ? 1 : neap__clamp(options->chunk, 0, NEAP_RUN_MAX);
  if (loader->chunk > loader->buffered) loader->chunk = loader->buffered;
  loader->run_items = loader->chunk > 0 ? loader->chunk : 1;
  loader->is_ordered = options->ordered != 0;
  loader->span = loader->is_ordered ? 0 : options->span;
  loader->has_cores = neap_cores() > 1;
  loader->epoch = 1;
  loader->stop = loader->length;
  if ((rc = open_memory(loader, options, error)) != NEAP_OK) goto fail;
  if ((rc = open_supervisor(loader, options, error)) != NEAP_OK) goto fail;
  *out = loader;
  return NEAP_OK;

fail:
  neap_close(loader);
  return rc;
}

void neap__loader_free_if_done(neap_loader *loader) {
  if (!loader->is_closed || loader->held > 0) return;
  neap__segment_close(&loader->slots);
  free(loader->refs);
  free(loader);
}

void neap_close(neap_loader *loader) {
  if (loader == NULL || loader->is_closed) return;
  neap__supervisor *s = &loader->supervisor;
  if (neap__origin_is_here(&loader->origin)) neap__supervisor_stop(s);
  neap__supervisor_fini(s);
  for (int fd = 0; fd < NEAP__FD_COUNT; fd++)
    if (s->inherit[fd] >= 0) close(s->inherit[fd]);
  neap__segment_close(&loader->control);
  neap__origin_close(&loader->origin);
  free(loader->asked);
  loader->asked = NULL;
  loader->is_closed = true;
  neap__loader_free_if_done(loader);
}

int64_t neap_length(const neap_loader *loader) {
  return loader->length == INT64_MAX ? NEAP_ENDLESS : loader->length;
}
