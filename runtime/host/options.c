/* SPDX-License-Identifier: MIT */
/* What a host wants of a loader. */
#include "host/options.h"

#include <string.h>

#include "base/error.h"

/* The macro passes what the host was compiled with; this is the function. */
#undef neap_options_init

void neap_options_init(neap_options *options, int32_t abi, size_t bytes) {
  const neap_options unset = {
      .abi = abi,
      .bytes = (uint32_t)bytes,
      .workers = NEAP_UNSET,
      .threads = NEAP_UNSET,
      .buffered = NEAP_UNSET,
      .concurrency = NEAP_UNSET,
      .chunk = NEAP_UNSET,
      .retries = NEAP_UNSET,
      .ordered = NEAP_UNSET,
      .timeout_ns = NEAP_UNSET,
      .slot_bytes = NEAP_UNSET,
      .memory_bytes = NEAP_UNSET,
      .build_timeout_ns = NEAP_UNSET,
      .wait_ns = NEAP_UNSET,
  };
  memset(options, 0, bytes); /* a host's struct may be smaller or larger */
  memcpy(options, &unset, bytes < sizeof unset ? bytes : sizeof unset);
}

static int check_abi(const neap_options *options, neap_error *error) {
  if (options->abi == NEAP_ABI && options->bytes == sizeof *options)
    return NEAP_OK;
  return neap__error_set(
      error, NEAP_EINVAL, 0,
      "cannot open a loader: the host's neap_options are of ABI %d and have %u "
      "bytes; this library (neap %s) has ABI %d and %zu bytes\n"
      "help: compile the host with the neap.h of this library, and call "
      "neap_options_init() before setting options",
      (int)options->abi, (unsigned)options->bytes, neap_version(), NEAP_ABI,
      sizeof *options);
}

int neap__options_check(const char *path, const neap_options *options,
                        neap_error *error) {
  const char *what = NULL;
  const int rc = check_abi(options, error);
  if (rc != NEAP_OK) return rc;
  if (path == NULL)
    what = "path must not be NULL";
  else if (options->parameter_count < 0)
    what = "parameter_count must be 0 or more";
  else if (options->parameter_count > 0 && options->parameters == NULL)
    what = "parameters must not be NULL";
  else if (options->build_timeout_ns < 0 &&
           options->build_timeout_ns != NEAP_UNSET)
    what = "build_timeout_ns must be 0 or more";
  else if (options->wait_ns < 0 && options->wait_ns != NEAP_UNSET)
    what = "wait_ns must be 0 or more";
  else if (options->threads > 0)
    what = "threads are for native chains: see neap_chain_prefetch()";
  for (int32_t k = 0; what == NULL && k < options->parameter_count; k++)
    if (options->parameters[k].name == NULL ||
        options->parameters[k].text == NULL)
      what = "a parameter's name and text must not be NULL";
  if (what == NULL) return NEAP_OK;
  return neap__error_set(error, NEAP_EINVAL, 0, "cannot open a loader: %s",
                         what);
}

/* ---- Without a loader file ---- */

/* As neap.prefetch has them. */
enum { BUFFERED = 16, BUFFERED_EACH = 2, RETRIES = 2 };

static int64_t or_else(int64_t option, int64_t unset) {
  return option == NEAP_UNSET ? unset : option;
}

static int32_t workers_of(const neap_options *options) {
  const int32_t cores = neap_cores();
  if (options->threads > 0) return options->threads;
  if (options->workers == NEAP_UNSET) return cores;
  if (options->workers > 0) return options->workers;
  if (options->workers == 0 || cores <= -(int64_t)options->workers) return 1;
  return cores + options->workers;
}

int neap__options_settings(const neap_options *options,
                           neap_pool_options *settings, neap_error *error) {
  const char *what = NULL;
  const int rc = check_abi(options, error);
  if (rc != NEAP_OK) return rc;
  const int32_t workers = workers_of(options);
  const int32_t buffered =
      workers > BUFFERED / BUFFERED_EACH && workers <= NEAP_WORKERS_MAX
          ? workers * BUFFERED_EACH
          : BUFFERED;
  if (options->parameter_count != 0)
    what = "parameters are those of a loader file";
  else if (options->threads < 0 && options->threads != NEAP_UNSET)
    what = "threads must be 0 or more";
  else if (or_else(options->concurrency, 0) > 1)
    what = "concurrency is of loader files: native stages do not wait";
  else if (or_else(options->slot_bytes, 0) < 0)
    what = "slot_bytes must be 0 or more";
  else if (or_else(options->memory_bytes, 0) < 0)
    what = "memory_bytes must be 0 or more";
  if (what != NULL)
    return neap__error_set(error, NEAP_EINVAL, 0, "cannot open a loader: %s",
                           what);
  *settings = (neap_pool_options){
      .workers = workers,
      .buffered = (int32_t)or_else(options->buffered, buffered),
      .chunk = (int32_t)or_else(options->chunk, 0),
      .retries = (int32_t)or_else(options->retries, RETRIES),
      .ordered = (int32_t)or_else(options->ordered, 1),
      .timeout_ns = or_else(options->timeout_ns, 0),
      .slot_bytes = (uint64_t)or_else(options->slot_bytes, 0),
      .memory_bytes = (uint64_t)or_else(options->memory_bytes, 0),
      .wait_ns = or_else(options->wait_ns, 0),
      .heap_fd = -1,
  };
  return NEAP_OK;
}
