/* SPDX-License-Identifier: MIT */
/*
 * Random numbers: xoshiro256++ and distributions.
 *
 * The generator is Blackman and Vigna's ("Scrambled Linear Pseudorandom Number
 * Generators", 2021; prng.di.unimi.it), seeded by SplitMix64 as they advise.
 * SplitMix64 returns four different words, so never four zeros.
 */
#include "base/random.h"

#include <math.h>

__extension__ typedef unsigned __int128 uint128;

void neap_random_init(neap_random *random, int64_t seed, int64_t epoch,
                      int64_t index) {
  const uint64_t key = neap__key(seed, epoch, index);
  for (uint64_t k = 0; k < 4; k++)
    random->state[k] = neap__split(key, k);
  random->spare = 0;
  random->has_spare = 0;
}

static inline uint64_t rotate(uint64_t x, int bits) {
  return (x << bits) | (x >> (64 - bits));
}

static inline uint64_t next(neap_random *random) {
  uint64_t *s = random->state;
  const uint64_t result = rotate(s[0] + s[3], 23) + s[0];
  const uint64_t t = s[1] << 17;
  s[2] ^= s[0];
  s[3] ^= s[1];
  s[1] ^= s[2];
  s[0] ^= s[3];
  s[2] ^= t;
  s[3] = rotate(s[3], 45);
  return result;
}

static inline double uniform(neap_random *random) {
  return (double)(next(random) >> 11) * 0x1p-53;
}

uint64_t neap_random_next(neap_random *random) {
  return next(random);
}

double neap_random_uniform(neap_random *random) {
  return uniform(random);
}

/*
 * Lemire, "Fast Random Integer Generation in an Interval" (2019): the draw is
 * the high half of bits * span. The few low halves that would favour some draws
 * are rejected; only when one is possible is there a division.
 */
int64_t neap_random_integer(neap_random *random, int64_t first, int64_t last) {
  const uint64_t span = (uint64_t)last - (uint64_t)first + 1;
  uint128 product = (uint128)next(random) * span;
  if ((uint64_t)product < span) {
    const uint64_t unfair = -span % span;
    while ((uint64_t)product < unfair) {
      product = (uint128)next(random) * span;
    }
  }
  return (int64_t)((uint64_t)first + (uint64_t)(product >> 64));
}

/*
 * Marsaglia and Bray's polar method (1964): a point in the unit disc without
 * its centre gives two independent normals. The second is for the next call.
 */
double neap_random_normal(neap_random *random) {
  if (random->has_spare) {
    random->has_spare = 0;
    return random->spare;
  }
  double x, y, square;
  do {
    x = 2 * uniform(random) - 1;
    y = 2 * uniform(random) - 1;
    square = x * x + y * y;
  } while (square >= 1 || square == 0);
  const double scale = sqrt(-2 * log(square) / square);
  random->spare = y * scale;
  random->has_spare = 1;
  return x * scale;
}
