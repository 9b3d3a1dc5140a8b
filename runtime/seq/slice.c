/* SPDX-License-Identifier: MIT */
/*
 * Every step-th item from `first` on. A slice of a slice is one slice.
 *
 * The constructor checks that all indexes fit an int64. In an endless slice,
 * very large ones wrap.
 */
#include "seq/seq.h"

#include <inttypes.h>

#include "base/error.h"
#include "neap_lua.h"

struct slice {
  neap_seq base;
  neap_seq *source;
  int64_t first;
  int64_t step;
};

static void resolve(const neap_seq *seq, int64_t epoch, int64_t *index,
                    int32_t *leaf, int64_t count) {
  const struct slice *self = (const struct slice *)seq;
  const uint64_t first = (uint64_t)self->first, step = (uint64_t)self->step;
  for (int64_t k = 0; k < count; k++) {
    index[k] = (int64_t)(first + step * (uint64_t)index[k]);
  }
  neap__seq_resolve(self->source, epoch, index, leaf, count);
}

static void stride(const neap_seq *seq, int64_t epoch, neap__span *span) {
  const struct slice *self = (const struct slice *)seq;
  const int64_t index = span->index;
  span->index =
      (int64_t)((uint64_t)self->first + (uint64_t)self->step * (uint64_t)index);
  neap__seq_stride(self->source, epoch, span);
  int64_t count = self->step > 0 ? (span->count - 1) / self->step + 1 : 1;
  /* A source tells only of later items: backwards, only a leaf is known. */
  if (self->step < 0 && self->source->depth == 1) count = INT64_MAX;
  if (seq->length != NEAP_ENDLESS && count > seq->length - index)
    count = seq->length - index;
  /* If the step does not fit an int64, the stretch is this item. */
  if (__builtin_mul_overflow(span->step, self->step, &span->step) ||
      span->step == INT64_MIN)
    span->step = count = 1;
  span->count = count;
  span->period = 0;
}

static void fini(neap_seq *seq) {
  neap_seq_free(((struct slice *)seq)->source);
}

static void pack(const neap_seq *seq, neap__bytes *out) {
  const struct slice *self = (const struct slice *)seq;
  neap__seq_pack(self->source, out);
  neap__bytes_put_integer(out, self->first);
  neap__bytes_put_integer(out, self->step);
}

static int unpack(neap__cursor *in, int64_t length, neap_seq **out,
                  neap_error *error) {
  neap_seq *source;
  const int rc = neap__seq_unpack(in, &source, error);
  if (rc != NEAP_OK) return rc;
  const int64_t first = neap__cursor_integer(in);
  const int64_t step = neap__cursor_integer(in);
  return neap_seq_slice(source, first, step, length, out, error);
}

static int each_leaf(const neap_seq *seq, neap__leaf_visit *visit, void *host,
                     neap_error *error) {
  return neap__seq_each_leaf(((const struct slice *)seq)->source, visit, host,
                             error);
}

const neap__seq_ops neap__seq_slice = {
    .deed = "slice",
    .size = sizeof(struct slice),
    .resolve = resolve,
    .stride = stride,
    .each_leaf = each_leaf,
    .pack = pack,
    .unpack = unpack,
    .fini = fini,
};

/* *index = first + step * k; false if it does not fit. */
static int locate(int64_t first, int64_t step, int64_t k, int64_t *index) {
  int64_t distance;
  return !__builtin_mul_overflow(step, k, &distance) &&
         !__builtin_add_overflow(first, distance, index);
}

static int too_far(const struct slice *self, neap_error *error) {
  return neap__error_set(error, NEAP_EINVAL, 0,
                         "cannot slice: first %" PRId64 ", step %" PRId64
                         ", count %" PRId64 " overflow 64 bits",
                         self->first, self->step, self->base.length);
}

static int check_endless(const struct slice *self, neap_error *error) {
  if (self->source->length != NEAP_ENDLESS) {
    return neap__error_set(error, NEAP_EINVAL, 0,
                           "cannot slice: it would be endless, and the source "
                           "has %" PRId64 " items",
                           self->source->length);
  }
  if (self->step < 0) {
    return neap__error_set(error, NEAP_EINVAL, 0,
                           "cannot slice: it would be endless, and its step "
                           "is %" PRId64,
                           self->step);
  }
  if (self->first < 0) {
    return neap__seq_out_of_range(&neap__seq_slice, self->source, 0,
                                  self->first, error);
  }
  return NEAP_OK;
}

static int check(const struct slice *self, neap_error *error) {
  const int64_t count = self->base.length;
  if (self->step == 0) {
    return neap__error_set(error, NEAP_EINVAL, 0,
                           "cannot slice: the step is 0");
  }
  if (count == NEAP_ENDLESS) return check_endless(self, error);
  if (count < 0) {
    return neap__error_set(error, NEAP_EINVAL, 0,
                           "cannot slice: the count is %" PRId64, count);
  }
  if (count == 0) return NEAP_OK;
  if (!neap__seq_holds(self->source, self->first)) {
    return neap__seq_out_of_range(&neap__seq_slice, self->source, 0,
                                  self->first, error);
  }
  int64_t last;
  if (!locate(self->first, self->step, count - 1, &last)) {
    return too_far(self, error);
  }
  if (!neap__seq_holds(self->source, last)) {
    return neap__seq_out_of_range(&neap__seq_slice, self->source, count - 1,
                                  last, error);
  }
  return NEAP_OK;
}

/* Replaces a source that is a slice by that slice's source. */
static int collapse(struct slice *self, neap_error *error) {
  struct slice *inner = (struct slice *)self->source;
  int64_t first, last, step;
  if (!locate(inner->first, inner->step, self->first, &first) ||
      !locate(0, inner->step, self->step, &step) ||
      !locate(first, step, self->base.length > 0 ? self->base.length - 1 : 0,
              &last)) {
    return too_far(self, error);
  }
  self->first = first;
  self->step = step;
  self->base.depth = inner->base.depth;
  self->base.kind =
      (int16_t)neap__seq_kind(&neap__seq_slice, &inner->source, 1);
  self->source = inner->source;
  inner->source = NULL;
  neap_seq_free(&inner->base);
  return NEAP_OK;
}

int neap_seq_slice(neap_seq *source, int64_t first, int64_t step, int64_t count,
                   neap_seq **out, neap_error *error) {
  *out = NULL;
  neap_seq *seq;
  int rc = neap__seq_new(&neap__seq_slice, &source, 1, &seq, error);
  if (rc != NEAP_OK) return rc;
  struct slice *self = (struct slice *)seq;
  self->base.length = count;
  self->source = source;
  self->first = first;
  self->step = step;
  if ((rc = check(self, error)) != NEAP_OK) goto fail;
  if (count == 0) self->first = 0;
  if (count == 0 || count == 1) self->step = 1; /* so that it cannot overflow */
  if (source->ops == &neap__seq_slice &&
      (rc = collapse(self, error)) != NEAP_OK)
    goto fail;
  if (self->step != 1 && seq->kind == NEAP_SEQ_UNITS)
    seq->kind = NEAP_SEQ_STEPS;
  *out = seq;
  return NEAP_OK;

fail:
  neap_seq_free(seq);
  return rc;
}
