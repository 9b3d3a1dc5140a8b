/* SPDX-License-Identifier: MIT */
/* Numbers in arithmetic progression. */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "base/error.h"
#include "chain/chain.h"

struct range {
  neap_chain base;
  double first;
  double step;
};

static int32_t read(neap__stage *stage, neap__work *work, const int64_t *index,
                    int32_t count, neap__column *columns) {
  const struct range *self = (const struct range *)stage->chain;
  int64_t step;
  uint8_t *to = neap__stage_place(stage, 0, count, columns, &step);
  if (to == NULL) {
    neap__work_no_memory(work, stage, index[0]);
    return 0;
  }
  for (int32_t k = 0; k < count; k++) {
    const double number = self->first + (double)index[k] * self->step;
    memcpy(to + k * step, &number, sizeof number);
  }
  return count;
}

static void pack(const neap_chain *chain, neap__packer *out) {
  const struct range *self = (const struct range *)chain;
  neap__bytes_put_number(&out->bytes, self->first);
  neap__bytes_put_number(&out->bytes, self->step);
  neap__bytes_put_integer(&out->bytes, chain->length);
}

static int unpack(neap__unpacker *in, neap_chain *const *sources, int32_t count,
                  neap_chain **out, neap_error *error) {
  (void)sources, (void)count;
  const double first = neap__cursor_number(&in->cursor);
  const double step = neap__cursor_number(&in->cursor);
  const int64_t length = neap__cursor_integer(&in->cursor);
  return neap_chain_range(first, step, length, out, error);
}

const neap__chain_ops neap__chain_range = {
    .deed = "make a range",
    .name = "range",
    .size = sizeof(struct range),
    .read = read,
    .pack = pack,
    .unpack = unpack,
};

int neap_chain_range(double first, double step, int64_t count, neap_chain **out,
                     neap_error *error) {
  const neap__value number = neap__value_number(NEAP_FLOAT, 64);
  neap_chain *chain;
  *out = NULL;
  if (!isfinite(first) || !isfinite(step))
    return neap__error_set(error, NEAP_EINVAL, 0,
                           "cannot make a range: first %g and step %g must be "
                           "finite",
                           first, step);
  if (count < NEAP_ENDLESS)
    return neap__error_set(error, NEAP_EINVAL, 0,
                           "cannot make a range: the count is %" PRId64, count);
  int rc = neap__chain_new(&neap__chain_range, NULL, 0, &chain, error);
  if (rc != NEAP_OK) return rc;
  chain->length = count;
  ((struct range *)chain)->first = first;
  ((struct range *)chain)->step = step;
  if ((rc = neap__layout_of_value(&chain->layout, &number, error)) != NEAP_OK)
    neap_chain_free(chain);
  else
    *out = chain;
  return rc;
}
