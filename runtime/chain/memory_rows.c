/* SPDX-License-Identifier: MIT */
/*
 * The rows of a tensor in memory, or its elements as numbers: the caller's, one
 * that was read from a file, or one that lies in memory shared with the host.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "chain/chain.h"
#include "chain/pack.h"
#include "chain/store.h"

struct tensor {
  neap_chain base;
  const uint8_t *data;
  int64_t nbytes;
  neap__store store; /* that the data lies in, if it was read here */
  void *mapped;      /* to the end of the data, if it was mapped here */
  bool is_block;     /* it lies in a heap, there: */
  uint64_t offset;
};

static int32_t read(neap__stage *stage, neap__work *work, const int64_t *index,
                    int32_t count, neap__column *column) {
  const struct tensor *self = (const struct tensor *)stage->chain;
  const int64_t nbytes = self->base.layout.values[0].nbytes;
  (void)work;
  if (column->to == NULL) {
    for (int32_t k = 0; k < count; k++)
      column->rows[k] = self->data + index[k] * nbytes;
    return count;
  }
  for (int32_t k = 0; k < count; k++)
    memcpy(column->to + k * column->step, self->data + index[k] * nbytes,
           (size_t)nbytes);
  return count;
}

static void pack(const neap_chain *chain, neap__packer *out) {
  const struct tensor *self = (const struct tensor *)chain;
  const neap__value *row = &chain->layout.values[0];
  neap__bytes *bytes = &out->bytes;
  neap__bytes_put_integer(bytes, chain->length);
  neap__bytes_put_integer(bytes, row->code);
  neap__bytes_put_integer(bytes, row->bits);
  neap__bytes_put_integer(bytes, row->ndim);
  neap__bytes_put(bytes, row->shape, sizeof row->shape);
  if (self->is_block) {
    neap__bytes_put_integer(bytes, NEAP__PACKED_SHARED);
    neap__bytes_put_integer(bytes, (int64_t)self->offset);
  } else {
    neap__packer_put_data(out, self->data, (uint64_t)self->nbytes,
                          self->store.fd);
  }
}

static int unpack(neap__unpacker *in, neap_chain *const *sources, int32_t count,
                  neap_chain **out, neap_error *error);

static void fini(neap_chain *chain) {
  struct tensor *self = (struct tensor *)chain;
  neap__store_close(&self->store);
  if (self->mapped != NULL)
    neap_heap_unmap(self->mapped, (uint64_t)(self->data + self->nbytes -
                                             (const uint8_t *)self->mapped));
}

const neap__chain_ops neap__chain_tensor = {
    .deed = "read a tensor",
    .name = "tensor",
    .size = sizeof(struct tensor),
    .read = read,
    .pack = pack,
    .unpack = unpack,
    .fini = fini,
};

/* Of `shape`, but for its data. */
static int make(int32_t code, int32_t bits, int32_t ndim, const int64_t *shape,
                struct tensor **out, neap_error *error) {
  neap_chain *chain;
  neap__value row;
  *out = NULL;
  if (ndim < 1)
    return neap__error_set(error, NEAP_EINVAL, 0,
                           "cannot read a tensor: it has no rows, since it has "
                           "no dimensions");
  int rc = neap__value_init(&row, code, bits, ndim, shape, error);
  if (rc != NEAP_OK) return rc;
  const int64_t nbytes = row.nbytes;
  if (ndim == 1)
    row = neap__value_number(code, bits);
  else
    rc = neap__value_init(&row, code, bits, ndim - 1, shape + 1, error);
  if (rc == NEAP_OK)
    rc = neap__chain_new(&neap__chain_tensor, NULL, 0, &chain, error);
  if (rc != NEAP_OK) return rc;
  struct tensor *self = (struct tensor *)chain;
  self->store.fd = -1;
  self->nbytes = nbytes;
  chain->length = shape[0];
  chain->is_stable = true;
  if ((rc = neap__layout_of_value(&chain->layout, &row, error)) != NEAP_OK)
    neap_chain_free(chain);
  else
    *out = self;
  return rc;
}

static int unpack(neap__unpacker *in, neap_chain *const *sources, int32_t count,
                  neap_chain **out, neap_error *error) {
  (void)sources, (void)count;
  neap__cursor *cursor = &in->cursor;
  int64_t shape[1 + NEAP_DIMS_MAX] = {neap__cursor_integer(cursor)};
  struct tensor *self;
  *out = NULL;
  const int64_t code = neap__cursor_within(cursor, 0, UINT8_MAX);
  const int64_t bits = neap__cursor_within(cursor, 8, 64);
  const int64_t ndim = neap__cursor_within(cursor, 0, NEAP_DIMS_MAX - 1);
  const void *sizes =
      neap__cursor_take(cursor, NEAP_DIMS_MAX * sizeof shape[0]);
  if (sizes != NULL) memcpy(shape + 1, sizes, NEAP_DIMS_MAX * sizeof shape[0]);
  int rc = make((int32_t)code, (int32_t)bits, (int32_t)ndim + 1, shape, &self,
                error);
  if (rc != NEAP_OK) return rc;
  rc = neap__unpacker_take_data(in, (uint64_t)self->nbytes, &self->data,
                                &self->mapped, error);
  if (rc != NEAP_OK)
    neap_chain_free(&self->base);
  else
    *out = &self->base;
  return rc;
}

int neap_chain_tensor(const neap_tensor *tensor, neap_chain **out,
                      neap_error *error) {
  struct tensor *self;
  *out = NULL;
  const int rc = make(tensor->code, tensor->bits, tensor->ndim, tensor->shape,
                      &self, error);
  if (rc != NEAP_OK) return rc;
  self->data = (const uint8_t *)tensor->data + tensor->byte_offset;
  *out = &self->base;
  return NEAP_OK;
}

int neap_chain_block(const neap_tensor *tensor, uint64_t offset,
                     neap_chain **out, neap_error *error) {
  const int rc = neap_chain_tensor(tensor, out, error);
  if (rc != NEAP_OK) return rc;
  struct tensor *self = (struct tensor *)*out;
  self->is_block = true;
  self->offset = offset;
  return NEAP_OK;
}

int neap__chain_tensor_new(const neap_tensor *tensor, uint8_t **data,
                           neap_chain **out, neap_error *error) {
  struct tensor *self;
  *out = NULL;
  *data = NULL;
  int rc = make(tensor->code, tensor->bits, tensor->ndim, tensor->shape, &self,
                error);
  if (rc != NEAP_OK) return rc;
  rc = neap__store_open(&self->store, (uint64_t)self->nbytes, error);
  if (rc != NEAP_OK) {
    neap_chain_free(&self->base);
    return rc;
  }
  self->data = *data = self->store.data;
  *out = &self->base;
  return NEAP_OK;
}

int neap__chain_tensor_store(const neap_chain *chain, uint64_t *nbytes,
                             bool *is_block) {
  const struct tensor *self = (const struct tensor *)chain;
  *nbytes = self->store.nbytes;
  *is_block = self->is_block;
  return self->store.fd;
}
