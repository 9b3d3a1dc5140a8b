/* SPDX-License-Identifier: MIT */
/*
 * Runs a loader file: starts a builder, waits for its plan, and reads it. Then
 * the builder ends by itself; neap__built_trim() waits for that.
 */
#ifndef NEAP_HOST_BUILD_H
#define NEAP_HOST_BUILD_H

#include <limits.h>

#include "memory/segment.h"
#include "neap_lua.h"
#include "pool/child.h"

/* What a builder sent; closed as neap__built_init() leaves it. */
typedef struct neap__built {
  neap_pool_options settings; /* for neap_pool_open; they point into the rest */
  int may_end;
  int32_t parameter_count;
  neap_parameter *parameters; /* sorted by name */
  char *texts;                /* of these, and of the arguments */
  neap__child builder;
  int stderr_fd; /* of the host, for what the builder still writes */
  neap__segment plan;
  int heap_fd;
  char program[PATH_MAX];
  const char *arguments[4];
} neap__built;

void neap__built_init(neap__built *built);
int neap__build(const char *path, const neap_options *options, neap__built *out,
                neap_error *error);
/* Once the pool is open: closes the plan and the descriptor, which it copied.
 */
void neap__built_trim(neap__built *built);
void neap__built_close(neap__built *built);

#endif
