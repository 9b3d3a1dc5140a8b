/* SPDX-License-Identifier: MIT */
/* Hint bitmaps: the cyclic search. */
#include "bits.h"

static int32_t take_in_word(neap__bits *bits, uint32_t count, uint32_t word,
                            uint64_t mask) {
  mask &= neap__bits_valid(word, count);
  for (;;) {
    const uint64_t set = atomic_load(&bits[word]) & mask;
    if (set == 0) return -1;
    const uint32_t k = word * 64 + (uint32_t)__builtin_ctzll(set);
    if (neap__bits_clear(bits, k)) return (int32_t)k;
  }
}

int32_t neap__bits_take(neap__bits *bits, uint32_t count, uint32_t from) {
  const uint32_t words = neap__bits_words(count);
  const uint32_t start = from / 64;
  const uint64_t ahead = ~(uint64_t)0 << (from % 64);
  int32_t k = take_in_word(bits, count, start, ahead);
  for (uint32_t step = 1; k < 0 && step < words; step++)
    k = take_in_word(bits, count, (start + step) % words, ~(uint64_t)0);
  return k >= 0 ? k : take_in_word(bits, count, start, ~ahead);
}
