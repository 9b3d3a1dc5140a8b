/* SPDX-License-Identifier: MIT */
/*
 * Item i is source[indexes[i]]; the constructor checks the indexes. Those of
 * Lua are doubles that count from 1: Lua reads them without C where it can, and
 * so converts none.
 */
#include "seq/seq.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "base/error.h"
#include "neap_lua.h"

struct gather {
  neap_seq base;
  neap_seq *source;
  const int64_t *indexes; /* the caller's; NULL: ... */
  const double *numbers;  /* ... these */
};

/* The index of a whole number from 1 to below 2^63; -1 for others and NaN. */
static int64_t index_of(double number) {
  return number >= 1 && number < 0x1p63 && number == trunc(number)
             ? (int64_t)number - 1
             : -1;
}

static void resolve(const neap_seq *seq, int64_t epoch, int64_t *index,
                    int32_t *leaf, int64_t count) {
  const struct gather *self = (const struct gather *)seq;
  if (self->indexes != NULL)
    for (int64_t k = 0; k < count; k++)
      index[k] = self->indexes[index[k]];
  else
    for (int64_t k = 0; k < count; k++)
      index[k] = (int64_t)self->numbers[index[k]] - 1;
  neap__seq_resolve(self->source, epoch, index, leaf, count);
}

static void fini(neap_seq *seq) {
  neap_seq_free(((struct gather *)seq)->source);
}

static int check(const struct gather *self, neap_error *error) {
  const int64_t count = self->base.length;
  if (count < 0) {
    return neap__error_set(error, NEAP_EINVAL, 0,
                           "cannot gather: the count is %" PRId64, count);
  }
  if (count > 0 && self->indexes == NULL && self->numbers == NULL) {
    return neap__error_set(error, NEAP_EINVAL, 0,
                           "cannot gather: the indexes are NULL");
  }
  for (int64_t k = 0; k < count; k++) {
    const int64_t index =
        self->indexes != NULL ? self->indexes[k] : index_of(self->numbers[k]);
    if (!neap__seq_holds(self->source, index))
      return neap__seq_out_of_range(&neap__seq_gather, self->source, k, index,
                                    error);
  }
  return NEAP_OK;
}

static int make(neap_seq *source, const int64_t *indexes, const double *numbers,
                int64_t count, neap_seq **out, neap_error *error) {
  *out = NULL;
  neap_seq *seq;
  int rc = neap__seq_new(&neap__seq_gather, &source, 1, &seq, error);
  if (rc != NEAP_OK) return rc;
  struct gather *self = (struct gather *)seq;
  self->base.length = count;
  self->source = source;
  self->indexes = indexes;
  self->numbers = numbers;
  if ((rc = check(self, error)) != NEAP_OK) goto fail;
  *out = seq;
  return NEAP_OK;

fail:
  neap_seq_free(seq);
  return rc;
}

/* The indexes as they are, or in local bytes their address. */
static void pack(const neap_seq *seq, neap__bytes *out) {
  const struct gather *self = (const struct gather *)seq;
  const void *data = self->indexes;
  if (data == NULL) data = self->numbers;
  neap__seq_pack(self->source, out);
  neap__bytes_put_integer(out, data == self->indexes);
  if (out->is_local) {
    neap__bytes_put(out, &data, sizeof data);
    return;
  }
  neap__bytes_align(out);
  neap__bytes_put(out, data, (size_t)seq->length * sizeof(int64_t));
}

/* NULL if the cursor has failed. */
static const void *take_indexes(neap__cursor *in, int64_t count) {
  const void *data = NULL;
  if (in->is_local) {
    const void *address = neap__cursor_take(in, sizeof data);
    if (address != NULL) memcpy(&data, address, sizeof data);
    return data;
  }
  neap__cursor_align(in);
  if (count < 0 || (uint64_t)count > in->bytes / sizeof(int64_t))
    in->has_failed = true;
  return neap__cursor_take(in, (size_t)count * sizeof(int64_t));
}

static int unpack(neap__cursor *in, int64_t length, neap_seq **out,
                  neap_error *error) {
  neap_seq *source;
  const int rc = neap__seq_unpack(in, &source, error);
  if (rc != NEAP_OK) return rc;
  const bool has_indexes = neap__cursor_within(in, 0, 1) != 0;
  const void *data = take_indexes(in, length);
  if (in->has_failed) {
    neap_seq_free(source);
    return neap__seq_damaged(error);
  }
  return make(source, has_indexes ? data : NULL, has_indexes ? NULL : data,
              length, out, error);
}

static int each_leaf(const neap_seq *seq, neap__leaf_visit *visit, void *host,
                     neap_error *error) {
  return neap__seq_each_leaf(((const struct gather *)seq)->source, visit, host,
                             error);
}

const neap__seq_ops neap__seq_gather = {
    .deed = "gather",
    .size = sizeof(struct gather),
    .resolve = resolve,
    .each_leaf = each_leaf,
    .pack = pack,
    .unpack = unpack,
    .fini = fini,
};

int neap_seq_gather(neap_seq *source, const int64_t *indexes, int64_t count,
                    neap_seq **out, neap_error *error) {
  return make(source, indexes, NULL, count, out, error);
}

int neap_seq_gather_numbers(neap_seq *source, const double *numbers,
                            int64_t count, neap_seq **out, neap_error *error) {
  return make(source, NULL, numbers, count, out, error);
}
