/* SPDX-License-Identifier: MIT */
/*
 * Item i is source[indexes[i]]; the constructor checks the indexes. Those of
 * Lua are doubles that count from 1: Lua reads them without C where it can, and
 * so converts none.
 */
#include "seq/seq.h"

#include <inttypes.h>
#include <math.h>

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

static const neap__seq_ops ops = {
    .deed = "gather",
    .size = sizeof(struct gather),
    .resolve = resolve,
    .fini = fini,
};

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
      return neap__seq_out_of_range(&ops, self->source, k, index, error);
  }
  return NEAP_OK;
}

static int make(neap_seq *source, const int64_t *indexes, const double *numbers,
                int64_t count, neap_seq **out, neap_error *error) {
  *out = NULL;
  neap_seq *seq;
  int rc = neap__seq_new(&ops, &source, 1, &seq, error);
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

int neap_seq_gather(neap_seq *source, const int64_t *indexes, int64_t count,
                    neap_seq **out, neap_error *error) {
  return make(source, indexes, NULL, count, out, error);
}

int neap_seq_gather_numbers(neap_seq *source, const double *numbers,
                            int64_t count, neap_seq **out, neap_error *error) {
  return make(source, NULL, numbers, count, out, error);
}
