/* SPDX-License-Identifier: MIT */
/* Adapters of several sources, and cycle: against plain loops. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

#include "neap_lua.h"

enum { PARTS_MAX = 12, ITEMS_MAX = 4000 };

static neap_seq *leaf(int64_t length, int32_t number) {
  neap_seq *seq;
  assert_int_equal(neap_seq_leaf(length, number, &seq, NULL), NEAP_OK);
  return seq;
}

/* Checks seq against (leaf, index) pairs, in bulk and one by one. */
static void check_items(const neap_seq *seq, const int32_t *leaves,
                        const int64_t *indexes, int64_t count) {
  int64_t index[ITEMS_MAX];
  int32_t number[ITEMS_MAX];
  for (int64_t k = 0; k < count; k++)
    index[k] = k;
  neap_seq_resolve(seq, 1, index, number, count);
  for (int64_t k = 0; k < count; k++) {
    int32_t one;
    assert_int_equal(index[k], indexes[k]);
    assert_int_equal(number[k], leaves[k]);
    assert_int_equal(neap_seq_resolve_one(seq, 1, k, &one), indexes[k]);
    assert_int_equal(one, leaves[k]);
  }
}

static void concat_is_one_after_another(void **state) {
  (void)state;
  srand(7);
  for (int trial = 0; trial < 200; trial++) {
    neap_seq *parts[PARTS_MAX], *seq;
    int32_t leaves[ITEMS_MAX];
    int64_t indexes[ITEMS_MAX], count = 0;
    const int32_t n = 1 + rand() % PARTS_MAX;
    for (int32_t p = 0; p < n; p++) {
      const int64_t length = rand() % 3 == 0 ? 0 : rand() % 100;
      parts[p] = leaf(length, p);
      for (int64_t k = 0; k < length; k++, count++) {
        leaves[count] = p;
        indexes[count] = k;
      }
    }
    assert_int_equal(neap_seq_concat(parts, n, &seq, NULL), NEAP_OK);
    assert_int_equal(neap_seq_length(seq), count);
    check_items(seq, leaves, indexes, count);
    neap_seq_free(seq);
  }
}

static void interleave_takes_turns(void **state) {
  (void)state;
  srand(8);
  for (int trial = 0; trial < 200; trial++) {
    neap_seq *parts[PARTS_MAX], *seq;
    int32_t leaves[ITEMS_MAX];
    int64_t indexes[ITEMS_MAX], lengths[PARTS_MAX], count = 0;
    const int32_t n = 1 + rand() % PARTS_MAX;
    for (int32_t p = 0; p < n; p++) {
      lengths[p] = rand() % 3 == 0 ? 0 : rand() % 100;
      parts[p] = leaf(lengths[p], p);
    }
    for (int64_t k = 0; k < 100; k++)
      for (int32_t p = 0; p < n; p++)
        if (k < lengths[p]) {
          leaves[count] = p;
          indexes[count++] = k;
        }
    assert_int_equal(neap_seq_interleave(parts, n, &seq, NULL), NEAP_OK);
    assert_int_equal(neap_seq_length(seq), count);
    check_items(seq, leaves, indexes, count);
    neap_seq_free(seq);
  }
}

static void interleave_goes_on_with_endless_ones(void **state) {
  (void)state;
  neap_seq *parts[] = {leaf(1, 0), leaf(NEAP_ENDLESS, 1)}, *seq;
  const int32_t leaves[] = {0, 1, 1, 1, 1};
  const int64_t indexes[] = {0, 0, 1, 2, 3};
  assert_int_equal(neap_seq_interleave(parts, 2, &seq, NULL), NEAP_OK);
  assert_int_equal(neap_seq_length(seq), NEAP_ENDLESS);
  check_items(seq, leaves, indexes, 5);
  neap_seq_free(seq);
}

static void cycle_begins_again(void **state) {
  (void)state;
  neap_seq *seq;
  int32_t leaves[35] = {0};
  int64_t indexes[35];
  for (int64_t k = 0; k < 35; k++)
    indexes[k] = k % 7;
  assert_int_equal(neap_seq_cycle(leaf(7, 0), 5, &seq, NULL), NEAP_OK);
  assert_int_equal(neap_seq_length(seq), 35);
  check_items(seq, leaves, indexes, 35);
  neap_seq_free(seq);
  const int64_t times = 1000000000000000;
  assert_int_equal(neap_seq_cycle(leaf(10, 0), times, &seq, NULL), NEAP_OK);
  assert_int_equal(neap_seq_length(seq), 10 * times);
  assert_int_equal(neap_seq_resolve_one(seq, 1, 10 * times - 1, NULL), 9);
  neap_seq_free(seq);
}

/* Items first, first + 1, ..., as many as are resolved at once. */
enum { RUN = 250 };

static void play_run(const neap_seq *seq, int64_t first, int64_t *index,
                     int32_t *which) {
  for (int64_t k = 0; k < RUN; k++)
    index[k] = first + k;
  neap_seq_resolve(seq, 1, index, which, RUN);
}

/* Plays a mixture of endless sources; answers how far off a source ever is. */
static double mix_error(const double *weights, int32_t n, int64_t seed) {
  neap_seq *parts[PARTS_MAX], *seq;
  int64_t taken[PARTS_MAX] = {0};
  double sum = 0, worst = 0;
  for (int32_t p = 0; p < n; p++) {
    parts[p] = leaf(NEAP_ENDLESS, p);
    sum += weights[p];
  }
  assert_int_equal(neap_seq_mix(parts, weights, n, seed, &seq, NULL), NEAP_OK);
  int64_t index[RUN] = {0};
  int32_t which[RUN] = {0};
  for (int64_t k = 0; k < ITEMS_MAX; k++) {
    if (k % RUN == 0) play_run(seq, k, index, which);
    assert_int_equal(index[k % RUN], taken[which[k % RUN]]++);
    for (int32_t p = 0; p < n; p++) {
      const double due = (double)(k + 1) * weights[p] / sum;
      worst = fmax(worst, fabs((double)taken[p] - due));
    }
  }
  neap_seq_free(seq);
  return worst;
}

static void mix_keeps_its_proportions(void **state) {
  (void)state;
  const double cases[][4] = {{1},          {1, 1},       {1, 2},
                             {0.7, 0.3},   {1, 2, 3},    {0.7, 0.2, 0.1},
                             {1, 1, 1},    {1, 1, 1, 1}, {9, 5, 3, 1},
                             {100, 10, 1}, {5, 5, 1, 1}, {0.25, 0.5, 0.25}};
  for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++) {
    int32_t n = 0;
    while (n < 4 && cases[c][n] > 0)
      n++;
    for (int64_t seed = 1; seed <= 10; seed++)
      assert_true(mix_error(cases[c], n, seed) <= 1.68);
  }
}

/* Of 2 to PARTS_MAX sources, whose weights lie `spread` powers of ten apart. */
static void check_any_mix(int trials, double spread) {
  for (int trial = 0; trial < trials; trial++) {
    double weights[PARTS_MAX];
    const int32_t n = 2 + rand() % (PARTS_MAX - 1);
    for (int32_t p = 0; p < n; p++)
      weights[p] = pow(10, spread * rand() / RAND_MAX);
    assert_true(mix_error(weights, n, trial) <= 1.68);
  }
}

static void mix_keeps_any_proportions(void **state) {
  (void)state;
  srand(13);
  check_any_mix(200, 1);
  check_any_mix(200, 3);
  check_any_mix(200, 12);
}

/* The weights for which the tree is as deep as it can be. */
static void mix_keeps_the_worst_proportions(void **state) {
  (void)state;
  double weights[PARTS_MAX] = {1, 1};
  for (int32_t p = 2; p < PARTS_MAX; p++)
    weights[p] = weights[p - 1] + weights[p - 2];
  for (int64_t seed = 1; seed <= 20; seed++)
    assert_true(mix_error(weights, PARTS_MAX, seed) <= 1.68);
}

/* Far from the start. */
static void mix_keeps_proportions_from_anywhere(void **state) {
  (void)state;
  srand(19);
  for (int trial = 0; trial < 50; trial++) {
    neap_seq *parts[PARTS_MAX], *seq;
    double weights[PARTS_MAX], sum = 0;
    int64_t index[RUN], last[PARTS_MAX] = {0};
    int32_t which[RUN], one;
    const int32_t n = 9 + rand() % (PARTS_MAX - 8);
    for (int32_t p = 0; p < n; p++) {
      parts[p] = leaf(NEAP_ENDLESS, p);
      sum += weights[p] = pow(10, 2.5 * rand() / RAND_MAX);
    }
    assert_int_equal(neap_seq_mix(parts, weights, n, trial, &seq, NULL), 0);
    const int64_t far = trial % 2 ? rand() : INT64_C(1) << 40;
    for (int64_t first = far; first < far + 20 * RUN; first += RUN) {
      play_run(seq, first, index, which);
      for (int64_t k = 0; k < RUN; k++) {
        const int32_t p = which[k];
        const double due = (double)(first + k + 1) * (weights[p] / sum);
        assert_true(fabs((double)(index[k] + 1) - due) <= 1.7);
        if (last[p] != 0) assert_int_equal(index[k], last[p] + 1);
        last[p] = index[k];
      }
      const int64_t k = rand() % RUN;
      assert_int_equal(neap_seq_resolve_one(seq, 1, first + k, &one), index[k]);
      assert_int_equal(one, which[k]);
    }
    neap_seq_free(seq);
  }
}

/* How many items of a mixture there are before one of a source at its end. */
static int64_t play_until_end(const double *weights, const int64_t *lengths,
                              int32_t n, int64_t seed) {
  neap_seq *parts[PARTS_MAX], *seq;
  int64_t count = 0;
  for (int32_t p = 0; p < n; p++)
    parts[p] = leaf(NEAP_ENDLESS, p);
  assert_int_equal(neap_seq_mix(parts, weights, n, seed, &seq, NULL), NEAP_OK);
  int64_t index[RUN] = {0};
  int32_t which[RUN] = {0};
  for (;; count++) {
    if (count % RUN == 0) play_run(seq, count, index, which);
    if (index[count % RUN] == lengths[which[count % RUN]]) break;
  }
  neap_seq_free(seq);
  return count;
}

static void mix_ends_where_one_is_due(void **state) {
  (void)state;
  srand(17);
  for (int trial = 0; trial < 200; trial++) {
    neap_seq *parts[PARTS_MAX], *seq;
    double weights[PARTS_MAX];
    int64_t lengths[PARTS_MAX];
    const int32_t n = 5 + rand() % (PARTS_MAX - 4);
    for (int32_t p = 0; p < n; p++) {
      weights[p] = 1 + rand() % 30;
      lengths[p] = rand() % 90;
      parts[p] = leaf(lengths[p], p);
    }
    assert_int_equal(neap_seq_mix(parts, weights, n, trial, &seq, NULL), 0);
    assert_int_equal(neap_seq_length(seq),
                     play_until_end(weights, lengths, n, trial));
    neap_seq_free(seq);
  }
}

static void mix_takes_the_largest_weights(void **state) {
  (void)state;
  neap_seq *parts[] = {leaf(NEAP_ENDLESS, 0), leaf(NEAP_ENDLESS, 1)}, *seq;
  const double weights[] = {1e308, 1e308};
  int32_t which, taken[2] = {0};
  assert_int_equal(neap_seq_mix(parts, weights, 2, 1, &seq, NULL), NEAP_OK);
  for (int64_t k = 0; k < 1000; k++) {
    neap_seq_resolve_one(seq, 1, k, &which);
    taken[which]++;
  }
  assert_int_equal(taken[0], 500);
  neap_seq_free(seq);
}

/* Any of the heaviest may be first, as often as the others. */
static void mix_begins_with_any_of_equals(void **state) {
  (void)state;
  const struct {
    int32_t count, equals;
    double weights[12];
  } cases[] = {
      {2, 2, {1, 1}},
      {3, 3, {1, 1, 1}},
      {4, 2, {3, 3, 1, 1}},
      {5, 5, {2, 2, 2, 2, 2}},
      {11, 11, {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1}},
  };
  enum { SEEDS = 2000 };
  for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++) {
    const int32_t count = cases[c].count, equals = cases[c].equals;
    int32_t first[12] = {0}, which;
    for (int64_t seed = 0; seed < SEEDS; seed++) {
      neap_seq *parts[12], *seq;
      for (int32_t p = 0; p < count; p++)
        parts[p] = leaf(NEAP_ENDLESS, p);
      assert_int_equal(
          neap_seq_mix(parts, cases[c].weights, count, seed, &seq, NULL), 0);
      neap_seq_resolve_one(seq, 1, 0, &which);
      first[which]++;
      neap_seq_free(seq);
    }
    for (int32_t p = 0; p < count; p++) {
      const double share = p < equals ? 1.0 / equals : 0;
      const double sigma = sqrt(SEEDS * share * (1 - share));
      assert_true(fabs(first[p] - SEEDS * share) <= 5 * sigma);
    }
  }
}

static void mix_ends_where_a_source_has(void **state) {
  (void)state;
  for (int64_t seed = 1; seed <= 50; seed++) {
    const double weights[] = {3, 2, 1};
    const int64_t lengths[] = {40, 31, 25};
    neap_seq *seq, *longer;
    neap_seq *parts[] = {leaf(40, 0), leaf(31, 1), leaf(25, 2)};
    neap_seq *more[] = {leaf(NEAP_ENDLESS, 0), leaf(NEAP_ENDLESS, 1),
                        leaf(NEAP_ENDLESS, 2)};
    assert_int_equal(neap_seq_mix(parts, weights, 3, seed, &seq, NULL), 0);
    assert_int_equal(neap_seq_mix(more, weights, 3, seed, &longer, NULL), 0);
    const int64_t length = neap_seq_length(seq);
    for (int64_t k = 0; k <= length; k++) {
      int32_t which;
      const int64_t index = neap_seq_resolve_one(longer, 1, k, &which);
      assert_int_equal(index < lengths[which], k < length);
    }
    neap_seq_free(seq);
    neap_seq_free(longer);
  }
}

/* A random tree of slices, concats and cycles over small leaves. */
static neap_seq *random_tree(int depth, int32_t *leaves) {
  neap_seq *seq = NULL, *parts[3];
  if (depth == 0) return leaf(1 + rand() % 9, (*leaves)++);
  switch (rand() % 4) {
  case 0:
    for (int k = 0; k < 3; k++)
      parts[k] = random_tree(depth - 1, leaves);
    assert_int_equal(neap_seq_concat(parts, 3, &seq, NULL), NEAP_OK);
    break;
  case 1:
    seq = random_tree(depth - 1, leaves);
    assert_int_equal(neap_seq_cycle(seq, 1 + rand() % 3, &seq, NULL), NEAP_OK);
    break;
  case 2:
    for (int k = 0; k < 3; k++)
      parts[k] = random_tree(depth - 1, leaves);
    assert_int_equal(neap_seq_interleave(parts, 3, &seq, NULL), NEAP_OK);
    break;
  default: {
    neap_seq *source = random_tree(depth - 1, leaves);
    const int64_t n = neap_seq_length(source);
    const int64_t step = 1 + rand() % 3, count = (n - 1) / step + 1;
    const bool is_back = rand() % 2;
    assert_int_equal(neap_seq_slice(source, is_back ? (count - 1) * step : 0,
                                    is_back ? -step : step, count, &seq, NULL),
                     NEAP_OK);
  }
  }
  return seq;
}

/* All that a stretch says of its items, and of those that repeat them. */
static void check_stretch(const neap_stretch *ahead) {
  const neap_seq *seq = ahead->tree;
  const int64_t n = neap_seq_length(seq), period = (int64_t)ahead->period;
  int32_t one;
  assert_true(ahead->stop <= (double)n + 1 && ahead->near == ahead->stop);
  if (neap_seq_kind(seq) == NEAP_SEQ_UNITS && ahead->stop > ahead->first)
    assert_true(ahead->step == 1);
  for (int64_t k = (int64_t)ahead->first; k < (int64_t)ahead->stop; k++) {
    const double place = (double)k * ahead->step + ahead->offset;
    for (int64_t i = k - 1; i < n; i += period) {
      assert_int_equal(neap_seq_resolve_one(seq, 1, i, &one),
                       (int64_t)place - 1);
      assert_int_equal(ahead->leaf, one);
      if (period == 0) break;
    }
  }
}

static void check_read(neap_stretch *ahead, int64_t i) {
  const neap_seq *seq = ahead->tree;
  int32_t which, one;
  const int64_t at = neap_seq_resolve_one(seq, 1, i, &one);
  assert_int_equal(neap_seq_stride(ahead, 1, i, &which), at);
  assert_int_equal(which, one);
  check_stretch(ahead);
}

static void check_jump(neap_stretch *ahead, int64_t i) {
  if (ahead->next == (double)i + 1) return;
  check_read(ahead, i);
  assert_true(ahead->first == 1 && ahead->next == (double)i + 2);
}

static void check_next(neap_stretch *ahead, int64_t i) {
  check_read(ahead, i);
  assert_true(ahead->first == (double)i + 1 && ahead->stop > ahead->first &&
              ahead->next == ahead->stop);
}

static void what_is_ahead_is_what_resolves(void **state) {
  (void)state;
  srand(10);
  for (int trial = 0; trial < 300; trial++) {
    int32_t leaves = 0, which, one;
    neap_seq *seq = random_tree(rand() % 5, &leaves);
    neap_window window = {.tree = seq};
    const int64_t n = neap_seq_length(seq);
    for (int64_t i = 0; i < n; i++) {
      neap_stretch ahead = {.tree = seq};
      check_jump(&ahead, i);
      if (i + 1 < n) check_next(&ahead, i + 1);
      check_jump(&ahead, rand() % n);
      check_jump(&ahead, rand() % n);
    }
    for (int64_t i = 0; i < n; i += (int64_t)window.count) {
      assert_int_equal(neap_seq_slide(&window, 1, i, &which),
                       neap_seq_resolve_one(seq, 1, i, &one));
      assert_int_equal(which, one);
      assert_true(window.count >= 1);
      for (int64_t k = 0; k < (int64_t)window.count; k++) {
        assert_int_equal(neap_seq_resolve_one(seq, 1, i + k, &one),
                         window.place[k] - 1);
        assert_int_equal(window.leaf[k], one);
      }
    }
    neap_seq_free(seq);
  }
}

static neap_seq *slice(neap_seq *source, int64_t first, int64_t step) {
  neap_seq *seq;
  assert_int_equal(neap_seq_slice(source, first, step, 3, &seq, NULL), 0);
  return seq;
}

static void check_kind(neap_seq *seq, int kind) {
  assert_int_equal(neap_seq_kind(seq), kind);
  neap_seq_free(seq);
}

static void a_kind_is_that_of_all_adapters(void **state) {
  (void)state;
  neap_seq *seq;
  check_kind(leaf(9, 0), NEAP_SEQ_UNITS);
  check_kind(slice(leaf(9, 0), 2, 1), NEAP_SEQ_UNITS);
  check_kind(slice(leaf(9, 0), 2, 2), NEAP_SEQ_STEPS);
  check_kind(slice(slice(leaf(9, 0), 8, -2), 2, -1), NEAP_SEQ_STEPS);
  check_kind(slice(slice(leaf(9, 0), 8, -1), 2, -1), NEAP_SEQ_UNITS);
  neap_seq *parts[] = {leaf(9, 0), slice(leaf(9, 1), 0, 3)};
  assert_int_equal(neap_seq_concat(parts, 2, &seq, NULL), 0);
  assert_int_equal(neap_seq_kind(seq), NEAP_SEQ_STEPS);
  assert_int_equal(neap_seq_shuffle(seq, 1, &seq, NULL), 0);
  assert_int_equal(neap_seq_kind(seq), NEAP_SEQ_ANY);
  assert_int_equal(neap_seq_cycle(seq, 2, &seq, NULL), 0);
  check_kind(slice(seq, 0, 1), NEAP_SEQ_ANY);
}

static void what_is_ahead_stays_exact(void **state) {
  (void)state;
  neap_seq *seq;
  int32_t which;
  const int64_t end = INT64_C(10000000000000000) - 1;
  assert_int_equal(neap_seq_cycle(leaf(10, 3), (end + 1) / 10, &seq, NULL), 0);
  neap_stretch ahead = {.tree = seq};
  neap_window window = {.tree = seq};
  assert_int_equal(neap_seq_stride(&ahead, 1, end - 1, &which), 8);
  assert_true(ahead.first == 1 && ahead.stop == 11 && ahead.period == 10);
  ahead.next = (double)end + 1;
  assert_int_equal(neap_seq_stride(&ahead, 1, end, &which), 9);
  assert_true(ahead.stop == ahead.first);
  assert_int_equal(neap_seq_slide(&window, 1, end, &which), 9);
  assert_true(window.count == 0);
  neap_seq_free(seq);
  window.tree = seq = leaf(INT64_C(1) << 40, 0);
  assert_int_equal(neap_seq_slide(&window, 1, INT64_C(1) << 39, &which),
                   INT64_C(1) << 39);
  assert_true(window.count == 0);
  neap_seq_free(seq);
}

static void bad_arguments_are_refused(void **state) {
  (void)state;
  neap_seq *seq;
  neap_error error;
  const double weights[] = {1, 0};
  neap_seq *endless[] = {leaf(NEAP_ENDLESS, 0), leaf(1, 1)};
  assert_int_equal(neap_seq_concat(endless, 2, &seq, &error), NEAP_EINVAL);
  assert_null(seq);
  assert_string_equal(error.text, "cannot concat: source 0 is endless, and "
                                  "only the last may be");
  neap_seq *long_ones[] = {leaf(INT64_MAX, 0), leaf(INT64_MAX, 1)};
  assert_int_equal(neap_seq_concat(long_ones, 2, &seq, &error), NEAP_EINVAL);
  neap_seq *more[] = {leaf(INT64_MAX - 1, 0), leaf(INT64_MAX - 2, 1)};
  assert_int_equal(neap_seq_interleave(more, 2, &seq, &error), NEAP_EINVAL);
  assert_int_equal(neap_seq_cycle(leaf(NEAP_ENDLESS, 0), 2, &seq, &error),
                   NEAP_EINVAL);
  assert_int_equal(neap_seq_cycle(leaf(0, 0), 2, &seq, &error), NEAP_EINVAL);
  assert_int_equal(neap_seq_cycle(leaf(1 << 20, 0), INT64_MAX, &seq, &error),
                   NEAP_EINVAL);
  assert_int_equal(neap_seq_concat(NULL, 0, &seq, &error), NEAP_EINVAL);
  neap_seq *two[] = {leaf(1, 0), leaf(1, 1)};
  assert_int_equal(neap_seq_mix(two, weights, 2, 1, &seq, &error), NEAP_EINVAL);
  assert_string_equal(error.text, "cannot mix: weight 1 is 0");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(concat_is_one_after_another),
      cmocka_unit_test(interleave_takes_turns),
      cmocka_unit_test(interleave_goes_on_with_endless_ones),
      cmocka_unit_test(cycle_begins_again),
      cmocka_unit_test(mix_keeps_its_proportions),
      cmocka_unit_test(mix_keeps_any_proportions),
      cmocka_unit_test(mix_keeps_the_worst_proportions),
      cmocka_unit_test(mix_keeps_proportions_from_anywhere),
      cmocka_unit_test(mix_ends_where_one_is_due),
      cmocka_unit_test(mix_takes_the_largest_weights),
      cmocka_unit_test(mix_begins_with_any_of_equals),
      cmocka_unit_test(mix_ends_where_a_source_has),
      cmocka_unit_test(what_is_ahead_is_what_resolves),
      cmocka_unit_test(a_kind_is_that_of_all_adapters),
      cmocka_unit_test(what_is_ahead_stays_exact),
      cmocka_unit_test(bad_arguments_are_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
