/* SPDX-License-Identifier: MIT */
/* Trees as bytes: what is read resolves as what was packed; damage fails. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "neap_lua.h"
#include "seq/seq.h"

enum { ITEMS = 200, TREES = 300, CUTS = 40 };

static const int64_t picks[] = {3, 0, 2, 2, 1, 4};
static const double numbers[] = {2, 5, 1, 1};

static neap_seq *wrap(neap_seq *source, int kind, neap_random *random) {
  neap_seq *out = NULL, *more[3] = {source};
  const double weights[] = {1, 2.5, 0.5};
  int rc = NEAP_OK;
  for (int32_t k = 1; kind >= 5 && k < 3; k++)
    assert_int_equal(
        neap_seq_leaf(neap_random_integer(random, 1, 50), k, &more[k], NULL),
        NEAP_OK);
  const int64_t length = neap_seq_length(source);
  switch (kind) {
  case 0:
    rc = neap_seq_slice(source, length - 1, -1, length, &out, NULL);
    break;
  case 1: rc = neap_seq_gather(source, picks, 6, &out, NULL); break;
  case 2: rc = neap_seq_gather_numbers(source, numbers, 4, &out, NULL); break;
  case 3:
    rc = neap_seq_shuffle(source, (int64_t)random->state[0], &out, NULL);
    break;
  case 4: rc = neap_seq_cycle(source, 2, &out, NULL); break;
  case 5: rc = neap_seq_concat(more, 3, &out, NULL); break;
  case 6: rc = neap_seq_interleave(more, 3, &out, NULL); break;
  default: rc = neap_seq_mix(more, weights, 3, 7, &out, NULL); break;
  }
  if (rc != NEAP_OK) fail_msg("kind %d: %s", kind, neap_status_name(rc));
  return out;
}

/* Each kind has at least 5 items below it. */
static neap_seq *random_tree(neap_random *random) {
  neap_seq *seq;
  assert_int_equal(neap_seq_leaf(20, 0, &seq, NULL), NEAP_OK);
  const int64_t depth = neap_random_integer(random, 1, 6);
  for (int64_t k = 0; k < depth; k++) {
    int kind = (int)neap_random_integer(random, 0, 7);
    if ((kind == 1 || kind == 2) && neap_seq_length(seq) < 5) kind = 4;
    if (neap_seq_length(seq) > 10000) kind = 1;
    seq = wrap(seq, kind, random);
  }
  return seq;
}

static void assert_same(const neap_seq *a, const neap_seq *b) {
  assert_true(neap_seq_length(a) == neap_seq_length(b));
  assert_int_equal(neap_seq_kind(a), neap_seq_kind(b));
  for (int64_t i = 0; i < neap_seq_length(a) && i < ITEMS; i++) {
    int32_t leaf = -1, other = -2;
    const int64_t index = neap_seq_resolve_one(a, 3, i, &leaf);
    assert_true(index == neap_seq_resolve_one(b, 3, i, &other));
    assert_int_equal(leaf, other);
  }
}

static void a_tree_that_was_packed_resolves_as_before(void **state) {
  (void)state;
  neap_random random;
  neap_random_init(&random, 1, 1, 1);
  for (int run = 0; run < TREES; run++) {
    neap_seq *tree = random_tree(&random), *copy, *read;
    neap__bytes bytes = {0};
    neap__seq_pack(tree, &bytes);
    assert_false(bytes.has_failed);
    neap__cursor in = {.data = bytes.data, .bytes = bytes.used};
    assert_int_equal(neap__seq_unpack(&in, &read, NULL), NEAP_OK);
    assert_true(in.used == bytes.used);
    assert_int_equal(neap_seq_copy(tree, &copy, NULL), NEAP_OK);
    assert_same(tree, read);
    assert_same(tree, copy);
    neap_seq_free(tree);
    neap_seq_free(copy);
    neap_seq_free(read);
    free(bytes.data);
  }
}

static void an_endless_tree_too(void **state) {
  (void)state;
  neap_seq *leaf, *tree, *copy;
  assert_int_equal(neap_seq_leaf(7, 0, &leaf, NULL), NEAP_OK);
  assert_int_equal(neap_seq_cycle(leaf, NEAP_ENDLESS, &tree, NULL), NEAP_OK);
  assert_int_equal(neap_seq_copy(tree, &copy, NULL), NEAP_OK);
  assert_same(tree, copy);
  neap_seq_free(tree);
  neap_seq_free(copy);
}

/* Reads damaged bytes: it may fail, or make some tree, and no more. */
static void read_damaged(const uint8_t *data, size_t count) {
  neap_seq *read;
  uint8_t *own = malloc(count + 1);
  assert_non_null(own);
  memcpy(own, data, count);
  neap__cursor in = {.data = own, .bytes = count};
  if (neap__seq_unpack(&in, &read, NULL) == NEAP_OK) neap_seq_free(read);
  free(own);
}

static void damage_is_an_error(void **state) {
  (void)state;
  neap_random random;
  neap_random_init(&random, 2, 1, 1);
  for (int run = 0; run < TREES; run++) {
    neap_seq *tree = random_tree(&random), *read;
    neap__bytes bytes = {0};
    neap_error error = {0};
    neap__seq_pack(tree, &bytes);
    neap_seq_free(tree);
    neap__cursor cut = {.data = bytes.data, .bytes = bytes.used - 8};
    assert_true(neap__seq_unpack(&cut, &read, &error) < 0);
    assert_null(read);
    for (int k = 0; k < CUTS; k++) {
      const size_t at =
          (size_t)neap_random_integer(&random, 0, (int64_t)bytes.used - 1);
      read_damaged(bytes.data, at);
      bytes.data[at] = (uint8_t)neap_random_next(&random);
      read_damaged(bytes.data, bytes.used);
    }
    free(bytes.data);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_tree_that_was_packed_resolves_as_before),
      cmocka_unit_test(an_endless_tree_too),
      cmocka_unit_test(damage_is_an_error),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
