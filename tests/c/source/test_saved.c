/* SPDX-License-Identifier: MIT */
/*
 * Files of saved items: written and read again, cut at each byte, changed at
 * each word, and left by a saver at each write.
 */
#include "neap_lua.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

enum { RUNS = 5, COUNT = 7, ITEMS = RUNS * COUNT };

static char folder[] = "/tmp/neap-saved-XXXXXX";
static char path[64], partial[80];

static int make_folder(void **state) {
  (void)state;
  if (mkdtemp(folder) == NULL) return -1;
  snprintf(path, sizeof path, "%s/file", folder);
  snprintf(partial, sizeof partial, "%s.partial", path);
  return 0;
}

static int remove_folder(void **state) {
  (void)state;
  unlink(path);
  unlink(partial);
  return rmdir(folder);
}

static neap_saver *open_saver(void) {
  neap_error error;
  neap_saver *saver;
  const neap_saver_options options = {
      .path = path, .text = "chain", .key = {1, 2}, .items = ITEMS};
  if (neap_saver_open(&options, &saver, &error) != NEAP_OK)
    fail_msg("%s", error.text);
  return saver;
}

/* Item k is the number k. */
static void add_run(neap_saver *saver) {
  _Alignas(64) neap_cell cells[COUNT];
  neap_error error;
  const int64_t first = neap_saver_items(saver);
  for (int k = 0; k < COUNT; k++)
    cells[k] = (neap_cell){NEAP_NUMBER, 0, {.number = (double)(first + k)}};
  const neap_run run = {.count = COUNT,
                        .cells = cells,
                        .base = (const void *)cells,
                        .bytes = sizeof cells};
  assert_int_equal(neap_run_good(&run), COUNT);
  assert_int_equal(neap_saver_add(saver, &run, COUNT, &error), NEAP_OK);
}

static void write_block(neap_saver *saver) {
  neap_error error;
  uint64_t nbytes;
  const void *block = neap_saver_block(saver, &nbytes);
  assert_non_null(block);
  assert_int_equal(neap_saver_write(saver, block, nbytes, &error), NEAP_OK);
}

static void save_rest(neap_saver *saver) {
  neap_error error;
  while (neap_saver_items(saver) < ITEMS) {
    add_run(saver);
    if (neap_saver_items(saver) / COUNT % 2 == 0) write_block(saver);
  }
  uint64_t nbytes;
  if (neap_saver_block(saver, &nbytes) != NULL) write_block(saver);
  assert_int_equal(neap_saver_finish(saver, &error), NEAP_OK);
  neap_saver_close(saver);
}

static int read_item(neap_saved *saved, int64_t item, neap_error *error) {
  neap_saved_block block;
  neap_run run;
  neap_cell value;
  int rc = neap_saved_find(saved, item, &block, error);
  if (rc == NEAP_OK)
    rc = neap_saved_run(saved, &block, block.data, item, &run, error);
  if (rc == NEAP_OK)
    rc = neap_run_cell(&run, (int32_t)(item - run.first), &value, error);
  if (rc != NEAP_OK) return rc;
  assert_int_equal(value.type, NEAP_NUMBER);
  assert_true(value.number == (double)item);
  return NEAP_OK;
}

static void assert_whole(void) {
  neap_error error;
  neap_saved *saved;
  neap_saved_about about;
  assert_int_equal(neap_saved_open(path, NULL, &saved, &error), NEAP_OK);
  neap_saved_tell(saved, &about);
  assert_int_equal(about.items, ITEMS);
  assert_int_equal(about.text_bytes, 5);
  assert_memory_equal(about.text, "chain", 5);
  for (int64_t k = ITEMS - 1; k >= 0; k--)
    assert_int_equal(read_item(saved, k, &error), NEAP_OK);
  assert_int_equal(read_item(saved, ITEMS, &error), NEAP_EINVAL);
  assert_int_equal(read_item(saved, -1, &error), NEAP_EINVAL);
  neap_saved_close(saved);
}

static uint8_t *read_file(const char *name, size_t *size) {
  uint8_t *data = NULL;
  FILE *file = fopen(name, "rb");
  assert_non_null(file);
  fseek(file, 0, SEEK_END);
  *size = (size_t)ftell(file);
  rewind(file);
  assert_int_equal(posix_memalign((void **)&data, 64, *size), 0);
  assert_int_equal(fread(data, 1, *size, file), *size);
  fclose(file);
  return data;
}

static void write_file(const char *name, const void *data, size_t size) {
  FILE *file = fopen(name, "wb");
  assert_non_null(file);
  assert_int_equal(fwrite(data, 1, size, file), size);
  assert_int_equal(fclose(file), 0);
}

static void writes_what_it_reads(void **state) {
  (void)state;
  save_rest(open_saver());
  assert_int_equal(access(partial, F_OK), -1);
  assert_whole();
}

/* Items that could be read are right. */
static void look_at(const uint8_t *data, size_t size) {
  neap_error error;
  neap_saved *saved;
  if (neap_saved_open_bytes(data, size, &saved, &error) != NEAP_OK) {
    assert_int_equal(error.status, NEAP_EFORMAT);
    return;
  }
  for (int64_t k = 0; k < ITEMS; k++)
    if (read_item(saved, k, &error) != NEAP_OK)
      assert_int_equal(error.status, NEAP_EFORMAT);
  neap_saved_close(saved);
}

static void finds_each_damage(void **state) {
  (void)state;
  size_t size;
  uint8_t *data = read_file(path, &size);
  for (size_t k = 0; k < size; k++) {
    data[k] ^= 0x55;
    look_at(data, size);
    data[k] ^= 0x55;
  }
  neap_error error;
  neap_saved *saved;
  for (size_t k = 0; k < size; k++)
    assert_int_equal(neap_saved_open_bytes(data, k, &saved, &error),
                     NEAP_EFORMAT);
  free(data);
}

static void goes_on_from_each_byte(void **state) {
  (void)state;
  size_t size, before = 0;
  uint8_t *data = read_file(path, &size);
  for (size_t k = 0; k < size; k += 5) {
    write_file(partial, data, k);
    neap_saver *saver = open_saver();
    const size_t kept = (size_t)neap_saver_items(saver);
    assert_true(kept >= before);
    before = kept;
    save_rest(saver);
    assert_whole();
  }
  assert_int_equal(before, ITEMS);
  free(data);
}

static void begins_anew_after_damage(void **state) {
  (void)state;
  size_t size;
  uint8_t *data = read_file(path, &size);
  for (size_t k = 0; k < size; k += 3) {
    data[k] ^= 0x55;
    write_file(partial, data, size);
    data[k] ^= 0x55;
    save_rest(open_saver());
    assert_whole();
  }
  free(data);
}

static void refuses_to_finish_early(void **state) {
  (void)state;
  neap_error error;
  neap_saver *saver = open_saver();
  add_run(saver);
  assert_int_equal(neap_saver_finish(saver, &error), NEAP_EINVAL);
  write_block(saver);
  assert_int_equal(neap_saver_finish(saver, &error), NEAP_EINVAL);
  neap_saver_close(saver);
}

static void refuses_a_second_saver(void **state) {
  (void)state;
  neap_error error;
  neap_saver *saver = open_saver(), *second;
  const neap_saver_options options = {.path = path, .text = "", .items = 1};
  assert_int_equal(neap_saver_open(&options, &second, &error), NEAP_ESYSTEM);
  assert_null(second);
  assert_non_null(strstr(error.text, "another process is saving it"));
  neap_saver_close(saver);
  neap_saver_close(NULL);
  neap_saved_close(NULL);
}

static void counts_runs_before_a_failure(void **state) {
  (void)state;
  neap_cell cells[3] = {{.type = NEAP_NIL}, {.type = NEAP_FAILURE}};
  neap_run run = {.count = 3,
                  .cells = cells,
                  .base = (const void *)cells,
                  .bytes = sizeof cells};
  assert_int_equal(neap_run_good(&run), 1);
  run.slot = -1;
  assert_int_equal(neap_run_good(&run), 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(writes_what_it_reads),
      cmocka_unit_test(finds_each_damage),
      cmocka_unit_test(goes_on_from_each_byte),
      cmocka_unit_test(begins_anew_after_damage),
      cmocka_unit_test(refuses_to_finish_early),
      cmocka_unit_test(refuses_a_second_saver),
      cmocka_unit_test(counts_runs_before_a_failure),
  };
  return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
