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
      .buffered = NEAP_UNSET,
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
  for (int32_t k = 0; what == NULL && k < options->parameter_count; k++)
    if (options->parameters[k].name == NULL ||
        options->parameters[k].text == NULL)
      what = "a parameter's name and text must not be NULL";
  if (what == NULL) return NEAP_OK;
  return neap__error_set(error, NEAP_EINVAL, 0, "cannot open a loader: %s",
                         what);
}
