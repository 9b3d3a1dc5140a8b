/* SPDX-License-Identifier: MIT */
/* Memory that is freed at once. */
#ifndef NEAP_CHAIN_BLOCKS_H
#define NEAP_CHAIN_BLOCKS_H

#include <stddef.h>

typedef struct neap__blocks {
  struct neap__block *last;
} neap__blocks;

/* Zeroed, aligned for any type; NULL if there is no memory. */
void *neap__blocks_new(neap__blocks *blocks, size_t size);
/* A copy of a text's first bytes, with a 0 behind; or NULL. */
char *neap__blocks_copy(neap__blocks *blocks, const char *text, size_t size);
void neap__blocks_free(neap__blocks *blocks);

#endif
