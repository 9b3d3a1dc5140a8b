/* SPDX-License-Identifier: MIT */
/* Sequences: each adapter, what it refuses, and random trees of them. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "neap_lua.h"

enum { LEAF = 7 };

static neap_seq *new_leaf(int64_t length) {
  neap_seq *seq;
  assert_int_equal(neap_seq_leaf(length, LEAF, &seq, NULL), NEAP_OK);
  return seq;
}

static neap_seq *new_slice(neap_seq *source, int64_t first, int64_t step,
                           int64_t count) {
  neap_seq *seq;
  assert_int_equal(neap_seq_slice(source, first, step, count, &seq, NULL),
                   NEAP_OK);
  return seq;
}

static neap_seq *new_shuffle(neap_seq *source, int64_t seed) {
  neap_seq *seq;
  assert_int_equal(neap_seq_shuffle(source, seed, &seq, NULL), NEAP_OK);
  return seq;
}

static int64_t at(const neap_seq *seq, int64_t index) {
  int32_t leaf = 0;
  const int64_t found = neap_seq_resolve_one(seq, 1, index, &leaf);
  assert_int_equal(leaf, LEAF);
  return found;
}

/* That a sequence has these items, one by one and as a run; frees it. */
static void assert_items(neap_seq *seq, const int64_t *items, int64_t count) {
  assert_true(neap_seq_length(seq) == count);
  int64_t *index = calloc((size_t)count + 1, sizeof *index);
  int32_t *leaf = calloc((size_t)count + 1, sizeof *leaf);
  assert_true(index != NULL && leaf != NULL);
  for (int64_t k = 0; k < count; k++) {
    assert_true(at(seq, k) == items[k]);
    index[k] = k;
  }
  index[count] = leaf[count] = -5;
  neap_seq_resolve(seq, 1, index, leaf, count);
  assert_true(index[count] == -5 && leaf[count] == -5);
  for (int64_t k = 0; k < count; k++) {
    assert_true(index[k] == items[k]);
    assert_int_equal(leaf[k], LEAF);
    index[k] = k;
  }
  neap_seq_resolve(seq, 1, index, NULL, count);
  assert_memory_equal(index, items, (size_t)count * sizeof *index);
  free(index);
  free(leaf);
  neap_seq_free(seq);
}

/* What a constructor that fails leaves behind. */
typedef struct {
  neap_seq *out;
  neap_error error;
} refusal;

static refusal nothing(void) {
  refusal told;
  memset(&told, 0, sizeof told);
  told.out = (neap_seq *)&told; /* to be overwritten */
  return told;
}

static void assert_refused(int status, const refusal *told, const char *text) {
  assert_int_equal(status, NEAP_EINVAL);
  assert_int_equal(told->error.status, NEAP_EINVAL);
  assert_string_equal(told->error.text, text);
  assert_null(told->out);
}

static void refuse_leaf(int64_t length, const char *text) {
  refusal told = nothing();
  assert_refused(neap_seq_leaf(length, LEAF, &told.out, &told.error), &told,
                 text);
}

static void refuse_slice(neap_seq *source, int64_t first, int64_t step,
                         int64_t count, const char *text) {
  refusal told = nothing();
  assert_refused(
      neap_seq_slice(source, first, step, count, &told.out, &told.error), &told,
      text);
}

static void refuse_gather(neap_seq *source, const int64_t *indexes,
                          int64_t count, const char *text) {
  refusal told = nothing();
  assert_refused(
      neap_seq_gather(source, indexes, count, &told.out, &told.error), &told,
      text);
}

static void refuse_shuffle(neap_seq *source, const char *text) {
  refusal told = nothing();
  assert_refused(neap_seq_shuffle(source, 1, &told.out, &told.error), &told,
                 text);
}

static void free_takes_null(void **state) {
  (void)state;
  neap_seq_free(NULL);
}

static void a_leaf_answers_the_index_and_its_number(void **state) {
  (void)state;
  assert_items(new_leaf(3), (const int64_t[]){0, 1, 2}, 3);
  assert_items(new_leaf(0), NULL, 0);
  neap_seq *seq = new_leaf(NEAP_ENDLESS);
  assert_true(neap_seq_length(seq) == NEAP_ENDLESS);
  assert_true(at(seq, INT64_MAX) == INT64_MAX);
  neap_seq_free(seq);
  refuse_leaf(-2, "cannot make a leaf: its length is -2");
}

static void a_slice_steps_through_its_source(void **state) {
  (void)state;
  assert_items(new_slice(new_leaf(10), 2, 3, 3), (const int64_t[]){2, 5, 8}, 3);
  assert_items(new_slice(new_leaf(10), 9, -4, 3), (const int64_t[]){9, 5, 1},
               3);
  assert_items(new_slice(new_leaf(10), 0, 9, 2), (const int64_t[]){0, 9}, 2);
  assert_items(new_slice(new_leaf(10), 4, INT64_MIN, 1), (const int64_t[]){4},
               1);
  assert_items(new_slice(new_leaf(10), 99, 1, 0), NULL, 0);
  assert_items(new_slice(new_leaf(0), 0, 1, 0), NULL, 0);
}

static void a_slice_of_something_endless_may_end_or_not(void **state) {
  (void)state;
  neap_seq *odd = new_slice(new_leaf(NEAP_ENDLESS), 1, 2, NEAP_ENDLESS);
  assert_true(neap_seq_length(odd) == NEAP_ENDLESS);
  assert_true(at(odd, INT64_C(1) << 53) == (INT64_C(1) << 54) + 1);
  assert_items(new_slice(odd, 10, -5, 3), (const int64_t[]){21, 11, 1}, 3);
}

static void a_slice_refuses_what_its_source_has_not(void **state) {
  (void)state;
  refuse_slice(new_leaf(10), 10, 1, 1,
               "cannot slice: index 10 at position 0 is out of range 0..9");
  refuse_slice(new_leaf(10), -1, 1, 1,
               "cannot slice: index -1 at position 0 is out of range 0..9");
  refuse_slice(new_leaf(10), 8, 1, 3,
               "cannot slice: index 10 at position 2 is out of range 0..9");
  refuse_slice(new_leaf(10), 3, -2, 3,
               "cannot slice: index -1 at position 2 is out of range 0..9");
  refuse_slice(new_leaf(0), 0, 1, 1,
               "cannot slice: index 0 at position 0 is out of range: the "
               "source is empty");
  refuse_slice(new_leaf(NEAP_ENDLESS), 3, -2, 3,
               "cannot slice: index -1 at position 2 is out of range 0..");
  refuse_slice(new_leaf(NEAP_ENDLESS), -1, 1, NEAP_ENDLESS,
               "cannot slice: index -1 at position 0 is out of range 0..");
  refuse_slice(new_leaf(10), 0, 0, 3, "cannot slice: the step is 0");
  refuse_slice(new_leaf(10), 0, 1, -2, "cannot slice: the count is -2");
  refuse_slice(new_leaf(10), 0, 1, NEAP_ENDLESS,
               "cannot slice: it would be endless, and the source has 10 "
               "items");
  refuse_slice(new_leaf(NEAP_ENDLESS), 5, -1, NEAP_ENDLESS,
               "cannot slice: it would be endless, and its step is -1");
  refuse_slice(NULL, 0, 1, 0, "cannot slice: source 0 is NULL");
}

static void a_slice_refuses_what_overflows(void **state) {
  (void)state;
  refuse_slice(new_leaf(INT64_MAX), 0, INT64_MAX, 3,
               "cannot slice: first 0, step 9223372036854775807, count 3 "
               "overflow 64 bits");
  refuse_slice(new_leaf(INT64_MAX), 5, INT64_MAX - 1, 2,
               "cannot slice: first 5, step 9223372036854775806, count 2 "
               "overflow 64 bits");
  refuse_slice(new_leaf(INT64_MAX), 0, INT64_MIN, INT64_MAX,
               "cannot slice: first 0, step -9223372036854775808, count "
               "9223372036854775807 overflow 64 bits");
  const int64_t far = INT64_C(1) << 40;
  refuse_slice(
      new_slice(new_leaf(NEAP_ENDLESS), 0, far, NEAP_ENDLESS), far, 1, 1,
      "cannot slice: first 1099511627776, step 1, count 1 overflow 64 bits");
  refuse_slice(
      new_slice(new_leaf(NEAP_ENDLESS), 0, far, NEAP_ENDLESS), 0, far, -1,
      "cannot slice: first 0, step 1099511627776, count -1 overflow 64 bits");
  refuse_slice(
      new_slice(new_leaf(NEAP_ENDLESS), 0, far, NEAP_ENDLESS), 0, 1, far,
      "cannot slice: first 0, step 1, count 1099511627776 overflow 64 bits");
}

static void slices_collapse_however_many(void **state) {
  (void)state;
  neap_seq *seq = new_leaf(100001);
  for (int64_t k = 100000; k > 2; k--)
    seq = new_slice(seq, k, -1, k);
  /* Each drops one item, at the end that was last, and turns the rest. */
  assert_true(neap_seq_length(seq) == 3);
  const int64_t first = at(seq, 0), step = at(seq, 1) - first;
  assert_true(step == 1 || step == -1);
  assert_items(seq, (const int64_t[]){first, first + step, first + 2 * step},
               3);
}

static void a_gather_picks_by_index(void **state) {
  (void)state;
  static const int64_t picks[] = {4, 0, 4, 3};
  neap_seq *seq;
  neap_error error;
  assert_int_equal(neap_seq_gather(new_leaf(5), picks, 4, &seq, &error),
                   NEAP_OK);
  assert_items(seq, picks, 4);
  assert_int_equal(
      neap_seq_gather(new_leaf(NEAP_ENDLESS), picks, 4, &seq, &error), NEAP_OK);
  assert_items(seq, picks, 4);
  assert_int_equal(neap_seq_gather(new_leaf(0), NULL, 0, &seq, &error),
                   NEAP_OK);
  assert_items(seq, NULL, 0);
}

static void a_gather_takes_numbers_as_lua_has_them(void **state) {
  (void)state;
  static const double numbers[] = {5, 1, 0x1p62, 4};
  static const double bad[] = {0, 0.5, -1, 11, 0x1p63, INFINITY, NAN};
  neap_seq *seq;
  neap_error error;
  assert_int_equal(
      neap_seq_gather_numbers(new_leaf(NEAP_ENDLESS), numbers, 4, &seq, &error),
      NEAP_OK);
  assert_items(seq, (const int64_t[]){4, 0, (INT64_C(1) << 62) - 1, 3}, 4);
  for (size_t k = 0; k < sizeof bad / sizeof *bad; k++)
    assert_int_equal(
        neap_seq_gather_numbers(new_leaf(10), &bad[k], 1, &seq, &error),
        NEAP_EINVAL);
  assert_int_equal(neap_seq_gather_numbers(new_leaf(10), NULL, 1, &seq, &error),
                   NEAP_EINVAL);
}

static void a_gather_refuses_what_its_source_has_not(void **state) {
  (void)state;
  static const int64_t high[] = {0, 9, 3, 12}, low[] = {-1};
  refuse_gather(new_leaf(10), high, 4,
                "cannot gather: index 12 at position 3 is out of range 0..9");
  refuse_gather(new_leaf(NEAP_ENDLESS), low, 1,
                "cannot gather: index -1 at position 0 is out of range 0..");
  refuse_gather(new_leaf(0), high, 1,
                "cannot gather: index 0 at position 0 is out of range: the "
                "source is empty");
  refuse_gather(new_leaf(10), high, -1, "cannot gather: the count is -1");
  refuse_gather(new_leaf(10), NULL, 1, "cannot gather: the indexes are NULL");
  refuse_gather(NULL, high, 1, "cannot gather: source 0 is NULL");
}

static void a_shuffle_permutes_by_seed_and_epoch(void **state) {
  (void)state;
  static const int64_t lengths[] = {1, 5, 64, 65, 1000};
  for (size_t k = 0; k < sizeof lengths / sizeof *lengths; k++) {
    const int64_t n = lengths[k];
    int64_t items[1000], second[1000];
    for (int64_t i = 0; i < n; i++) {
      items[i] = neap_shuffle_item(n, 42, 1, i);
      second[i] = i;
    }
    neap_seq *seq = new_shuffle(new_leaf(n), 42);
    neap_seq_resolve(seq, 2, second, NULL, n);
    for (int64_t i = 0; i < n; i++) {
      assert_true(second[i] == neap_shuffle_item(n, 42, 2, i));
    }
    assert_items(seq, items, n);
  }
  assert_items(new_shuffle(new_leaf(0), 1), NULL, 0);
}

static void a_shuffle_refuses_the_endless_and_the_huge(void **state) {
  (void)state;
  refuse_shuffle(new_leaf(NEAP_ENDLESS),
                 "cannot shuffle: the source is endless");
  refuse_shuffle(new_leaf((INT64_C(1) << 62) + 1),
                 "cannot shuffle: the source has 4611686018427387905 items, "
                 "more than 2^62");
  refuse_shuffle(NULL, "cannot shuffle: source 0 is NULL");
  neap_seq_free(new_shuffle(new_leaf(INT64_C(1) << 62), 1));
}

static void a_tree_is_a_thousand_adapters_high_at_most(void **state) {
  (void)state;
  neap_seq *seq = new_leaf(100);
  for (int k = 1; k < 1000; k++)
    seq = new_shuffle(seq, k);
  assert_in_range(at(seq, 0), 0, 99);
  refuse_shuffle(seq, "cannot shuffle: its tree of adapters would be deeper "
                      "than 1000");
}

static void a_failure_needs_no_error_to_fill(void **state) {
  (void)state;
  neap_seq *seq;
  assert_int_equal(neap_seq_slice(new_leaf(3), 0, 0, 3, &seq, NULL),
                   NEAP_EINVAL);
  assert_null(seq);
}

/* ---- Random trees against plain loops over arrays ---------------------- */

enum { MODEL_ITEMS_MAX = 3000, MODEL_ADAPTERS_MAX = 12 };

typedef struct {
  neap_seq *seq;
  int64_t count;
  int64_t items[MODEL_ITEMS_MAX];
  int64_t kept[MODEL_ITEMS_MAX];      /* the next items, while they are made */
  int64_t *picks[MODEL_ADAPTERS_MAX]; /* what gathers hold on to */
  int adapters;
} model;

static void model_slice(model *m, neap_random *random) {
  int64_t step = neap_random_integer(random, 1, 3);
  const int64_t first = neap_random_integer(random, 0, m->count - 1);
  if (neap_random_integer(random, 0, 1)) step = -step;
  const int64_t room = step > 0 ? m->count - 1 - first : first;
  const int64_t most = room / llabs(step) + 1;
  const int64_t count = neap_random_integer(random, most / 2, most);
  for (int64_t k = 0; k < count; k++)
    m->kept[k] = m->items[first + step * k];
  memcpy(m->items, m->kept, (size_t)count * sizeof *m->kept);
  m->count = count;
  m->seq = new_slice(m->seq, first, step, count);
}

static void model_gather(model *m, neap_random *random) {
  const int64_t count = neap_random_integer(random, 1, MODEL_ITEMS_MAX);
  int64_t *picks = malloc((size_t)count * sizeof *picks);
  assert_non_null(picks);
  for (int64_t k = 0; k < count; k++) {
    picks[k] = neap_random_integer(random, 0, m->count - 1);
    m->kept[k] = m->items[picks[k]];
  }
  memcpy(m->items, m->kept, (size_t)count * sizeof *m->kept);
  m->picks[m->adapters] = picks;
  assert_int_equal(neap_seq_gather(m->seq, picks, count, &m->seq, NULL),
                   NEAP_OK);
  m->count = count;
}

static void model_shuffle(model *m, neap_random *random) {
  const int64_t seed = neap_random_integer(random, -5, 5);
  for (int64_t k = 0; k < m->count; k++) {
    m->kept[k] = m->items[neap_shuffle_item(m->count, seed, 1, k)];
  }
  memcpy(m->items, m->kept, (size_t)m->count * sizeof *m->kept);
  m->seq = new_shuffle(m->seq, seed);
}

static void run_model(neap_random *random) {
  static void (*const adapt[])(model *, neap_random *) = {
      model_slice, model_gather, model_shuffle};
  static model m;
  memset(&m, 0, sizeof m);
  m.count = neap_random_integer(random, 1, MODEL_ITEMS_MAX);
  m.seq = new_leaf(m.count);
  for (int64_t k = 0; k < m.count; k++)
    m.items[k] = k;
  for (; m.adapters < MODEL_ADAPTERS_MAX && m.count > 0; m.adapters++) {
    adapt[neap_random_integer(random, 0, 2)](&m, random);
  }
  assert_items(m.seq, m.items, m.count);
  for (int k = 0; k < MODEL_ADAPTERS_MAX; k++)
    free(m.picks[k]);
}

static void random_trees_resolve_as_plain_loops(void **state) {
  (void)state;
  const char *told = getenv("NEAP_TEST_SEED");
  const int64_t seed = told ? strtoll(told, NULL, 10) : 1;
  print_message("NEAP_TEST_SEED=%lld\n", (long long)seed);
  neap_random random;
  for (int64_t run = 0; run < 300; run++) {
    neap_random_init(&random, seed, 1, run);
    run_model(&random);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(free_takes_null),
      cmocka_unit_test(a_leaf_answers_the_index_and_its_number),
      cmocka_unit_test(a_slice_steps_through_its_source),
      cmocka_unit_test(a_slice_of_something_endless_may_end_or_not),
      cmocka_unit_test(a_slice_refuses_what_its_source_has_not),
      cmocka_unit_test(a_slice_refuses_what_overflows),
      cmocka_unit_test(slices_collapse_however_many),
      cmocka_unit_test(a_gather_picks_by_index),
      cmocka_unit_test(a_gather_takes_numbers_as_lua_has_them),
      cmocka_unit_test(a_gather_refuses_what_its_source_has_not),
      cmocka_unit_test(a_shuffle_permutes_by_seed_and_epoch),
      cmocka_unit_test(a_shuffle_refuses_the_endless_and_the_huge),
      cmocka_unit_test(a_tree_is_a_thousand_adapters_high_at_most),
      cmocka_unit_test(a_failure_needs_no_error_to_fill),
      cmocka_unit_test(random_trees_resolve_as_plain_loops),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
