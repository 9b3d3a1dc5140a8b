/* SPDX-License-Identifier: MIT */
/*
 * A C function that is ready to be called: its argument cells lie still, so
 * that a call is stores into them, and ffi_call(), or a faster one.
 */
#ifndef NEAP_CHAIN_PREPARED_H
#define NEAP_CHAIN_PREPARED_H

#include <ffi.h>

#include "chain/blocks.h"
#include "chain/declaration.h"
#include "chain/registers.h"
#include "chain/shared_library.h"

enum { NEAP__PLACES_MAX = 256 };

/* What an argument can be bound to: a parameter, or a member of a
   struct that one is or points at. */
typedef struct neap__place {
  const char *path; /* "buf", "point.x" */
  const neap__ctype *type;
  void *cell;
  void *pointee; /* a pointer to a struct: a cell of that; else NULL */
  int through; /* the place of the pointer through which it is reached, or -1 */
  bool is_bound;
  bool is_parted; /* a pointer: it is the members that are bound */
} neap__place;

typedef struct neap__prepared {
  neap__declaration *declaration;
  neap__function function;
  ffi_cif cif;
  neap__registers registers;
  void *values[NEAP__PARAMETERS_MAX]; /* the cells of the parameters */
  void *result;
  neap__place *places;
  int place_count;
} neap__prepared;

/*
 * Parses a declaration, finds the function, and allocates all cells.
 * Owns: `blocks` has the memory, but *out's declaration: neap__prepared_fini().
 */
int neap__prepared_init(neap__prepared *out, neap__blocks *blocks,
                        void *library, const char *name, const char *text,
                        const char *what, neap_error *error);
void neap__prepared_fini(neap__prepared *prepared);

/* Any function, by libffi. */
void neap__prepared_call_any(neap__prepared *prepared);

static inline void neap__prepared_call(neap__prepared *prepared) {
  if (prepared->registers.call != NULL)
    prepared->registers.call(&prepared->registers, prepared->function,
                             prepared->result);
  else
    neap__prepared_call_any(prepared);
}

#endif
