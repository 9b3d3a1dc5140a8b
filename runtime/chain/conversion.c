/* SPDX-License-Identifier: MIT */
/*
 * Tensors converted to another dtype. Bytes are looked up in a table of the 256
 * results, which is made with the chain.
 */
#pragma GCC optimize("O3", "align-loops=64", "align-functions=64")

#include <string.h>

#include "base/error.h"
#include "chain/chain.h"
#include "chain/pack.h"

enum { BYTES = 256 };

struct convert {
  neap_chain base;
  double scale;
  double offset;
  _Alignas(8) uint8_t table[BYTES * sizeof(double)]; /* of a source of bytes */
};

/* Views of a row of the source and of the result, but for their data. */
struct own {
  neap_view from;
  neap_view to;
};

#define LOOK_UP(type) \
  do { \
    const type *values = (const void *)self->table; \
    type *restrict to_row = (void *)to; \
    for (int64_t k = 0; k < count; k++) \
      to_row[k] = values[row[k]]; \
  } while (0)

static void look_up(const struct convert *self, int bits, const uint8_t *row,
                    uint8_t *to, int64_t count) {
  switch (bits) {
  case 8: LOOK_UP(uint8_t); break;
  case 16: LOOK_UP(uint16_t); break;
  case 32: LOOK_UP(uint32_t); break;
  default: LOOK_UP(uint64_t); break;
  }
}

static void convert_row(const struct convert *self, struct own *own,
                        const uint8_t *row, uint8_t *to) {
  const neap__value *from = &self->base.sources[0]->layout.values[0];
  if (from->bits == 8) {
    look_up(self, own->to.tensor.bits, row, to, from->count);
    return;
  }
  own->from.tensor.data = (void *)(uintptr_t)row;
  own->to.tensor.data = to;
  (void)neap_tensor_convert(&own->from.tensor, &own->to.tensor, self->scale,
                            self->offset, NULL);
}

static int32_t read(neap__stage *stage, neap__work *work, const int64_t *index,
                    int32_t count, neap__column *columns) {
  const struct convert *self = (const struct convert *)stage->chain;
  int64_t step;
  const int32_t good =
      neap__stage_read(&stage->sources[0], work, index, count, stage->taken);
  uint8_t *to = neap__stage_place(stage, 0, good, columns, &step);
  if (to == NULL) {
    neap__work_no_memory(work, stage, index[0]);
    return 0;
  }
  for (int32_t k = 0; k < good; k++)
    convert_row(self, stage->own, stage->taken[0].rows[k], to + k * step);
  return good;
}

static int64_t rows(const neap_chain *chain, int64_t epoch, int64_t index,
                    int32_t value) {
  const neap_chain *source = chain->sources[0];
  return source->ops->rows(source, epoch, index, value);
}

static int open_stage(neap__stage *stage, neap_error *error) {
  struct own *own = stage->own;
  (void)error;
  neap__value_view(&stage->chain->sources[0]->layout.values[0], NULL,
                   &own->from);
  neap__value_view(&stage->chain->layout.values[0], NULL, &own->to);
  return NEAP_OK;
}

static void pack(const neap_chain *chain, neap__packer *out) {
  const struct convert *self = (const struct convert *)chain;
  neap__bytes_put_integer(&out->bytes, chain->layout.values[0].code);
  neap__bytes_put_integer(&out->bytes, chain->layout.values[0].bits);
  neap__bytes_put_number(&out->bytes, self->scale);
  neap__bytes_put_number(&out->bytes, self->offset);
}

static int unpack(neap__unpacker *in, neap_chain *const *sources, int32_t count,
                  neap_chain **out, neap_error *error) {
  const int64_t code = neap__cursor_within(&in->cursor, 0, UINT8_MAX);
  const int64_t bits = neap__cursor_within(&in->cursor, 0, 64);
  const double scale = neap__cursor_number(&in->cursor);
  const double offset = neap__cursor_number(&in->cursor);
  return neap_chain_convert(count == 1 ? sources[0] : NULL, (int32_t)code,
                            (int32_t)bits, scale, offset, out, error);
}

const neap__chain_ops neap__chain_convert = {
    .deed = "convert",
    .name = "convert",
    .size = sizeof(struct convert),
    .own_bytes = sizeof(struct own),
    .takes_rows = true,
    .open = open_stage,
    .read = read,
    .rows = rows,
    .pack = pack,
    .unpack = unpack,
};

static int check_source(const neap_chain *source, neap_error *error) {
  char text[400];
  const neap__layout *layout = &source->layout;
  if (layout->forms[0].fields < 0 && layout->values[0].bits != 0 &&
      !layout->values[0].is_scalar)
    return NEAP_OK;
  return neap__error_set(error, NEAP_EINVAL, 0,
                         "cannot convert: the source's items are %s, and not "
                         "tensors\nhelp: convert fields before they are zipped",
                         neap__layout_text(layout, text, sizeof text));
}

/* Converts all bytes to `value`. */
static int make_table(struct convert *self, const neap__value *from,
                      const neap__value *value, neap_error *error) {
  uint8_t bytes[BYTES];
  const int64_t shape[1] = {BYTES};
  neap__value all;
  neap_view source, result;
  for (int k = 0; k < BYTES; k++)
    bytes[k] = (uint8_t)k;
  int rc = neap__value_init(&all, from->code, from->bits, 1, shape, error);
  if (rc != NEAP_OK) return rc;
  neap__value_view(&all, bytes, &source);
  rc = neap__value_init(&all, value->code, value->bits, 1, shape, error);
  if (rc != NEAP_OK) return rc;
  neap__value_view(&all, self->table, &result);
  return neap_tensor_convert(&source.tensor, &result.tensor, self->scale,
                             self->offset, error);
}

int neap_chain_convert(neap_chain *source, int32_t code, int32_t bits,
                       double scale, double offset, neap_chain **out,
                       neap_error *error) {
  neap_chain *chain;
  neap__value value;
  *out = NULL;
  int rc = neap__chain_new(&neap__chain_convert, &source, 1, &chain, error);
  if (rc != NEAP_OK) return rc;
  if ((rc = check_source(source, error)) != NEAP_OK) goto fail;
  const neap__value *from = &source->layout.values[0];
  rc = neap__value_init(&value, code, bits, from->ndim, from->shape, error);
  if (rc != NEAP_OK) goto fail;
  value.has_tails = chain->has_tails = from->has_tails;
  rc = neap__layout_of_value(&chain->layout, &value, error);
  if (rc != NEAP_OK) goto fail;
  chain->length = source->length;
  struct convert *self = (struct convert *)chain;
  self->scale = scale;
  self->offset = offset;
  if (from->bits == 8 &&
      (rc = make_table(self, from, &value, error)) != NEAP_OK)
    goto fail;
  *out = chain;
  return NEAP_OK;

fail:
  neap_chain_free(chain);
  return rc;
}
