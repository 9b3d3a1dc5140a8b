/* SPDX-License-Identifier: MIT */
/* Random numbers: the reference's answers, and that chance looks like it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "neap.h"
#include "base/random.h"
#include "statistics.h"

enum { DRAWS = 200000 };

/* The authors' xoshiro256plusplus.c, from the state {1, 2, 3, 4}. */
static void follows_the_reference(void **state) {
  (void)state;
  static const uint64_t known[] = {
      UINT64_C(41943041),
      UINT64_C(58720359),
      UINT64_C(3588806011781223),
      UINT64_C(3591011842654386),
      UINT64_C(9228616714210784205),
      UINT64_C(9973669472204895162),
      UINT64_C(14011001112246962877),
      UINT64_C(12406186145184390807),
      UINT64_C(15849039046786891736),
      UINT64_C(10450023813501588000),
  };
  neap_random random = {.state = {1, 2, 3, 4}};
  for (size_t k = 0; k < sizeof known / sizeof *known; k++) {
    assert_true(neap_random_next(&random) == known[k]);
  }
}

/* The authors' splitmix64.c, from the state 1234567. */
static void splits_as_the_reference(void **state) {
  (void)state;
  static const uint64_t known[] = {
      UINT64_C(6457827717110365317),  UINT64_C(3203168211198807973),
      UINT64_C(9817491932198370423),  UINT64_C(4593380528125082431),
      UINT64_C(16408922859458223821),
  };
  for (uint64_t k = 0; k < sizeof known / sizeof *known; k++) {
    assert_true(neap__split(1234567, k) == known[k]);
  }
}

/* Items must come out the same in later versions. */
static void seeds_as_ever(void **state) {
  (void)state;
  neap_random random;
  neap_random_init(&random, 1, 2, 3);
  assert_true(neap_random_next(&random) == UINT64_C(8987842135230422633));
  neap_random_init(&random, -1, INT64_MAX, INT64_MIN);
  assert_true(neap_random_next(&random) == UINT64_C(17879757646838652707));
}

static void starts_again_when_initialised(void **state) {
  (void)state;
  neap_random random, again;
  neap_random_init(&random, 5, 6, 7);
  neap_random_init(&again, 5, 6, 7);
  const double first = neap_random_normal(&random);
  assert_true(neap_random_normal(&again) == first);
  neap_random_init(&random, 5, 6, 7); /* it held a spare */
  assert_true(neap_random_normal(&random) == first);
}

static double first_uniform(int64_t seed, int64_t epoch, int64_t index) {
  neap_random random;
  neap_random_init(&random, seed, epoch, index);
  return neap_random_uniform(&random);
}

static uint64_t first_bits(int64_t seed, int64_t epoch, int64_t index) {
  neap_random random;
  neap_random_init(&random, seed, epoch, index);
  return neap_random_next(&random);
}

/* z of the correlation of two uniforms, from the sum of their products. */
static double product_z(double sum, double count) {
  return mean_z(sum, count, 1.0 / 4, 1.0 / 9 - 1.0 / 16);
}

static void neighbouring_streams_are_unrelated(void **state) {
  (void)state;
  static const int64_t step[][3] = {{1, 0, 0},  {0, 1, 0},   {0, 0, 1},
                                    {1, 1, 0},  {1, -1, 0},  {0, 1, -1},
                                    {1, 0, -1}, {256, 0, 0}, {0, 0, 65536}};
  for (size_t way = 0; way < sizeof step / sizeof *step; way++) {
    double products = 0, bits = 0;
    int squares[100] = {0};
    for (int64_t k = 0; k < DRAWS; k++) {
      /* Each number varies in its own way, and stays small. */
      const int64_t s = k % 50, e = k / 50 % 40, i = k / 2000;
      const int64_t t = s + step[way][0], f = e + step[way][1],
                    j = i + step[way][2];
      const double x = first_uniform(s, e, i), y = first_uniform(t, f, j);
      products += x * y;
      squares[(int)(x * 10) * 10 + (int)(y * 10)]++;
      bits += __builtin_popcountll(first_bits(s, e, i) ^ first_bits(t, f, j));
    }
    /* Pairs overlap, x being the y of another pair: hence only nearly fair. */
    assert_chance(product_z(products, DRAWS));
    assert_chance(mean_z(bits, DRAWS, 32, 16));
    assert_chance(chi_square_z(squares, 100));
  }
}

static void the_order_of_the_three_numbers_matters(void **state) {
  (void)state;
  const uint64_t bits = first_bits(1, 2, 3);
  assert_true(bits != first_bits(1, 3, 2));
  assert_true(bits != first_bits(2, 1, 3));
  assert_true(bits != first_bits(2, 3, 1));
  assert_true(bits != first_bits(3, 1, 2));
  assert_true(bits != first_bits(3, 2, 1));
}

static void uniform_is_uniform(void **state) {
  (void)state;
  neap_random random;
  neap_random_init(&random, 1, 1, 1);
  double sum = 0, products = 0, last = 0.5;
  int bins[100] = {0}, squares[100] = {0};
  for (int k = 0; k < DRAWS; k++) {
    const double x = neap_random_uniform(&random);
    assert_true(x >= 0 && x < 1);
    sum += x;
    products += x * last;
    bins[(int)(x * 100)]++;
    squares[(int)(x * 10) * 10 + (int)(last * 10)]++;
    last = x;
  }
  assert_chance(mean_z(sum, DRAWS, 0.5, 1.0 / 12));
  assert_chance(product_z(products, DRAWS));
  assert_chance(chi_square_z(bins, 100));
  assert_chance(chi_square_z(squares, 100));
}

static void uniform_has_53_bits(void **state) {
  (void)state;
  neap_random random = {.state = {UINT64_MAX, 0, 0, 0}};
  /* The first output is rotl(s0 + s3, 23) + s0. */
  assert_true(neap_random_uniform(&random) == 1 - 0x1p-53);
}

static void integers_are_uniform(void **state) {
  (void)state;
  static const int spans[] = {2, 3, 5, 6, 10, 64, 100, 1000};
  neap_random random;
  neap_random_init(&random, 2, 1, 1);
  for (size_t s = 0; s < sizeof spans / sizeof *spans; s++) {
    int bins[1000] = {0};
    for (int k = 0; k < DRAWS; k++) {
      const int64_t x = neap_random_integer(&random, -3, spans[s] - 4);
      assert_in_range(x + 3, 0, spans[s] - 1);
      bins[x + 3]++;
    }
    assert_chance(chi_square_z(bins, spans[s]));
  }
}

/* Three values of 8 inputs: without rejection the third gets 2 of them. */
static void integers_of_a_wide_range_are_unbiased(void **state) {
  (void)state;
  const int64_t span = INT64_C(3) << 61;
  neap_random random;
  neap_random_init(&random, 3, 1, 1);
  int bins[3] = {0};
  for (int k = 0; k < DRAWS; k++) {
    bins[neap_random_integer(&random, 0, span - 1) % 3]++;
  }
  assert_chance(chi_square_z(bins, 3));
}

static void integers_reach_the_ends(void **state) {
  (void)state;
  neap_random random;
  neap_random_init(&random, 4, 1, 1);
  assert_true(neap_random_integer(&random, 7, 7) == 7);
  assert_true(neap_random_integer(&random, INT64_MIN, INT64_MIN) == INT64_MIN);
  assert_true(neap_random_integer(&random, INT64_MAX, INT64_MAX) == INT64_MAX);
  int negative = 0;
  for (int k = 0; k < 1000; k++) {
    const int64_t x =
        neap_random_integer(&random, -(INT64_C(1) << 61), INT64_C(1) << 61);
    assert_true(x >= -(INT64_C(1) << 61) && x <= INT64_C(1) << 61);
    negative += x < 0;
  }
  assert_chance(mean_z(negative, 1000, 0.5, 0.25));
}

static void normals_are_normal(void **state) {
  (void)state;
  enum { BINS = 50 };
  neap_random random;
  neap_random_init(&random, 5, 1, 1);
  double power[5] = {0}, products = 0, last = 0;
  int bins[BINS] = {0}, beyond_3 = 0;
  for (int k = 0; k < DRAWS; k++) {
    const double x = neap_random_normal(&random);
    double raised = 1;
    for (int p = 0; p < 5; p++, raised *= x)
      power[p] += raised;
    products += x * last;
    last = x;
    bins[(int)(erfc(-x / sqrt(2)) / 2 * BINS)]++;
    beyond_3 += fabs(x) > 3;
  }
  assert_chance(mean_z(power[1], DRAWS, 0, 1));
  assert_chance(mean_z(power[2], DRAWS, 1, 2));
  assert_chance(mean_z(power[3], DRAWS, 0, 15));
  assert_chance(mean_z(power[4], DRAWS, 3, 96));
  assert_chance(mean_z(products, DRAWS, 0, 1));
  assert_chance(chi_square_z(bins, BINS));
  assert_chance(mean_z(beyond_3, DRAWS, erfc(3 / sqrt(2)), erfc(3 / sqrt(2))));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(follows_the_reference),
      cmocka_unit_test(splits_as_the_reference),
      cmocka_unit_test(seeds_as_ever),
      cmocka_unit_test(starts_again_when_initialised),
      cmocka_unit_test(neighbouring_streams_are_unrelated),
      cmocka_unit_test(the_order_of_the_three_numbers_matters),
      cmocka_unit_test(uniform_is_uniform),
      cmocka_unit_test(uniform_has_53_bits),
      cmocka_unit_test(integers_are_uniform),
      cmocka_unit_test(integers_of_a_wide_range_are_unbiased),
      cmocka_unit_test(integers_reach_the_ends),
      cmocka_unit_test(normals_are_normal),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
