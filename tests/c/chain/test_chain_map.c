/* SPDX-License-Identifier: MIT */
/* Native stages in chains: zlib and the C library over ranges and tensors. */
#include "chain.h"

#include <math.h>
#include <zlib.h>

enum { PACKED = 200, PACKED_BYTES = 96, TEXT_BYTES = 64, BROKEN = 37 };

typedef struct scene {
  uint8_t packed[PACKED][PACKED_BYTES];
  uint8_t texts[PACKED][TEXT_BYTES];
  slot slot;
  slot other;
} scene;

static int64_t packed_shape[] = {PACKED, PACKED_BYTES};

static int begin(void **state) {
  scene *s = calloc(1, sizeof *s);
  assert_non_null(s);
  for (int i = 0; i < PACKED; i++) {
    uLongf bytes = PACKED_BYTES;
    for (int k = 0; k < TEXT_BYTES; k++)
      s->texts[i][k] = (uint8_t)(i * k);
    assert_int_equal(compress(s->packed[i], &bytes, s->texts[i], TEXT_BYTES),
                     Z_OK);
  }
  memset(s->packed[BROKEN], 0xff, PACKED_BYTES);
  slot_open(&s->slot);
  slot_open(&s->other);
  *state = s;
  return 0;
}

static int finish(void **state) {
  scene *s = *state;
  slot_close(&s->slot);
  slot_close(&s->other);
  free(s);
  return 0;
}

static neap_chain *map_of(neap_chain *source, const char *library,
                          const char *declaration,
                          const neap_argument *arguments, int32_t count) {
  neap_chain *chain;
  const neap_stage_options stage = {.lib = library,
                                    .declaration = declaration,
                                    .arguments = arguments,
                                    .argument_count = count,
                                    .where = "a.lua:7"};
  must(neap_chain_map(source, &stage, &chain, told));
  return chain;
}

static neap_chain *packed_rows_of(const scene *s) {
  return rows_of(s->packed, NEAP_UINT, 8, 2, packed_shape);
}

/* Unpacks rows; row BROKEN fails. */
static neap_chain *unpacked_of(neap_chain *source) {
  const neap_argument arguments[] = {
      {.parameter = "dest",
       .is_output = 1,
       .code = NEAP_UINT,
       .bits = 8,
       .ndim = 1,
       .shape = {TEXT_BYTES}},
      {.parameter = "room", .number = TEXT_BYTES},
      {.parameter = "source", .part = "data"},
      {.parameter = "bytes", .part = "count"},
  };
  return map_of(source, "libz.so.1",
                "int uncompress(uint8_t *dest, unsigned long *room, "
                "const uint8_t *source, unsigned long bytes)",
                arguments, 4);
}

/* That the chain has the same items once it is packed and unpacked; frees it.
 */
static void assert_survives(scene *s, neap_chain *chain) {
  void *bytes;
  uint64_t nbytes;
  int fd;
  neap_chain *copy;
  compute(&s->slot, chain, 2, 0, 5);
  must(neap_chain_pack(chain, &bytes, &nbytes, &fd, told));
  neap_chain_free(chain);
  void *aligned = aligned_alloc(64, (nbytes + 63) / 64 * 64);
  memcpy(aligned, bytes, nbytes);
  free(bytes);
  must(neap_chain_unpack(aligned, nbytes, fd, &copy, told));
  compute(&s->other, copy, 2, 0, 5);
  assert_same_items(&s->slot, &s->other);
  neap_chain_free(copy);
  free(aligned);
  if (fd >= 0) close(fd);
}

static void numbers_are_mapped(void **state) {
  scene *s = *state;
  neap_chain *chain = map_of(
      map_of(range_of(0, 1, 1000), "libm.so.6", "double sqrt(double)", NULL, 0),
      "libm.so.6", "double cbrt(double x)", NULL, 0);
  compute(&s->slot, chain, 1, 100, 900);
  for (int32_t k = 0; k < 900; k++)
    assert_true(number_at(&s->slot, k) == cbrt(sqrt(100 + k)));
  assert_survives(s, chain);
}

static void fields_are_mapped(void **state) {
  scene *s = *state;
  const neap_argument arguments[] = {
      {.parameter = "crc", .part = "start"},
      {.parameter = "buf", .part = "packed.data"},
      {.parameter = "len", .part = "packed.count"},
  };
  neap_chain *chain = map_of(
      zip_of(packed_rows_of(s), "packed", range_of(5, 1, PACKED), "start"),
      "libz.so.1",
      "unsigned long crc32(unsigned long crc, const uint8_t *buf, "
      "unsigned int len)",
      arguments, 3);
  compute(&s->slot, chain, 1, 0, PACKED);
  for (int32_t k = 0; k < PACKED; k++)
    assert_true(number_at(&s->slot, k) ==
                (double)crc32((uLong)(5 + k), s->packed[k], PACKED_BYTES));
  assert_survives(s, chain);
}

static void outputs_lie_in_the_slot(void **state) {
  scene *s = *state;
  neap_tensor_cell about;
  neap_chain *chain = unpacked_of(packed_rows_of(s));
  compute(&s->slot, chain, 1, 0, PACKED);
  for (int32_t k = 0; k < PACKED; k++) {
    const neap_cell cell = cell_at(&s->slot, k);
    if (k != BROKEN)
      assert_memory_equal(tensor_of(&s->slot, &cell, &about), s->texts[k],
                          TEXT_BYTES);
  }
  assert_survives(s, chain);
}

static void a_failure_is_that_of_its_item(void **state) {
  scene *s = *state;
  neap_chain *chain = shuffle_of(unpacked_of(packed_rows_of(s)), 3);
  neap_chain_name(chain, "shuffle (b.lua:1)");
  compute(&s->slot, chain, 1, 0, PACKED);
  for (int32_t k = 0; k < PACKED; k++) {
    const neap_cell cell = cell_at(&s->slot, k);
    if (neap_shuffle_item(PACKED, 3, 1, k) != BROKEN) {
      assert_int_equal(cell.type, NEAP_TENSOR);
      continue;
    }
    assert_int_equal(cell.type, NEAP_FAILURE);
    neap_cell field = field_of(&s->slot, &cell, "message");
    assert_text(&s->slot, &field,
                "uncompress of libz.so.1 failed: it returned -3");
    field = field_of(&s->slot, &cell, "stage");
    assert_text(&s->slot, &field, "map (a.lua:7)");
    field = field_of(&s->slot, &cell, "outer_stage");
    assert_text(&s->slot, &field, "shuffle (b.lua:1)");
    field = field_of(&s->slot, &cell, "kind");
    assert_text(&s->slot, &field, "item");
    assert_true(field_of(&s->slot, &cell, "index").number == BROKEN + 1);
    assert_true(field_of(&s->slot, &cell, "outer_index").number == k + 1);
    assert_true(field_of(&s->slot, &cell, "worker").number == 4);
  }
  neap_chain_free(chain);
}

static void a_failure_ends_its_batch_alone(void **state) {
  scene *s = *state;
  neap_chain *chain = batch_of(unpacked_of(packed_rows_of(s)), 10, 0);
  compute(&s->slot, chain, 1, 0, PACKED / 10);
  for (int32_t k = 0; k < PACKED / 10; k++) {
    const neap_cell cell = cell_at(&s->slot, k);
    assert_int_equal(cell.type, k == BROKEN / 10 ? NEAP_FAILURE : NEAP_TENSOR);
    if (k != BROKEN / 10) continue;
    assert_true(field_of(&s->slot, &cell, "index").number == BROKEN + 1);
    assert_true(field_of(&s->slot, &cell, "outer_index").number ==
                BROKEN / 10 + 1);
  }
  neap_chain_free(chain);
}

/* Rows of five floats are not aligned in a batch. */
static void elements_are_mapped_into_a_batch(void **state) {
  scene *s = *state;
  float rows[40][5];
  int64_t shape[] = {40, 5};
  neap_tensor_cell about;
  for (int k = 0; k < 200; k++)
    rows[k / 5][k % 5] = (float)k;
  neap_chain *chain =
      batch_of(map_of(rows_of(rows, NEAP_FLOAT, 32, 2, shape), "libm.so.6",
                      "float sqrtf(float)", NULL, 0),
               10, 0);
  compute(&s->slot, chain, 1, 0, 4);
  for (int32_t k = 0; k < 4; k++) {
    const neap_cell cell = cell_at(&s->slot, k);
    const float *data = tensor_of(&s->slot, &cell, &about);
    for (int e = 0; e < 50; e++)
      assert_true(data[e] == sqrtf((float)(k * 50 + e)));
  }
  neap_chain_free(chain);
}

static void texts_and_structs_are_items(void **state) {
  scene *s = *state;
  const neap_argument arguments[] = {{.parameter = "a", .part = "item"},
                                     {.parameter = "b", .number = 7}};
  neap_chain *chain = map_of(range_of(-3, 1, 6), "libz.so.1",
                             "const char *zError(int error)", NULL, 0);
  compute(&s->slot, chain, 1, 0, 4);
  neap_cell cell = cell_at(&s->slot, 0);
  assert_text(&s->slot, &cell, "data error");
  cell = cell_at(&s->slot, 3);
  assert_text(&s->slot, &cell, "");
  assert_survives(s, chain);
  chain = map_of(range_of(0, 10, 30), "libc.so.6",
                 "typedef struct {long quot, rem;} ldiv_t;"
                 "ldiv_t ldiv(long a, long b)",
                 arguments, 2);
  compute(&s->slot, chain, 1, 0, 30);
  cell = cell_at(&s->slot, 5);
  assert_true(field_of(&s->slot, &cell, "quot").number == 7);
  assert_true(field_of(&s->slot, &cell, "rem").number == 1);
  assert_survives(s, chain);
}

static void what_does_not_fit_is_refused(void **state) {
  scene *s = *state;
  neap_chain *chain;
  neap_error error = {0};
  const neap_argument image = {.parameter = "x", .part = "image"};
  neap_stage_options stage = {.lib = "libm.so.6",
                              .declaration = "double sqrt(double x)",
                              .arguments = &image,
                              .argument_count = 1};
  int rc = neap_chain_map(
      zip_of(packed_rows_of(s), "picture", range_of(0, 1, 9), "label"), &stage,
      &chain, &error);
  assert_refused(rc, &error, chain,
                 "cannot map sqrt of libm.so.6: the items have no value image; "
                 "they are {picture = u8 96, label = number}");
  stage.argument_count = 0;
  stage.lib = "libnothing.so";
  rc = neap_chain_map(range_of(0, 1, 5), &stage, &chain, &error);
  assert_refused(rc, &error, chain, "libnothing.so");
  stage.lib = "libm.so.6";
  rc = neap_chain_map(NULL, &stage, &chain, &error);
  assert_refused(rc, &error, chain, "source 0 is NULL");
  rc =
      neap_chain_map(batch_of(range_of(0, 1, 5), 2, 0), &stage, &chain, &error);
  assert_refused(rc, &error, chain, "help: drop the last batch");
  chain = map_of(range_of(0, 1, 9), "libz.so.1", "const char *zError(int)",
                 NULL, 0);
  rc = neap_chain_batch(chain, 2, 0, &chain, &error);
  assert_refused(rc, &error, chain, "a string cannot be stacked");
}

#define scene_test(function) \
  cmocka_unit_test_setup_teardown(function, begin, finish)

int main(void) {
  const struct CMUnitTest tests[] = {
      scene_test(numbers_are_mapped),
      scene_test(fields_are_mapped),
      scene_test(outputs_lie_in_the_slot),
      scene_test(a_failure_is_that_of_its_item),
      scene_test(a_failure_ends_its_batch_alone),
      scene_test(elements_are_mapped_into_a_batch),
      scene_test(texts_and_structs_are_items),
      scene_test(what_does_not_fit_is_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
