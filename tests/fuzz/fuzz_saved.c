/* SPDX-License-Identifier: MIT */
/*
 * The reader of saved items, with any bytes for a file: it returns a run or
 * NEAP_EFORMAT, and the run lies in the data of its block. Each input is read
 * as it is, and once more with right checksums, which would hide the rest.
 *
 * With --mistake a run may end a little after its block. With --seeds=FOLDER
 * honest files are written there, and that is all.
 */
#include "source/saved.h"

#include <unistd.h>

#include "fuzz.h"

enum { ITEMS_MAX = 200, VALUES_MAX = 100, SLOT_BYTES = 1 << 14 };

static uint64_t bytes_past_the_end;

/* -- Reading -- */

static void read_run(const neap_run *run) {
  neap_error error;
  neap_cell value, inner;
  uint32_t list, pairs;
  for (int32_t k = 0; k < run->count && k < VALUES_MAX; k++) {
    FUZZ_CHECK(neap_run_cell(run, k, &value, &error) == NEAP_OK);
    if (value.type == NEAP_STRING) neap_cell_string(run, &value, &error);
    if (value.type != NEAP_TABLE ||
        neap_cell_table(run, &value, &list, &pairs, &error) != NEAP_OK)
      continue;
    for (uint32_t n = 0; n < list && n < VALUES_MAX; n++)
      neap_cell_at(run, &value, n, &inner, &error);
  }
}

static void read_item(neap_saved *saved, int64_t item, int32_t packing) {
  neap_saved_block block;
  neap_error error = {0};
  neap_run run;
  int rc = neap_saved_find(saved, item, &block, &error);
  FUZZ_CHECK(rc == NEAP_OK || rc == NEAP_EFORMAT);
  if (rc != NEAP_OK || packing != 0) return;
  FUZZ_CHECK(block.first <= item && item < block.first + block.count);
  const uint64_t nbytes = block.nbytes;
  block.nbytes += bytes_past_the_end;
  rc = neap_saved_run(saved, &block, block.data, item, &run, &error);
  FUZZ_CHECK(rc == NEAP_OK || rc == NEAP_EFORMAT);
  if (rc != NEAP_OK) return;
  FUZZ_CHECK(run.base >= block.data && run.bytes <= nbytes);
  FUZZ_CHECK((uint64_t)(run.base - block.data) <= nbytes - run.bytes);
  read_run(&run);
}

static int read_file(const uint8_t *data, size_t size) {
  neap_saved *saved;
  neap_saved_about about;
  neap_error error = {0};
  const int rc = neap_saved_open_bytes(data, size, &saved, &error);
  FUZZ_CHECK((rc == NEAP_OK) == (saved != NULL));
  FUZZ_CHECK(rc == NEAP_OK || rc == NEAP_EFORMAT);
  if (rc != NEAP_OK) return 0;
  neap_saved_tell(saved, &about);
  for (int64_t k = 0; k < about.items && k < ITEMS_MAX; k++)
    read_item(saved, k, about.packing);
  neap_saved_close(saved);
  return 1;
}

/* -- Right checksums -- */

static void repair_blocks(uint8_t *data, size_t size, neap__saved_place *places,
                          uint64_t count) {
  for (uint64_t k = 0; k < count; k++)
    if (places[k].offset <= size &&
        places[k].data_bytes <= size - places[k].offset)
      places[k].checksum =
          neap_hash(data + places[k].offset, places[k].data_bytes, 0);
}

static void repair(uint8_t *data, size_t size) {
  neap__saved_head *head = (void *)data;
  if (size < sizeof *head + sizeof(neap__saved_tail) || size % 64 != 0) return;
  const size_t end = size - sizeof(neap__saved_tail);
  neap__saved_tail *tail = (void *)(data + end);
  if (tail->index <= end && tail->index % 64 == 0 &&
      tail->count <= (end - tail->index) / sizeof(neap__saved_place)) {
    neap__saved_place *places = (void *)(data + tail->index);
    repair_blocks(data, end, places, tail->count);
    tail->index_checksum = neap_hash(places, tail->count * sizeof *places, 0);
  }
  tail->checksum = neap__saved_tail_sum(tail);
  if (head->text_bytes <= size - sizeof *head)
    head->checksum =
        neap__saved_head_sum(head, (const char *)(data + sizeof *head));
}

/* -- Seeds -- */

static void put_items(neap_writer *writer, int32_t count) {
  for (int32_t k = 0; k < count; k++) {
    neap_cell *cell = &writer->cells[k];
    if (k % 3 == 0) {
      *cell = (neap_cell){NEAP_NUMBER, 0, {.number = k}};
    } else if (k % 3 == 1) {
      neap_writer_put_string(writer, cell, "some text", 9, NULL);
    } else {
      neap_cell *cells =
          neap_writer_put_table(writer, cell, NEAP_TABLE, 2, 0, NULL);
      cells[0] = (neap_cell){NEAP_BOOLEAN, 0, {.integer = 1}};
      cells[1] = (neap_cell){NEAP_NIL, 0, {.integer = 0}};
    }
    neap_writer_end_item(writer);
  }
}

static void write_seed(const char *folder, int number, int32_t runs,
                       int32_t count) {
  static _Alignas(64) uint8_t slot[SLOT_BYTES];
  char path[4096];
  neap_error error;
  neap_saver *saver;
  neap_writer writer;
  uint64_t nbytes;
  snprintf(path, sizeof path, "%s/seed-%d", folder, number);
  const neap_saver_options options = {
      .path = path, .text = "a chain", .items = (int64_t)runs * count};
  FUZZ_CHECK(neap_saver_open(&options, &saver, &error) == NEAP_OK);
  for (int32_t k = 0; k < runs; k++) {
    neap_writer_begin(&writer, slot, sizeof slot, count, &error);
    put_items(&writer, count);
    const neap_run run = {.count = count,
                          .cells = (const void *)slot,
                          .base = slot,
                          .bytes = neap_writer_end(&writer)};
    FUZZ_CHECK(neap_saver_add(saver, &run, count, &error) == NEAP_OK);
    if (k % 2 == 0 && k + 1 < runs) continue;
    const void *block = neap_saver_block(saver, &nbytes);
    FUZZ_CHECK(neap_saver_write(saver, block, nbytes, &error) == NEAP_OK);
  }
  FUZZ_CHECK(neap_saver_finish(saver, &error) == NEAP_OK);
  neap_saver_close(saver);
}

/* -- What libFuzzer calls -- */

int LLVMFuzzerInitialize(int *argc, char ***argv) {
  if (fuzz_option(*argc, *argv, "--mistake") != NULL) bytes_past_the_end = 64;
  const char *folder = fuzz_option(*argc, *argv, "--seeds=");
  if (folder == NULL) return 0;
  write_seed(folder, 1, 1, 1);
  write_seed(folder, 2, 3, 4);
  write_seed(folder, 3, 6, 10);
  exit(0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  uint8_t *copy = NULL;
  if (posix_memalign((void **)&copy, 64, size + 1) != 0) abort();
  memcpy(copy, data, size);
  read_file(copy, size);
  repair(copy, size);
  read_file(copy, size);
  free(copy);
  return 0;
}

/* libFuzzer's own mutations; three of four change a word in place. */
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t size_max,
                               unsigned seed) {
  static const uint64_t values[] = {0,     1,      16,         32,        48,
                                    63,    64,     65,         128,       1024,
                                    ~0ull, ~63ull, 1ull << 63, 1ull << 31};
  if (seed % 4 == 0 || size < 64) return LLVMFuzzerMutate(data, size, size_max);
  srand(seed);
  const size_t at = (size_t)rand() % (size / 8) * 8;
  uint64_t word;
  memcpy(&word, data + at, sizeof word);
  const uint64_t value = values[(size_t)rand() % (sizeof values / 8)];
  word = seed % 4 == 1 ? value : seed % 4 == 2 ? word + value : word - value;
  memcpy(data + at, &word, sizeof word);
  return size;
}
