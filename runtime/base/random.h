/* SPDX-License-Identifier: MIT */
/* Keys of random numbers and shuffles. */
#ifndef NEAP_BASE_RANDOM_H
#define NEAP_BASE_RANDOM_H

#include "neap.h"

/* The finaliser of SplitMix64: a bijection whose output bits look random. */
static inline uint64_t neap__mix(uint64_t x) {
  x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
  x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
  return x ^ (x >> 31);
}

/* Output number k of the SplitMix64 generator that starts at key. */
static inline uint64_t neap__split(uint64_t key, uint64_t k) {
  return neap__mix(key + (k + 1) * UINT64_C(0x9e3779b97f4a7c15));
}

/*
 * One key of three numbers. Each is mixed before the next is added, so that the
 * keys of neighbours, and of the same numbers in another order, are unrelated.
 * With two numbers fixed, different values of the third give different keys.
 */
static inline uint64_t neap__key(int64_t seed, int64_t epoch, int64_t index) {
  uint64_t key = neap__split((uint64_t)seed, 0);
  key = neap__split(key + (uint64_t)epoch, 0);
  return neap__split(key + (uint64_t)index, 0);
}

#endif
