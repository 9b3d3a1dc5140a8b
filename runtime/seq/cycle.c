/* SPDX-License-Identifier: MIT */
/* The same sequence over and over. */
#include "seq/seq.h"

#include <inttypes.h>

#include "base/error.h"

struct cycle {
  neap_seq base;
  neap_seq *source;
};

static void resolve(const neap_seq *seq, int64_t epoch, int64_t *index,
                    int32_t *leaf, int64_t count) {
  const struct cycle *self = (const struct cycle *)seq;
  const int64_t length = self->source->length;
  int64_t from = index[0], within = from % length;
  for (int64_t k = 0; k < count; k++) {
    /* The next index needs no division. */
    if (index[k] == from + 1 && within + 1 < length)
      within++;
    else if (index[k] != from)
      within = index[k] % length;
    from = index[k];
    index[k] = within;
  }
  neap__seq_resolve(self->source, epoch, index, leaf, count);
}

static void stride(const neap_seq *seq, int64_t epoch, neap__span *span) {
  const struct cycle *self = (const struct cycle *)seq;
  span->index %= self->source->length;
  const int64_t left = self->source->length - span->index;
  neap__seq_stride(self->source, epoch, span);
  if (span->count > left) span->count = left;
  span->period = self->source->length;
}

static void fini(neap_seq *seq) {
  neap_seq_free(((struct cycle *)seq)->source);
}

static void pack(const neap_seq *seq, neap__bytes *out) {
  const struct cycle *self = (const struct cycle *)seq;
  neap__seq_pack(self->source, out);
}

static int unpack(neap__cursor *in, int64_t length, neap_seq **out,
                  neap_error *error) {
  neap_seq *source;
  const int rc = neap__seq_unpack(in, &source, error);
  if (rc != NEAP_OK) return rc;
  const int64_t items = neap_seq_length(source);
  const int64_t times = length == NEAP_ENDLESS ? length
                        : items > 0            ? length / items
                                               : 0;
  return neap_seq_cycle(source, times, out, error);
}

static int each_leaf(const neap_seq *seq, neap__leaf_visit *visit, void *host,
                     neap_error *error) {
  return neap__seq_each_leaf(((const struct cycle *)seq)->source, visit, host,
                             error);
}

const neap__seq_ops neap__seq_cycle = {
    .deed = "cycle",
    .size = sizeof(struct cycle),
    .resolve = resolve,
    .stride = stride,
    .each_leaf = each_leaf,
    .pack = pack,
    .unpack = unpack,
    .fini = fini,
};

int neap_seq_cycle(neap_seq *source, int64_t times, neap_seq **out,
                   neap_error *error) {
  *out = NULL;
  neap_seq *seq;
  int rc = neap__seq_new(&neap__seq_cycle, &source, 1, &seq, error);
  if (rc != NEAP_OK) return rc;
  ((struct cycle *)seq)->source = source;
  seq->length = NEAP_ENDLESS;
  if (source->length == NEAP_ENDLESS)
    rc = neap__error_set(error, NEAP_EINVAL, 0,
                         "cannot cycle: the source is endless itself");
  else if (source->length == 0 && times != 0)
    rc = neap__error_set(error, NEAP_EINVAL, 0,
                         "cannot cycle: the source is empty");
  else if (times < NEAP_ENDLESS)
    rc = neap__error_set(error, NEAP_EINVAL, 0,
                         "cannot cycle: %" PRId64 " times", times);
  else if (times != NEAP_ENDLESS &&
           __builtin_mul_overflow(source->length, times, &seq->length))
    rc = neap__error_set(error, NEAP_EINVAL, 0,
                         "cannot cycle: the length overflows 64 bits");
  if (rc != NEAP_OK) goto fail;
  *out = seq;
  return NEAP_OK;

fail:
  neap_seq_free(seq);
  return rc;
}
