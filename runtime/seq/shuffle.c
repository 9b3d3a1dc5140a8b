/* SPDX-License-Identifier: MIT */
/* The items of a source in an order from (seed, epoch): see permutation.h. */
#include "seq/seq.h"

#include <inttypes.h>

#include "base/error.h"
#include "seq/permutation.h"

struct shuffle {
  neap_seq base;
  neap_seq *source;
  int64_t seed;
};

static void resolve(const neap_seq *seq, int64_t epoch, int64_t *index,
                    int32_t *leaf, int64_t count) {
  const struct shuffle *self = (const struct shuffle *)seq;
  neap__shuffle order;
  neap__shuffle_init(&order, self->base.length, self->seed, epoch);
  neap__shuffle_items(&order, index, (int)count);
  neap__seq_resolve(self->source, epoch, index, leaf, count);
}

static void fini(neap_seq *seq) {
  neap_seq_free(((struct shuffle *)seq)->source);
}

static void pack(const neap_seq *seq, neap__bytes *out) {
  const struct shuffle *self = (const struct shuffle *)seq;
  neap__seq_pack(self->source, out);
  neap__bytes_put_integer(out, self->seed);
}

static int unpack(neap__cursor *in, int64_t length, neap_seq **out,
                  neap_error *error) {
  (void)length;
  neap_seq *source;
  const int rc = neap__seq_unpack(in, &source, error);
  if (rc != NEAP_OK) return rc;
  return neap_seq_shuffle(source, neap__cursor_integer(in), out, error);
}

static int each_leaf(const neap_seq *seq, neap__leaf_visit *visit, void *host,
                     neap_error *error) {
  return neap__seq_each_leaf(((const struct shuffle *)seq)->source, visit, host,
                             error);
}

const neap__seq_ops neap__seq_shuffle = {
    .deed = "shuffle",
    .size = sizeof(struct shuffle),
    .resolve = resolve,
    .each_leaf = each_leaf,
    .pack = pack,
    .unpack = unpack,
    .fini = fini,
};

static int check(const struct shuffle *self, neap_error *error) {
  if (self->base.length == NEAP_ENDLESS) {
    return neap__error_set(error, NEAP_EINVAL, 0,
                           "cannot shuffle: the source is endless");
  }
  if (self->base.length > NEAP__SHUFFLE_ITEMS_MAX) {
    return neap__error_set(error, NEAP_EINVAL, 0,
                           "cannot shuffle: the source has %" PRId64
                           " items, more than 2^62",
                           self->base.length);
  }
  return NEAP_OK;
}

int neap_seq_shuffle(neap_seq *source, int64_t seed, neap_seq **out,
                     neap_error *error) {
  *out = NULL;
  neap_seq *seq;
  int rc = neap__seq_new(&neap__seq_shuffle, &source, 1, &seq, error);
  if (rc != NEAP_OK) return rc;
  struct shuffle *self = (struct shuffle *)seq;
  self->base.length = source->length;
  self->source = source;
  self->seed = seed;
  if ((rc = check(self, error)) != NEAP_OK) goto fail;
  *out = seq;
  return NEAP_OK;

fail:
  neap_seq_free(seq);
  return rc;
}
