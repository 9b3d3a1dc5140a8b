/* SPDX-License-Identifier: MIT */
/* Which of 64 bytes equal a byte, as bits. */
#ifndef NEAP_SOURCE_MASK_H
#define NEAP_SOURCE_MASK_H

#include <stdint.h>
#include <string.h>

#ifdef __SSE2__
#include <emmintrin.h>

static inline uint64_t mask16(const uint8_t *at, __m128i wanted) {
  const __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)at);
  return (uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi8(bytes, wanted));
}

static inline uint64_t mask_of(const uint8_t *at, uint8_t byte) {
  const __m128i wanted = _mm_set1_epi8((char)byte);
  return mask16(at, wanted) | mask16(at + 16, wanted) << 16 |
         mask16(at + 32, wanted) << 32 | mask16(at + 48, wanted) << 48;
}

#else

/* Bit k of the result: whether byte k of the word, from the lowest, is 0. */
static inline uint64_t zeros_of(uint64_t word) {
  const uint64_t low = 0x7f7f7f7f7f7f7f7fu;
  const uint64_t is_zero = ~(((word & low) + low) | word | low);
  return ((is_zero >> 7) * 0x0102040810204080u) >> 56;
}

static inline uint64_t mask_of(const uint8_t *at, uint8_t byte) {
  uint64_t mask = 0;
  for (int k = 0; k < 8; k++) {
    uint64_t word = 0;
    for (int j = 0; j < 8; j++)
      word |= (uint64_t)at[8 * k + j] << (8 * j);
    mask |= zeros_of(word ^ (0x0101010101010101u * byte)) << (8 * k);
  }
  return mask;
}

#endif
#endif
