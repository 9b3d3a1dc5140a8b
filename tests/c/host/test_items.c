/* SPDX-License-Identifier: MIT */
/* Items: their values, their errors, and their release. */
#include "loader.h"

#define ITEM(code) \
  "local neap = require('neap')\n" \
  "local ffi = require('ffi')\n" \
  "return neap.range(100):map(function(i) return " code " end)\n" \
  "  :prefetch{workers = 1}\n"

/* -- Values -- */

static neap_value value_in(const neap_item *item) {
  neap_value value;
  neap_error error = {0};
  if (neap_item_value(item, &value, &error) != NEAP_OK)
    fail_msg("%s", error.text);
  return value;
}

static neap_value field_in(const neap_value *table, const char *name) {
  neap_value value;
  neap_error error = {0};
  if (neap_value_field(table, name, &value, &error) != NEAP_OK)
    fail_msg("%s", error.text);
  return value;
}

static void reads_a_table(void **state) {
  neap_loader *loader = open_text(
      *state, ITEM("{number = 1.5, text = 'a\\0b', is_on = true, long = -2LL,\n"
                   "  longest = 0xffffffffffffffffULL, list = {10, 20, 30},\n"
                   "  [7] = 'seven', deep = {{x = i}}}"));
  neap_item *item = next_item(loader);
  const neap_value table = value_in(item);
  neap_error error;
  double number;
  int64_t integer;
  uint64_t natural;
  int is_on;
  const char *text;
  size_t bytes;
  assert_int_equal(neap_value_type(&table), NEAP_TABLE);

  neap_value value = field_in(&table, "number");
  assert_int_equal(neap_value_type(&value), NEAP_NUMBER);
  assert_int_equal(neap_value_number(&value, &number, NULL), NEAP_OK);
  assert_true(number == 1.5);
  assert_int_equal(neap_value_integer(&value, &integer, &error), NEAP_EINVAL);
  assert_says(&error, "out of range, or not whole");
  assert_int_equal(neap_value_string(&value, &text, &bytes, &error),
                   NEAP_EINVAL);
  assert_string_equal(error.text, "cannot read a number as string");

  value = field_in(&table, "text");
  assert_int_equal(neap_value_string(&value, &text, &bytes, NULL), NEAP_OK);
  assert_int_equal(bytes, 3);
  assert_memory_equal(text, "a\0b", 3);

  value = field_in(&table, "is_on");
  assert_int_equal(neap_value_boolean(&value, &is_on, NULL), NEAP_OK);
  assert_int_equal(is_on, 1);

  value = field_in(&table, "long");
  assert_int_equal(neap_value_type(&value), NEAP_INT64);
  assert_int_equal(neap_value_integer(&value, &integer, NULL), NEAP_OK);
  assert_int_equal(integer, -2);
  assert_int_equal(neap_value_unsigned(&value, &natural, NULL), NEAP_EINVAL);
  assert_int_equal(neap_value_number(&value, &number, NULL), NEAP_OK);
  assert_true(number == -2);

  value = field_in(&table, "longest");
  assert_int_equal(neap_value_type(&value), NEAP_UINT64);
  assert_int_equal(neap_value_unsigned(&value, &natural, NULL), NEAP_OK);
  assert_true(natural == UINT64_MAX);
  assert_int_equal(neap_value_integer(&value, &integer, NULL), NEAP_EINVAL);

  const neap_value list = field_in(&table, "list");
  uint32_t count, pairs;
  assert_int_equal(neap_value_count(&list, &count, &pairs, NULL), NEAP_OK);
  assert_int_equal(count, 3);
  assert_int_equal(pairs, 0);
  for (uint32_t k = 0; k < count; k++) {
    assert_int_equal(neap_value_at(&list, k, &value, NULL), NEAP_OK);
    assert_int_equal(neap_value_integer(&value, &integer, NULL), NEAP_OK);
    assert_int_equal(integer, 10 * (k + 1));
  }
  assert_int_equal(neap_value_at(&list, 3, &value, &error), NEAP_EINVAL);
  assert_says(&error, "cannot read item 3 of a table: it has 3, from 0 on");

  const neap_value deep = field_in(&table, "deep");
  assert_int_equal(neap_value_at(&deep, 0, &value, NULL), NEAP_OK);
  value = field_in(&value, "x");
  assert_int_equal(neap_value_integer(&value, &integer, NULL), NEAP_OK);
  assert_int_equal(integer, 1);

  assert_int_equal(neap_value_field(&table, "lisst", &value, &error),
                   NEAP_EINVAL);
  assert_says(&error, "cannot read field 'lisst' of a table: it has ");
  assert_says(&error, "longest");

  bool has_seven = false;
  assert_int_equal(neap_value_count(&table, NULL, &pairs, NULL), NEAP_OK);
  assert_int_equal(pairs, 8);
  for (uint32_t k = 0; k < pairs; k++) {
    neap_value key;
    assert_int_equal(neap_value_pair(&table, k, &key, &value, NULL), NEAP_OK);
    if (neap_value_type(&key) == NEAP_NUMBER) has_seven = true;
  }
  assert_true(has_seven);
  assert_int_equal(neap_item_release(item), NEAP_OK);
  assert_int_equal(neap_value_count(&table, NULL, &pairs, &error), NEAP_EINVAL);
  assert_string_equal(error.text,
                      "cannot read an item: it was released before");
  neap_close(loader);
}

#define TENSORS \
  ITEM("(function()\n" \
       "  local t = neap.tensor('f32', {3, 4})\n" \
       "  t:fill(i)\n" \
       "  return t\n" \
       "end)()")

static void reads_a_tensor(void **state) {
  neap_view view;
  neap_loader *loader = open_text(*state, TENSORS);
  for (int i = 1; i <= 100; i++) {
    neap_item *item = next_item(loader);
    const neap_value value = value_in(item);
    assert_int_equal(neap_value_tensor(&value, &view, NULL), NEAP_OK);
    assert_int_equal(view.tensor.ndim, 2);
    assert_int_equal(view.tensor.code, NEAP_FLOAT);
    assert_int_equal(view.tensor.bits, 32);
    assert_ptr_equal(view.tensor.shape, view.shape);
    assert_int_equal(view.shape[0], 3);
    assert_int_equal(view.shape[1], 4);
    assert_int_equal(view.strides[0], 4);
    assert_int_equal((uintptr_t)view.tensor.data % 64, 0);
    for (int k = 0; k < 12; k++)
      assert_true(((const float *)view.tensor.data)[k] == (float)i);
    neap_item_release(item);
  }
  neap_close(loader);
}

static void reads_nil(void **state) {
  neap_loader *loader = open_text(*state, ITEM("nil"));
  neap_item *item = next_item(loader);
  const neap_value value = value_in(item);
  assert_int_equal(neap_value_type(&value), NEAP_NIL);
  assert_string_equal(neap_type_name(neap_value_type(&value)), "nil");
  neap_item_release(item);
  neap_close(loader);
}

/* -- Failures -- */

static void tells_why_an_item_failed(void **state) {
  neap_item *item;
  neap_error error;
  neap_failure why;
  neap_value value;
  neap_loader *loader =
      open_text(*state, "return require('neap').range(6):map(function(i)\n"
                        "  if i == 3 then error('no such file') end\n"
                        "  return i\n"
                        "end):prefetch{workers = 1}\n");
  read_numbers(loader, 0, 2);
  assert_int_equal(neap_next(loader, &item, &error), NEAP_EITEM);
  assert_non_null(item);
  assert_says(&error, "cannot compute item 2: ");
  assert_says(&error, "loader.lua:2: no such file\n  at index 2 of map (");
  assert_int_equal(neap_item_index(item), 2);
  assert_int_equal(neap_item_error(item, &why), NEAP_EITEM);
  assert_string_equal(why.kind, "item");
  assert_non_null(strstr(why.message, "loader.lua:2: no such file"));
  assert_non_null(strstr(why.stage, "map ("));
  assert_non_null(strstr(why.traceback, "loader.lua:2: in function"));
  assert_int_equal(why.index, 2);
  assert_int_equal(why.worker, 0);
  assert_int_equal(neap_item_value(item, &value, &error), NEAP_EINVAL);
  assert_says(&error, "cannot read item 2: it failed");
  neap_item_release(item);
  assert_int_equal(neap_item_error(item, &why), NEAP_EINVAL);
  read_numbers(loader, 3, 6);
  assert_over(loader);
  assert_int_equal(neap_get(loader, 2, &item, NULL), NEAP_EITEM);
  neap_close(loader);
  assert_int_equal(neap_item_error(item, &why), NEAP_EITEM);
  assert_int_equal(neap_item_release(item), NEAP_OK);
}

static void leaves_out_what_a_skip_does(void **state) {
  neap_item *item;
  neap_stats stats;
  neap_loader *loader =
      open_text(*state, "return require('neap').range(9):map(function(i)\n"
                        "  if i % 3 == 0 then error('bad') end\n"
                        "  return i\n"
                        "end):skip():prefetch{workers = 1}\n");
  for (int64_t i = 0; i < 9; i++) {
    if (i % 3 == 2) continue;
    read_numbers(loader, i, i + 1);
  }
  assert_over(loader);
  assert_int_equal(neap_read_stats(loader, &stats, NULL), NEAP_OK);
  assert_int_equal(stats.left_out, 3);
  assert_int_equal(neap_get(loader, 2, &item, NULL), NEAP_EITEM);
  neap_item_release(item);
  neap_close(loader);
}

static void tells_how_workers_died(void **state) {
  scene *s = *state;
  neap_item *item;
  neap_error error;
  neap_failure why;
  s->options.retries = 0;
  neap_loader *loader = open_text(
      s, "require('ffi').cdef('int kill(int pid, int signal);"
         " int getpid(void);')\n"
         "return require('neap').range(4):map(function(i)\n"
         "  local C = require('ffi').C\n"
         "  if i == 2 then\n"
         "    require('ffi').cdef('int kill(int, int); int getpid(void);')\n"
         "    C.kill(C.getpid(), 9)\n"
         "  end\n"
         "  return i\n"
         "end):prefetch{workers = 1}\n");
  read_numbers(loader, 0, 1);
  assert_int_equal(neap_next(loader, &item, &error), NEAP_EDEATH);
  assert_says(&error, "signal 9 (Killed)");
  assert_int_equal(neap_item_error(item, &why), NEAP_EDEATH);
  assert_string_equal(why.kind, "death");
  neap_item_release(item);
  read_numbers(loader, 2, 4);
  neap_close(loader);
}

static void tells_that_an_item_takes_too_long(void **state) {
  scene *s = *state;
  neap_item *item;
  neap_error error;
  s->options.timeout_ns = 300000000;
  neap_loader *loader =
      open_text(s, "return require('neap').range(4):map(function(i)\n"
                   "  while i == 2 do end\n"
                   "  return i\n"
                   "end):prefetch{workers = 1}\n");
  read_numbers(loader, 0, 1);
  assert_int_equal(neap_next(loader, &item, &error), NEAP_ETIMEOUT);
  assert_says(&error, "timeout = 0.3 seconds");
  neap_item_release(item);
  read_numbers(loader, 2, 4);
  neap_close(loader);
}

/* -- Release -- */

static void releases_in_any_order(void **state) {
  neap_item *items[30];
  neap_loader *loader = open_text(*state, TENSORS);
  for (int round = 0; round < 3; round++) {
    neap_seek(loader, 1, 0, NULL);
    for (int k = 0; k < 30; k++)
      items[k] = next_item(loader);
    for (int k = 0; k < 30; k++)
      assert_int_equal(neap_item_release(items[k * 7 % 30]), NEAP_OK);
  }
  neap_stats stats;
  neap_seek(loader, 1, 100, NULL);
  neap_read_stats(loader, &stats, NULL);
  assert_int_equal(stats.held, 0);
  neap_close(loader);
}

static void refuses_a_second_release(void **state) {
  neap_loader *loader = open_text(*state, NUMBERS_OF(100));
  assert_int_equal(neap_item_release(NULL), NEAP_OK);
  neap_item *item = next_item(loader);
  assert_int_equal(neap_item_release(item), NEAP_OK);
  assert_int_equal(neap_item_release(item), NEAP_EINVAL);
  for (int k = 0; k < 90; k++) { /* its memory is used again */
    neap_item *other = next_item(loader);
    assert_int_equal(neap_item_release(item), NEAP_EINVAL);
    assert_int_equal(neap_item_release(other), NEAP_OK);
  }
  neap_close(loader);
  assert_int_equal(neap_item_release(item), NEAP_EINVAL);
  assert_int_equal(neap_item_index(item), NEAP_EINVAL);
}

static void keeps_items_after_the_close(void **state) {
  neap_item *items[5];
  neap_loader *loader = open_text(*state, TENSORS);
  for (int k = 0; k < 5; k++)
    items[k] = next_item(loader);
  neap_close(loader);
  assert_int_equal(map_count("memfd:neap-slots"), 1);
  for (int k = 4; k >= 0; k--) {
    neap_view view;
    const neap_value value = value_in(items[k]);
    assert_int_equal(neap_value_tensor(&value, &view, NULL), NEAP_OK);
    assert_true(*(const float *)view.tensor.data == (float)(k + 1));
    assert_int_equal(neap_item_release(items[k]), NEAP_OK);
    assert_int_equal(neap_item_release(items[k]), NEAP_EINVAL);
  }
  assert_int_equal(map_count("memfd:neap-"), 0);
}

static void says_that_too_many_are_held(void **state) {
  scene *s = *state;
  neap_item *items[100], *item;
  neap_error error;
  int count = 0, rc;
  s->options.chunk = 1;
  neap_loader *loader = open_text(s, TENSORS);
  while ((rc = neap_next(loader, &item, &error)) == NEAP_OK)
    items[count++] = item;
  assert_int_equal(rc, NEAP_EHELD);
  assert_says(&error, "that may be held are held");
  assert_int_equal(count, 32);
  neap_item_release(items[0]);
  assert_int_equal(neap_next(loader, &items[0], NULL), NEAP_OK);
  for (int k = 0; k < count; k++)
    assert_int_equal(neap_item_release(items[k]), NEAP_OK);
  neap_close(loader);
}

enum { THREADS = 4, HANDED = 64, ITEMS_LONG = 20000 };

/* Items for the threads that release them: a place is NULL or an item. */
typedef struct pile {
  _Atomic(neap_item *) places[HANDED];
  atomic_bool is_over;
  atomic_int released;
} pile;

static void *release_items(void *argument) {
  pile *p = argument;
  while (!atomic_load(&p->is_over))
    for (int k = 0; k < HANDED; k++) {
      neap_item *item = atomic_exchange(&p->places[k], NULL);
      if (item == NULL) continue;
      if (neap_item_release(item) == NEAP_OK) atomic_fetch_add(&p->released, 1);
    }
  return NULL;
}

static void hand_over(pile *p, neap_item *item) {
  for (int k = 0;; k = (k + 1) % HANDED) {
    neap_item *none = NULL;
    if (atomic_compare_exchange_strong(&p->places[k], &none, item)) return;
  }
}

static void releases_from_many_threads(void **state) {
  scene *s = *state;
  pthread_t threads[THREADS];
  static pile p;
  memset(&p, 0, sizeof p);
  s->options.buffered = 256;
  neap_loader *loader = open_text(s, NUMBERS_OF(20000));
  for (int k = 0; k < THREADS; k++)
    pthread_create(&threads[k], NULL, release_items, &p);
  for (int k = 0; k < ITEMS_LONG; k++) {
    neap_item *item = next_item(loader);
    assert_true(number_of(item) == k + 1);
    hand_over(&p, item);
  }
  neap_close(loader); /* before the last ones are released */
  await(atomic_load(&p.released) == ITEMS_LONG);
  atomic_store(&p.is_over, true);
  for (int k = 0; k < THREADS; k++)
    pthread_join(threads[k], NULL);
}

/* -- DLPack -- */

static void lends_tensors_without_a_copy(void **state) {
  neap_managed_tensor *lent[8];
  neap_loader *loader = open_text(*state, TENSORS);
  for (int k = 0; k < 8; k++) {
    neap_item *item = next_item(loader);
    const neap_value value = value_in(item);
    neap_view view;
    neap_value_tensor(&value, &view, NULL);
    assert_int_equal(neap_item_dlpack(item, &value, &lent[k], NULL), NEAP_OK);
    assert_ptr_equal(lent[k]->tensor.data, view.tensor.data);
    assert_int_equal(neap_item_release(item), NEAP_OK);
  }
  for (int k = 8; k < 100; k++)
    neap_item_release(next_item(loader));
  neap_close(loader);
  for (int k = 0; k < 8; k++) {
    assert_int_equal(lent[k]->tensor.shape[1], 4);
    assert_int_equal(lent[k]->tensor.strides[0], 4);
    assert_true(*(const float *)lent[k]->tensor.data == (float)(k + 1));
    lent[k]->deleter(lent[k]);
  }
  assert_int_equal(map_count("memfd:neap-"), 0);
}

static void refuses_to_lend_what_is_no_tensor(void **state) {
  neap_managed_tensor *lent;
  neap_error error;
  neap_loader *loader = open_text(*state, NUMBERS_OF(10));
  neap_item *one = next_item(loader), *other = next_item(loader);
  const neap_value value = value_in(one);
  assert_int_equal(neap_item_dlpack(one, &value, &lent, &error), NEAP_EINVAL);
  assert_string_equal(error.text, "cannot read a number as tensor");
  assert_null(lent);
  assert_int_equal(neap_item_dlpack(other, &value, &lent, &error), NEAP_EINVAL);
  assert_says(&error, "it is of another item");
  neap_item_release(one);
  assert_int_equal(neap_item_dlpack(one, &value, &lent, &error), NEAP_EINVAL);
  assert_says(&error, "it was released before");
  neap_item_release(other);
  neap_close(loader);
}

static void *delete_lent(void *argument) {
  neap_managed_tensor *lent = argument;
  lent->deleter(lent);
  return NULL;
}

static void takes_tensors_back_from_any_thread(void **state) {
  neap_loader *loader = open_text(*state, TENSORS);
  for (int k = 0; k < 100; k++) {
    neap_managed_tensor *lent;
    pthread_t thread;
    neap_item *item = next_item(loader);
    const neap_value value = value_in(item);
    assert_int_equal(neap_item_dlpack(item, &value, &lent, NULL), NEAP_OK);
    pthread_create(&thread, NULL, delete_lent, lent);
    neap_item_release(item);
    if (k == 99) neap_close(loader);
    pthread_join(thread, NULL);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      scene_test(reads_a_table),
      scene_test(reads_a_tensor),
      scene_test(reads_nil),
      scene_test(tells_why_an_item_failed),
      scene_test(leaves_out_what_a_skip_does),
      scene_test(tells_how_workers_died),
      scene_test(tells_that_an_item_takes_too_long),
      scene_test(releases_in_any_order),
      scene_test(refuses_a_second_release),
      scene_test(keeps_items_after_the_close),
      scene_test(says_that_too_many_are_held),
      scene_test(releases_from_many_threads),
      scene_test(lends_tensors_without_a_copy),
      scene_test(refuses_to_lend_what_is_no_tensor),
      scene_test(takes_tensors_back_from_any_thread),
  };
  return cmocka_run_group_tests(tests, start_threads, NULL);
}
