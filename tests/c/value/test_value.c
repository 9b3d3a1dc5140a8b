/* SPDX-License-Identifier: MIT */
/*
 * Items in a slot: each kind of value, written and read; random values; slots
 * too small for them; then each kind of damage, and random bytes. A slot ends
 * where its memory ends, so that the address sanitizer sees a reader or a
 * writer that goes further.
 */
#include "neap_lua.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/futex.h"

enum { SLOT_BYTES = 1024, CELL = sizeof(neap_value) };

/* -- A slot -- */

typedef struct slot {
  uint8_t *base;
  neap_writer writer; /* of a run that may be too long for it */
  neap_run run;
} slot;

static slot *new_slot(uint64_t bytes, int32_t count) {
  slot *s = calloc(1, sizeof *s);
  void *base = NULL;
  if (s == NULL || posix_memalign(&base, 64, bytes) != 0) abort();
  memset(base, 0, bytes);
  s->base = base;
  s->run =
      (neap_run){.count = count, .cells = base, .base = base, .bytes = bytes};
  (void)neap_writer_begin(&s->writer, base, bytes, count, NULL);
  return s;
}

static void free_slot(slot *s) {
  free(s->base);
  free(s);
}

static int set_up(void **state) {
  *state = new_slot(SLOT_BYTES, 1);
  return 0;
}

static int tear_down(void **state) {
  free_slot(*state);
  return 0;
}

static neap_value number(double value) {
  return (neap_value){.type = NEAP_NUMBER, .number = value};
}

static neap_value bytes(slot *s, const char *text, uint32_t count) {
  neap_value value;
  assert_int_equal(
      neap_writer_put_string(&s->writer, &value, text, count, NULL), NEAP_OK);
  return value;
}

static neap_value string(slot *s, const char *text) {
  return bytes(s, text, (uint32_t)strlen(text));
}

/* cells: the list's, then key and value of each pair. */
static neap_value table(slot *s, uint32_t type, const neap_value *cells,
                        uint32_t list_count, uint32_t pair_count) {
  neap_value value;
  neap_value *inner = neap_writer_put_table(&s->writer, &value, type,
                                            list_count, pair_count, NULL);
  assert_non_null(inner);
  memcpy(inner, cells, (list_count + 2 * pair_count) * sizeof *inner);
  return value;
}

static void put(slot *s, int32_t k, neap_value value) {
  memcpy(s->base + (uint64_t)k * CELL, &value, CELL);
}

static neap_value get(const slot *s, int32_t k) {
  neap_value value;
  assert_int_equal(neap_run_value(&s->run, k, &value, NULL), NEAP_OK);
  return value;
}

static void assert_string(const slot *s, const neap_value *value,
                          const char *expected) {
  const char *text = neap_value_string(&s->run, value, NULL);
  assert_non_null(text);
  assert_int_equal(value->count, strlen(expected));
  assert_memory_equal(text, expected, value->count);
}

/* -- What a writer writes -- */

static void scalars_stand_in_their_cells(void **state) {
  (void)state;
  slot *s = new_slot(SLOT_BYTES, 6);
  put(s, 1, (neap_value){.type = NEAP_BOOLEAN, .integer = 1});
  put(s, 2, number(-0.5));
  put(s, 3, (neap_value){.type = NEAP_INT64, .integer = INT64_MIN});
  put(s, 4, (neap_value){.type = NEAP_UINT64, .integer = -1});
  put(s, 5, string(s, "five"));
  assert_int_equal(get(s, 0).type, NEAP_NIL);
  assert_int_equal(get(s, 1).integer, 1);
  assert_true(get(s, 2).number == -0.5);
  assert_int_equal(get(s, 3).integer, INT64_MIN);
  assert_int_equal(get(s, 4).offset, UINT64_MAX);
  const neap_value five = get(s, 5);
  assert_string(s, &five, "five");
  free_slot(s);
}

static void strings_may_be_empty_and_hold_zeroes(void **state) {
  slot *s = *state;
  const neap_value none = string(s, "");
  assert_string(s, &none, "");
  const neap_value zeroes = bytes(s, "\0a\0", 3);
  assert_memory_equal(neap_value_string(&s->run, &zeroes, NULL), "\0a\0", 3);
}

static void tables_have_a_list_and_pairs(void **state) {
  slot *s = *state;
  neap_value inner[2] = {string(s, "x"), number(7)};
  neap_value cells[6] = {number(1),        number(2),
                         string(s, "key"), number(3),
                         string(s, "sub"), table(s, NEAP_TABLE, inner, 0, 1)};
  put(s, 0, table(s, NEAP_TABLE, cells, 2, 2));
  const neap_value t = get(s, 0);
  uint32_t list_count, pair_count;
  assert_int_equal(
      neap_value_table(&s->run, &t, &list_count, &pair_count, NULL), NEAP_OK);
  assert_int_equal(list_count, 2);
  assert_int_equal(pair_count, 2);
  neap_value key, value;
  for (uint32_t k = 0; k < 2; k++) {
    assert_int_equal(neap_value_at(&s->run, &t, k, &value, NULL), NEAP_OK);
    assert_true(value.number == k + 1);
  }
  assert_int_equal(neap_value_pair(&s->run, &t, 0, &key, &value, NULL),
                   NEAP_OK);
  assert_string(s, &key, "key");
  assert_true(value.number == 3);
  neap_value sub;
  assert_int_equal(neap_value_pair(&s->run, &t, 1, &key, &sub, NULL), NEAP_OK);
  assert_string(s, &key, "sub");
  assert_int_equal(neap_value_pair(&s->run, &sub, 0, &key, &value, NULL),
                   NEAP_OK);
  assert_string(s, &key, "x");
  assert_true(value.number == 7);
}

static void a_failure_is_read_as_a_table(void **state) {
  slot *s = *state;
  const neap_value cells[2] = {string(s, "message"), string(s, "no")};
  const neap_value failure = table(s, NEAP_FAILURE, cells, 0, 1);
  neap_value key, value;
  assert_int_equal(neap_value_pair(&s->run, &failure, 0, &key, &value, NULL),
                   NEAP_OK);
  assert_string(s, &value, "no");
}

static neap_tensor tensor_of(void *data, int32_t ndim, int64_t *shape) {
  return (neap_tensor){.data = data,
                       .device_type = 1,
                       .ndim = ndim,
                       .code = NEAP_FLOAT,
                       .bits = 32,
                       .lanes = 1,
                       .shape = shape};
}

static void tensors_point_into_the_slot(void **state) {
  slot *s = *state;
  float data[6] = {1, 2, 3, 4, 5, 6};
  int64_t shape[] = {2, 3};
  const neap_tensor tensor = tensor_of(data, 2, shape);
  neap_value value;
  assert_int_equal(neap_writer_put_tensor(&s->writer, &value, &tensor, NULL),
                   NEAP_OK);
  neap_tensor_cell cell;
  void *found;
  assert_int_equal(neap_value_tensor(&s->run, &value, &cell, &found, NULL),
                   NEAP_OK);
  assert_int_equal(cell.offset % 64, 0);
  assert_int_equal(cell.ndim, 2);
  assert_int_equal(cell.shape[1], 3);
  assert_memory_equal(found, data, sizeof data);
}

static void tensors_in_the_slot_are_not_copied(void **state) {
  slot *s = *state;
  int64_t shape[] = {4};
  float *data = neap_writer_allocate(&s->writer, 8 * sizeof *data, NULL);
  assert_int_equal((uintptr_t)data % 64, 0);
  for (int k = 0; k <= 5; k++) { /* the last one ends behind the data */
    const neap_tensor tensor = tensor_of(data + k, 1, shape);
    const uint64_t used = s->writer.used =
        (uint64_t)((uint8_t *)(data + 8) - s->base);
    neap_tensor_cell cell;
    neap_value value;
    void *found;
    assert_int_equal(neap_writer_put_tensor(&s->writer, &value, &tensor, NULL),
                     NEAP_OK);
    assert_int_equal(neap_value_tensor(&s->run, &value, &cell, &found, NULL),
                     NEAP_OK);
    if (k < 5)
      assert_ptr_equal(found, data + k);
    else
      assert_ptr_equal(found, s->base + (used + 63) / 64 * 64);
  }
}

static void bytes_of_tensors_are_counted_by_item(void **state) {
  slot *s = *state;
  neap_writer *writer = &s->writer;
  neap_value value;
  int64_t shape[] = {4};
  float other[4] = {0};
  float *data = neap_writer_allocate(writer, sizeof other, NULL);
  (void)neap_writer_allocate(writer, 100, NULL);
  const neap_tensor here = tensor_of(data, 1, shape);
  const neap_tensor elsewhere = tensor_of(other, 1, shape);
  neap_writer_put_tensor(writer, &value, &here, NULL);
  neap_writer_put_tensor(writer, &value, &elsewhere, NULL);
  assert_int_equal(writer->allocated, sizeof other + 100);
  assert_int_equal(writer->delivered, 2 * sizeof other);
  assert_int_equal(writer->in_place, sizeof other);
  neap_writer_end_item(writer);
  assert_int_equal(writer->allocated + writer->delivered, 0);
  (void)neap_writer_allocate(writer, 100, NULL);
  const uint64_t used = writer->used;
  neap_writer_undo_item(writer);
  assert_int_equal(writer->allocated, 0);
  assert_int_equal(writer->undone, used);
}

static void a_run_may_begin_at_a_later_cell(void **state) {
  (void)state;
  slot *s = new_slot(SLOT_BYTES, 3);
  put(s, 1, number(1));
  put(s, 2, string(s, "two"));
  s->run.cells++;
  s->run.count = 2;
  assert_true(get(s, 0).number == 1);
  const neap_value two = get(s, 1);
  assert_string(s, &two, "two");
  free_slot(s);
}

/* -- Random values -- */

static uint64_t dice;

static uint64_t roll(uint64_t sides) {
  dice ^= dice << 13;
  dice ^= dice >> 7;
  dice ^= dice << 17;
  return (dice >> 20) % sides;
}

static void seed_dice(void) {
  const char *told = getenv("NEAP_TEST_SEED");
  dice = told != NULL ? strtoull(told, NULL, 10) : (uint64_t)neap__now_ns() | 1;
  print_message("NEAP_TEST_SEED=%llu\n", (unsigned long long)dice);
}

enum { TEXT_MAX = 40, ELEMENTS_MAX = 300, DEPTH_TRIED = 4 };

/* What the dice say a value is: the same for its writer and its reader. */
typedef struct drawn {
  neap_value cell; /* of a string: its bytes; of a table: its list's cells */
  uint32_t pair_count;
  char text[TEXT_MAX];
  neap_tensor tensor;
  bool is_in_place;
  int64_t shape[NEAP_DIMS_MAX];
  float data[ELEMENTS_MAX];
} drawn;

static void draw(drawn *value, int depth) {
  memset(value, 0, sizeof *value);
  value->cell.type = (uint32_t)roll(depth < DEPTH_TRIED ? 8 : 7);
  switch (value->cell.type) {
  case NEAP_NIL: break;
  case NEAP_STRING:
    value->cell.count = (uint32_t)roll(TEXT_MAX);
    for (uint32_t k = 0; k < value->cell.count; k++)
      value->text[k] = (char)roll(256);
    break;
  case NEAP_TENSOR:
    value->tensor = tensor_of(value->data, (int32_t)roll(9), value->shape);
    value->is_in_place = roll(2) == 0;
    for (int d = 0; d < NEAP_DIMS_MAX; d++)
      value->shape[d] = (int64_t)roll(3);
    for (int k = 0; k < 1 << NEAP_DIMS_MAX; k++)
      value->data[k] = (float)roll(1000);
    break;
  case NEAP_TABLE:
    value->cell.count = (uint32_t)roll(4);
    value->pair_count = (uint32_t)roll(4);
    break;
  default: value->cell.integer = (int64_t)roll(2);
  }
}

static int put_tensor(neap_writer *writer, neap_value *cell, drawn *value) {
  if (value->is_in_place) {
    const uint64_t count = (uint64_t)neap_tensor_nbytes(&value->tensor);
    value->tensor.data = neap_writer_allocate(writer, count, NULL);
    if (value->tensor.data == NULL) return NEAP_EROOM;
    memcpy(value->tensor.data, value->data, count);
  }
  return neap_writer_put_tensor(writer, cell, &value->tensor, NULL);
}

static int put_drawn(neap_writer *writer, neap_value *cell, int depth) {
  drawn value;
  neap_error error;
  draw(&value, depth);
  *cell = value.cell;
  if (value.cell.type == NEAP_STRING)
    return neap_writer_put_string(writer, cell, value.text, value.cell.count,
                                  &error);
  if (value.cell.type == NEAP_TENSOR) return put_tensor(writer, cell, &value);
  if (value.cell.type != NEAP_TABLE) return NEAP_OK;
  neap_value *cells = neap_writer_put_table(
      writer, cell, NEAP_TABLE, value.cell.count, value.pair_count, &error);
  if (cells == NULL) return error.status;
  int rc = NEAP_OK;
  for (uint32_t k = 0; k < value.cell.count + 2 * value.pair_count; k++)
    if (rc == NEAP_OK) rc = put_drawn(writer, &cells[k], depth + 1);
  return rc;
}

static void check_tensor(const neap_run *run, const neap_value *cell,
                         drawn *value) {
  neap_tensor_cell about;
  void *data;
  assert_int_equal(neap_value_tensor(run, cell, &about, &data, NULL), NEAP_OK);
  assert_int_equal(about.ndim, value->tensor.ndim);
  assert_int_equal((uintptr_t)data % 64, 0);
  assert_memory_equal(about.shape, value->shape, about.ndim * sizeof(int64_t));
  assert_memory_equal(data, value->data,
                      (size_t)neap_tensor_nbytes(&value->tensor));
}

static void check_drawn(const neap_run *run, const neap_value *cell, int depth);

static void check_table(const neap_run *run, const neap_value *cell,
                        const drawn *value, int depth) {
  uint32_t list_count, pair_count;
  neap_value first, second;
  assert_int_equal(neap_value_table(run, cell, &list_count, &pair_count, NULL),
                   NEAP_OK);
  assert_int_equal(list_count, value->cell.count);
  assert_int_equal(pair_count, value->pair_count);
  for (uint32_t k = 0; k < list_count; k++) {
    assert_int_equal(neap_value_at(run, cell, k, &first, NULL), NEAP_OK);
    check_drawn(run, &first, depth + 1);
  }
  for (uint32_t k = 0; k < pair_count; k++) {
    assert_int_equal(neap_value_pair(run, cell, k, &first, &second, NULL),
                     NEAP_OK);
    check_drawn(run, &first, depth + 1);
    check_drawn(run, &second, depth + 1);
  }
}

static void check_drawn(const neap_run *run, const neap_value *cell,
                        int depth) {
  drawn value;
  draw(&value, depth);
  assert_int_equal(cell->type, value.cell.type);
  if (cell->type == NEAP_STRING)
    assert_memory_equal(neap_value_string(run, cell, NULL), value.text,
                        value.cell.count);
  else if (cell->type == NEAP_TENSOR)
    check_tensor(run, cell, &value);
  else if (cell->type == NEAP_TABLE)
    check_table(run, cell, &value, depth);
  else
    assert_int_equal(cell->integer, value.cell.integer);
}

enum { ITEMS = 8, RUNS = 1000, BYTES_TRIED = 4096, NO_ROOM = 99 };

static void begin_draw(uint64_t seed, int32_t k) {
  dice = (seed + (uint64_t)k) * 0x9e3779b97f4a7c15u | 1;
}

static void put_failure(neap_writer *writer, neap_value *cell, int32_t k) {
  neap_writer_undo_item(writer);
  neap_value *pair =
      neap_writer_put_table(writer, cell, NEAP_FAILURE, 0, 1, NULL);
  if (pair != NULL) pair[0] = pair[1] = number(k);
  if (pair == NULL) cell->type = NO_ROOM;
}

/* Fills a run, and puts a failure for an item without room. */
static void put_run(slot *s, uint64_t seed) {
  neap_writer *writer = &s->writer;
  for (int32_t k = 0; k < s->run.count; k++) {
    neap_value *cell = &writer->cells[k];
    begin_draw(seed, k);
    const int rc = put_drawn(writer, cell, 0);
    assert_true(rc == NEAP_OK || rc == NEAP_EROOM);
    if (rc != NEAP_OK) put_failure(writer, cell, k);
    neap_writer_end_item(writer);
  }
  assert_true(writer->used <= writer->bytes);
  s->run.bytes = neap_writer_end(writer);
}

/* Returns how many items are there. */
static int check_run(const slot *s, uint64_t seed) {
  int found = 0;
  for (int32_t k = 0; k < s->run.count; k++) {
    const neap_value value = get(s, k);
    begin_draw(seed, k);
    if (value.type == NEAP_FAILURE || value.type == NO_ROOM) continue;
    check_drawn(&s->run, &value, 0);
    found++;
  }
  return found;
}

static void random_values_come_back(void **state) {
  (void)state;
  seed_dice();
  const uint64_t seed = dice;
  for (uint64_t n = 0; n < RUNS; n++) {
    slot *s = new_slot(1 << 20, ITEMS);
    put_run(s, seed + n * ITEMS);
    assert_null(s->writer.cells);
    assert_int_equal(check_run(s, seed + n * ITEMS), ITEMS);
    free_slot(s);
  }
}

static void a_slot_of_any_size_keeps_what_fits(void **state) {
  (void)state;
  seed_dice();
  const uint64_t seed = dice;
  int found = 0;
  for (uint64_t bytes = 0; bytes <= BYTES_TRIED; bytes++) {
    slot *s = new_slot(bytes, ITEMS);
    const bool is_begun = s->writer.cells != NULL;
    assert_int_equal(is_begun, ITEMS * CELL <= bytes - bytes / 16);
    if (is_begun) put_run(s, seed);
    if (is_begun) found += check_run(s, seed);
    free_slot(s);
  }
  print_message("%d of %d items found room\n", found, ITEMS * BYTES_TRIED);
}

static int put_text(neap_writer *writer, neap_value *cell, neap_error *error) {
  return neap_writer_put_string(writer, cell, "text", 4, error);
}

static int put_floats(neap_writer *writer, neap_value *cell,
                      neap_error *error) {
  float data[6] = {0};
  int64_t shape[] = {6};
  const neap_tensor tensor = tensor_of(data, 1, shape);
  return neap_writer_put_tensor(writer, cell, &tensor, error);
}

static int put_cells(neap_writer *writer, neap_value *cell, neap_error *error) {
  const bool ok =
      neap_writer_put_table(writer, cell, NEAP_TABLE, 1, 2, error) != NULL;
  return ok ? NEAP_OK : error->status;
}

static int allocate(neap_writer *writer, neap_value *cell, neap_error *error) {
  (void)cell;
  const bool ok = neap_writer_allocate(writer, 100, error) != NULL;
  return ok ? NEAP_OK : error->status;
}

static void a_put_without_room_changes_nothing(void **state) {
  (void)state;
  const struct {
    int (*put)(neap_writer *writer, neap_value *cell, neap_error *error);
    uint64_t bytes;
  } ways[] = {
      {put_text, 4}, {put_floats, 112}, {put_cells, 96}, {allocate, 100}};
  for (uint64_t size = 0; size <= 128; size++)
    for (int n = 0; n < 4; n++) {
      slot *s = new_slot(size, 0);
      neap_value cell = number(7);
      neap_error error = {0};
      const bool fits = ways[n].bytes <= size - size / 16;
      const int rc = ways[n].put(&s->writer, &cell, &error);
      assert_int_equal(rc, fits ? NEAP_OK : NEAP_EROOM);
      assert_int_equal(error.status, rc);
      assert_int_equal(s->writer.used, fits ? ways[n].bytes : 0);
      if (!fits) assert_true(cell.number == 7);
      free_slot(s);
    }
}

/* -- What a caller asks wrongly -- */

static void indexes_out_of_range_are_refused(void **state) {
  slot *s = *state;
  neap_value value;
  neap_error error;
  const int32_t wrong[] = {-1, 1, INT32_MIN, INT32_MAX};
  for (int k = 0; k < 4; k++) {
    memset(&value, 0xff, sizeof value);
    assert_int_equal(neap_run_value(&s->run, wrong[k], &value, &error),
                     NEAP_EINVAL);
    assert_int_equal(value.type, NEAP_NIL);
  }
  assert_string_equal(error.text, "cannot read item 2147483647 of a run of 1");
}

static void values_of_another_type_are_refused(void **state) {
  slot *s = *state;
  neap_tensor_cell cell;
  neap_value value;
  uint32_t list_count, pair_count;
  void *data;
  for (uint32_t type = 0; type < 16; type++) {
    const neap_value v = {.type = type};
    if (type != NEAP_TABLE && type != NEAP_FAILURE) {
      assert_int_equal(
          neap_value_table(&s->run, &v, &list_count, &pair_count, NULL),
          NEAP_EINVAL);
      assert_int_equal(neap_value_at(&s->run, &v, 0, &value, NULL),
                       NEAP_EINVAL);
    }
    if (type != NEAP_TENSOR) {
      assert_int_equal(neap_value_tensor(&s->run, &v, &cell, &data, NULL),
                       NEAP_EINVAL);
      assert_null(data);
    }
    if (type != NEAP_STRING) assert_null(neap_value_string(&s->run, &v, NULL));
  }
}

static void a_run_without_a_slot_has_no_values(void **state) {
  (void)state;
  const neap_run lost = {.count = 1, .slot = -1};
  neap_value value;
  assert_int_equal(neap_run_value(&lost, 0, &value, NULL), NEAP_EINVAL);
}

/* -- Damage -- */

static const uint64_t offsets_past[] = {
    SLOT_BYTES + 1,    SLOT_BYTES + 16, 1ull << 32,      1ull << 63,
    UINT64_MAX - 1024, UINT64_MAX - 80, UINT64_MAX - 16, UINT64_MAX - 15,
    UINT64_MAX - 8,    UINT64_MAX};
enum { OFFSETS = sizeof offsets_past / sizeof *offsets_past };

static void assert_table_is_damaged(const slot *s, const neap_value *t) {
  neap_error error = {0};
  neap_value key, value;
  uint32_t list_count = 9, pair_count = 9;
  assert_int_equal(
      neap_value_table(&s->run, t, &list_count, &pair_count, &error),
      NEAP_EDAMAGED);
  assert_non_null(strstr(error.text, "its slot is damaged"));
  assert_int_equal(list_count, 0);
  assert_int_equal(pair_count, 0);
  memset(&value, 0xff, sizeof value);
  assert_int_equal(neap_value_at(&s->run, t, 0, &value, NULL), NEAP_EDAMAGED);
  assert_int_equal(value.type, NEAP_NIL);
  memset(&key, 0xff, sizeof key);
  assert_int_equal(neap_value_pair(&s->run, t, 0, &key, &value, NULL),
                   NEAP_EDAMAGED);
  assert_int_equal(key.type, NEAP_NIL);
}

static void tables_past_the_end_are_damaged(void **state) {
  slot *s = *state;
  neap_value t = {.type = NEAP_TABLE};
  for (int k = 0; k < OFFSETS; k++) {
    t.offset = offsets_past[k];
    assert_table_is_damaged(s, &t);
  }
  for (t.offset = SLOT_BYTES - CELL + 1; t.offset <= SLOT_BYTES; t.offset++)
    assert_table_is_damaged(s, &t);
}

/* Its writer may still write when the counts have been read. */
static void a_table_that_shrinks_is_damaged(void **state) {
  slot *s = *state;
  const neap_value cells[6] = {number(1), number(2), number(3),
                               number(4), number(5), number(6)};
  const neap_value t = table(s, NEAP_TABLE, cells, 2, 2);
  const neap_value head = {NEAP_TABLE, 1, {.offset = 1}};
  neap_value key, value;
  neap_error error = {0};
  assert_int_equal(neap_value_at(&s->run, &t, 1, &value, NULL), NEAP_OK);
  assert_int_equal(neap_value_pair(&s->run, &t, 1, &key, &value, NULL),
                   NEAP_OK);
  memcpy(s->base + t.offset, &head, CELL);
  assert_int_equal(neap_value_at(&s->run, &t, 1, &value, &error),
                   NEAP_EDAMAGED);
  assert_non_null(strstr(error.text, "its slot is damaged"));
  assert_int_equal(value.type, NEAP_NIL);
  assert_int_equal(neap_value_pair(&s->run, &t, 1, &key, &value, &error),
                   NEAP_EDAMAGED);
  assert_non_null(strstr(error.text, "its slot is damaged"));
  assert_int_equal(key.type, NEAP_NIL);
}

static void tables_with_too_many_cells_are_damaged(void **state) {
  slot *s = *state;
  enum { ROOM = SLOT_BYTES / CELL - 1 - 1 }; /* after the run's and the head */
  const struct {
    uint32_t list_count;
    uint64_t pair_count;
  } wrong[] = {
      {ROOM + 1, 0},
      {0, ROOM / 2 + 1},
      {ROOM, 1},
      {1, ROOM / 2},
      {UINT32_MAX, 0},
      {UINT32_MAX, UINT64_MAX},
      {0, 1ull << 27}, /* times 32 is 2^32 */
      {0, 1ull << 59}, /* times 32 is 2^64 */
      {0, (1ull << 59) - 1},
      {1, (1ull << 59) - 1},
      {0, 1ull << 60},
      {2, 1ull << 63},
      {0, UINT64_MAX},
      {UINT32_MAX, UINT64_MAX - UINT32_MAX / 2},
  };
  neap_value head = {.type = NEAP_TABLE};
  const neap_value t = {NEAP_TABLE, 0, {.offset = CELL}};
  for (size_t k = 0; k < sizeof wrong / sizeof *wrong; k++) {
    head.count = wrong[k].list_count;
    head.offset = wrong[k].pair_count;
    memcpy(s->base + t.offset, &head, sizeof head);
    assert_table_is_damaged(s, &t);
  }
  head.count = ROOM % 2;
  head.offset = ROOM / 2;
  memcpy(s->base + t.offset, &head, sizeof head);
  uint32_t list_count, pair_count;
  assert_int_equal(
      neap_value_table(&s->run, &t, &list_count, &pair_count, NULL), NEAP_OK);
  assert_int_equal(pair_count, ROOM / 2);
  neap_value key, value;
  assert_int_equal(
      neap_value_pair(&s->run, &t, pair_count - 1, &key, &value, NULL),
      NEAP_OK);
}

static void strings_past_the_end_are_damaged(void **state) {
  slot *s = *state;
  neap_value v = {NEAP_STRING, 0, {.offset = SLOT_BYTES}};
  assert_non_null(neap_value_string(&s->run, &v, NULL));
  for (v.count = 1; v.count != 0; v.count *= 2)
    assert_null(neap_value_string(&s->run, &v, NULL));
  v = (neap_value){NEAP_STRING, 24, {.offset = SLOT_BYTES - 24}};
  assert_non_null(neap_value_string(&s->run, &v, NULL));
  v.count++;
  assert_null(neap_value_string(&s->run, &v, NULL));
  for (int k = 0; k < OFFSETS; k++)
    for (v.count = 0; v.count <= 64; v.count += 16) {
      neap_error error = {0};
      v.offset = offsets_past[k];
      assert_null(neap_value_string(&s->run, &v, &error));
      assert_int_equal(error.status, NEAP_EDAMAGED);
    }
}

static void cells_past_the_end_are_damaged(void **state) {
  slot *s = *state;
  neap_value value;
  s->run.count = NEAP_RUN_MAX;
  enum { FIT = SLOT_BYTES / CELL };
  assert_int_equal(neap_run_value(&s->run, FIT - 1, &value, NULL), NEAP_OK);
  assert_int_equal(neap_run_value(&s->run, FIT, &value, NULL), NEAP_EDAMAGED);
  assert_int_equal(neap_run_value(&s->run, NEAP_RUN_MAX - 1, &value, NULL),
                   NEAP_EDAMAGED);
  s->run.bytes = 0; /* the worker wrote nothing */
  assert_int_equal(neap_run_value(&s->run, 0, &value, NULL), NEAP_EDAMAGED);
}

/* -- Damaged tensors -- */

static int read_tensor(slot *s, const neap_tensor_cell *cell) {
  neap_tensor_cell out;
  neap_error error = {0};
  void *data = s;
  const neap_value v = {NEAP_TENSOR, 0, {.offset = CELL}};
  memcpy(s->base + v.offset, cell, sizeof *cell);
  const int rc = neap_value_tensor(&s->run, &v, &out, &data, &error);
  if (rc == NEAP_OK) {
    assert_ptr_equal(data, s->base + cell->offset);
  } else {
    assert_int_equal(rc, NEAP_EDAMAGED);
    assert_null(data);
    assert_int_equal(out.ndim, 0);
    assert_int_equal(out.shape[0], 0);
  }
  return rc;
}

static void cells_of_tensors_past_the_end_are_damaged(void **state) {
  slot *s = *state;
  neap_tensor_cell out;
  void *data;
  neap_value v = {.type = NEAP_TENSOR};
  for (int k = 0; k < OFFSETS; k++) {
    v.offset = offsets_past[k];
    assert_int_equal(neap_value_tensor(&s->run, &v, &out, &data, NULL),
                     NEAP_EDAMAGED);
  }
  v.offset = SLOT_BYTES - sizeof out + 1;
  assert_int_equal(neap_value_tensor(&s->run, &v, &out, &data, NULL),
                   NEAP_EDAMAGED);
}

static void only_thirteen_dtypes_are_known(void **state) {
  slot *s = *state;
  int known = 0;
  for (int code = 0; code < 256; code++)
    for (int bits = 0; bits < 256; bits++)
      known += read_tensor(s, &(neap_tensor_cell){.code = (uint8_t)code,
                                                  .bits = (uint8_t)bits,
                                                  .ndim = 1,
                                                  .offset = 128,
                                                  .shape = {4}}) == NEAP_OK;
  assert_int_equal(known, 4 + 4 + 3 + 1 + 1);
}

static void tensors_have_eight_dimensions_at_most(void **state) {
  slot *s = *state;
  neap_tensor_cell cell = {.code = NEAP_UINT,
                           .bits = 8,
                           .offset = 128,
                           .shape = {1, 1, 1, 1, 1, 1, 1, 1}};
  for (cell.ndim = 0; cell.ndim <= NEAP_DIMS_MAX; cell.ndim++)
    assert_int_equal(read_tensor(s, &cell), NEAP_OK);
  const uint16_t wrong[] = {9, 255, 256, UINT16_MAX};
  for (int k = 0; k < 4; k++) {
    cell.ndim = wrong[k];
    assert_int_equal(read_tensor(s, &cell), NEAP_EDAMAGED);
  }
}

static void misaligned_elements_are_damaged(void **state) {
  slot *s = *state;
  for (uint8_t bits = 8; bits <= 64; bits *= 2)
    for (uint64_t at = 128; at < 128 + 16; at++)
      assert_int_equal(read_tensor(s, &(neap_tensor_cell){.code = NEAP_INT,
                                                          .bits = bits,
                                                          .ndim = 1,
                                                          .offset = at,
                                                          .shape = {2}}),
                       at % (bits / 8u) == 0 ? NEAP_OK : NEAP_EDAMAGED);
}

static void absurd_shapes_are_damaged(void **state) {
  slot *s = *state;
  const int64_t wrong[][3] = {
      {-1, 1, 1},
      {1, 1, -1},
      {0, -1, 1},
      {-1, -1, 1},
      {INT64_MIN, 1, 1},
      {INT64_MIN, 2, 1},
      {INT64_MIN, INT64_MIN, 1},
      {INT64_MAX, 1, 1},
      {1ll << 32, 1ll << 32, 1},
      {1ll << 62, 4, 1},
      {1ll << 61, 1, 1}, /* times 8 bytes is 2^64 */
      {1ll << 31, 1ll << 31, 1ll << 2},
      {3, 1ll << 62, 1ll << 62},
      {1ll << 62, 1ll << 62, 0}, /* no bytes, but strides that overflow */
      {0, 1ll << 62, 1ll << 62},
      {SLOT_BYTES, 1, 1},
  };
  neap_tensor_cell cell = {
      .code = NEAP_FLOAT, .bits = 64, .ndim = 3, .offset = 128};
  for (size_t k = 0; k < sizeof wrong / sizeof *wrong; k++) {
    memcpy(cell.shape, wrong[k], sizeof wrong[k]);
    assert_int_equal(read_tensor(s, &cell), NEAP_EDAMAGED);
  }
}

static void data_past_the_end_is_damaged(void **state) {
  slot *s = *state;
  neap_tensor_cell cell = {
      .code = NEAP_INT, .bits = 32, .ndim = 1, .offset = 512, .shape = {128}};
  assert_int_equal(read_tensor(s, &cell), NEAP_OK);
  cell.shape[0]++;
  assert_int_equal(read_tensor(s, &cell), NEAP_EDAMAGED);
  cell.offset = SLOT_BYTES;
  cell.shape[0] = 0;
  assert_int_equal(read_tensor(s, &cell), NEAP_OK);
  cell.shape[0] = 1;
  assert_int_equal(read_tensor(s, &cell), NEAP_EDAMAGED);
  cell.bits = 8;
  for (int k = 0; k < OFFSETS; k++)
    for (cell.shape[0] = 0; cell.shape[0] <= 80; cell.shape[0] += 16) {
      cell.offset = offsets_past[k];
      assert_int_equal(read_tensor(s, &cell), NEAP_EDAMAGED);
    }
}

/* -- Random bytes -- */

enum { SLOTS_TRIED = 100000, CELLS_MAX = 64, CELLS_BUDGET = 400 };

/* Now and then anything, mostly something that might be. */
static uint64_t random_offset(uint64_t bytes) {
  switch (roll(8)) {
  case 0: return UINT64_MAX - roll(100);
  case 1: return roll(bytes + 32);
  case 2: return roll(UINT64_MAX);
  default: return roll(bytes / CELL + 1) * CELL;
  }
}

static neap_value random_cell(uint64_t bytes) {
  neap_value cell = {.type = (uint32_t)roll(9), .count = (uint32_t)roll(6)};
  if (roll(16) == 0) cell.type = (uint32_t)roll(UINT32_MAX);
  if (roll(8) == 0) cell.count = (uint32_t)roll(bytes + 2);
  if (roll(16) == 0) cell.count = UINT32_MAX - (uint32_t)roll(40);
  const bool is_count = cell.type == NEAP_NUMBER || roll(3) == 0;
  cell.offset = is_count ? roll(6) : random_offset(bytes);
  return cell;
}

static neap_tensor_cell random_tensor(uint64_t bytes) {
  neap_tensor_cell cell = {.code = (uint8_t)roll(8),
                           .bits = (uint8_t)(8 << roll(4)),
                           .ndim = (uint16_t)roll(NEAP_DIMS_MAX + 2),
                           .offset = random_offset(bytes)};
  for (int d = 0; d < NEAP_DIMS_MAX; d++)
    cell.shape[d] = (int64_t)(roll(32) ? 1 + roll(2) : random_offset(bytes));
  return cell;
}

static slot *random_slot(void) {
  const uint64_t bytes = 1 + roll(CELLS_MAX * CELL);
  slot *s = new_slot(bytes, 1 + (int32_t)roll(4));
  for (uint64_t at = 0; at + CELL <= bytes; at += CELL) {
    const neap_value cell = random_cell(bytes);
    memcpy(s->base + at, &cell, CELL);
  }
  const neap_tensor_cell cell = random_tensor(bytes);
  const uint64_t at = roll(bytes) / CELL * CELL;
  if (at + sizeof cell <= bytes) {
    memcpy(s->base + at, &cell, sizeof cell);
    put(s, 0, (neap_value){NEAP_TENSOR, 0, {.offset = at}});
  }
  for (uint64_t k = roll(4); k > 0; k--)
    s->base[roll(bytes)] = (uint8_t)roll(256);
  return s;
}

typedef struct tally {
  int64_t strings, tensors, tables, damaged;
  uint64_t sum; /* of all bytes read, so that they are read */
} tally;

/* Whether there is something to look at; anything but damage is our bug. */
static bool is_good(int rc, tally *seen) {
  assert_true(rc == NEAP_OK || rc == NEAP_EDAMAGED);
  seen->damaged += rc != NEAP_OK;
  return rc == NEAP_OK;
}

static void sum_up(const slot *s, const void *data, uint64_t bytes,
                   tally *seen) {
  const uint8_t *at = data;
  assert_true(at >= s->base && bytes <= s->run.bytes &&
              (uint64_t)(at - s->base) <= s->run.bytes - bytes);
  for (uint64_t k = 0; k < bytes; k++)
    seen->sum += at[k];
}

static void walk_tensor(const slot *s, const neap_value *value, tally *seen) {
  neap_tensor_cell cell;
  void *data;
  if (!is_good(neap_value_tensor(&s->run, value, &cell, &data, NULL), seen))
    return;
  const int64_t count = neap_tensor_strides(cell.ndim, cell.shape, NULL);
  assert_true(count >= 0);
  sum_up(s, data, (uint64_t)count * (cell.bits / 8u), seen);
  seen->tensors++;
}

static void walk(const slot *s, const neap_value *value, int depth, int *budget,
                 tally *seen);

static void walk_table(const slot *s, const neap_value *t, int depth,
                       int *budget, tally *seen) {
  uint32_t list_count, pair_count;
  neap_value key, value;
  if (!is_good(neap_value_table(&s->run, t, &list_count, &pair_count, NULL),
               seen))
    return;
  seen->tables++;
  for (uint32_t k = 0; k<list_count && * budget> 0; k++)
    if (is_good(neap_value_at(&s->run, t, k, &value, NULL), seen))
      walk(s, &value, depth + 1, budget, seen);
  for (uint32_t k = 0; k<pair_count && * budget> 0; k++)
    if (is_good(neap_value_pair(&s->run, t, k, &key, &value, NULL), seen)) {
      walk(s, &key, depth + 1, budget, seen);
      walk(s, &value, depth + 1, budget, seen);
    }
}

static void walk(const slot *s, const neap_value *value, int depth, int *budget,
                 tally *seen) {
  if (depth > NEAP_DEPTH_MAX || --*budget < 0) return;
  if (value->type == NEAP_TABLE || value->type == NEAP_FAILURE)
    walk_table(s, value, depth, budget, seen);
  if (value->type == NEAP_TENSOR) walk_tensor(s, value, seen);
  if (value->type != NEAP_STRING) return;
  const char *text = neap_value_string(&s->run, value, NULL);
  if (text == NULL) {
    seen->damaged++;
    return;
  }
  sum_up(s, text, value->count, seen);
  seen->strings++;
}

static void random_bytes_lead_nowhere(void **state) {
  (void)state;
  seed_dice();
  tally seen = {0};
  for (int n = 0; n < SLOTS_TRIED; n++) {
    slot *s = random_slot();
    int budget = CELLS_BUDGET;
    for (int32_t k = 0; k < s->run.count; k++) {
      neap_value value;
      if (is_good(neap_run_value(&s->run, k, &value, NULL), &seen))
        walk(s, &value, 0, &budget, &seen);
    }
    free_slot(s);
  }
  print_message("%lld strings, %lld tensors, %lld tables, %lld damaged: %llx\n",
                (long long)seen.strings, (long long)seen.tensors,
                (long long)seen.tables, (long long)seen.damaged,
                (unsigned long long)seen.sum);
  assert_in_range(seen.strings, SLOTS_TRIED / 10, INT64_MAX);
  assert_in_range(seen.tensors, SLOTS_TRIED / 1000, INT64_MAX);
  assert_in_range(seen.tables, SLOTS_TRIED / 10, INT64_MAX);
  assert_in_range(seen.damaged, SLOTS_TRIED / 10, INT64_MAX);
}

#define SLOT_TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(scalars_stand_in_their_cells),
      SLOT_TEST(strings_may_be_empty_and_hold_zeroes),
      SLOT_TEST(tables_have_a_list_and_pairs),
      SLOT_TEST(a_failure_is_read_as_a_table),
      SLOT_TEST(tensors_point_into_the_slot),
      SLOT_TEST(tensors_in_the_slot_are_not_copied),
      SLOT_TEST(bytes_of_tensors_are_counted_by_item),
      cmocka_unit_test(a_run_may_begin_at_a_later_cell),
      cmocka_unit_test(random_values_come_back),
      cmocka_unit_test(a_slot_of_any_size_keeps_what_fits),
      cmocka_unit_test(a_put_without_room_changes_nothing),
      SLOT_TEST(indexes_out_of_range_are_refused),
      SLOT_TEST(values_of_another_type_are_refused),
      cmocka_unit_test(a_run_without_a_slot_has_no_values),
      SLOT_TEST(tables_past_the_end_are_damaged),
      SLOT_TEST(a_table_that_shrinks_is_damaged),
      SLOT_TEST(tables_with_too_many_cells_are_damaged),
      SLOT_TEST(strings_past_the_end_are_damaged),
      SLOT_TEST(cells_past_the_end_are_damaged),
      SLOT_TEST(cells_of_tensors_past_the_end_are_damaged),
      SLOT_TEST(only_thirteen_dtypes_are_known),
      SLOT_TEST(tensors_have_eight_dimensions_at_most),
      SLOT_TEST(misaligned_elements_are_damaged),
      SLOT_TEST(absurd_shapes_are_damaged),
      SLOT_TEST(data_past_the_end_is_damaged),
      cmocka_unit_test(random_bytes_lead_nowhere),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
