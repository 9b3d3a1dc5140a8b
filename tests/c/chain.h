/* SPDX-License-Identifier: MIT */
/* For tests of chains: builds them, computes items into a slot, reads them. */
#ifndef NEAP_TESTS_CHAIN_H
#define NEAP_TESTS_CHAIN_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "neap_lua.h"

enum { SLOT_BYTES = 1 << 22 };

/* A slot, and the run of items that was computed into it. */
typedef struct slot {
  neap_run run;
  uint8_t *base;
} slot;

#define must(call) \
  do { \
    neap_error told_error = {0}; \
    neap_error *const told = &told_error; \
    if ((call) != NEAP_OK) fail_msg("%s: %s", #call, told->text); \
  } while (0)

/* -- Making chains -- */

static inline neap_chain *range_of(double first, double step, int64_t count) {
  neap_chain *chain;
  must(neap_chain_range(first, step, count, &chain, told));
  return chain;
}

static inline neap_chain *rows_of(const void *data, int code, int bits,
                                  int32_t ndim, int64_t *shape) {
  neap_chain *chain;
  const neap_tensor tensor = {.data = (void *)(uintptr_t)data,
                              .device_type = 1,
                              .ndim = ndim,
                              .code = (uint8_t)code,
                              .bits = (uint8_t)bits,
                              .lanes = 1,
                              .shape = shape};
  must(neap_chain_tensor(&tensor, &chain, told));
  return chain;
}

static inline neap_chain *batch_of(neap_chain *source, int64_t size,
                                   int drops) {
  neap_chain *chain;
  must(neap_chain_batch(source, size, drops, &chain, told));
  return chain;
}

static inline neap_chain *convert_of(neap_chain *source, int code, int bits,
                                     double scale, double offset) {
  neap_chain *chain;
  must(neap_chain_convert(source, code, bits, scale, offset, &chain, told));
  return chain;
}

static inline neap_chain *arrange_of(neap_seq *tree, neap_chain **sources,
                                     int32_t count) {
  neap_chain *chain;
  must(neap_chain_arrange(tree, sources, count, &chain, told));
  return chain;
}

static inline neap_seq *leaf_of(int64_t length, int32_t number) {
  neap_seq *seq;
  must(neap_seq_leaf(length, number, &seq, told));
  return seq;
}

static inline neap_chain *shuffle_of(neap_chain *source, int64_t seed) {
  neap_seq *tree;
  must(neap_seq_shuffle(leaf_of(neap_chain_length(source), 0), seed, &tree,
                        told));
  return arrange_of(tree, &source, 1);
}

static inline neap_chain *zip_of(neap_chain *a, const char *a_name,
                                 neap_chain *b, const char *b_name) {
  neap_chain *chain, *sources[] = {a, b};
  const char *names[] = {a_name, b_name};
  must(neap_chain_zip(sources, a_name == NULL ? NULL : names, 2, &chain, told));
  return chain;
}

/* -- Computing -- */

static inline void slot_open(slot *s) {
  s->base = aligned_alloc(4096, SLOT_BYTES);
  assert_non_null(s->base);
  memset(s->base, 0xaa, SLOT_BYTES);
}

static inline void slot_close(slot *s) {
  free(s->base);
}

/* Computes `count` items from `first` on into a slot of `bytes`. */
static inline void compute_in(slot *s, uint64_t bytes,
                              neap_chain_reader *reader, int64_t epoch,
                              int64_t first, int32_t count) {
  neap_writer writer;
  int32_t progress = -1;
  must(neap_writer_begin(&writer, s->base, bytes, count, told));
  must(neap_chain_fill(reader, epoch, first, count, &writer, &progress, told));
  assert_in_range(progress, 0, count);
  const uint64_t used = neap_writer_end(&writer);
  s->run = (neap_run){.epoch = epoch,
                      .first = first,
                      .count = count,
                      .cells = (const neap_cell *)(const void *)s->base,
                      .base = s->base,
                      .bytes = used};
}

static inline void compute(slot *s, const neap_chain *chain, int64_t epoch,
                           int64_t first, int32_t count) {
  neap_chain_reader *reader;
  must(neap_chain_reader_open(chain, 3, &reader, told));
  compute_in(s, SLOT_BYTES, reader, epoch, first, count);
  neap_chain_reader_close(reader);
}

/* -- Reading -- */

static inline neap_cell cell_at(const slot *s, int32_t k) {
  neap_cell cell;
  must(neap_run_cell(&s->run, k, &cell, told));
  return cell;
}

static inline double number_at(const slot *s, int32_t k) {
  const neap_cell cell = cell_at(s, k);
  assert_int_equal(cell.type, NEAP_NUMBER);
  return cell.number;
}

static inline neap_cell field_of(const slot *s, const neap_cell *table,
                                 const char *name) {
  uint32_t list, pairs;
  neap_cell key, value;
  must(neap_cell_table(&s->run, table, &list, &pairs, told));
  for (uint32_t k = 0; k < pairs; k++) {
    must(neap_cell_pair(&s->run, table, k, &key, &value, told));
    const char *text = neap_cell_string(&s->run, &key, NULL);
    assert_non_null(text);
    if (key.count == strlen(name) && memcmp(text, name, key.count) == 0)
      return value;
  }
  return (neap_cell){.type = NEAP_NIL};
}

static inline const void *tensor_of(const slot *s, const neap_cell *cell,
                                    neap_tensor_cell *about) {
  void *data;
  assert_int_equal(cell->type, NEAP_TENSOR);
  must(neap_cell_tensor(&s->run, cell, about, &data, told));
  assert_int_equal((uintptr_t)data % 64, 0);
  return data;
}

static inline void assert_text(const slot *s, const neap_cell *cell,
                               const char *wanted) {
  assert_int_equal(cell->type, NEAP_STRING);
  const char *text = neap_cell_string(&s->run, cell, NULL);
  char *copy = strndup(text, cell->count);
  assert_string_equal(copy, wanted);
  free(copy);
}

/* -- Comparing -- */

static inline int64_t bytes_of(const neap_tensor_cell *about) {
  int64_t bytes = about->bits / 8;
  for (int k = 0; k < about->ndim; k++)
    bytes *= about->shape[k];
  return bytes;
}

static inline void assert_same_cell(const slot *a, const neap_cell *x,
                                    const slot *b, const neap_cell *y) {
  uint32_t list, pairs, other, other_pairs;
  neap_tensor_cell one, two;
  neap_cell key, key_too, u, v;
  const void *left, *right;
  assert_int_equal(x->type, y->type);
  switch (x->type) {
  case NEAP_NIL: break;
  case NEAP_STRING:
    assert_int_equal(x->count, y->count);
    assert_memory_equal(neap_cell_string(&a->run, x, NULL),
                        neap_cell_string(&b->run, y, NULL), x->count);
    break;
  case NEAP_TENSOR:
    left = tensor_of(a, x, &one);
    right = tensor_of(b, y, &two);
    assert_memory_equal(left, right, (size_t)bytes_of(&one));
    assert_int_equal(one.code, two.code);
    assert_int_equal(one.bits, two.bits);
    assert_int_equal(one.ndim, two.ndim);
    assert_memory_equal(one.shape, two.shape, 8 * (size_t)one.ndim);
    break;
  case NEAP_TABLE:
  case NEAP_FAILURE:
    must(neap_cell_table(&a->run, x, &list, &pairs, told));
    must(neap_cell_table(&b->run, y, &other, &other_pairs, told));
    assert_int_equal(list, other);
    assert_int_equal(pairs, other_pairs);
    for (uint32_t k = 0; k < list; k++) {
      must(neap_cell_at(&a->run, x, k, &u, told));
      must(neap_cell_at(&b->run, y, k, &v, told));
      assert_same_cell(a, &u, b, &v);
    }
    for (uint32_t k = 0; k < pairs; k++) {
      must(neap_cell_pair(&a->run, x, k, &key, &u, told));
      must(neap_cell_pair(&b->run, y, k, &key_too, &v, told));
      assert_same_cell(a, &key, b, &key_too);
      assert_same_cell(a, &u, b, &v);
    }
    break;
  default: assert_true(x->integer == y->integer);
  }
}

static inline void assert_same_items(const slot *a, const slot *b) {
  assert_int_equal(a->run.count, b->run.count);
  for (int32_t k = 0; k < a->run.count; k++) {
    const neap_cell x = cell_at(a, k), y = cell_at(b, k);
    assert_same_cell(a, &x, b, &y);
  }
}

static inline void assert_refused(int rc, const neap_error *error,
                                  neap_chain *out, const char *text) {
  assert_true(rc < 0);
  assert_null(out);
  if (strstr(error->text, text) == NULL)
    fail_msg("\"%s\" does not say: %s", error->text, text);
}

#endif
