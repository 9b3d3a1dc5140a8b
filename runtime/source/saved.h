/* SPDX-License-Identifier: MIT */
/*
 * The layout of files of saved items; saver.c writes them, saved.c reads them.
 *
 *   head, text of the chain      the file begins
 *   block head, its bytes ...    each head aligned to 64 bytes
 *   place of each block          the index
 *   tail                         the last 64 bytes
 *
 * The bytes of a block, unpacked, are a place for each run, then the runs, each
 * aligned to 64 bytes and laid out as in a slot. Numbers are in the machine's
 * order. Offsets in a head and in places count from the start of the file, in a
 * run's place from the start of the block's bytes.
 */
#ifndef NEAP_SOURCE_SAVED_H
#define NEAP_SOURCE_SAVED_H

#include <stddef.h>

#include "neap_lua.h"

#define NEAP__SAVED_MAGIC "neapset1"
#define NEAP__SAVED_TAIL "neapend1"

enum {
  NEAP__SAVED_VERSION = 1,
  NEAP__SAVED_ORDER = 0x01020304, /* reads otherwise in another byte order */
  NEAP__SAVED_BLOCK = 0x6b6c626e, /* "nblk" */
  NEAP__SAVED_ALIGNMENT = 64,
  NEAP__SAVED_TEXT_MAX = 4096,
  NEAP__SAVED_RUNS_MAX = 1024 /* of a block */
};

typedef struct neap__saved_head {
  char magic[8];
  uint32_t version;
  uint32_t order;
  uint64_t key[2];
  int64_t items;
  int32_t packing;
  uint32_t text_bytes;
  uint64_t blocks;   /* where they begin */
  uint64_t checksum; /* of the text, then of the fields above */
} neap__saved_head;

typedef struct neap__saved_place { /* of a block */
  int64_t first;
  uint32_t count;  /* of items */
  uint32_t runs;   /* in which they are */
  uint64_t offset; /* of its bytes */
  uint64_t data_bytes;
  uint64_t nbytes;   /* unpacked */
  uint64_t checksum; /* of its bytes, as stored */
} neap__saved_place;

typedef struct neap__saved_block {
  uint32_t magic;
  uint32_t reserved;
  neap__saved_place place;
  uint64_t checksum; /* of the place */
} neap__saved_block;

typedef struct neap__saved_run {
  int64_t first;
  uint64_t count;
  uint64_t offset;
  uint64_t nbytes;
} neap__saved_run;

typedef struct neap__saved_tail {
  char magic[8];
  uint64_t index; /* its offset */
  uint64_t count; /* of blocks */
  int64_t items;
  uint64_t index_checksum;
  uint64_t reserved[2];
  uint64_t checksum; /* of the fields above */
} neap__saved_tail;

_Static_assert(sizeof(neap__saved_head) == 64, "a file begins with it");
_Static_assert(sizeof(neap__saved_place) == 48, "the index has these");
_Static_assert(sizeof(neap__saved_block) == 64, "the bytes are aligned");
_Static_assert(sizeof(neap__saved_run) == 32, "a block begins with these");
_Static_assert(sizeof(neap__saved_tail) == 64, "a file ends with it");

static inline uint64_t neap__saved_round(uint64_t bytes) {
  return (bytes + NEAP__SAVED_ALIGNMENT - 1) &
         ~(uint64_t)(NEAP__SAVED_ALIGNMENT - 1);
}

static inline uint64_t neap__saved_head_sum(const neap__saved_head *head,
                                            const char *text) {
  return neap_hash(head, offsetof(neap__saved_head, checksum),
                   neap_hash(text, head->text_bytes, 0));
}

static inline uint64_t neap__saved_block_sum(const neap__saved_block *block) {
  return neap_hash(&block->place, sizeof block->place, block->magic);
}

static inline uint64_t neap__saved_tail_sum(const neap__saved_tail *tail) {
  return neap_hash(tail, offsetof(neap__saved_tail, checksum), 0);
}

#endif
