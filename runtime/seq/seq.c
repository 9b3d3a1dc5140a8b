/* SPDX-License-Identifier: MIT */
/* Sequences: what all adapters share, and the entry into a tree. */
#include "seq/seq.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/error.h"
#include "neap_lua.h"

static int check_sources(const neap__seq_ops *ops, neap_seq *const *sources,
                         int count, int *depth, neap_error *error) {
  *depth = 1;
  for (int k = 0; k < count; k++) {
    if (sources[k] == NULL) {
      return neap__error_set(error, NEAP_EINVAL, 0,
                             "cannot %s: source %d is NULL", ops->deed, k);
    }
    if (*depth <= sources[k]->depth) *depth = sources[k]->depth + 1;
  }
  if (*depth > NEAP__SEQ_DEPTH_MAX) {
    return neap__error_set(error, NEAP_EINVAL, 0,
                           "cannot %s: its tree of adapters would be deeper "
                           "than %d",
                           ops->deed, NEAP__SEQ_DEPTH_MAX);
  }
  return NEAP_OK;
}

int neap__seq_kind(const neap__seq_ops *ops, neap_seq *const *sources,
                   int count) {
  int kind = ops->stride != NULL ? NEAP_SEQ_UNITS : NEAP_SEQ_ANY;
  for (int k = 0; k < count; k++)
    if (kind > sources[k]->kind) kind = sources[k]->kind;
  return kind;
}

int neap__seq_new(const neap__seq_ops *ops, neap_seq *const *sources, int count,
                  neap_seq **out, neap_error *error) {
  int depth;
  *out = NULL;
  int rc = check_sources(ops, sources, count, &depth, error);
  if (rc != NEAP_OK) goto fail;
  neap_seq *seq = calloc(1, ops->size);
  if (seq == NULL) {
    rc = neap__error_set(error, NEAP_EMEMORY, 0,
                         "cannot %s: memory is short of %zu bytes", ops->deed,
                         ops->size);
    goto fail;
  }
  seq->ops = ops;
  seq->depth = (int16_t)depth;
  seq->kind = (int16_t)neap__seq_kind(ops, sources, count);
  *out = seq;
  return NEAP_OK;

fail:
  for (int k = 0; k < count; k++)
    neap_seq_free(sources[k]);
  return rc;
}

int neap__seq_out_of_range(const neap__seq_ops *ops, const neap_seq *source,
                           int64_t position, int64_t index, neap_error *error) {
  char range[64] = ": the source is empty";
  if (source->length == NEAP_ENDLESS) {
    snprintf(range, sizeof range, " 0..");
  } else if (source->length > 0) {
    snprintf(range, sizeof range, " 0..%" PRId64, source->length - 1);
  }
  return neap__error_set(error, NEAP_EINVAL, 0,
                         "cannot %s: index %" PRId64 " at position %" PRId64
                         " is out of range%s",
                         ops->deed, index, position, range);
}

void neap_seq_free(neap_seq *seq) {
  if (seq == NULL) return;
  seq->ops->fini(seq);
  free(seq);
}

int64_t neap_seq_length(const neap_seq *seq) {
  return seq->length;
}

int neap_seq_kind(const neap_seq *seq) {
  return seq->kind;
}

void neap_seq_resolve(const neap_seq *seq, int64_t epoch, int64_t *index,
                      int32_t *leaf, int64_t count) {
  while (count > 0) {
    const int64_t run = count < NEAP__SEQ_RUN_MAX ? count : NEAP__SEQ_RUN_MAX;
    neap__seq_resolve(seq, epoch, index, leaf, run);
    index += run;
    if (leaf != NULL) leaf += run;
    count -= run;
  }
}

int64_t neap_seq_resolve_one(const neap_seq *seq, int64_t epoch, int64_t index,
                             int32_t *leaf) {
  neap__seq_resolve(seq, epoch, &index, leaf, 1);
  return index;
}

void neap__seq_stride(const neap_seq *seq, int64_t epoch, neap__span *span) {
  if (seq->ops->stride != NULL) {
    seq->ops->stride(seq, epoch, span);
    return;
  }
  span->step = span->count = 1;
  span->period = 0;
  neap__seq_resolve(seq, epoch, &span->index, &span->leaf, 1);
}
