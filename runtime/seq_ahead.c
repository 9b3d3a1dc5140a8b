/* SPDX-License-Identifier: MIT */
/*
 * Indexes resolved ahead, for those who read in order: what they ask of C once
 * answers many reads, from what it has left in a struct of theirs.
 */
#include "seq.h"

#include <math.h>
#include <stdbool.h>

enum { WINDOW = sizeof((neap_window *)NULL)->leaf / sizeof(int16_t) };
_Static_assert(WINDOW <= NEAP__SEQ_RUN_MAX, "a window is resolved in one run");

/* Items of a stretch at most. */
#define STRETCH_MAX (INT64_C(1) << 30)
/* Items of turns at most: few enough for multiplying by an inverse in place of
   dividing (k * NEAP_TURNS_MAX < 2^32), and for 32 bits. */
#define TURNS_ITEMS_MAX (INT64_C(1) << 27)
#define EXACT (INT64_C(1) << 53) /* doubles are exact below */

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
  stretch->near = stretch->stop < INT32_MAX ? stretch->stop : INT32_MAX;
  *leaf = span.leaf;
  return span.index;
}

/*
 * Items for which turns taken by spans hold, where they are such that Lua can
 * compute with them; 0 where they are not.
 */
static int64_t items_of_turns(const neap__span *spans, int32_t count,
                              int64_t index, int64_t items) {
  if (items > TURNS_ITEMS_MAX) items = TURNS_ITEMS_MAX;
  if (index >= EXACT - items) return 0;
  for (int32_t t = 0; t < count && t < items; t++) {
    if (spans[t].step != 1 || spans[t].index >= INT32_MAX - TURNS_ITEMS_MAX)
      return 0;
    if (spans[t].count < (items - t + count - 1) / count)
      items = spans[t].count * count + t;
  }
  return items;
}

int64_t neap_seq_turns(const neap_seq *seq, neap_turns *turns, int64_t epoch,
                       int64_t index, int32_t *leaf) {
  neap__span spans[NEAP_TURNS_MAX] = {0};
  int32_t count = 0;
  int64_t items = 0;
  if (seq->ops->turns != NULL)
    items = seq->ops->turns(seq, epoch, index, spans, &count);
  if (items == 0) count = 0;
  items = items_of_turns(spans, count, index, items);
  turns->first = (double)index + 1;
  turns->stop = turns->first + (double)items;
  turns->epoch = (double)epoch;
  turns->count = count;
  turns->inverse = count == 0 ? 0 : ((INT64_C(1) << 32) + count - 1) / count;
  for (int32_t t = 0; t < count; t++) {
    turns->offset[t] = (int32_t)(spans[t].index + 1);
    turns->leaf[t] = spans[t].leaf;
  }
  if (items == 0) return neap_seq_resolve_one(seq, epoch, index, leaf);
  *leaf = spans[0].leaf;
  return spans[0].index;
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
