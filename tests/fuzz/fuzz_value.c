/* SPDX-License-Identifier: MIT */
/*
 * The C readers of item values, with any bytes for a slot: they return a value
 * or NEAP_EDAMAGED, and all that they return lies in the slot. libFuzzer's
 * input is a block of exactly its size, so that the address sanitizer reports a
 * read behind its end.
 *
 * With --mistake a tensor may end a little after its slot. This program must
 * find that: a fuzzer that does not finds nothing.
 */
#include "neap_lua.h"

#include "fuzz.h"

enum { ITEMS = 4, CELLS_MAX = 300 };

static uint64_t bytes_past_the_end;

typedef struct walk {
  const neap_run *run;
  uint8_t *copy; /* of what is handed out, one part after the other */
  int budget;    /* cells still to be looked at: tables may hold themselves */
  neap_error error;
} walk;

/* Whether there is something to look at; anything but damage is our bug. */
static int is_good(const walk *w, int rc) {
  if (rc == NEAP_OK) return 1;
  FUZZ_CHECK(rc == NEAP_EDAMAGED && w->error.status == rc);
  FUZZ_CHECK(strstr(w->error.text, "its slot is damaged") != NULL);
  return 0;
}

static void read_bytes(const walk *w, const void *data, uint64_t bytes) {
  const uint8_t *at = data;
  FUZZ_CHECK(at >= w->run->base);
  FUZZ_CHECK(bytes <= w->run->bytes);
  FUZZ_CHECK((uint64_t)(at - w->run->base) <= w->run->bytes - bytes);
  memcpy(w->copy, at, bytes);
}

static void look_at_tensor(walk *w, const neap_cell *value) {
  neap_tensor_cell cell;
  void *data;
  neap_run run = *w->run;
  run.bytes += bytes_past_the_end;
  const int rc = neap_cell_tensor(&run, value, &cell, &data, &w->error);
  FUZZ_CHECK((rc == NEAP_OK) == (data != NULL));
  if (!is_good(w, rc)) return;
  const int64_t count = neap_tensor_strides(cell.ndim, cell.shape, NULL);
  FUZZ_CHECK(cell.ndim <= NEAP_DIMS_MAX && count >= 0);
  FUZZ_CHECK(cell.bits <= 64 && (cell.bits & (cell.bits - 1)) == 0);
  FUZZ_CHECK(cell.offset % (cell.bits / 8u) == 0);
  read_bytes(w, data, (uint64_t)count * (cell.bits / 8u));
}

static void look_at_string(walk *w, const neap_cell *value) {
  const char *text = neap_cell_string(w->run, value, &w->error);
  if (is_good(w, text != NULL ? NEAP_OK : w->error.status))
    read_bytes(w, text, value->count);
}

static void look_at(walk *w, const neap_cell *value, int depth);

static void look_at_table(walk *w, const neap_cell *table, int depth) {
  uint32_t list_count, pair_count;
  neap_cell key, value;
  int rc = neap_cell_table(w->run, table, &list_count, &pair_count, &w->error);
  if (!is_good(w, rc)) return;
  for (uint32_t k = 0; k < list_count && w->budget > 0; k++) {
    rc = neap_cell_at(w->run, table, k, &value, &w->error);
    FUZZ_CHECK(rc == NEAP_OK);
    look_at(w, &value, depth + 1);
  }
  for (uint32_t k = 0; k < pair_count && w->budget > 0; k++) {
    rc = neap_cell_pair(w->run, table, k, &key, &value, &w->error);
    FUZZ_CHECK(rc == NEAP_OK);
    look_at(w, &key, depth + 1);
    look_at(w, &value, depth + 1);
  }
  rc = neap_cell_at(w->run, table, list_count, &value, NULL);
  FUZZ_CHECK(rc == NEAP_EDAMAGED);
  rc = neap_cell_pair(w->run, table, pair_count, &key, &value, NULL);
  FUZZ_CHECK(rc == NEAP_EDAMAGED);
}

static void look_at(walk *w, const neap_cell *value, int depth) {
  if (depth > NEAP_DEPTH_MAX || w->budget-- <= 0) return;
  switch (value->type) {
  case NEAP_STRING: look_at_string(w, value); break;
  case NEAP_TENSOR: look_at_tensor(w, value); break;
  case NEAP_TABLE:
  case NEAP_FAILURE: look_at_table(w, value, depth); break;
  default: break;
  }
}

int LLVMFuzzerInitialize(int *argc, char ***argv) {
  if (fuzz_option(*argc, *argv, "--mistake") != NULL) bytes_past_the_end = 8;
  return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  const neap_run run = {
      .count = ITEMS,
      .cells = (const neap_cell *)(const void *)data,
      .base = data,
      .bytes = size,
  };
  walk w = {.run = &run, .copy = malloc(run.bytes + 1), .budget = CELLS_MAX};
  FUZZ_CHECK(w.copy != NULL);
  for (int32_t k = 0; k < run.count; k++) {
    neap_cell value;
    if (is_good(&w, neap_run_cell(&run, k, &value, &w.error)))
      look_at(&w, &value, 0);
  }
  free(w.copy);
  return 0;
}
