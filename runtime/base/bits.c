/* SPDX-License-Identifier: MIT */
/* Hint bitmaps: the cyclic search. */
#include "base/bits.h"

static int32_t find_in_word(neap__bits *bits, uint32_t count, uint32_t word,
                            uint64_t mask) {
  const uint64_t set =
      atomic_load(&bits[word]) & mask & neap__bits_valid(word, count);
  return set == 0 ? -1 : (int32_t)(word * 64) + __builtin_ctzll(set);
}

int32_t neap__bits_find(neap__bits *bits, uint32_t count, uint32_t from) {
  const uint32_t words = neap__bits_words(count);
  const uint32_t start = from / 64;
  const uint64_t ahead = ~(uint64_t)0 << (from % 64);
  int32_t k = find_in_word(bits, count, start, ahead);
  for (uint32_t step = 1; k < 0 && step < words; step++)
    k = find_in_word(bits, count, (start + step) % words, ~(uint64_t)0);
  return k >= 0 ? k : find_in_word(bits, count, start, ~ahead);
}

int32_t neap__bits_take(neap__bits *bits, uint32_t count, uint32_t from) {
  for (;;) {
    const int32_t k = neap__bits_find(bits, count, from);
    if (k < 0 || neap__bits_clear(bits, (uint32_t)k)) return k;
  }
}
