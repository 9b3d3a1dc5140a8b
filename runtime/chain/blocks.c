/* SPDX-License-Identifier: MIT */
/* Memory that is freed at once: a list of blocks. */
#include "chain/blocks.h"

#include <stdlib.h>
#include <string.h>

typedef struct neap__block {
  struct neap__block *before;
  _Alignas(max_align_t) char bytes[];
} neap__block;

void *neap__blocks_new(neap__blocks *blocks, size_t size) {
  neap__block *block = calloc(1, sizeof *block + size);
  if (block == NULL) return NULL;
  block->before = blocks->last;
  blocks->last = block;
  return block->bytes;
}

char *neap__blocks_copy(neap__blocks *blocks, const char *text, size_t size) {
  char *copy = neap__blocks_new(blocks, size + 1);
  if (copy != NULL) memcpy(copy, text, size);
  return copy;
}

void neap__blocks_free(neap__blocks *blocks) {
  while (blocks->last != NULL) {
    neap__block *block = blocks->last;
    blocks->last = block->before;
    free(block);
  }
}
