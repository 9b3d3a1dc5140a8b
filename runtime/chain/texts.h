/* SPDX-License-Identifier: MIT */
/* Rows that are texts: where the text lies, and the memory for a block of it.
 */
#ifndef NEAP_CHAIN_TEXTS_H
#define NEAP_CHAIN_TEXTS_H

#include <stddef.h>

#include "neap.h"

/* The row of a text. data is NULL: there is none, which is nil. */
typedef struct neap__text_row {
  const char *data; /* then a 0 */
  int64_t count;    /* bytes */
} neap__text_row;

typedef struct neap__texts_part neap__texts_part;

/* Zero-filled before its first use. */
typedef struct neap__texts {
  neap__texts_part *first; /* the part in use; the others are full */
} neap__texts;

/* Forgets what is there, and keeps memory for the next block. */
void neap__texts_clear(neap__texts *texts);
/* A copy; NULL: memory is short. */
const char *neap__texts_add(neap__texts *texts, const char *text, size_t count);
void neap__texts_fini(neap__texts *texts);

#endif
