/* SPDX-License-Identifier: MIT */
/*
 * One period of a mixture, after which all comes again.
 *
 * Who is next is whoever would be late first, among those who are not early:
 * the chairman assignment of R. Tijdeman (The chairman assignment problem,
 * Discrete Mathematics 32, 1980). With n sources it keeps each within
 * 1 - 1 / (2 n - 2) items of its share at every prefix. The next choice depends
 * on all before, so a period is laid out in a table, which has to be small.
 */
#include "seq_mix_period.h"

#include <math.h>
#include <stdlib.h>

#include "random.h"

enum { PERIOD_MAX = 1024 };
/* What doubles may be off a whole number, or two of them from one another. */
#define SLACK 1e-9

struct place {
  uint16_t source;
  uint16_t rank; /* among the source's places */
};

struct neap__period {
  int32_t items;
  int32_t count;
  struct place *places; /* one for each item */
  int32_t *shares;      /* items of each source */
};

static int is_measure(const double *weights, int32_t count, double sum,
                      int32_t items) {
  for (int32_t k = 0; k < count; k++) {
    const double share = weights[k] / sum * items;
    if (share < 0.5 || fabs(share - round(share)) > SLACK) return 0;
  }
  return 1;
}

/* The shortest period, or 0. */
static int32_t find_items(const double *weights, int32_t count, double sum) {
  for (int32_t items = count; items <= PERIOD_MAX; items++)
    if (is_measure(weights, count, sum, items)) return items;
  return 0;
}

static neap__period *allocate(int32_t items, int32_t count) {
  const size_t places = (size_t)items * sizeof(struct place);
  neap__period *period =
      malloc(sizeof *period + (size_t)count * sizeof(int32_t) + places);
  if (period == NULL) return NULL;
  period->items = items;
  period->count = count;
  period->shares = (int32_t *)(void *)(period + 1);
  period->places = (struct place *)(void *)(period->shares + count);
  return period;
}

/* The next of an item m, counted from 1; `order` decides among equals. */
static int32_t choose(const neap__period *period, const uint16_t *taken,
                      const int32_t *order, int32_t m) {
  const double early = 1 / (2.0 * period->count - 2);
  double soonest = INFINITY;
  int32_t chosen = order[0];
  for (int32_t k = 0; k < period->count; k++) {
    const int32_t source = order[k];
    const double share = (double)period->shares[source] / period->items;
    const double due = share * m - taken[source];
    const double late = (1 - early - due) / share;
    if (due >= early - SLACK && late < soonest - SLACK) {
      soonest = late;
      chosen = source;
    }
  }
  return chosen;
}

static void lay_out(neap__period *period, uint16_t *taken,
                    const int32_t *order) {
  for (int32_t m = 0; m < period->items; m++) {
    const int32_t source = choose(period, taken, order, m + 1);
    period->places[m] = (struct place){(uint16_t)source, taken[source]++};
  }
}

static void draw_order(int32_t *order, int32_t count, int64_t seed) {
  neap_random random;
  neap_random_init(&random, seed, 1, 0);
  for (int32_t k = 0; k < count; k++) {
    const int32_t other = (int32_t)neap_random_integer(&random, 0, k);
    order[k] = order[other];
    order[other] = k;
  }
}

neap__period *neap__period_new(const double *weights, int32_t count,
                               int64_t seed) {
  double sum = 0;
  for (int32_t k = 0; k < count; k++)
    sum += weights[k];
  const int32_t items = count > 1 ? find_items(weights, count, sum) : 0;
  neap__period *period = items > 0 ? allocate(items, count) : NULL;
  int32_t *order = calloc((size_t)count, sizeof *order);
  uint16_t *taken = calloc((size_t)count, sizeof *taken);
  if (period != NULL && order != NULL && taken != NULL) {
    for (int32_t k = 0; k < count; k++)
      period->shares[k] = (int32_t)lround(weights[k] / sum * items);
    draw_order(order, count, seed);
    lay_out(period, taken, order);
  } else {
    free(period);
    period = NULL;
  }
  free(order);
  free(taken);
  return period;
}

int32_t neap__period_find(const neap__period *period, int64_t *index) {
  const int64_t round = *index / period->items;
  const struct place *place = &period->places[*index - round * period->items];
  *index = round * period->shares[place->source] + place->rank;
  return place->source;
}

int64_t neap__period_position(const neap__period *period, int32_t source,
                              int64_t j) {
  const int64_t round = j / period->shares[source];
  const int64_t rank = j - round * period->shares[source];
  int64_t at;
  int32_t k = 0;
  while (period->places[k].source != source || period->places[k].rank != rank)
    k++;
  if (__builtin_mul_overflow(round, period->items, &at) ||
      __builtin_add_overflow(at, k, &at))
    return INT64_MAX;
  return at;
}
