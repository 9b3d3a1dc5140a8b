/* SPDX-License-Identifier: MIT */
/*
 * Lookahead of indexes for reads in order: one call of C fills a struct of the
 * caller, which then serves many reads.
 */
#include "seq/seq.h"

#include <math.h>
#include <stdbool.h>

#include "neap_lua.h"

/* Adapters are fastest with multiples of 16. */
enum { WINDOW = sizeof((neap_window *)NULL)->leaf / sizeof(int16_t) };
_Static_assert(WINDOW <= NEAP__SEQ_RUN_MAX, "a window is resolved in one run");

/* The most items of a stretch. */
#define STRETCH_MAX (INT64_C(1) << 30)
#define EXACT (INT64_C(1) << 53) /* doubles are exact below */

static void fill_stretch(neap_stretch *stretch, int64_t epoch, int64_t index,
                         const neap__span *span) {
  const int64_t count = span->count < STRETCH_MAX ? span->count : STRETCH_MAX;
  const int64_t step = span->step < 0 ? -span->step : span->step;
  stretch->first = (double)index + 1;
  stretch->epoch = (double)epoch;
  stretch->step = (double)span->step;
  stretch->offset =
      (double)(span->index + 1) - (double)(index + 1) * (double)span->step;
  stretch->leaf = span->leaf;
  stretch->period = (double)span->period;
  /* Where doubles are not exact, the stretch is empty: C resolves each item. */
  const bool is_exact = span->index < EXACT / 2 && step < STRETCH_MAX &&
                        (index + STRETCH_MAX) / 2 < EXACT / 4 / step &&
                        (step != 1 || fabs(stretch->offset) < INT32_MAX);
  stretch->shift = is_exact && step == 1 ? (int32_t)stretch->offset : 0;
  stretch->stop = stretch->first + (is_exact ? (double)count : 0);
  stretch->near = stretch->stop < INT32_MAX ? stretch->stop : INT32_MAX;
  stretch->next = stretch->stop;
}

/*
 * A random read gets the stretch from item 0 if it is the first read of an
 * epoch, or if that stretch repeats; else none. A partial stretch would be used
 * once and make LuaJIT compile the wrong path.
 */
static int64_t jump(neap_stretch *stretch, int64_t epoch, int64_t index,
                    int32_t *leaf) {
  const neap_seq *seq = stretch->tree;
  if ((double)epoch != stretch->epoch || stretch->period > 0) {
    neap__span span = {.index = 0};
    neap__seq_stride(seq, epoch, &span);
    fill_stretch(stretch, epoch, 0, &span);
    if (span.count < span.period) stretch->period = 0;
  } else {
    stretch->first = stretch->stop = stretch->near = 1;
  }
  stretch->next = (double)index + 2;
  return neap_seq_resolve_one(seq, epoch, index, leaf);
}

int64_t neap_seq_stride(neap_stretch *stretch, int64_t epoch, int64_t index,
                        int32_t *leaf) {
  const neap_seq *seq = stretch->tree;
  if ((double)epoch != stretch->epoch || (double)index + 1 != stretch->next)
    return jump(stretch, epoch, index, leaf);
  neap__span span = {.index = index};
  neap__seq_stride(seq, epoch, &span);
  fill_stretch(stretch, epoch, index, &span);
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

int64_t neap_seq_slide(neap_window *window, int64_t epoch, int64_t index,
                       int32_t *leaf) {
  const neap_seq *seq = window->tree;
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
