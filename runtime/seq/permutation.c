/* SPDX-License-Identifier: MIT */
/*
 * The permutation of a shuffle, from a key and in O(1) memory.
 *
 * Up to NEAP__SHUFFLE_TABLE_MAX items: Fisher and Yates's table, with draws
 * from the key; every order is equally likely.
 *
 * More: the generalised Feistel cipher of Black and Rogaway ("Ciphers with
 * Arbitrary Finite Domains", 2002). An index is a pair (high, low), of which
 * there are at least n and at most n + 2^low_bits. A round adds a hash of one
 * half to the other, in turn. A result of n or above is enciphered again until
 * it is below n: this walk stays on one cycle of the permutation, so it ends,
 * and its results are a permutation too.
 *
 * Halves are added, since with xor every order would be an even permutation.
 * Two rounds bring a pair of indexes closer to chance by a factor of the
 * smaller half, so a small n needs more rounds (rounds_for).
 * docs/internals/sequences.md tells what else was tried.
 */
#include "seq/permutation.h"

#include "base/random.h"

#define LANES 16

/* Bits to number n items: 2^(bits - 1) < n <= 2^bits. */
static int bits_for(int64_t n) {
  return 64 - __builtin_clzll((uint64_t)n - 1);
}

/* Rounds for which (size of the smaller half)^(rounds / 2) is at least 2^18. */
static int rounds_for(int bits) {
  return bits < 10 ? 12 : bits < 14 ? 10 : 8;
}

/* Maps 32 random bits to 0 .. n - 1, with a bias of n / 2^32 at most. */
static inline uint32_t scale(uint32_t bits, uint32_t n) {
  return (uint32_t)((uint64_t)bits * n >> 32);
}

static void table_fill(uint8_t *table, int64_t n, uint64_t key) {
  uint64_t bits = 0;
  table[0] = 0;
  for (uint32_t k = 1; k < n; k++) {
    bits = k % 2 != 0 ? neap__split(key, k) : bits >> 32;
    const uint32_t at = scale((uint32_t)bits, k + 1);
    table[k] = table[at];
    table[at] = (uint8_t)k;
  }
}

void neap__shuffle_init(neap__shuffle *shuffle, int64_t n, int64_t seed,
                        int64_t epoch) {
  /* ~n is negative: unlike any index of an item's random numbers. */
  const uint64_t key = neap__key(seed, epoch, ~n);
  shuffle->n = n;
  if (n <= NEAP__SHUFFLE_TABLE_MAX) {
    table_fill(shuffle->key.table, n, key);
    return;
  }
  const int bits = bits_for(n);
  shuffle->low_bits = bits / 2;
  shuffle->high = (uint32_t)((n - 1) >> shuffle->low_bits) + 1;
  shuffle->rounds = rounds_for(bits);
  for (int r = 0; r < shuffle->rounds; r++) {
    shuffle->key.round[r] = neap__split(key, (uint64_t)r);
  }
}

static inline uint32_t hash(uint32_t half, uint64_t key) {
  uint32_t x = (half ^ (uint32_t)key) * UINT32_C(0x7feb352d);
  x ^= x >> 15;
  return (x + (uint32_t)(key >> 32)) * UINT32_C(0x846ca68b);
}

/*
 * One pass of the cipher over a fixed number of indexes. Round by round and
 * without a branch, so that compilers vectorise it.
 */
static inline __attribute__((always_inline)) void
encipher(const neap__shuffle *shuffle, int64_t *index, int count) {
  const uint32_t size = shuffle->high;
  const int low_bits = shuffle->low_bits;
  const uint32_t mask = (UINT32_C(1) << low_bits) - 1;
  uint32_t high[LANES], low[LANES];
  for (int k = 0; k < count; k++) {
    high[k] = (uint32_t)(index[k] >> low_bits);
    low[k] = (uint32_t)index[k] & mask;
  }
  for (int r = 0; r < shuffle->rounds; r += 2) {
    const uint64_t key0 = shuffle->key.round[r];
    const uint64_t key1 = shuffle->key.round[r + 1];
    for (int k = 0; k < count; k++) {
      const uint32_t less = high[k] + scale(hash(low[k], key0), size) - size;
      high[k] = less + (size & (0 - (less >> 31)));
      low[k] = (low[k] + (hash(high[k], key1) >> (32 - low_bits))) & mask;
    }
  }
  for (int k = 0; k < count; k++) {
    index[k] = (int64_t)high[k] << low_bits | low[k];
  }
}

static int64_t decipher(const neap__shuffle *shuffle, int64_t index) {
  const uint32_t size = shuffle->high;
  const int low_bits = shuffle->low_bits;
  const uint32_t mask = (UINT32_C(1) << low_bits) - 1;
  uint32_t high = (uint32_t)(index >> low_bits), low = (uint32_t)index & mask;
  for (int r = shuffle->rounds - 2; r >= 0; r -= 2) {
    low -= hash(high, shuffle->key.round[r + 1]) >> (32 - low_bits);
    low &= mask;
    const uint32_t added = scale(hash(low, shuffle->key.round[r]), size);
    high += high < added ? size - added : 0 - added;
  }
  return (int64_t)high << low_bits | low;
}

void neap__shuffle_items(const neap__shuffle *shuffle, int64_t *index,
                         int count) {
  if (shuffle->n <= NEAP__SHUFFLE_TABLE_MAX) {
    for (int k = 0; k < count; k++) {
      index[k] = shuffle->key.table[index[k]];
    }
    return;
  }
  int done = 0;
  for (; done + LANES <= count; done += LANES) {
    encipher(shuffle, index + done, LANES);
  }
  for (int k = done; k < count; k++)
    encipher(shuffle, index + k, 1);
  for (int k = 0; k < count; k++) {
    while (index[k] >= shuffle->n)
      encipher(shuffle, index + k, 1);
  }
}

int64_t neap__shuffle_position(const neap__shuffle *shuffle, int64_t item) {
  if (shuffle->n <= NEAP__SHUFFLE_TABLE_MAX) {
    int64_t position = 0;
    while (shuffle->key.table[position] != item)
      position++;
    return position;
  }
  do {
    item = decipher(shuffle, item);
  } while (item >= shuffle->n);
  return item;
}

static int is_item(int64_t n, int64_t i) {
  return n <= NEAP__SHUFFLE_ITEMS_MAX && i >= 0 && i < n;
}

int64_t neap_shuffle_item(int64_t n, int64_t seed, int64_t epoch, int64_t i) {
  if (!is_item(n, i)) return -1;
  neap__shuffle shuffle;
  neap__shuffle_init(&shuffle, n, seed, epoch);
  neap__shuffle_items(&shuffle, &i, 1);
  return i;
}

int64_t neap_shuffle_position(int64_t n, int64_t seed, int64_t epoch,
                              int64_t item) {
  if (!is_item(n, item)) return -1;
  neap__shuffle shuffle;
  neap__shuffle_init(&shuffle, n, seed, epoch);
  return neap__shuffle_position(&shuffle, item);
}
