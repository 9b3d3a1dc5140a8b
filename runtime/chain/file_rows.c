/* SPDX-License-Identifier: MIT */
/*
 * Rows of one dtype and shape at equal distances in a file. They are read by
 * position, straight to where they belong: a file that shrinks is the failure
 * of an item.
 */
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "chain/chain.h"
#include "chain/pack.h"

struct rows {
  neap_chain base;
  neap_file *file;
  int64_t offset; /* of the first row */
  int64_t stride; /* from row to row */
  bool is_swapped;
};

/* ---- Reading ---- */

static void swap_bytes(uint8_t *at, int64_t count, int size) {
  for (int64_t k = 0; k < count; k++, at += size)
    for (int low = 0, high = size - 1; low < high; low++, high--) {
      const uint8_t byte = at[low];
      at[low] = at[high];
      at[high] = byte;
    }
}

/* Rows that follow each other, in the file and where they go. */
static int32_t stretch_at(const struct rows *self, const int64_t *index,
                          int32_t count, int64_t step) {
  const int64_t nbytes = self->base.layout.values[0].nbytes;
  int32_t stretch = 1;
  if (step != nbytes || self->stride != nbytes) return 1;
  while (stretch < count && index[stretch] == index[stretch - 1] + 1)
    stretch++;
  return stretch;
}

static int read_rows(const struct rows *self, int64_t index, int32_t count,
                     uint8_t *to, neap_error *error) {
  const neap__value *row = &self->base.layout.values[0];
  const int rc = neap_file_read(self->file, self->offset + index * self->stride,
                                to, count * row->nbytes, error);
  if (rc == NEAP_OK && self->is_swapped)
    swap_bytes(to, count * row->count, row->bits / 8);
  return rc;
}

/* Reads a stretch; if that fails, row by row. Returns how many are good. */
static int32_t read_stretch(const struct rows *self, int64_t index,
                            int32_t count, uint8_t *to, neap_error *error) {
  const int64_t nbytes = self->base.layout.values[0].nbytes;
  if (read_rows(self, index, count, to, error) == NEAP_OK) return count;
  int32_t good = 0;
  while (count > 1 && good < count &&
         read_rows(self, index + good, 1, to + good * nbytes, error) == NEAP_OK)
    good++;
  return good;
}

static int32_t read(neap__stage *stage, neap__work *work, const int64_t *index,
                    int32_t count, neap__column *columns) {
  const struct rows *self = (const struct rows *)stage->chain;
  int64_t step;
  uint8_t *to = neap__stage_place(stage, 0, count, columns, &step);
  if (to == NULL) {
    neap__work_no_memory(work, stage, index[0]);
    return 0;
  }
  for (int32_t k = 0; k < count;) {
    const int32_t stretch = stretch_at(self, index + k, count - k, step);
    const int32_t good =
        read_stretch(self, index[k], stretch, to + k * step, &work->error);
    k += good;
    if (good == stretch) continue;
    neap__work_fail(work, stage, index[k]);
    return k;
  }
  return count;
}

/* ---- As a node ---- */

static void pack(const neap_chain *chain, neap__packer *out) {
  const struct rows *self = (const struct rows *)chain;
  const neap__value *row = &chain->layout.values[0];
  const neap_identity *identity = neap_file_identity(self->file);
  neap__bytes *bytes = &out->bytes;
  neap__bytes_put_text(bytes, neap_file_path(self->file));
  neap__bytes_put(bytes, identity, sizeof *identity);
  neap__bytes_put_integer(bytes, self->offset);
  neap__bytes_put_integer(bytes, self->stride);
  neap__bytes_put_integer(bytes, chain->length);
  neap__bytes_put_integer(bytes, self->is_swapped);
  neap__bytes_put_integer(bytes, row->code);
  neap__bytes_put_integer(bytes, row->bits);
  neap__bytes_put_integer(bytes, row->ndim);
  neap__bytes_put(bytes, row->shape, sizeof row->shape);
}

static int unpack(neap__unpacker *in, neap_chain *const *sources, int32_t count,
                  neap_chain **out, neap_error *error) {
  (void)sources, (void)count;
  neap__cursor *cursor = &in->cursor;
  neap_file_rows rows = {.path = neap__cursor_text(cursor)};
  neap_identity identity;
  *out = NULL;
  const void *from = neap__cursor_take(cursor, sizeof identity);
  if (from != NULL) memcpy(&identity, from, sizeof identity);
  rows.expected = &identity;
  rows.offset = neap__cursor_integer(cursor);
  rows.stride = neap__cursor_integer(cursor);
  rows.length = neap__cursor_integer(cursor);
  rows.is_swapped = (int32_t)neap__cursor_within(cursor, 0, 1);
  rows.code = (int32_t)neap__cursor_within(cursor, 0, UINT8_MAX);
  rows.bits = (int32_t)neap__cursor_within(cursor, 8, 64);
  rows.ndim = (int32_t)neap__cursor_within(cursor, 0, NEAP_DIMS_MAX);
  from = neap__cursor_take(cursor, sizeof rows.shape);
  if (from != NULL) memcpy(rows.shape, from, sizeof rows.shape);
  if (cursor->has_failed || rows.path == NULL)
    return neap__unpacker_damaged(error);
  return neap_chain_file_rows(&rows, out, error);
}

static void fini(neap_chain *chain) {
  neap_file_close(((struct rows *)chain)->file);
}

const neap__chain_ops neap__chain_file = {
    .deed = "read rows of a file",
    .name = "file",
    .size = sizeof(struct rows),
    .read = read,
    .pack = pack,
    .unpack = unpack,
    .fini = fini,
};

/* ---- Making ---- */

/* Whether all rows are in the file. */
static int check_rows(const neap_file_rows *rows, const neap__value *row,
                      const neap_file *file, neap_error *error) {
  int64_t last, end;
  const int64_t has = neap_file_bytes(file);
  if (rows->length < 0 || rows->offset < 0 || rows->stride < row->nbytes ||
      row->nbytes == 0)
    return neap__error_set(error, NEAP_EINVAL, 0,
                           "cannot read %s: offset %" PRId64 ", length %" PRId64
                           " or stride %" PRId64 " of its rows is not valid",
                           rows->path, rows->offset, rows->length,
                           rows->stride);
  if (rows->length == 0) return NEAP_OK;
  if (!__builtin_mul_overflow(rows->length - 1, rows->stride, &last) &&
      !__builtin_add_overflow(last, rows->offset + row->nbytes, &end) &&
      end <= has)
    return NEAP_OK;
  return neap__error_set(error, NEAP_EFORMAT, 0,
                         "cannot read %s: its %" PRId64
                         " rows do not lie in its %" PRId64 " bytes",
                         rows->path, rows->length, has);
}

/* Workers may be in another folder. */
static int open_file(const neap_file_rows *rows, neap_file **out,
                     neap_error *error) {
  char path[PATH_MAX];
  const char *full = realpath(rows->path, path);
  return neap_file_open(full != NULL ? full : rows->path, rows->expected, out,
                        error);
}

int neap_chain_file_rows(const neap_file_rows *rows, neap_chain **out,
                         neap_error *error) {
  neap_chain *chain;
  neap__value row;
  *out = NULL;
  int rc = neap__value_init(&row, rows->code, rows->bits, rows->ndim,
                            rows->shape, error);
  if (rc != NEAP_OK) return rc;
  row.is_scalar = rows->ndim == 0;
  rc = neap__chain_new(&neap__chain_file, NULL, 0, &chain, error);
  if (rc != NEAP_OK) return rc;
  struct rows *self = (struct rows *)chain;
  rc = open_file(rows, &self->file, error);
  if (rc == NEAP_OK) rc = check_rows(rows, &row, self->file, error);
  if (rc == NEAP_OK) rc = neap__layout_of_value(&chain->layout, &row, error);
  if (rc != NEAP_OK) {
    neap_chain_free(chain);
    return rc;
  }
  chain->length = rows->length;
  self->offset = rows->offset;
  self->stride = rows->stride;
  self->is_swapped = rows->is_swapped != 0 && row.bits > 8;
  *out = chain;
  return NEAP_OK;
}

/* The rows after `offset`: a part of one at the end is an error. */
static int count_rows(const char *path, int64_t nbytes, neap_file_rows *rows,
                      neap_error *error) {
  neap_file *file;
  const int rc = neap_file_open(path, NULL, &file, error);
  if (rc != NEAP_OK) return rc;
  const int64_t has = neap_file_bytes(file), left = has - rows->offset;
  neap_file_close(file);
  if (rows->offset < 0 || left < 0)
    return neap__error_set(error, NEAP_EINVAL, 0,
                           "cannot read %s: it has %" PRId64
                           " bytes, and offset is %" PRId64,
                           path, has, rows->offset);
  if (nbytes == 0 || left % nbytes != 0)
    return neap__error_set(error, NEAP_EINVAL, 0,
                           "cannot read %s: its %" PRId64
                           " bytes are no whole number of rows of %" PRId64
                           " bytes\nhelp: check dtype, shape and offset",
                           path, left, nbytes);
  rows->length = left / nbytes;
  return NEAP_OK;
}

int neap_chain_raw(const char *path, int64_t offset, int32_t code, int32_t bits,
                   int32_t ndim, const int64_t *shape, neap_chain **out,
                   neap_error *error) {
  neap_file_rows rows = {
      .path = path, .offset = offset, .code = code, .bits = bits, .ndim = ndim};
  neap__value row;
  *out = NULL;
  int rc = neap__value_init(&row, code, bits, ndim, shape, error);
  if (rc != NEAP_OK) return rc;
  if (ndim > 0) memcpy(rows.shape, shape, (size_t)ndim * sizeof *shape);
  rows.stride = row.nbytes;
  rc = count_rows(path, row.nbytes, &rows, error);
  return rc != NEAP_OK ? rc : neap_chain_file_rows(&rows, out, error);
}
