/* SPDX-License-Identifier: MIT */
/* Sequences: what all adapters have in common, and the way into a tree. */
#include "seq.h"

#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "error.h"

enum { WINDOW = sizeof((neap_window *)NULL)->leaf / sizeof(int16_t) };
_Static_assert(WINDOW <= NEAP__SEQ_RUN_MAX, "a window is resolved in one run");

/* Items of a stretch at most. */
#define STRETCH_MAX (INT64_C(1) << 30)
#define EXACT (INT64_C(1) << 53) /* doubles are exact below */

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
                           "cannot %s: it would be one more than %d adapters "
                           "above one another",
                           ops->deed, NEAP__SEQ_DEPTH_MAX);
  }
  return NEAP_OK;
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
  seq->depth = depth;
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
  neap__seq_resolve(seq, epoch, &span->index, &span->leaf, 1);
}

int64_t neap_seq_stride(const neap_seq *seq, neap_stretch *stretch,
                        int64_t epoch, int64_t index, int32_t *leaf) {
  neap__span span = {.index = index};
  neap__seq_stride(seq, epoch, &span);
  if (span.count > STRETCH_MAX) span.count = STRETCH_MAX;
  stretch->first = (double)index + 1;
  stretch->epoch = (double)epoch;
  stretch->step = (double)span.step;
  stretch->offset =
      (double)(span.index + 1) - (double)(index + 1) * (double)span.step;
  stretch->leaf = span.leaf;
  /* Where doubles are not exact, each index is asked for by itself. */
  const int64_t step = span.step < 0 ? -span.step : span.step;
  const bool is_exact = span.index < EXACT / 2 && step < STRETCH_MAX &&
                        (index + STRETCH_MAX) / 2 < EXACT / 4 / step &&
                        (step != 1 || fabs(stretch->offset) < INT32_MAX);
  stretch->shift = is_exact && step == 1 ? (int32_t)stretch->offset : 0;
  stretch->stop = stretch->first + (is_exact ? (double)span.count : 0);
  *leaf = span.leaf;
  return span.index;
}

/* Stores what was resolved, unless 32 bits cannot hold it. */
static void fill_window(neap_window *window, const int64_t *index,
                        const int32_t *leaf, int64_t count) {
  int64_t all = 0;
  for (int64_t k = 0; k < count; k++)
    all |= index[k];
  for (int64_t k = 0; k < count; k++)
    window->place[k] = (int32_t)(index[k] + 1);
  for (int64_t k = 0; k < count; k++)
    window->leaf[k] = (int16_t)leaf[k];
  window->count = all < INT32_MAX ? (double)count : 0;
}

int64_t neap_seq_slide(const neap_seq *seq, neap_window *window, int64_t epoch,
                       int64_t index, int32_t *leaf) {
  int64_t indexes[WINDOW];
  int32_t leaves[WINDOW];
  const double first = (double)index + 1;
  const bool follows =
      first == window->follows && (double)epoch == window->epoch;
  int64_t count = follows ? WINDOW : 1;
  if (seq->length != NEAP_ENDLESS && count > seq->length - index)
    count = seq->length - index;
  for (int64_t k = 0; k < count; k++)
    indexes[k] = index + k;
  neap__seq_resolve(seq, epoch, indexes, leaves, count);
  window->first = first;
  window->epoch = (double)epoch;
  window->follows = first + (double)count;
  fill_window(window, indexes, leaves, index < EXACT ? count : 0);
  *leaf = leaves[0];
  return indexes[0];
}
