/* SPDX-License-Identifier: MIT */
/* A host's request to its builder: path, options and parameters as texts. */
#include "host/request.h"

#include <stdio.h>
#include <string.h>

#include "base/library.h"
#include "ring/ring.h"

enum { NAMED_MAX = 9 };

/* Options that are set, by the names that Lua uses. */
typedef struct named {
  const char *name;
  int64_t value;
} named;

static int32_t list_options(const neap_options *o, named list[NAMED_MAX]) {
  const named all[NAMED_MAX] = {
      {"workers", o->workers},
      {"buffered", o->buffered},
      {"chunk", o->chunk},
      {"retries", o->retries},
      {"order", o->ordered},
      {"timeout", o->timeout_ns},
      {"slot_bytes", o->slot_bytes},
      {"memory", o->memory_bytes},
      {"concurrency", o->concurrency},
  };
  int32_t count = 0;
  for (int k = 0; k < NAMED_MAX; k++)
    if (all[k].value != NEAP_UNSET) list[count++] = all[k];
  return count;
}

/* Each of these appends texts to what is at `to`, or counts their bytes if it
   is NULL. They return how many bytes there are then. */
static uint64_t put(char *to, uint64_t used, const char *text) {
  const size_t bytes = strlen(text) + 1;
  if (to != NULL) memcpy(to + used, text, bytes);
  return used + bytes;
}

static uint64_t put_integer(char *to, uint64_t used, int64_t value) {
  char text[32];
  snprintf(text, sizeof text, "%lld", (long long)value);
  return put(to, used, text);
}

static uint64_t put_request(char *to, const char *path,
                            const neap_options *options) {
  named list[NAMED_MAX];
  const int32_t count = list_options(options, list);
  uint64_t used = put(to, 0, path);
  used = put_integer(to, used, count);
  for (int32_t k = 0; k < count; k++) {
    used = put(to, used, list[k].name);
    used = put_integer(to, used, list[k].value);
  }
  used = put_integer(to, used, options->parameter_count);
  for (int32_t k = 0; k < options->parameter_count; k++) {
    used = put(to, used, options->parameters[k].name);
    used = put(to, used, options->parameters[k].text);
  }
  return used;
}

int neap__request_open(const char *path, const neap_options *options,
                       neap__segment *out, neap_error *error) {
  const neap__counts counts = {
      .workers = 1,
      .entries = 1,
      .slots = 1,
      .slot_bytes = 1,
      .chain_bytes = put_request(NULL, path, options),
  };
  const int rc =
      neap__segment_open(out, "neap-request", neap__ring_bytes(&counts), error);
  if (rc != NEAP_OK) return rc;
  neap__ring_format(out->base, &counts);
  neap__control *control = (neap__control *)(void *)out->base;
  neap__library_describe(control->host, sizeof control->host);
  put_request((char *)out->base + control->chain_offset, path, options);
  return NEAP_OK;
}
