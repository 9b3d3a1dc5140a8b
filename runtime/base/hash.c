/* SPDX-License-Identifier: MIT */
/*
 * XXH64 (Yann Collet, github.com/Cyan4973/xxHash): a checksum at the speed of
 * memory. It is no protection against forgery.
 */
#include "neap_lua.h"

#include <string.h>

#define PRIME_1 0x9E3779B185EBCA87ull
#define PRIME_2 0xC2B2AE3D27D4EB4Full
#define PRIME_3 0x165667B19E3779F9ull
#define PRIME_4 0x85EBCA77C2B2AE63ull
#define PRIME_5 0x27D4EB2F165667C5ull

enum { LANES = 4, STRIPE = 32 };

static uint64_t rotate(uint64_t x, int bits) {
  return x << bits | x >> (64 - bits);
}

static uint64_t load_64(const uint8_t *at) {
  uint64_t x;
  memcpy(&x, at, sizeof x);
  return x;
}

static uint32_t load_32(const uint8_t *at) {
  uint32_t x;
  memcpy(&x, at, sizeof x);
  return x;
}

static uint64_t mix(uint64_t lane, uint64_t word) {
  return rotate(lane + word * PRIME_2, 31) * PRIME_1;
}

static uint64_t merge(uint64_t hash, uint64_t lane) {
  return (hash ^ mix(0, lane)) * PRIME_1 + PRIME_4;
}

/* All whole stripes; moves *at behind them. */
static uint64_t hash_stripes(const uint8_t **at, const uint8_t *end,
                             uint64_t seed) {
  uint64_t lanes[LANES] = {seed + PRIME_1 + PRIME_2, seed + PRIME_2, seed,
                           seed - PRIME_1};
  for (; end - *at >= STRIPE; *at += STRIPE)
    for (int k = 0; k < LANES; k++)
      lanes[k] = mix(lanes[k], load_64(*at + 8 * k));
  uint64_t hash = rotate(lanes[0], 1) + rotate(lanes[1], 7) +
                  rotate(lanes[2], 12) + rotate(lanes[3], 18);
  for (int k = 0; k < LANES; k++)
    hash = merge(hash, lanes[k]);
  return hash;
}

static uint64_t hash_rest(const uint8_t *at, const uint8_t *end,
                          uint64_t hash) {
  for (; end - at >= 8; at += 8)
    hash = rotate(hash ^ mix(0, load_64(at)), 27) * PRIME_1 + PRIME_4;
  if (end - at >= 4) {
    hash = rotate(hash ^ load_32(at) * PRIME_1, 23) * PRIME_2 + PRIME_3;
    at += 4;
  }
  for (; at < end; at++)
    hash = rotate(hash ^ *at * PRIME_5, 11) * PRIME_1;
  return hash;
}

uint64_t neap_hash(const void *data, uint64_t nbytes, uint64_t seed) {
  if (nbytes == 0) data = "";
  const uint8_t *at = data, *end = at + nbytes;
  uint64_t hash =
      nbytes < STRIPE ? seed + PRIME_5 : hash_stripes(&at, end, seed);
  hash = hash_rest(at, end, hash + nbytes);
  hash = (hash ^ hash >> 33) * PRIME_2;
  hash = (hash ^ hash >> 29) * PRIME_3;
  return hash ^ hash >> 32;
}
