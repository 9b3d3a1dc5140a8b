/* SPDX-License-Identifier: MIT */
/*
 * Hint bitmaps: sets of small numbers in shared memory, which save a scan of
 * state words.
 *
 * A bit is only a hint; the state word is the truth. So that no hint is lost, a
 * process sets the bit after it has made a word available, and a process that
 * clears a bit then reads the word and takes it if it is available. If the
 * process dies in between, the supervisor sets the bits again.
 */
#ifndef NEAP_BASE_BITS_H
#define NEAP_BASE_BITS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

typedef _Atomic uint64_t neap__bits;

static inline uint32_t neap__bits_words(uint32_t count) {
  return (count + 63) / 64;
}

static inline void neap__bits_set(neap__bits *bits, uint32_t k) {
  atomic_fetch_or(&bits[k / 64], (uint64_t)1 << (k % 64));
}

/* The bits of a word that are below count; a broken worker may set others. */
static inline uint64_t neap__bits_valid(uint32_t word, uint32_t count) {
  const uint32_t left = count - word * 64;
  return left >= 64 ? ~(uint64_t)0 : ((uint64_t)1 << left) - 1;
}

static inline bool neap__bits_has(const neap__bits *bits, uint32_t k) {
  return atomic_load(&bits[k / 64]) >> (k % 64) & 1;
}

/* Whether this call cleared the bit. */
static inline bool neap__bits_clear(neap__bits *bits, uint32_t k) {
  const uint64_t bit = (uint64_t)1 << (k % 64);
  if (!(atomic_load(&bits[k / 64]) & bit)) return false;
  return atomic_fetch_and(&bits[k / 64], ~bit) & bit;
}

static inline uint32_t neap__bits_count(neap__bits *bits, uint32_t count) {
  uint32_t sum = 0;
  for (uint32_t w = 0; w < neap__bits_words(count); w++)
    sum += (uint32_t)__builtin_popcountll(atomic_load(&bits[w]) &
                                          neap__bits_valid(w, count));
  return sum;
}

/* The first set bit at or after `from`, cyclically; -1: none. */
int32_t neap__bits_find(neap__bits *bits, uint32_t count, uint32_t from);
/* Finds such a bit and clears it; -1: none. */
int32_t neap__bits_take(neap__bits *bits, uint32_t count, uint32_t from);

#endif
