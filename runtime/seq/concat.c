/* SPDX-License-Identifier: MIT */
/* One sequence after another; only the last may be endless. */
#include <inttypes.h>
#include <stdlib.h>

#include "base/error.h"
#include "seq/parts.h"

struct concat {
  neap__parts parts;
  int64_t *starts; /* of each part, and the end; INT64_MAX: endless */
};

/*
 * The part of an index: the last that starts at or before it. The loop has no
 * branch that depends on the index, since it could not be predicted.
 */
static int32_t find(const struct concat *self, int64_t index) {
  int32_t low = 0;
  for (int32_t left = self->parts.count; left > 1;) {
    const int32_t half = left / 2;
    low += -(self->starts[low + half] <= index) & half;
    left -= half;
  }
  return low;
}

static void resolve(const neap_seq *seq, int64_t epoch, int64_t *index,
                    int32_t *leaf, int64_t count) {
  const struct concat *self = (const struct concat *)seq;
  int32_t part[NEAP__SEQ_RUN_MAX];
  int32_t now = 0;
  for (int64_t k = 0; k < count; k++) {
    if (index[k] < self->starts[now] || index[k] >= self->starts[now + 1])
      now = find(self, index[k]);
    part[k] = now;
    index[k] -= self->starts[now];
  }
  neap__parts_resolve(&self->parts, epoch, part, index, leaf, count);
}

static void stride(const neap_seq *seq, int64_t epoch, neap__span *span) {
  const struct concat *self = (const struct concat *)seq;
  const int32_t part = find(self, span->index);
  const int64_t left = self->starts[part + 1] - span->index;
  span->index -= self->starts[part];
  neap__seq_stride(self->parts.sources[part], epoch, span);
  if (span->count > left) span->count = left;
  span->period = 0;
}

static void fini(neap_seq *seq) {
  free(((struct concat *)seq)->starts);
  neap__parts_fini(seq);
}

static int add_up(struct concat *self, neap_error *error) {
  int64_t sum = 0;
  for (int32_t k = 0; k < self->parts.count; k++) {
    const int64_t length = self->parts.sources[k]->length;
    self->starts[k] = sum;
    if (length == NEAP_ENDLESS && k + 1 < self->parts.count)
      return neap__error_set(error, NEAP_EINVAL, 0,
                             "cannot concat: source %d is endless, and only "
                             "the last may be",
                             k);
    if (length == NEAP_ENDLESS)
      sum = INT64_MAX;
    else if (__builtin_add_overflow(sum, length, &sum) || sum == INT64_MAX)
      return neap__error_set(error, NEAP_EINVAL, 0,
                             "cannot concat: the length overflows 64 bits");
  }
  self->starts[self->parts.count] = sum;
  self->parts.base.length = sum == INT64_MAX ? NEAP_ENDLESS : sum;
  return NEAP_OK;
}

/* Frees the adapter if it cannot be finished. */
static int finish(struct concat *self, neap_seq **out, neap_error *error) {
  int rc;
  const size_t count = (size_t)self->parts.count;
  self->starts = calloc(count + 1, sizeof *self->starts);
  if (self->starts == NULL)
    rc = neap__error_set(error, NEAP_EMEMORY, 0,
                         "cannot concat: memory is short");
  else
    rc = add_up(self, error);
  if (rc == NEAP_OK)
    *out = &self->parts.base;
  else
    neap_seq_free(&self->parts.base);
  return rc;
}

static void pack(const neap_seq *seq, neap__bytes *out) {
  neap__parts_pack(&((const struct concat *)seq)->parts, out);
}

static int unpack(neap__cursor *in, int64_t length, neap_seq **out,
                  neap_error *error) {
  (void)length;
  neap_seq *seq;
  int rc = neap__parts_unpack(&neap__seq_concat, in, &seq, error);
  if (rc != NEAP_OK) return rc;
  return finish((struct concat *)seq, out, error);
}

const neap__seq_ops neap__seq_concat = {
    .deed = "concat",
    .size = sizeof(struct concat),
    .resolve = resolve,
    .stride = stride,
    .each_leaf = neap__parts_each_leaf,
    .pack = pack,
    .unpack = unpack,
    .fini = fini,
};

int neap_seq_concat(neap_seq *const *sources, int32_t count, neap_seq **out,
                    neap_error *error) {
  neap_seq *seq;
  const int rc =
      neap__parts_new(&neap__seq_concat, sources, count, &seq, error);
  *out = NULL; /* which may be one of the sources' */
  if (rc != NEAP_OK) return rc;
  return finish((struct concat *)seq, out, error);
}
