/* SPDX-License-Identifier: MIT */
/* Numbers as C types, in memory. */
#ifndef NEAP_CHAIN_CELL_H
#define NEAP_CHAIN_CELL_H

#include "chain/ctype.h"
#include "neap_lua.h"

/* Stores a number in a cell of a scalar type; false: the type cannot hold it.
   Floats are rounded. */
bool neap__cell_put_number(const neap__ctype *type, void *cell, double value);
bool neap__cell_put_integer(const neap__ctype *type, void *cell, int64_t value);
bool neap__cell_put_unsigned(const neap__ctype *type, void *cell,
                             uint64_t value);
/* A boolean, a number or a 64-bit integer. */
bool neap__cell_put(const neap__ctype *type, void *cell, const neap_part *part);
/* The low bits of it, whatever the type holds. */
void neap__cell_put_bits(const neap__ctype *type, void *cell, uint64_t bits);

/* What is in a cell of a scalar type; integers beyond 2^53 are 64-bit ones. */
void neap__cell_get(const neap__ctype *type, const void *cell, neap_part *out);
/* The integer in it, its bits if it is unsigned. */
int64_t neap__cell_integer(const neap__ctype *type, const void *cell);

/* The NEAP_NUMBER ... that neap__cell_get() makes; of 64 bits, the widest. */
int neap__cell_type(const neap__ctype *type);

/* The dtype that has this scalar type's elements. */
void neap__cell_dtype(const neap__ctype *type, uint8_t *code, uint8_t *bits);

#endif
