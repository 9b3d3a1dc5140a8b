/* SPDX-License-Identifier: MIT */
/* The same elements in another shape: nothing is computed. */
#include <string.h>

#include "base/error.h"
#include "chain/chain.h"
#include "chain/pack.h"

static int32_t read(neap__stage *stage, neap__work *work, const int64_t *index,
                    int32_t count, neap__column *columns) {
  return neap__stage_read(&stage->sources[0], work, index, count, columns);
}

static void pack(const neap_chain *chain, neap__packer *out) {
  const neap__value *value = &chain->layout.values[0];
  neap__bytes_put_integer(&out->bytes, value->ndim);
  neap__bytes_put(&out->bytes, value->shape, sizeof value->shape);
}

static int unpack(neap__unpacker *in, neap_chain *const *sources, int32_t count,
                  neap_chain **out, neap_error *error) {
  int64_t shape[NEAP_DIMS_MAX] = {0};
  const int64_t ndim = neap__cursor_within(&in->cursor, 0, NEAP_DIMS_MAX);
  const void *from = neap__cursor_take(&in->cursor, sizeof shape);
  if (from != NULL) memcpy(shape, from, sizeof shape);
  return neap_chain_reshape(count == 1 ? sources[0] : NULL, (int32_t)ndim,
                            shape, out, error);
}

const neap__chain_ops neap__chain_reshape = {
    .deed = "reshape",
    .name = "reshape",
    .size = sizeof(neap_chain),
    .read = read,
    .pack = pack,
    .unpack = unpack,
};

int neap_chain_reshape(neap_chain *source, int32_t ndim, const int64_t *shape,
                       neap_chain **out, neap_error *error) {
  char text[400];
  neap_chain *chain;
  neap__value value;
  *out = NULL;
  int rc = neap__chain_new(&neap__chain_reshape, &source, 1, &chain, error);
  if (rc != NEAP_OK) return rc;
  if ((rc = neap__chain_check_tensor(chain, error)) != NEAP_OK) goto fail;
  const neap__value *from = &source->layout.values[0];
  rc = neap__value_init(&value, from->code, from->bits, ndim, shape, error);
  if (rc != NEAP_OK) goto fail;
  if (value.count != from->count) {
    rc = neap__error_set(error, NEAP_EINVAL, 0,
                         "cannot reshape %s: the shape has %lld elements",
                         neap__value_text(from, text), (long long)value.count);
    goto fail;
  }
  if ((rc = neap__layout_of_value(&chain->layout, &value, error)) != NEAP_OK)
    goto fail;
  chain->length = source->length;
  chain->is_stable = source->is_stable;
  *out = chain;
  return NEAP_OK;

fail:
  neap_chain_free(chain);
  return rc;
}
