/* SPDX-License-Identifier: MIT */
/* A host's request to its builder: path, options and parameters as texts. */
#include "host/request.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/library.h"
#include "ring/ring.h"

enum { NAMED_MAX = 8 };

/* Options that are set, by the names that Lua uses. */
typedef struct named {
  const char *name;
  int64_t value;
} named;

static int32_t list_options(const neap_options *o, named list[NAMED_MAX]) {
  const named all[NAMED_MAX] = {
      {"workers", o->workers},       {"buffered", o->buffered},
      {"chunk", o->chunk},           {"retries", o->retries},
      {"order", o->ordered},         {"timeout", o->timeout_ns},
      {"slot_bytes", o->slot_bytes}, {"memory", o->memory_bytes},
  };
  int32_t count = 0;
  for (int k = 0; k < NAMED_MAX; k++)
    if (all[k].value != NEAP_UNSET) list[count++] = all[k];
  return count;
}

static void put(FILE *file, const char *text) {
  fwrite(text, 1, strlen(text) + 1, file);
}

static void put_integer(FILE *file, int64_t value) {
  fprintf(file, "%lld%c", (long long)value, '\0');
}

static bool write_request(FILE *file, const char *path,
                          const neap_options *options) {
  named list[NAMED_MAX];
  const int32_t count = list_options(options, list);
  put(file, path);
  put_integer(file, count);
  for (int32_t k = 0; k < count; k++) {
    put(file, list[k].name);
    put_integer(file, list[k].value);
  }
  put_integer(file, options->parameter_count);
  for (int32_t k = 0; k < options->parameter_count; k++) {
    put(file, options->parameters[k].name);
    put(file, options->parameters[k].text);
  }
  return !ferror(file);
}

static int copy_to_segment(const char *request, uint64_t bytes,
                           neap__segment *out, neap_error *error) {
  const int rc = neap__segment_open(out, "neap-request",
                                    neap__ring_bytes(1, 1, 1, bytes), error);
  if (rc != NEAP_OK) return rc;
  neap__ring_format(out->base, 1, 1, 1, 1, bytes);
  neap__control *control = (neap__control *)(void *)out->base;
  neap__library_describe(control->host, sizeof control->host);
  memcpy(out->base + control->chain_offset, request, bytes);
  return NEAP_OK;
}

int neap__request_open(const char *path, const neap_options *options,
                       neap__segment *out, neap_error *error) {
  char *request = NULL;
  size_t bytes = 0;
  *out = (neap__segment){.fd = -1};
  FILE *file = open_memstream(&request, &bytes);
  bool is_written = file != NULL && write_request(file, path, options);
  if (file != NULL && fclose(file) != 0) is_written = false;
  const int rc = is_written ? copy_to_segment(request, bytes, out, error)
                            : neap__error_set(error, NEAP_EMEMORY, 0,
                                              "cannot open the loader %s: "
                                              "memory is short",
                                              path);
  free(request);
  return rc;
}
