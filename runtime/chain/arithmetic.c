/* SPDX-License-Identifier: MIT */
/*
 * Arithmetic of tensors with one number or tensor, the same for all items: what
 * neap_tensor_add() and the like do.
 */
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "chain/chain.h"
#include "chain/pack.h"

typedef int operate(const neap_tensor *a, const neap_tensor *b, neap_tensor *to,
                    neap_error *error);

static operate *const operations[] = {
    [NEAP_ADD] = neap_tensor_add,
    [NEAP_SUB] = neap_tensor_sub,
    [NEAP_MUL] = neap_tensor_mul,
    [NEAP_DIV] = neap_tensor_div,
};

enum { OPERATIONS = sizeof operations / sizeof operations[0] };

struct arithmetic {
  neap_chain base;
  int32_t operation;
  neap__value operand; /* its dtype and shape; a number is a scalar of f64 */
  uint8_t *data;       /* of the operand, owned */
};

/* Views of an item, the result and the operand, but for the first two's data.
 */
struct own {
  neap_view from;
  neap_view to;
  neap_view operand;
};

static int32_t read(neap__stage *stage, neap__work *work, const int64_t *index,
                    int32_t count, neap__column *columns) {
  const struct arithmetic *self = (const struct arithmetic *)stage->chain;
  struct own *own = stage->own;
  int64_t step;
  const int32_t good =
      neap__stage_read(&stage->sources[0], work, index, count, stage->taken);
  uint8_t *to = neap__stage_place(stage, 0, good, columns, &step);
  if (to == NULL) {
    neap__work_no_memory(work, stage, index[0]);
    return 0;
  }
  for (int32_t k = 0; k < good; k++) {
    own->from.tensor.data = (void *)(uintptr_t)stage->taken[0].rows[k];
    own->to.tensor.data = to + k * step;
    if (operations[self->operation](&own->from.tensor, &own->operand.tensor,
                                    &own->to.tensor, &work->error) == NEAP_OK)
      continue;
    neap__work_fail(work, stage, index[k]);
    return k;
  }
  return good;
}

static int open_stage(neap__stage *stage, neap_error *error) {
  const struct arithmetic *self = (const struct arithmetic *)stage->chain;
  struct own *own = stage->own;
  const neap__value *item = &self->base.layout.values[0];
  (void)error;
  neap__value_view(item, NULL, &own->from);
  neap__value_view(item, NULL, &own->to);
  neap__value_view(&self->operand, self->data, &own->operand);
  return NEAP_OK;
}

static void pack(const neap_chain *chain, neap__packer *out) {
  const struct arithmetic *self = (const struct arithmetic *)chain;
  const neap__value *operand = &self->operand;
  neap__bytes_put_integer(&out->bytes, self->operation);
  neap__bytes_put_integer(&out->bytes, operand->code);
  neap__bytes_put_integer(&out->bytes, operand->bits);
  neap__bytes_put_integer(&out->bytes, operand->ndim);
  neap__bytes_put(&out->bytes, operand->shape, sizeof operand->shape);
  neap__bytes_align(&out->bytes);
  neap__bytes_put(&out->bytes, self->data, (size_t)operand->nbytes);
}

static int unpack(neap__unpacker *in, neap_chain *const *sources, int32_t count,
                  neap_chain **out, neap_error *error) {
  neap__cursor *cursor = &in->cursor;
  int64_t shape[NEAP_DIMS_MAX] = {0};
  const int64_t operation = neap__cursor_within(cursor, 0, OPERATIONS - 1);
  neap_tensor operand = {.device_type = 1, .lanes = 1, .shape = shape};
  operand.code = (uint8_t)neap__cursor_within(cursor, 0, UINT8_MAX);
  operand.bits = (uint8_t)neap__cursor_within(cursor, 8, 64);
  operand.ndim = (int32_t)neap__cursor_within(cursor, 0, NEAP_DIMS_MAX);
  const void *sizes = neap__cursor_take(cursor, sizeof shape);
  if (sizes != NULL) memcpy(shape, sizes, sizeof shape);
  neap__cursor_align(cursor);
  const bool is_shape = neap_tensor_strides(operand.ndim, shape, NULL) >= 0;
  const uint64_t nbytes = is_shape ? (uint64_t)neap_tensor_nbytes(&operand) : 0;
  operand.data = (void *)(uintptr_t)neap__cursor_take(cursor, nbytes);
  if (cursor->has_failed || !is_shape) {
    for (int32_t k = 0; k < count; k++)
      neap_chain_free(sources[k]);
    return neap__unpacker_damaged(error);
  }
  return neap_chain_operate(count == 1 ? sources[0] : NULL, (int32_t)operation,
                            &operand, out, error);
}

static void fini(neap_chain *chain) {
  free(((struct arithmetic *)chain)->data);
}

const neap__chain_ops neap__chain_arithmetic = {
    .deed = "operate",
    .name = "operate",
    .size = sizeof(struct arithmetic),
    .own_bytes = sizeof(struct own),
    .takes_rows = true,
    .open = open_stage,
    .read = read,
    .pack = pack,
    .unpack = unpack,
    .fini = fini,
};

/* Copies the operand. */
static int take_operand(struct arithmetic *self, const neap_tensor *operand,
                        neap_error *error) {
  const int rc = neap__value_init(&self->operand, operand->code, operand->bits,
                                  operand->ndim, operand->shape, error);
  if (rc != NEAP_OK) return rc;
  const size_t nbytes = (size_t)self->operand.nbytes;
  self->data = calloc(1, nbytes + 1);
  if (self->data == NULL) return neap__chain_no_memory(self->base.ops, error);
  memcpy(self->data, (const uint8_t *)operand->data + operand->byte_offset,
         nbytes);
  return NEAP_OK;
}

/* Tries the operation on an item of zeroes: it refuses what does not fit. */
static int try_operation(const struct arithmetic *self, neap_error *error) {
  neap_view from, operand;
  const neap__value *item = &self->base.layout.values[0];
  void *row = calloc(1, (size_t)item->nbytes + 1);
  if (row == NULL) return neap__chain_no_memory(self->base.ops, error);
  neap__value_view(item, row, &from);
  neap__value_view(&self->operand, self->data, &operand);
  const int rc = operations[self->operation](&from.tensor, &operand.tensor,
                                             &from.tensor, error);
  free(row);
  return rc;
}

int neap_chain_operate(neap_chain *source, int32_t operation,
                       const neap_tensor *operand, neap_chain **out,
                       neap_error *error) {
  neap_chain *chain;
  *out = NULL;
  int rc = neap__chain_new(&neap__chain_arithmetic, &source, 1, &chain, error);
  if (rc != NEAP_OK) return rc;
  struct arithmetic *self = (struct arithmetic *)chain;
  self->operation = operation;
  rc = operation >= 0 && operation < OPERATIONS
           ? neap__chain_check_tensor(chain, error)
           : neap__error_set(error, NEAP_EINVAL, 0,
                             "cannot operate: there is no operation %d",
                             (int)operation);
  if (rc == NEAP_OK) rc = take_operand(self, operand, error);
  if (rc == NEAP_OK)
    rc = neap__layout_copy(&chain->layout, &source->layout, error);
  if (rc == NEAP_OK) rc = try_operation(self, error);
  if (rc != NEAP_OK) {
    neap_chain_free(chain);
    return rc;
  }
  chain->length = source->length;
  *out = chain;
  return NEAP_OK;
}
