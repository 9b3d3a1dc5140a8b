/* SPDX-License-Identifier: MIT */
/* A keyed permutation of 0 .. n - 1, without an array of n. */
#ifndef NEAP_SEQ_PERMUTATION_H
#define NEAP_SEQ_PERMUTATION_H

#include "neap.h"

#define NEAP__SHUFFLE_ITEMS_MAX (INT64_C(1) << 62)

/* Up to this many items the permutation is a table, built for each key. */
#define NEAP__SHUFFLE_TABLE_MAX 64

#define NEAP__SHUFFLE_ROUNDS_MAX 12

/*
 * One permutation. It is made in tens of nanoseconds, on a call's stack.
 */
typedef struct neap__shuffle {
  int64_t n;
  uint32_t high; /* an index is (0 .. high - 1) << low_bits | low */
  int low_bits;
  int rounds;
  union {
    uint64_t round[NEAP__SHUFFLE_ROUNDS_MAX];
    uint8_t table[NEAP__SHUFFLE_TABLE_MAX];
  } key;
} neap__shuffle;

/* n: 1 .. NEAP__SHUFFLE_ITEMS_MAX. */
void neap__shuffle_init(neap__shuffle *shuffle, int64_t n, int64_t seed,
                        int64_t epoch);
/* Replaces each position by its item. */
void neap__shuffle_items(const neap__shuffle *shuffle, int64_t *index,
                         int count);
/* The position of an item: the inverse. */
int64_t neap__shuffle_position(const neap__shuffle *shuffle, int64_t item);

#endif
