/* SPDX-License-Identifier: MIT */
/* Shuffles: each is a permutation, and all of them look like chance. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "neap.h"
#include "seq/permutation.h"
#include "statistics.h"

_Static_assert(sizeof(neap__shuffle) < 1024, "a shuffle must stay small");

enum { SEEDS = 200000, RUN = 256 };

static const int sizes[] = {2,  3,  5,   8,   10,  16,  17,  64,
                            65, 72, 100, 128, 256, 257, 1000};
#define SIZES (sizeof sizes / sizeof *sizes)

/* items[k] = the item at position k of a shuffle of n. */
static void fill(int64_t *items, int64_t n, int64_t seed, int64_t epoch) {
  neap__shuffle shuffle;
  neap__shuffle_init(&shuffle, n, seed, epoch);
  for (int64_t k = 0; k < n; k++)
    items[k] = k;
  for (int64_t k = 0; k < n; k += RUN) {
    neap__shuffle_items(&shuffle, items + k, (int)(n - k < RUN ? n - k : RUN));
  }
}

static int64_t *new_order(int64_t n, int64_t seed, int64_t epoch) {
  int64_t *items = malloc((size_t)n * sizeof *items);
  assert_non_null(items);
  fill(items, n, seed, epoch);
  return items;
}

static void assert_permutation(int64_t n, int64_t seed) {
  int64_t *items = new_order(n, seed, 1);
  uint8_t *is_there = calloc((size_t)n, 1);
  assert_non_null(is_there);
  neap__shuffle shuffle;
  neap__shuffle_init(&shuffle, n, seed, 1);
  for (int64_t k = 0; k < n; k++) {
    assert_true(items[k] >= 0 && items[k] < n);
    assert_false(is_there[items[k]]);
    is_there[items[k]] = 1;
    assert_true(neap__shuffle_position(&shuffle, items[k]) == k);
  }
  free(is_there);
  free(items);
}

static void permutes_all_small_numbers_of_items(void **state) {
  (void)state;
  for (int64_t n = 1; n <= 2000; n++)
    assert_permutation(n, n);
}

static void permutes_around_the_powers_of_two(void **state) {
  (void)state;
  for (int k = 11; k <= 20; k++) {
    for (int64_t n = (INT64_C(1) << k) - 1; n <= (INT64_C(1) << k) + 1; n++) {
      assert_permutation(n, k);
    }
  }
}

static int compare(const void *left, const void *right) {
  const int64_t x = *(const int64_t *)left, y = *(const int64_t *)right;
  return (x > y) - (x < y);
}

/* Positions at both ends and spread over the middle, each once. */
static void permutes_huge_numbers_of_items_as_samples_show(void **state) {
  (void)state;
  enum { SAMPLES = 30000 };
  static int64_t items[SAMPLES];
  int64_t huge[200] = {INT64_C(1000000000000), INT64_C(60000000001)};
  int count = 2;
  for (int k = 21; k <= 62; k++) {
    huge[count++] = (INT64_C(1) << k) - 1;
    huge[count++] = INT64_C(1) << k;
    if (k < 62) huge[count++] = (INT64_C(1) << k) + 1;
    if (k < 62) huge[count++] = INT64_C(3) << (k - 1);
  }
  for (int h = 0; h < count; h++) {
    const int64_t n = huge[h], stride = n / SAMPLES;
    for (int64_t k = 0; k < SAMPLES; k++) {
      const int64_t position = k < 10000   ? k
                               : k < 20000 ? n - 1 - (k - 10000)
                                           : (k - 10000) * stride;
      items[k] = neap_shuffle_item(n, 1, 1, position);
      assert_true(items[k] >= 0 && items[k] < n);
      assert_true(neap_shuffle_position(n, 1, 1, items[k]) == position);
    }
    qsort(items, SAMPLES, sizeof *items, compare);
    for (int k = 1; k < SAMPLES; k++)
      assert_true(items[k] != items[k - 1]);
  }
}

static void answers_minus_one_where_there_is_no_item(void **state) {
  (void)state;
  const int64_t too_many = (INT64_C(1) << 62) + 1;
  assert_true(neap_shuffle_item(10, 1, 1, 10) == -1);
  assert_true(neap_shuffle_item(10, 1, 1, -1) == -1);
  assert_true(neap_shuffle_item(0, 1, 1, 0) == -1);
  assert_true(neap_shuffle_item(too_many, 1, 1, 0) == -1);
  assert_true(neap_shuffle_position(1000, 1, 1, 1000) == -1);
  assert_true(neap_shuffle_position(1000, 1, 1, -1) == -1);
}

static void resolves_alike_in_runs_and_one_by_one(void **state) {
  (void)state;
  for (size_t s = 0; s < SIZES; s++) {
    const int n = sizes[s];
    int64_t *items = new_order(n, 7, 3);
    for (int k = 0; k < n; k++) {
      assert_true(neap_shuffle_item(n, 7, 3, k) == items[k]);
    }
    free(items);
  }
}

/* A run that was stopped goes on with a later version of neap. */
static void orders_as_ever(void **state) {
  (void)state;
  static const int64_t few[10] = {2, 8, 1, 5, 0, 9, 7, 4, 6, 3};
  static const int64_t many[10] = {34540, 1138, 29785, 2105, 35230,
                                   55620, 470,  21314, 6543, 8374};
  for (int k = 0; k < 10; k++) {
    assert_true(neap_shuffle_item(10, 1, 1, k) == few[k]);
    assert_true(neap_shuffle_item(60000, 1, 1, k) == many[k]);
  }
}

/* The rank of a permutation of n items among the n! (Lehmer's code). */
static int rank_of(const int64_t *items, int n) {
  int rank = 0;
  for (int k = 0; k < n; k++) {
    int smaller = 0;
    for (int j = k + 1; j < n; j++)
      smaller += items[j] < items[k];
    rank = rank * (n - k) + smaller;
  }
  return rank;
}

static void all_orders_of_few_items_are_equally_likely(void **state) {
  (void)state;
  for (int n = 2, orders = 2; n <= 7; n++, orders *= n) {
    static int by_seed[5040], by_epoch[5040];
    memset(by_seed, 0, sizeof by_seed);
    memset(by_epoch, 0, sizeof by_epoch);
    for (int64_t s = 0; s < SEEDS; s++) {
      int64_t items[7];
      fill(items, n, s, 1);
      by_seed[rank_of(items, n)]++;
      fill(items, n, 1, s);
      by_epoch[rank_of(items, n)]++;
    }
    assert_chance(chi_square_z(by_seed, orders));
    assert_chance(chi_square_z(by_epoch, orders));
  }
}

static void every_position_gets_every_item_equally_often(void **state) {
  (void)state;
  for (size_t s = 0; s < SIZES; s++) {
    const int n = sizes[s];
    int first[1000] = {0}, middle[1000] = {0}, last[1000] = {0};
    for (int64_t seed = 0; seed < SEEDS; seed++) {
      neap__shuffle shuffle;
      neap__shuffle_init(&shuffle, n, seed, 1);
      int64_t items[3] = {0, n / 2, n - 1};
      neap__shuffle_items(&shuffle, items, 3);
      first[items[0]]++, middle[items[1]]++, last[items[2]]++;
    }
    assert_chance(chi_square_z(first, n));
    assert_chance(chi_square_z(middle, n));
    assert_chance(chi_square_z(last, n));
  }
}

static void count_pair(int *pairs, int *distances, int64_t x, int64_t y,
                       int n) {
  if (n <= 100) pairs[x * (n - 1) + (y > x ? y - 1 : y)]++;
  distances[(y - x + n) % n - 1]++;
}

/*
 * Which two items two positions get: neighbours, the ends, and two positions
 * that differ in the upper half of their bits only, which a cipher with too
 * few rounds would keep apart or together.
 */
static void every_two_positions_get_every_pair_equally_often(void **state) {
  (void)state;
  for (size_t s = 0; s < SIZES; s++) {
    const int n = sizes[s];
    if (n < 3) continue;
    const int half = n == 3 ? 1 : n <= 16 ? 2 : n < 128 ? 8 : n < 512 ? 16 : 32;
    static int pairs[3][100 * 99];
    int distances[3][1000] = {{0}};
    memset(pairs, 0, sizeof pairs);
    for (int64_t seed = 0; seed < SEEDS; seed++) {
      neap__shuffle shuffle;
      neap__shuffle_init(&shuffle, n, seed, 1);
      int64_t items[4] = {0, 1, half, n - 1};
      neap__shuffle_items(&shuffle, items, 4);
      for (int k = 0; k < 3; k++) {
        count_pair(pairs[k], distances[k], items[0], items[k + 1], n);
      }
    }
    for (int k = 0; k < 3; k++) {
      assert_chance(chi_square_z(distances[k], n - 1));
      if (n <= 100) assert_chance(chi_square_z(pairs[k], n * (n - 1)));
    }
  }
}

static void odd_permutations_are_half_of_all(void **state) {
  (void)state;
  enum { COUNT = 4000 };
  static const int counts[] = {64, 65, 128, 200, 256, 1024};
  for (size_t s = 0; s < sizeof counts / sizeof *counts; s++) {
    const int n = counts[s];
    int odd = 0;
    for (int64_t seed = 0; seed < COUNT; seed++) {
      int64_t items[1024];
      fill(items, n, seed, 1);
      for (int64_t k = 0; k < n; k++) {
        while (items[k] != k) {
          const int64_t to = items[k], other = items[to];
          items[to] = to;
          items[k] = other;
          odd ^= 1 << 16; /* the parity so far, above the count */
        }
      }
      odd = (odd & 0xffff) + (odd >> 16);
    }
    assert_chance(mean_z(odd, COUNT, 0.5, 0.25));
  }
}

/* z of the rank correlation of two orders. */
static double correlation_z(const int64_t *x, const int64_t *y, int64_t n) {
  const double mean = (double)(n - 1) / 2;
  double products = 0;
  for (int64_t k = 0; k < n; k++) {
    products += ((double)x[k] - mean) * ((double)y[k] - mean);
  }
  const double variance = ((double)n * (double)n - 1) / 12;
  return products / (variance * (double)n) * sqrt((double)(n - 1));
}

/* Positions at which two orders agree: 1 on average, and as variance. */
static int agreements(const int64_t *x, const int64_t *y, int64_t n) {
  int count = 0;
  for (int64_t k = 0; k < n; k++)
    count += x[k] == y[k];
  return count;
}

/* Two orders that differ by these steps in seed and epoch. */
static void assert_unrelated(int64_t seed_step, int64_t epoch_step) {
  enum { COUNT = 300, N = 3000 };
  static int64_t x[N], y[N];
  int agree = 0, joint[100] = {0};
  for (int64_t k = 0; k < COUNT; k++) {
    fill(x, N, k, 1);
    fill(y, N, k + seed_step, 1 + epoch_step);
    assert_chance(correlation_z(x, y, N));
    agree += agreements(x, y, N);
  }
  assert_chance(mean_z(agree, COUNT, 1, 1));
  for (int64_t k = 0; k < SEEDS; k++) {
    const int64_t i = neap_shuffle_item(10, 3 * k, 1, 0);
    joint[i * 10 +
          neap_shuffle_item(10, 3 * k + seed_step, 1 + epoch_step, 0)]++;
  }
  assert_chance(chi_square_z(joint, 100));
}

static void neighbouring_seeds_and_epochs_are_unrelated(void **state) {
  (void)state;
  assert_unrelated(1, 0);
  assert_unrelated(0, 1);
  assert_unrelated(1, 1);
  assert_unrelated(1, -1);
  assert_unrelated(0, 256);
}

static void a_shuffle_leaves_no_trace_of_the_order_before(void **state) {
  (void)state;
  enum { COUNT = 300, N = 3000 };
  int64_t *straight = malloc(N * sizeof *straight);
  assert_non_null(straight);
  for (int64_t k = 0; k < N; k++)
    straight[k] = k;
  int stay = 0, adjacent = 0;
  for (int64_t seed = 0; seed < COUNT; seed++) {
    int64_t *items = new_order(N, seed, 1);
    assert_chance(correlation_z(items, straight, N));
    stay += agreements(items, straight, N);
    for (int k = 1; k < N; k++)
      adjacent += llabs(items[k] - items[k - 1]) == 1;
    free(items);
  }
  free(straight);
  assert_chance(mean_z(stay, COUNT, 1, 1));
  assert_chance(mean_z(adjacent, COUNT, 2, 2));
}

static void a_shuffle_of_a_shuffle_is_mixed_as_well(void **state) {
  (void)state;
  for (size_t s = 0; s < SIZES; s++) {
    const int n = sizes[s];
    int first[1000] = {0}, distances[1000] = {0};
    for (int64_t seed = 0; seed < SEEDS / 4; seed++) {
      neap__shuffle outer, inner;
      neap__shuffle_init(&outer, n, seed, 1);
      neap__shuffle_init(&inner, n, seed + 1, 1);
      int64_t items[2] = {0, 1};
      neap__shuffle_items(&outer, items, 2);
      neap__shuffle_items(&inner, items, 2);
      first[items[0]]++;
      distances[(items[1] - items[0] + n) % n - 1]++;
    }
    assert_chance(chi_square_z(first, n));
    if (n > 2) assert_chance(chi_square_z(distances, n - 1));
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(permutes_all_small_numbers_of_items),
      cmocka_unit_test(permutes_around_the_powers_of_two),
      cmocka_unit_test(permutes_huge_numbers_of_items_as_samples_show),
      cmocka_unit_test(answers_minus_one_where_there_is_no_item),
      cmocka_unit_test(resolves_alike_in_runs_and_one_by_one),
      cmocka_unit_test(orders_as_ever),
      cmocka_unit_test(all_orders_of_few_items_are_equally_likely),
      cmocka_unit_test(every_position_gets_every_item_equally_often),
      cmocka_unit_test(every_two_positions_get_every_pair_equally_often),
      cmocka_unit_test(odd_permutations_are_half_of_all),
      cmocka_unit_test(neighbouring_seeds_and_epochs_are_unrelated),
      cmocka_unit_test(a_shuffle_leaves_no_trace_of_the_order_before),
      cmocka_unit_test(a_shuffle_of_a_shuffle_is_mixed_as_well),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
