/* SPDX-License-Identifier: MIT */
/*
 * Items stacked: for each value of theirs a tensor with one dimension more.
 *
 * The source is read by blocks, straight into the batch. Numbers of another
 * dtype are read beside it, and become f64.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "chain/chain.h"
#include "chain/pack.h"

struct batch {
  neap_chain base;
  int64_t size;
  bool drops_last;
};

struct own {
  int64_t index[NEAP__BLOCK_ROWS];
  uint8_t *numbers[]; /* of each value that is converted: a block of them */
};

/* ---- Numbers ---- */

/* Numbers that are stacked as they are: f64 and booleans. */
static bool is_as_it_is(const neap__value *value) {
  return !value->is_scalar || value->code == NEAP_BOOL ||
         (value->code == NEAP_FLOAT && value->bits == 64);
}

/* Whether a double holds it. */
static bool is_exact(const neap__value *value, const uint8_t *row) {
  const int type = (int)neap__value_cell(value, row).type;
  return type == NEAP_NUMBER;
}

/* Converts rows. Returns how many: one of 64 bits may not fit a double. */
static int32_t to_doubles(const neap__value *value, const uint8_t *from,
                          double *to, int32_t count) {
  if (value->bits == 64)
    for (int32_t k = 0; k < count; k++)
      if (!is_exact(value, from + k * 8)) count = k;
  neap__value_load(value, from, to, count);
  return count;
}

static int32_t convert_numbers(neap__stage *stage, neap__work *work,
                               const struct own *own, int32_t v, int32_t good,
                               uint8_t *to) {
  const neap__value *value = &stage->sources[0].chain->layout.values[v];
  const int32_t fit =
      to_doubles(value, own->numbers[v], (double *)(void *)to, good);
  if (fit < good) {
    neap__error_set(&work->error, NEAP_EITEM, 0,
                    "cannot stack: item %lld is a 64-bit integer beyond 2^53, "
                    "which a number does not hold\n"
                    "help: make a tensor of it",
                    (long long)own->index[fit] + 1);
    neap__work_fail(work, stage, own->index[fit]);
  }
  return fit;
}

/* ---- Reading ---- */

static int64_t rows_of(const struct batch *self, int64_t index) {
  const int64_t items = self->base.sources[0]->length;
  const int64_t first = index * self->size;
  return items == NEAP_ENDLESS || items - first > self->size ? self->size
                                                             : items - first;
}

/* Reads a block of a batch: items from `first` on, into the batch's rows from
   `row` on. places: where each value of the batch begins. */
static int32_t read_block(neap__stage *stage, neap__work *work, int64_t first,
                          int64_t row, int32_t count, uint8_t *const *places) {
  struct own *own = stage->own;
  neap__stage *source = &stage->sources[0];
  const neap__layout *layout = &source->chain->layout;
  for (int32_t k = 0; k < count; k++)
    own->index[k] = first + k;
  for (int32_t v = 0; v < layout->value_count; v++) {
    const int64_t nbytes = layout->values[v].nbytes;
    neap__column *column = &stage->taken[v];
    column->step = nbytes;
    column->to =
        own->numbers[v] != NULL ? own->numbers[v] : places[v] + row * nbytes;
  }
  int32_t good =
      neap__stage_read(source, work, own->index, count, stage->taken);
  for (int32_t v = 0; v < layout->value_count; v++)
    if (own->numbers[v] != NULL)
      good = convert_numbers(stage, work, own, v, good,
                             places[v] + row * (int64_t)sizeof(double));
  return good;
}

/* Whether all items of the batch are good. */
static bool read_batch(neap__stage *stage, neap__work *work, int64_t index,
                       uint8_t *const *places) {
  const struct batch *self = (const struct batch *)stage->chain;
  const int64_t count = rows_of(self, index);
  const int32_t block = stage->sources[0].block;
  for (int64_t row = 0; row < count;) {
    const int32_t part = count - row < block ? (int32_t)(count - row) : block;
    if (read_block(stage, work, index * self->size + row, row, part, places) <
        part)
      return false;
    row += part;
  }
  return true;
}

/* The items of a batch are one item of the run. */
static int32_t read_batches(neap__stage *stage, neap__work *work,
                            const int64_t *index, int32_t count,
                            uint8_t **places, const int64_t *steps) {
  const int32_t item = work->item, step = work->step;
  int32_t k = 0;
  work->step = 0;
  for (; k < count; k++) {
    work->item = item + k * step;
    neap__work_at(work, 0);
    if (!read_batch(stage, work, index[k], places)) break;
    for (int32_t v = 0; v < stage->chain->layout.value_count; v++)
      places[v] += steps[v];
  }
  work->item = item;
  work->step = step;
  return k;
}

static int32_t read(neap__stage *stage, neap__work *work, const int64_t *index,
                    int32_t count, neap__column *columns) {
  const int32_t values = stage->chain->layout.value_count;
  struct own *own = stage->own;
  uint8_t **places = own->numbers + values;
  int64_t *steps = (int64_t *)(void *)(places + values);
  for (int32_t v = 0; v < values; v++) {
    places[v] = neap__stage_place(stage, v, count, &columns[v], &steps[v]);
    if (places[v] == NULL) {
      neap__work_no_memory(work, stage, index[0]);
      return 0;
    }
  }
  return read_batches(stage, work, index, count, places, steps);
}

static int64_t rows(const neap_chain *chain, int64_t epoch, int64_t index,
                    int32_t value) {
  (void)epoch, (void)value;
  return rows_of((const struct batch *)chain, index);
}

/* ---- Stages ---- */

static int open_stage(neap__stage *stage, neap_error *error) {
  const neap__layout *layout = &stage->sources[0].chain->layout;
  const size_t values = (size_t)layout->value_count;
  const size_t block = (size_t)stage->sources[0].block;
  /* numbers, places and steps, each of so many. */
  struct own *own = calloc(1, sizeof *own + 3 * values * sizeof(int64_t));
  free(stage->own);
  stage->own = own;
  if (own == NULL) return neap__chain_no_memory(stage->chain->ops, error);
  for (size_t v = 0; v < values; v++) {
    if (is_as_it_is(&layout->values[v])) continue;
    own->numbers[v] = calloc(block, sizeof(double));
    if (own->numbers[v] == NULL)
      return neap__chain_no_memory(stage->chain->ops, error);
  }
  return NEAP_OK;
}

static void close_stage(neap__stage *stage) {
  struct own *own = stage->own;
  for (int32_t v = 0; v < stage->chain->layout.value_count; v++)
    free(own->numbers[v]);
}

/* ---- As a node ---- */

static void pack(const neap_chain *chain, neap__packer *out) {
  const struct batch *self = (const struct batch *)chain;
  neap__bytes_put_integer(&out->bytes, self->size);
  neap__bytes_put_integer(&out->bytes, self->drops_last);
}

static int unpack(neap__unpacker *in, neap_chain *const *sources, int32_t count,
                  neap_chain **out, neap_error *error) {
  const int64_t size = neap__cursor_integer(&in->cursor);
  const int64_t drops_last = neap__cursor_within(&in->cursor, 0, 1);
  return neap_chain_batch(count == 1 ? sources[0] : NULL, size,
                          (int32_t)drops_last, out, error);
}

const neap__chain_ops neap__chain_batch = {
    .deed = "batch",
    .name = "batch",
    .size = sizeof(struct batch),
    .takes_rows = true,
    .open = open_stage,
    .close = close_stage,
    .read = read,
    .rows = rows,
    .pack = pack,
    .unpack = unpack,
};

/* The stacked value: f64 for numbers. */
static int stack(neap__value *value, int64_t size, neap_error *error) {
  int64_t shape[1 + NEAP_DIMS_MAX] = {size};
  neap__value from = *value;
  if (from.bits == 0)
    return neap__error_set(error, NEAP_EINVAL, 0,
                           "cannot batch: a %s cannot be stacked",
                           from.is_text ? "string" : "nil");
  if (from.ndim == NEAP_DIMS_MAX)
    return neap__error_set(error, NEAP_EINVAL, 0,
                           "cannot batch: the tensors have %d dimensions, and "
                           "there is no room for one more",
                           NEAP_DIMS_MAX);
  if (!is_as_it_is(&from)) from = neap__value_number(NEAP_FLOAT, 64);
  memcpy(shape + 1, from.shape, (size_t)from.ndim * sizeof shape[0]);
  return neap__value_init(value, from.code, from.bits, from.ndim + 1, shape,
                          error);
}

static int64_t length_of(int64_t items, int64_t size, bool drops_last) {
  if (items == NEAP_ENDLESS) return items;
  return items / size + (!drops_last && items % size != 0);
}

int neap_chain_batch(neap_chain *source, int64_t size, int32_t drops_last,
                     neap_chain **out, neap_error *error) {
  neap_chain *chain;
  *out = NULL;
  int rc = neap__chain_new(&neap__chain_batch, &source, 1, &chain, error);
  if (rc != NEAP_OK) return rc;
  rc = size >= 1 ? neap__chain_check_tails(chain, error)
                 : neap__error_set(error, NEAP_EINVAL, 0,
                                   "cannot batch: the size is %" PRId64, size);
  if (rc == NEAP_OK)
    rc = neap__layout_copy(&chain->layout, &source->layout, error);
  const int64_t items = source->length;
  chain->has_tails = !drops_last && items != NEAP_ENDLESS && rc == NEAP_OK &&
                     items % size != 0;
  for (int32_t v = 0; rc == NEAP_OK && v < chain->layout.value_count; v++) {
    rc = stack(&chain->layout.values[v], size, error);
    chain->layout.values[v].has_tails = chain->has_tails;
  }
  if (rc != NEAP_OK) {
    neap_chain_free(chain);
    return rc;
  }
  chain->length = length_of(items, size, drops_last != 0);
  ((struct batch *)chain)->size = size;
  ((struct batch *)chain)->drops_last = drops_last != 0;
  *out = chain;
  return NEAP_OK;
}
