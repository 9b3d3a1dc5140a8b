/* SPDX-License-Identifier: MIT */
/* Item i is source[indexes[i]]; the indexes are checked once, when made. */
#include "seq.h"

#include <inttypes.h>

#include "error.h"

struct gather {
  neap_seq base;
  neap_seq *source;
  const int64_t *indexes; /* the caller's */
};

static void resolve(const neap_seq *seq, int64_t epoch, int64_t *index,
                    int32_t *leaf, int64_t count) {
  const struct gather *self = (const struct gather *)seq;
  for (int64_t k = 0; k < count; k++)
    index[k] = self->indexes[index[k]];
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
  if (count > 0 && self->indexes == NULL) {
    return neap__error_set(error, NEAP_EINVAL, 0,
                           "cannot gather: the indexes are NULL");
  }
  for (int64_t k = 0; k < count; k++) {
    if (!neap__seq_holds(self->source, self->indexes[k])) {
      return neap__seq_out_of_range(&ops, self->source, k, self->indexes[k],
                                    error);
    }
  }
  return NEAP_OK;
}

int neap_seq_gather(neap_seq *source, const int64_t *indexes, int64_t count,
                    neap_seq **out, neap_error *error) {
  *out = NULL;
  neap_seq *seq;
  int rc = neap__seq_new(&ops, &source, 1, &seq, error);
  if (rc != NEAP_OK) return rc;
  struct gather *self = (struct gather *)seq;
  self->base.length = count;
  self->source = source;
  self->indexes = indexes;
  if ((rc = check(self, error)) != NEAP_OK) goto fail;
  *out = seq;
  return NEAP_OK;

fail:
  neap_seq_free(seq);
  return rc;
}
