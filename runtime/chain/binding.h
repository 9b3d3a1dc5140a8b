/* SPDX-License-Identifier: MIT */
/*
 * What the arguments of a native stage are bound to, resolved once: a list of
 * steps, each of which fills one cell before a call.
 */
#ifndef NEAP_CHAIN_BINDING_H
#define NEAP_CHAIN_BINDING_H

#include "chain/part.h"
#include "chain/prepared.h"
#include "neap_lua.h"

enum {
  NEAP__FIELDS_MAX = 64,
  NEAP__RESULTS_MAX = 64,
};

typedef struct neap__step {
  neap__what what;
  int32_t field;           /* that it reads, or -1 */
  int32_t dimension;       /* of NEAP__SHAPE, from 0 */
  int32_t output;          /* of NEAP__OUTPUT: the result */
  double number;           /* of NEAP__CONSTANT */
  const neap__ctype *type; /* of the cell */
  void *cell;
  uint8_t code; /* of data: the dtype that it takes, ... */
  uint8_t bits;
  bool takes_any; /* ... or any */
  void **pointer_cell;
  const neap__ctype *parameter; /* the type that was declared */
  const char *path;             /* its name */
} neap__step;

/* A result: a tensor that the function fills, or what it left in a cell. */
typedef struct neap__result {
  const char *name;
  const neap__ctype *type; /* of the cell; NULL: a tensor */
  const void *cell;
  const neap__ctype *pointer; /* to a tensor: the parameter's type */
  int32_t like;   /* a tensor: the field whose shape it has, or -1 */
  int32_t copy;   /* the field whose dtype and elements it has, or -1 */
  neap_part plan; /* the rest of it */
} neap__result;

typedef struct neap__bound {
  neap__prepared *prepared;
  neap__blocks *blocks;
  const char *text; /* "crc32 of libz.so.1" */
  const char *fields[NEAP__FIELDS_MAX];
  int32_t field_count;
  neap__step *steps;
  int32_t step_count;
  neap__result results[NEAP__RESULTS_MAX];
  int32_t result_count;
  int32_t output_count; /* parameters that are outputs */
} neap__bound;

/* prepared, blocks and text are set. Binds the arguments of a stage: every
   parameter must be. */
int neap__bind_stage(neap__bound *bound, const neap_argument *arguments,
                     int32_t count, neap_error *error);
/* The same with constants alone. A pointer that is not bound gets the context,
   where `context` is set; an integer that is not, the status. */
int neap__bind_constants(neap__bound *bound, const neap_argument *arguments,
                         int32_t count, bool has_context, bool has_status,
                         neap_error *error);

/* The number of a field, which is added if it is new. */
int neap__bound_field(neap__bound *bound, const char *name, int32_t *out,
                      neap_error *error);

#endif
