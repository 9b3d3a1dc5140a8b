/* SPDX-License-Identifier: MIT */
/* Chains without native stages: their items, packing, and what is refused. */
#include "chain.h"

enum { IMAGES = 300, SIDE = 5, PIXELS = SIDE * SIDE };

typedef struct scene {
  uint8_t images[IMAGES][PIXELS];
  uint8_t labels[IMAGES];
  slot slot;
  slot other;
} scene;

static int64_t images_shape[] = {IMAGES, SIDE, SIDE};
static int64_t labels_shape[] = {IMAGES};

static int begin(void **state) {
  scene *s = calloc(1, sizeof *s);
  assert_non_null(s);
  for (int i = 0; i < IMAGES; i++) {
    s->labels[i] = (uint8_t)(i * 7);
    for (int k = 0; k < PIXELS; k++)
      s->images[i][k] = (uint8_t)(i * 31 + k * 5);
  }
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

static neap_chain *images_of(const scene *s) {
  return rows_of(s->images, NEAP_UINT, 8, 3, images_shape);
}

static neap_chain *labels_of(const scene *s) {
  return rows_of(s->labels, NEAP_UINT, 8, 1, labels_shape);
}

/* -- Sources -- */

static void a_range_has_numbers(void **state) {
  scene *s = *state;
  neap_chain *chain = range_of(5, -0.5, 1000);
  assert_true(neap_chain_length(chain) == 1000);
  compute(&s->slot, chain, 1, 100, 700);
  for (int32_t k = 0; k < 700; k++)
    assert_true(number_at(&s->slot, k) == 5 - (100 + k) * 0.5);
  neap_chain_free(chain);
}

static void a_tensor_has_rows(void **state) {
  scene *s = *state;
  neap_tensor_cell about;
  neap_chain *chain = images_of(s);
  compute(&s->slot, chain, 1, 10, IMAGES - 10);
  for (int32_t k = 0; k < IMAGES - 10; k++) {
    const neap_cell cell = cell_at(&s->slot, k);
    assert_memory_equal(tensor_of(&s->slot, &cell, &about), s->images[10 + k],
                        PIXELS);
    assert_int_equal(about.ndim, 2);
    assert_true(about.shape[0] == SIDE && about.shape[1] == SIDE);
  }
  neap_chain_free(chain);
}

static void elements_are_numbers_booleans_and_integers(void **state) {
  scene *s = *state;
  static const int64_t large[] = {3, -(1ll << 53), (1ll << 53) + 1, INT64_MIN};
  static const uint64_t huge[] = {3, UINT64_MAX};
  static const uint8_t truths[] = {0, 1, 1};
  static const float floats[] = {0.5f, -2};
  int64_t four[] = {4}, three[] = {3}, two[] = {2};
  neap_chain *chain = rows_of(large, NEAP_INT, 64, 1, four);
  compute(&s->slot, chain, 1, 0, 4);
  assert_true(number_at(&s->slot, 0) == 3);
  assert_true(number_at(&s->slot, 1) == -0x1p53);
  assert_int_equal(cell_at(&s->slot, 2).type, NEAP_INT64);
  assert_true(cell_at(&s->slot, 2).integer == large[2]);
  assert_true(cell_at(&s->slot, 3).integer == INT64_MIN);
  neap_chain_free(chain);
  chain = rows_of(huge, NEAP_UINT, 64, 1, two);
  compute(&s->slot, chain, 1, 0, 2);
  assert_int_equal(cell_at(&s->slot, 1).type, NEAP_UINT64);
  neap_chain_free(chain);
  chain = rows_of(truths, NEAP_BOOL, 8, 1, three);
  compute(&s->slot, chain, 1, 0, 3);
  assert_int_equal(cell_at(&s->slot, 0).type, NEAP_BOOLEAN);
  assert_true(cell_at(&s->slot, 2).integer == 1);
  neap_chain_free(chain);
  chain = rows_of(floats, NEAP_FLOAT, 32, 1, two);
  compute(&s->slot, chain, 1, 0, 2);
  assert_true(number_at(&s->slot, 1) == -2);
  neap_chain_free(chain);
}

/* -- Files -- */

static const char *write_bytes(const char *name, const void *head,
                               size_t head_bytes, const void *data,
                               size_t bytes) {
  static char path[64];
  snprintf(path, sizeof path, "/tmp/neap-test-%d-%s", (int)getpid(), name);
  FILE *file = fopen(path, "we");
  assert_non_null(file);
  assert_true(fwrite(head, 1, head_bytes, file) == head_bytes);
  assert_true(fwrite(data, 1, bytes, file) == bytes);
  assert_int_equal(fclose(file), 0);
  return path;
}

static void a_raw_file_has_rows(void **state) {
  scene *s = *state;
  neap_chain *chain;
  neap_error error = {0};
  int64_t shape[] = {SIDE, SIDE};
  neap_tensor_cell about;
  const char *path = write_bytes("raw", "head", 4, s->images, sizeof s->images);
  must(neap_chain_raw(path, 4, NEAP_UINT, 8, 2, shape, &chain, told));
  assert_true(neap_chain_length(chain) == IMAGES);
  chain = batch_of(shuffle_of(chain, 9), 50, 0);
  compute(&s->slot, chain, 1, 0, 6);
  for (int32_t k = 0; k < IMAGES; k++) {
    const neap_cell cell = cell_at(&s->slot, k / 50);
    const uint8_t *data = tensor_of(&s->slot, &cell, &about);
    assert_memory_equal(data + k % 50 * PIXELS,
                        s->images[neap_shuffle_item(IMAGES, 9, 1, k)], PIXELS);
  }
  neap_chain_free(chain);
  int rc = neap_chain_raw(path, 3, NEAP_UINT, 8, 2, shape, &chain, &error);
  assert_refused(rc, &error, chain, "no whole number of rows of 25 bytes");
  rc = neap_chain_raw(path, 1 << 20, NEAP_UINT, 8, 2, shape, &chain, &error);
  assert_refused(rc, &error, chain, "and offset is 1048576");
  must(neap_chain_raw(path, 4, NEAP_UINT, 8, 0, NULL, &chain, told));
  compute(&s->slot, chain, 1, 20, 500);
  for (int32_t k = 0; k < 500; k++)
    assert_true(number_at(&s->slot, k) == ((uint8_t *)s->images)[20 + k]);
  unlink(path);
  neap_chain_free(chain);
}

static void a_file_that_was_cut_fails_its_items(void **state) {
  scene *s = *state;
  neap_chain *chain;
  const char *path = write_bytes("cut", "", 0, s->images, sizeof s->images);
  int64_t shape[] = {PIXELS};
  must(neap_chain_raw(path, 0, NEAP_UINT, 8, 1, shape, &chain, told));
  assert_int_equal(truncate(path, 100 * PIXELS + 3), 0);
  compute(&s->slot, chain, 1, 0, 200);
  for (int32_t k = 0; k < 200; k++)
    assert_int_equal(cell_at(&s->slot, k).type,
                     k < 100 ? NEAP_TENSOR : NEAP_FAILURE);
  unlink(path);
  neap_chain_free(chain);
}

static void an_npy_file_has_rows(void **state) {
  scene *s = *state;
  neap_chain *chain;
  neap_error error = {0};
  neap_tensor_cell about;
  char head[128] = "\x93NUMPY\x01\x00\x76\x00";
  const uint8_t data[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11};
  strcpy(head + 10,
         "{'descr': '>i2', 'fortran_order': False, 'shape': (2, 3), }");
  const char *path = write_bytes("npy", head, sizeof head, data, sizeof data);
  must(neap_chain_npy(path, &chain, told));
  assert_true(neap_chain_length(chain) == 2);
  compute(&s->slot, chain, 1, 0, 2);
  const neap_cell cell = cell_at(&s->slot, 1);
  const int16_t *row = tensor_of(&s->slot, &cell, &about);
  assert_true(about.ndim == 1 && about.shape[0] == 3);
  assert_true(row[0] == 0x607 && row[2] == 0xa0b);
  neap_chain_free(chain);
  strcpy(head + 10, "{'descr': '<f4', 'fortran_order': True, 'shape': (1, 3)}");
  path = write_bytes("npy", head, sizeof head, data, sizeof data);
  int rc = neap_chain_npy(path, &chain, &error);
  assert_refused(rc, &error, chain, "Fortran's order");
  strcpy(head + 10, "{'descr': '<f4', 'fortran_order': False, 'shape': (9,)}");
  path = write_bytes("npy", head, sizeof head, data, sizeof data);
  rc = neap_chain_npy(path, &chain, &error);
  assert_refused(rc, &error, chain, "its 9 rows do not lie in its 140 bytes");
  strcpy(head + 10, "{'descr': '<c8', 'fortran_order': False, 'shape': (1,)}");
  path = write_bytes("npy", head, sizeof head, data, sizeof data);
  rc = neap_chain_npy(path, &chain, &error);
  assert_refused(rc, &error, chain, "elements that no tensor holds");
  path = write_bytes("npy", "no", 2, data, sizeof data);
  rc = neap_chain_npy(path, &chain, &error);
  assert_refused(rc, &error, chain, "it is no npy file");
  unlink(path);
}

/* -- Adapters -- */

static void an_arrangement_follows_its_tree(void **state) {
  scene *s = *state;
  neap_chain *chain = shuffle_of(labels_of(s), 7);
  for (int64_t epoch = 1; epoch < 3; epoch++) {
    compute(&s->slot, chain, epoch, 0, IMAGES);
    for (int32_t k = 0; k < IMAGES; k++)
      assert_true(number_at(&s->slot, k) ==
                  s->labels[neap_shuffle_item(IMAGES, 7, epoch, k)]);
  }
  neap_chain_free(chain);
}

/* Of sources that compute, so that rows of one must outlive its next read. */
static void several_sources_interleave(void **state) {
  scene *s = *state;
  neap_seq *leaves[] = {leaf_of(IMAGES, 0), leaf_of(IMAGES, 1)}, *tree;
  neap_chain *sources[] = {convert_of(images_of(s), NEAP_FLOAT, 32, 1, 0),
                           convert_of(images_of(s), NEAP_FLOAT, 32, -1, 0)};
  neap_tensor_cell about;
  must(neap_seq_interleave(leaves, 2, &tree, told));
  neap_chain *chain =
      convert_of(arrange_of(tree, sources, 2), NEAP_FLOAT, 64, 1, 0);
  compute(&s->slot, chain, 1, 0, 2 * IMAGES);
  for (int32_t k = 0; k < 2 * IMAGES; k++) {
    const neap_cell cell = cell_at(&s->slot, k);
    const double *data = tensor_of(&s->slot, &cell, &about);
    assert_true(data[3] == s->images[k / 2][3] * (k % 2 == 0 ? 1 : -1));
  }
  neap_chain_free(chain);
}

static void a_zip_has_fields_or_a_list(void **state) {
  scene *s = *state;
  neap_tensor_cell about;
  neap_chain *chain = zip_of(images_of(s), "image", labels_of(s), "label");
  compute(&s->slot, chain, 1, 0, IMAGES);
  const neap_cell item = cell_at(&s->slot, 17);
  const neap_cell image = field_of(&s->slot, &item, "image");
  const neap_cell label = field_of(&s->slot, &item, "label");
  assert_memory_equal(tensor_of(&s->slot, &image, &about), s->images[17],
                      PIXELS);
  assert_true(label.number == s->labels[17]);
  neap_chain_free(chain);
  chain = zip_of(range_of(0, 1, 5), NULL, range_of(0, 2, NEAP_ENDLESS), NULL);
  assert_true(neap_chain_length(chain) == 5);
  compute(&s->slot, chain, 1, 0, 5);
  const neap_cell pair = cell_at(&s->slot, 4);
  neap_cell second;
  must(neap_cell_at(&s->slot.run, &pair, 1, &second, told));
  assert_true(second.number == 8);
  neap_chain_free(chain);
}

static void a_result_may_take_the_place_of_a_source(void **state) {
  scene *s = *state;
  neap_seq *leaves[] = {leaf_of(IMAGES, 0), leaf_of(IMAGES, 1)};
  neap_chain *parts[] = {labels_of(s), labels_of(s)};
  must(neap_seq_concat(leaves, 2, &leaves[0], told));
  must(neap_chain_arrange(leaves[0], parts, 2, &parts[0], told));
  assert_true(neap_chain_length(parts[0]) == 2 * IMAGES);
  must(neap_chain_zip(parts, NULL, 1, &parts[0], told));
  neap_chain_free(parts[0]);
}

static void a_conversion_is_that_of_tensors(void **state) {
  scene *s = *state;
  neap_tensor_cell about;
  neap_chain *chain =
      convert_of(convert_of(images_of(s), NEAP_FLOAT, 32, 1 / 255.0, -0.5),
                 NEAP_FLOAT, 64, 2, 0);
  compute(&s->slot, chain, 1, 0, IMAGES);
  for (int32_t k = 0; k < IMAGES; k++) {
    const neap_cell cell = cell_at(&s->slot, k);
    const double *data = tensor_of(&s->slot, &cell, &about);
    for (int p = 0; p < PIXELS; p++)
      assert_true(data[p] ==
                  2.0 * (float)(s->images[k][p] * (1 / 255.0) - 0.5));
  }
  neap_chain_free(chain);
}

static neap_chain *operate_of(neap_chain *source, const char *operation,
                              double x, double y) {
  neap_chain *chain;
  must(neap_chain_operate(source, operation, x, y, &chain, told));
  return chain;
}

static void operations_are_those_of_tensors(void **state) {
  scene *s = *state;
  neap_tensor_cell about;
  neap_chain *chain =
      operate_of(operate_of(images_of(s), "mul", 2, 0), "clamp", 20, 240);
  compute(&s->slot, chain, 1, 0, IMAGES);
  for (int32_t k = 0; k < IMAGES; k++) {
    const neap_cell cell = cell_at(&s->slot, k);
    const uint8_t *data = tensor_of(&s->slot, &cell, &about);
    for (int p = 0; p < PIXELS; p++) {
      const int twice = 2 * s->images[k][p];
      assert_int_equal(data[p], twice < 20 ? 20 : twice > 240 ? 240 : twice);
    }
  }
  neap_chain_free(chain);
  chain = operate_of(batch_of(images_of(s), 64, 0), "gt", 99.5, 0);
  compute(&s->slot, chain, 1, 4, 1);
  const neap_cell cell = cell_at(&s->slot, 0);
  const uint8_t *data = tensor_of(&s->slot, &cell, &about);
  assert_true(about.code == NEAP_BOOL && about.shape[0] == IMAGES - 4 * 64);
  assert_int_equal(data[3], s->images[4 * 64][3] > 99);
  neap_chain_free(chain);
}

static void a_batch_stacks_and_its_tail_is_shorter(void **state) {
  scene *s = *state;
  neap_tensor_cell about;
  neap_chain *chain =
      batch_of(zip_of(images_of(s), "image", labels_of(s), "label"), 64, 0);
  assert_true(neap_chain_length(chain) == 5);
  compute(&s->slot, chain, 1, 0, 5);
  for (int32_t k = 0; k < 5; k++) {
    const int64_t rows = k < 4 ? 64 : IMAGES - 4 * 64;
    const neap_cell item = cell_at(&s->slot, k);
    const neap_cell image = field_of(&s->slot, &item, "image");
    const neap_cell label = field_of(&s->slot, &item, "label");
    const uint8_t *pixels = tensor_of(&s->slot, &image, &about);
    assert_int_equal(about.ndim, 3);
    assert_true(about.shape[0] == rows);
    assert_memory_equal(pixels, s->images[k * 64], (size_t)(rows * PIXELS));
    const double *numbers = tensor_of(&s->slot, &label, &about);
    assert_int_equal(about.code, NEAP_FLOAT);
    assert_true(about.bits == 64 && about.ndim == 1 && about.shape[0] == rows);
    for (int64_t r = 0; r < rows; r++)
      assert_true(numbers[r] == s->labels[k * 64 + r]);
  }
  neap_chain_free(chain);
  chain = batch_of(labels_of(s), 64, 1);
  assert_true(neap_chain_length(chain) == 4);
  neap_chain_free(chain);
}

static void tails_pass_conversions_and_shuffles(void **state) {
  scene *s = *state;
  neap_tensor_cell about;
  neap_chain *chain = shuffle_of(
      convert_of(batch_of(images_of(s), 64, 0), NEAP_FLOAT, 32, 1, 0), 3);
  compute(&s->slot, chain, 1, 0, 5);
  for (int32_t k = 0; k < 5; k++) {
    const int64_t batch = neap_shuffle_item(5, 3, 1, k);
    const neap_cell cell = cell_at(&s->slot, k);
    const float *data = tensor_of(&s->slot, &cell, &about);
    assert_true(about.shape[0] == (batch < 4 ? 64 : IMAGES - 4 * 64));
    assert_true(data[7] == s->images[batch * 64][7]);
  }
  neap_chain_free(chain);
}

static void batches_stack_again(void **state) {
  scene *s = *state;
  neap_tensor_cell about;
  neap_chain *chain = batch_of(batch_of(range_of(0, 1, 1200), 300, 0), 2, 0);
  compute(&s->slot, chain, 1, 0, 2);
  const neap_cell cell = cell_at(&s->slot, 1);
  const double *data = tensor_of(&s->slot, &cell, &about);
  assert_true(about.ndim == 2 && about.shape[0] == 2 && about.shape[1] == 300);
  for (int k = 0; k < 600; k++)
    assert_true(data[k] == 600 + k);
  neap_chain_free(chain);
}

static void one_item_is_read_into_memory_of_the_caller(void **state) {
  scene *s = *state;
  neap_chain_reader *reader;
  neap_part values[2];
  char path[64];
  _Alignas(64) uint8_t images[64 * PIXELS];
  neap_chain *chain =
      batch_of(zip_of(images_of(s), "image", labels_of(s), "label"), 64, 0);
  assert_int_equal(neap_chain_value_count(chain), 2);
  neap_chain_value_path(chain, 1, path, sizeof path);
  assert_string_equal(path, "label");
  must(neap_chain_reader_open(chain, -1, &reader, told));
  for (int64_t i = 4; i >= 0; i--) {
    const int64_t rows = i < 4 ? 64 : IMAGES - 4 * 64;
    neap_chain_plan(chain, 1, i, values);
    assert_int_equal(values[0].type, NEAP_TENSOR);
    assert_true(values[0].shape[0] == rows && values[0].ndim == 3);
    assert_true(values[0].nbytes == rows * PIXELS);
    values[0].data = images;
    must(neap_chain_read(reader, 1, i, values, told));
    assert_memory_equal(images, s->images[i * 64], (size_t)(rows * PIXELS));
    assert_true(((double *)values[1].data)[3] == s->labels[i * 64 + 3]);
  }
  neap_chain_reader_close(reader);
  neap_chain_free(chain);
  chain = zip_of(labels_of(s), NULL,
                 zip_of(labels_of(s), "a", labels_of(s), "b"), NULL);
  neap_chain_value_path(chain, 0, path, sizeof path);
  assert_string_equal(path, "1");
  neap_chain_value_path(chain, 2, path, sizeof path);
  assert_string_equal(path, "2.b");
  neap_chain_free(chain);
}

/* -- Failures -- */

static void an_integer_that_no_number_holds_fails_its_batch(void **state) {
  scene *s = *state;
  int64_t integers[40] = {0}, shape[] = {40};
  neap_tensor_cell about;
  integers[13] = INT64_MAX;
  neap_chain *chain =
      batch_of(rows_of(integers, NEAP_INT, 64, 1, shape), 10, 0);
  neap_chain_name(chain, "batch (a.lua:1)");
  compute(&s->slot, chain, 1, 0, 4);
  const neap_cell failed = cell_at(&s->slot, 1), good = cell_at(&s->slot, 2);
  assert_int_equal(failed.type, NEAP_FAILURE);
  const neap_cell message = field_of(&s->slot, &failed, "message");
  assert_text(&s->slot, &message,
              "cannot stack: item 14 is a 64-bit integer beyond 2^53, which a "
              "number does not hold");
  assert_true(field_of(&s->slot, &failed, "worker").number == 4);
  (void)tensor_of(&s->slot, &good, &about);
  neap_chain_free(chain);
}

static void an_item_without_room_fails_alone(void **state) {
  scene *s = *state;
  neap_chain_reader *reader;
  neap_tensor_cell about;
  neap_chain *chain =
      convert_of(images_of(s), NEAP_FLOAT, 64, 1, 0); /* 200 bytes each */
  must(neap_chain_reader_open(chain, 0, &reader, told));
  compute_in(&s->slot, 1 << 16, reader, 1, 0, IMAGES);
  const neap_cell first = cell_at(&s->slot, 0);
  (void)tensor_of(&s->slot, &first, &about);
  const neap_cell last = cell_at(&s->slot, IMAGES - 1);
  assert_int_equal(last.type, NEAP_FAILURE);
  neap_chain_reader_close(reader);
  neap_chain_free(chain);
}

/* -- Packing -- */

static neap_chain *unpack(const void *bytes, uint64_t nbytes, int fd) {
  neap_chain *chain;
  must(neap_chain_unpack(bytes, nbytes, fd, &chain, told));
  return chain;
}

/* That the chain has the same items once it is packed and unpacked; frees it.
   Returns the descriptor that it had. */
static bool survives(scene *s, neap_chain *chain) {
  void *bytes;
  uint64_t nbytes;
  int fd;
  const int64_t length = neap_chain_length(chain);
  const int32_t count = length < 40 ? (int32_t)length : 40;
  compute(&s->slot, chain, 2, length - count, count);
  must(neap_chain_pack(chain, &bytes, &nbytes, &fd, told));
  neap_chain_free(chain);
  void *aligned = aligned_alloc(64, (nbytes + 63) / 64 * 64);
  memcpy(aligned, bytes, nbytes);
  free(bytes);
  neap_chain *copy = unpack(aligned, nbytes, fd);
  assert_true(neap_chain_length(copy) == length);
  compute(&s->other, copy, 2, length - count, count);
  assert_same_items(&s->slot, &s->other);
  neap_chain_free(copy);
  free(aligned);
  if (fd >= 0) close(fd);
  return fd >= 0;
}

static void packed_chains_have_the_same_items(void **state) {
  scene *s = *state;
  assert_false(survives(s, range_of(3, 0.25, 50)));
  assert_false(survives(s, images_of(s)));
  assert_false(survives(s, operate_of(images_of(s), "clamp", 3, 70)));
  assert_false(survives(
      s, batch_of(shuffle_of(zip_of(convert_of(images_of(s), NEAP_FLOAT, 32,
                                               1 / 255.0, 0),
                                    "image", labels_of(s), "label"),
                             5),
                  7, 0)));
  assert_false(
      survives(s, zip_of(range_of(0, 1, 9), NULL, labels_of(s), NULL)));
}

/* A tensor that is worth a file of memory. */
static void large_tensors_travel_by_descriptor(void **state) {
  scene *s = *state;
  enum { ROWS = 3000 };
  static float rows[ROWS][16], more[ROWS][16];
  int64_t shape[] = {ROWS, 16};
  for (int k = 0; k < ROWS * 16; k++) {
    rows[k / 16][k % 16] = (float)k;
    more[k / 16][k % 16] = (float)-k;
  }
  neap_chain *a = rows_of(rows, NEAP_FLOAT, 32, 2, shape);
  neap_chain *b = rows_of(more, NEAP_FLOAT, 32, 2, shape);
  assert_true(survives(s, zip_of(a, "a", b, "b")));
}

static void files_are_opened_again(void **state) {
  scene *s = *state;
  neap_chain *chain;
  int64_t shape[] = {PIXELS};
  const char *path = write_bytes("again", "", 0, s->images, sizeof s->images);
  must(neap_chain_raw(path, 0, NEAP_UINT, 8, 1, shape, &chain, told));
  assert_false(survives(s, chain));
  unlink(path);
}

/* -- What is refused -- */

static void what_does_not_fit_is_refused(void **state) {
  scene *s = *state;
  neap_chain *chain, *sources[2];
  neap_error error = {0};
  neap_seq *tree;
  int rc =
      neap_chain_convert(labels_of(s), NEAP_FLOAT, 32, 1, 0, &chain, &error);
  assert_refused(rc, &error, chain, "the source's items are number");
  rc = neap_chain_convert(images_of(s), NEAP_FLOAT, 7, 1, 0, &chain, &error);
  assert_refused(rc, &error, chain, "");
  rc = neap_chain_operate(labels_of(s), "add", 1, 0, &chain, &error);
  assert_refused(rc, &error, chain, "cannot add: the source's items are num");
  rc = neap_chain_operate(images_of(s), "pow", 1, 0, &chain, &error);
  assert_refused(rc, &error, chain, "there is no operation 'pow'");
  rc = neap_chain_batch(images_of(s), 0, 0, &chain, &error);
  assert_refused(rc, &error, chain, "the size is 0");
  rc = neap_chain_batch(batch_of(images_of(s), 64, 0), 2, 0, &chain, &error);
  assert_refused(rc, &error, chain, "help: drop the last batch");
  rc = neap_chain_batch(NULL, 2, 0, &chain, &error);
  assert_refused(rc, &error, chain, "source 0 is NULL");
  sources[0] = images_of(s);
  sources[1] = labels_of(s);
  neap_seq *leaves[] = {leaf_of(IMAGES, 0), leaf_of(IMAGES, 1)};
  must(neap_seq_concat(leaves, 2, &tree, told));
  rc = neap_chain_arrange(tree, sources, 2, &chain, &error);
  assert_refused(rc, &error, chain,
                 "items of source 0 are u8 5x5, those of source 1 number");
  sources[0] = labels_of(s);
  rc = neap_chain_arrange(leaf_of(IMAGES + 1, 0), sources, 1, &chain, &error);
  assert_refused(rc, &error, chain, "leaf 0 of the tree has 301 items");
  sources[0] = labels_of(s);
  rc = neap_chain_arrange(leaf_of(IMAGES, 1), sources, 1, &chain, &error);
  assert_refused(rc, &error, chain, "there are 1 sources");
  const char *names[] = {"a", "a"};
  sources[0] = labels_of(s), sources[1] = labels_of(s);
  rc = neap_chain_zip(sources, names, 2, &chain, &error);
  assert_refused(rc, &error, chain, "two fields have the name a");
  rc = neap_chain_idx("/nonexistent", &chain, &error);
  assert_refused(rc, &error, chain, "cannot open /nonexistent");
}

static void damaged_bytes_are_refused(void **state) {
  scene *s = *state;
  void *bytes;
  uint64_t nbytes;
  int fd;
  neap_chain *chain = batch_of(
      shuffle_of(zip_of(images_of(s), "image", labels_of(s), "label"), 5), 7,
      0);
  neap_random random;
  neap_random_init(&random, 1, 1, 1);
  must(neap_chain_pack(chain, &bytes, &nbytes, &fd, told));
  neap_chain_free(chain);
  for (int run = 0; run < 2000; run++) {
    const size_t cut = (size_t)neap_random_integer(&random, 0, (int64_t)nbytes);
    uint8_t *damaged = aligned_alloc(64, (nbytes + 63) / 64 * 64);
    memcpy(damaged, bytes, nbytes);
    for (int k = 0; k < 3; k++)
      damaged[neap_random_integer(&random, 0, 200)] =
          (uint8_t)neap_random_next(&random);
    if (neap_chain_unpack(damaged, run % 2 == 0 ? cut : nbytes, -1, &chain,
                          NULL) == NEAP_OK)
      neap_chain_free(chain);
    free(damaged);
  }
  free(bytes);
}

#define scene_test(function) \
  cmocka_unit_test_setup_teardown(function, begin, finish)

int main(void) {
  const struct CMUnitTest tests[] = {
      scene_test(a_range_has_numbers),
      scene_test(a_tensor_has_rows),
      scene_test(elements_are_numbers_booleans_and_integers),
      scene_test(a_raw_file_has_rows),
      scene_test(a_file_that_was_cut_fails_its_items),
      scene_test(an_npy_file_has_rows),
      scene_test(an_arrangement_follows_its_tree),
      scene_test(several_sources_interleave),
      scene_test(a_zip_has_fields_or_a_list),
      scene_test(a_result_may_take_the_place_of_a_source),
      scene_test(a_conversion_is_that_of_tensors),
      scene_test(operations_are_those_of_tensors),
      scene_test(a_batch_stacks_and_its_tail_is_shorter),
      scene_test(tails_pass_conversions_and_shuffles),
      scene_test(batches_stack_again),
      scene_test(one_item_is_read_into_memory_of_the_caller),
      scene_test(an_integer_that_no_number_holds_fails_its_batch),
      scene_test(an_item_without_room_fails_alone),
      scene_test(packed_chains_have_the_same_items),
      scene_test(large_tensors_travel_by_descriptor),
      scene_test(files_are_opened_again),
      scene_test(what_does_not_fit_is_refused),
      scene_test(damaged_bytes_are_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
