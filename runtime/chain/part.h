/* SPDX-License-Identifier: MIT */
/* What the text of an argument means: "image.shape[2]". */
#ifndef NEAP_CHAIN_PART_H
#define NEAP_CHAIN_PART_H

#include <stdbool.h>

#include "neap.h"

typedef enum neap__what {
  NEAP__ITEM,   /* a number or truth, into a cell of that type */
  NEAP__DATA,   /* a pointer to elements or bytes */
  NEAP__EITHER, /* a pointer: to those, or to a copy of the number */
  NEAP__COPY,   /* the elements, into an array in a struct */
  NEAP__COUNT,
  NEAP__NBYTES,
  NEAP__SHAPE,
  NEAP__INDEX,
  NEAP__EPOCH,
  NEAP__SEED,
  NEAP__CONTEXT,
  NEAP__CONSTANT, /* a number that the function may overwrite */
  NEAP__OUTPUT,   /* a pointer to a result's elements */
  NEAP__NULL,     /* done when it is bound, as all other constants */
} neap__what;

typedef struct neap__part {
  neap__what what;
  bool has_field;
  char field[256];   /* "" is the item itself */
  int32_t dimension; /* of a shape, from 0; -1: all of it */
} neap__part;

/* text: "item", "image.data", ...; stage: for messages. A text that ends in no
   known word is the path of a field, which is meant itself. */
int neap__part_parse(const char *text, neap__part *out, const char *stage,
                     neap_error *error);
/* From a table to one of its fields; false: its name is too long. */
bool neap__part_extend(neap__part *part, const char *field);

#endif
