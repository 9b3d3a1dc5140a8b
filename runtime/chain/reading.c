/* SPDX-License-Identifier: MIT */
/*
 * Readers: one thread's evaluation of a chain, straight into a slot.
 *
 * Items are computed by blocks. The tensors of a block lie one after another in
 * the slot, then follow the cells and tables of its items. An item that fails
 * ends its block; those before it are good. The next block begins after it,
 * short, and is doubled from there on: so where many items fail, little is
 * computed twice.
 */
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "chain/item.h"
#include "chain/reading.h"

enum { ALIGNMENT = 64 };

/* ---- Opening and closing ---- */

static bool allocate(neap_chain_reader *reader) {
  const size_t values = (size_t)reader->chain->layout.value_count;
  reader->columns = calloc(values + 1, sizeof *reader->columns);
  reader->rows = calloc(values + 1, sizeof *reader->rows);
  if (reader->columns == NULL || reader->rows == NULL) return false;
  for (size_t v = 0; v < values; v++) {
    reader->columns[v].rows =
        calloc((size_t)NEAP__BLOCK_ROWS, sizeof *reader->rows);
    if (reader->columns[v].rows == NULL) return false;
  }
  return true;
}

int neap_chain_reader_open(const neap_chain *chain, int32_t worker,
                           neap_chain_reader **out, neap_error *error) {
  *out = NULL;
  neap_chain_reader *reader = calloc(1, sizeof *reader);
  if (reader == NULL)
    return neap__error_set(error, NEAP_EMEMORY, 0,
                           "cannot read a chain: memory is short");
  reader->chain = chain;
  reader->worker = worker;
  reader->block = neap__stage_block(chain);
  int rc = allocate(reader)
               ? neap__stage_open(&reader->stage, chain, reader->block, error)
               : neap__error_set(error, NEAP_EMEMORY, 0,
                                 "cannot read a chain: memory is short");
  if (rc != NEAP_OK)
    neap_chain_reader_close(reader);
  else
    *out = reader;
  return rc;
}

void neap_chain_reader_close(neap_chain_reader *reader) {
  if (reader == NULL) return;
  neap__stage_close(&reader->stage);
  const int32_t values = reader->chain->layout.value_count;
  for (int32_t v = 0; reader->columns != NULL && v < values; v++)
    free(reader->columns[v].rows);
  free(reader->columns);
  free(reader->rows);
  free(reader);
}

/* ---- Filling ---- */

typedef struct fill {
  neap_chain_reader *reader;
  neap_writer *writer;
  int64_t first;  /* the item of cell 0 */
  int32_t count;  /* of all */
  int32_t done;   /* items that are written */
  neap_cell full; /* once the slot is full: the failure of all others */
  neap_error *error;
} fill;

static int64_t aligned(int64_t nbytes) {
  return (nbytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

/* Gives each tensor of a block memory in the slot; false if there is no room.
 */
static bool place(fill *f, int32_t count) {
  neap_chain_reader *reader = f->reader;
  const neap__layout *layout = &reader->chain->layout;
  const uint64_t used = f->writer->used;
  for (int32_t v = 0; v < layout->value_count; v++) {
    neap__column *column = &reader->columns[v];
    column->to = NULL;
    if (layout->values[v].is_scalar || layout->values[v].bits == 0) continue;
    column->step = aligned(layout->values[v].nbytes);
    column->to = neap_writer_allocate(
        f->writer, (uint64_t)(column->step * count), &reader->work.error);
    if (column->to != NULL) continue;
    f->writer->used = used;
    return false;
  }
  return true;
}

/*
 * Writes the failure of the next item. Where many fail in a slot that is full,
 * there is no room to tell of each: of the others it is told that they have
 * none, so that they are asked for alone.
 */
static int put_failure(fill *f) {
  neap_chain_reader *reader = f->reader;
  neap_writer *writer = f->writer;
  const int32_t k = f->done++;
  if (f->full.type == NEAP_FAILURE) {
    writer->cells[k] = f->full;
    return NEAP_OK;
  }
  neap_writer_undo_item(writer);
  int rc = neap__chain_put_failure(writer, k, reader->chain, &reader->work,
                                   f->first + k, reader->worker, f->error);
  if (rc != NEAP_OK || writer->bytes - writer->used < NEAP__NO_ROOM_BYTES) {
    neap_writer_undo_item(writer);
    rc = neap__chain_put_no_room(writer, k, f->error);
    f->full = writer->cells[k];
  }
  neap_writer_end_item(writer);
  return rc;
}

/* The item does not fit the slot: work.error tells. */
static int put_no_room(fill *f) {
  neap__work_fail(&f->reader->work, &f->reader->stage, f->first + f->done);
  return put_failure(f);
}

/* Writes an item of a block, row k. */
static int put_item(fill *f, int32_t k) {
  neap_chain_reader *reader = f->reader;
  for (int32_t v = 0; v < reader->chain->layout.value_count; v++) {
    const neap__column *column = &reader->columns[v];
    reader->rows[v] =
        column->to != NULL ? column->to + k * column->step : column->rows[k];
  }
  const int rc = neap__chain_put_item(f->writer, f->done, reader->chain,
                                      reader->work.epoch, f->first + f->done,
                                      reader->rows, &reader->work.error);
  if (rc != NEAP_OK) return put_no_room(f);
  f->done++;
  return NEAP_OK;
}

/* An item alone that is a number, boolean or nil: only a cell. */
static bool is_cell(const neap_chain *chain) {
  const neap__value *value = &chain->layout.values[0];
  return chain->layout.forms[0].fields < 0 && !value->is_text &&
         (value->is_scalar || value->bits == 0);
}

static int put_items(fill *f, int32_t good) {
  int rc = NEAP_OK;
  const neap_chain_reader *reader = f->reader;
  if (is_cell(reader->chain)) {
    const neap__value *value = &reader->chain->layout.values[0];
    for (int32_t k = 0; k < good; k++)
      f->writer->cells[f->done++] =
          neap__value_cell(value, reader->columns[0].rows[k]);
    return NEAP_OK;
  }
  for (int32_t k = 0; k < good && rc == NEAP_OK; k++)
    rc = put_item(f, k);
  return rc;
}

/* Computes and writes a block; after a failure, those before it, and it. */
static int compute_block(fill *f, int32_t count) {
  neap_chain_reader *reader = f->reader;
  reader->work.item = f->done;
  reader->work.step = 1;
  neap__work_at(&reader->work, 0);
  for (int32_t k = 0; k < count; k++)
    reader->index[k] = f->first + f->done + k;
  const int32_t good = neap__stage_read(&reader->stage, &reader->work,
                                        reader->index, count, reader->columns);
  const int32_t most = reader->stage.block;
  int rc = put_items(f, good);
  reader->block = 2 * reader->block < most ? 2 * reader->block : most;
  if (rc != NEAP_OK || good == count) return rc;
  reader->block = 1;
  return put_failure(f);
}

static int fill_timed(fill *f, int32_t count) {
  neap_chain_reader *reader = f->reader;
  const int32_t done = f->done;
  reader->work.watch = &reader->watch;
  neap_stopwatch_start(&reader->watch);
  const int rc = compute_block(f, count);
  neap_stopwatch_count(&reader->watch, 0, f->done - done - 1);
  reader->left = neap_stopwatch_stop(&reader->watch);
  reader->work.watch = NULL;
  return rc;
}

static int fill_block(fill *f, int32_t count) {
  neap_chain_reader *reader = f->reader;
  if (reader->left > 0 && reader->left <= count) return fill_timed(f, count);
  if (reader->left > 0) reader->left -= count;
  return compute_block(f, count);
}

int neap_chain_fill(neap_chain_reader *reader, int64_t epoch, int64_t first,
                    int32_t count, neap_writer *writer, int32_t *progress,
                    neap_error *error) {
  fill f = {.reader = reader,
            .writer = writer,
            .first = first,
            .count = count,
            .error = error};
  int rc = NEAP_OK;
  reader->work.epoch = epoch;
  reader->work.progress = progress;
  while (f.done < count && rc == NEAP_OK) {
    const int32_t left = count - f.done;
    int32_t part = left < reader->block ? left : reader->block;
    while (!place(&f, part) && part > 0)
      part /= 2;
    rc = part > 0 ? fill_block(&f, part) : put_no_room(&f);
  }
  return rc;
}

/* ---- Times ---- */

/* The first item comes without the delay of timing it. */
void neap_chain_reader_time(neap_chain_reader *reader, neap_stage *stages,
                            int32_t count) {
  if (count < 1) return;
  neap_stopwatch_open(&reader->watch, stages);
  reader->work.watched = count;
  reader->left = 2;
}

/* ---- Native stages ---- */

/* The k-th native stage below a stage; *k is what is left to pass. */
static neap_native *find_native(const neap__stage *stage, int32_t *k) {
  if (stage->chain->ops == &neap__chain_map && (*k)-- == 0)
    return neap__map_native(stage);
  for (int32_t s = 0; s < stage->chain->source_count; s++) {
    neap_native *found = find_native(&stage->sources[s], k);
    if (found != NULL) return found;
  }
  return NULL;
}

neap_native *neap_chain_reader_native(const neap_chain_reader *reader,
                                      int32_t k) {
  return find_native(&reader->stage, &k);
}
