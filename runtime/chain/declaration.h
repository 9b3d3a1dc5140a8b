/* SPDX-License-Identifier: MIT */
/*
 * A function's declaration in C, read from text: its own typedefs, structs and
 * enums, then one prototype.
 */
#ifndef NEAP_CHAIN_DECLARATION_H
#define NEAP_CHAIN_DECLARATION_H

#include "chain/ctype.h"

enum {
  NEAP__TEXT_MAX = 1 << 16,   /* bytes of a declaration */
  NEAP__PARAMETERS_MAX = 32,  /* of a function */
  NEAP__MEMBERS_MAX = 64,     /* of a struct */
  NEAP__STRUCT_MAX = 1 << 16, /* bytes of a struct */
};

typedef struct neap__parameter {
  const char *name; /* its number, from "1", if it has none */
  const neap__ctype *type;
} neap__parameter;

typedef struct neap__declaration {
  const char *name;
  const neap__ctype *result;
  neap__parameter parameters[NEAP__PARAMETERS_MAX];
  int parameter_count;
} neap__declaration;

/*
 * what: "the declaration", for messages, which point at the place.
 * Owns: the caller frees *out.
 */
int neap__declaration_parse(const char *text, const char *what,
                            neap__declaration **out, neap_error *error);
void neap__declaration_free(neap__declaration *declaration);

#endif
