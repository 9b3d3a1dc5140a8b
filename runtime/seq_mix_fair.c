/* SPDX-License-Identifier: MIT */
/*
 * Proportionate fairness: item j of a source of share p stands between places
 * floor(j / p) and ceil((j + 1) / p), and then no prefix is off by an item.
 * Taking the item whose place is due first always leads to such an order
 * (S. Baruah, N. Cohen, C. Plaxton and D. Varvel, Proportionate progress,
 * Algorithmica 15, 1996), but the next item depends on all before.
 *
 * So that it can be read from the middle, the order is made in blocks. Let the
 * plain state at a place be: of the items that are under way there, those that
 * are due first have been taken, as many as there have been places. It follows
 * from the place alone, and nothing that comes after is late. A block ends in
 * the state to which taking what is due first leads from the plain state at its
 * start; and what it takes itself, it takes from where the block before ended,
 * up to there. Both exist: nothing is late that goes on from where a block
 * ended; nothing is early that is taken by a block's end, as it was not from
 * the plain state either; and a block is so long that each source has an item
 * in it, so that none has had more at its start than at its end. For such items
 * with a first and a last place each, taking what is due first finds an order
 * if there is one.
 */
#include "seq_mix_fair.h"

#include <math.h>
#include <stdlib.h>

#include "random.h"

__extension__ typedef __int128 wide;
__extension__ typedef unsigned __int128 uwide;

#define ONE ((uwide)1 << 64) /* shares are in 2^-64 */
/* Sources, places of a block, and both together, at most. */
enum { SOURCES_MAX = 256, BLOCK_MAX = 8192, WORK_MAX = 65536 };

struct neap__fair {
  int32_t count;
  int32_t block;  /* places */
  int32_t *order; /* sources, the first of equals first */
  uint64_t share[];
};

/* Where the sources stand, at `place` of a block. */
struct state {
  int64_t taken[SOURCES_MAX];
  wide ahead[SOURCES_MAX];  /* what is due of a source but not taken */
  int64_t due[SOURCES_MAX]; /* the place, in the block, before which the next
                               item has to stand */
};

static int64_t next_due(const neap__fair *fair, const struct state *state,
                        int32_t k, int64_t place) {
  const uwide missing = (uwide)((wide)ONE - state->ahead[k]);
  return place + (int64_t)((missing + fair->share[k] - 1) / fair->share[k]);
}

/* The state at a place when `taken` items of each have been. */
static void begin(const neap__fair *fair, struct state *state, uint64_t start) {
  for (int32_t k = 0; k < fair->count; k++) {
    const uwide share = (uwide)start * fair->share[k];
    state->ahead[k] = (wide)(share - ((uwide)state->taken[k] << 64));
    state->due[k] = next_due(fair, state, k, 0);
  }
}

static void take(const neap__fair *fair, struct state *state, int32_t k,
                 int64_t place) {
  state->taken[k]++;
  state->ahead[k] -= (wide)ONE;
  state->due[k] = next_due(fair, state, k, place);
}

/*
 * The source whose item is due first, of those that have one under way and, if
 * limit is not NULL, have had fewer than that.
 */
static int32_t find_first(const neap__fair *fair, const struct state *state,
                          const int64_t *limit) {
  int32_t first = -1;
  for (int32_t k = 0; k < fair->count; k++) {
    const int32_t source = fair->order[k];
    if (state->ahead[source] > 0 &&
        (first < 0 || state->due[source] < state->due[first]) &&
        (limit == NULL || state->taken[source] < limit[source]))
      first = source;
  }
  return first < 0 ? fair->order[0] : first; /* there is one */
}

/* The plain state. */
static void begin_plain(const neap__fair *fair, struct state *state,
                        uint64_t start) {
  uint64_t left = start;
  for (int32_t k = 0; k < fair->count; k++) {
    state->taken[k] = (int64_t)((uwide)start * fair->share[k] >> 64);
    left -= (uint64_t)state->taken[k];
  }
  begin(fair, state, start);
  for (; left > 0; left--)
    take(fair, state, find_first(fair, state, NULL), 0);
}

static int32_t step(const neap__fair *fair, struct state *state, int64_t place,
                    const int64_t *limit) {
  for (int32_t k = 0; k < fair->count; k++)
    state->ahead[k] += fair->share[k];
  const int32_t first = find_first(fair, state, limit);
  take(fair, state, first, place + 1);
  return first;
}

/* Where the block before place `start` ends. */
static void end_of_block(const neap__fair *fair, struct state *state,
                         uint64_t start) {
  if (start == 0) {
    for (int32_t k = 0; k < fair->count; k++)
      state->taken[k] = 0;
    begin(fair, state, 0);
    return;
  }
  begin_plain(fair, state, start - (uint64_t)fair->block);
  for (int32_t place = 0; place < fair->block; place++)
    step(fair, state, place, NULL);
}

static void order_block(const neap__fair *fair, uint64_t start, uint8_t *source,
                        int64_t *index) {
  struct state state, end;
  end_of_block(fair, &end, start + (uint64_t)fair->block);
  end_of_block(fair, &state, start);
  begin(fair, &state, start);
  for (int32_t place = 0; place < fair->block; place++) {
    const int32_t k = step(fair, &state, place, end.taken);
    source[place] = (uint8_t)k;
    index[place] = state.taken[k] - 1;
  }
}

void neap__fair_find(const neap__fair *fair, int64_t *index, int32_t *source,
                     int64_t count) {
  uint8_t sources[BLOCK_MAX];
  int64_t indexes[BLOCK_MAX], start = -1;
  for (int64_t k = 0; k < count; k++) {
    const int64_t place = index[k] % fair->block;
    if (start != index[k] - place) {
      start = index[k] - place;
      order_block(fair, (uint64_t)start, sources, indexes);
    }
    source[k] = sources[place];
    index[k] = indexes[place];
  }
}

int64_t neap__fair_position(const neap__fair *fair, int32_t source, int64_t j) {
  uint8_t sources[BLOCK_MAX];
  int64_t indexes[BLOCK_MAX];
  const uwide first = ((uwide)(uint64_t)j << 64) / fair->share[source];
  if (first > INT64_MAX - 4 * BLOCK_MAX) return INT64_MAX;
  for (int64_t start = (int64_t)first / fair->block * fair->block;;
       start += fair->block) {
    order_block(fair, (uint64_t)start, sources, indexes);
    for (int32_t place = 0; place < fair->block; place++)
      if (sources[place] == source && indexes[place] == j) return start + place;
  }
}

/* Shares that add up to 1 exactly; the lightest one, 0 if one is too light. */
static uint64_t set_shares(neap__fair *fair, const double *weights) {
  double sum = 0;
  uint64_t all = 0, lightest = UINT64_MAX;
  int32_t heaviest = fair->order[0]; /* of equals too, the seed says which */
  for (int32_t k = 0; k < fair->count; k++) {
    sum += weights[k];
    if (weights[k] > weights[heaviest]) heaviest = k;
  }
  for (int32_t k = 0; k < fair->count; k++) {
    const double share = weights[k] / sum;
    if (!(share * BLOCK_MAX >= 1 && share < 1)) return 0;
    fair->share[k] = (uint64_t)ldexp(share, 64);
    all += fair->share[k];
  }
  fair->share[heaviest] -= all; /* all in 2^-64: 1 is 0 */
  for (int32_t k = 0; k < fair->count; k++)
    if (fair->share[k] < lightest) lightest = fair->share[k];
  return lightest;
}

static void draw_order(neap__fair *fair, int64_t seed) {
  neap_random random;
  neap_random_init(&random, seed, 1, 0);
  for (int32_t k = 0; k < fair->count; k++) {
    const int32_t other = (int32_t)neap_random_integer(&random, 0, k);
    fair->order[k] = fair->order[other];
    fair->order[other] = k;
  }
}

neap__fair *neap__fair_new(const double *weights, int32_t count, int64_t seed) {
  if (count < 2 || count > SOURCES_MAX) return NULL;
  neap__fair *fair = calloc(1, sizeof *fair + (size_t)count * (8 + 4));
  if (fair == NULL) return NULL;
  fair->count = count;
  fair->order = (int32_t *)(void *)(fair->share + count);
  draw_order(fair, seed);
  const uint64_t lightest = set_shares(fair, weights);
  const uwide block = lightest == 0 ? 0 : (ONE + lightest - 1) / lightest;
  if (block == 0 || block > BLOCK_MAX ||
      block * (uwide)(uint64_t)count > WORK_MAX) {
    free(fair);
    return NULL;
  }
  fair->block = (int32_t)block;
  return fair;
}
