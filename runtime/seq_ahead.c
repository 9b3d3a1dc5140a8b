/* SPDX-License-Identifier: MIT */
/*
 * Indexes resolved ahead, for those who read in order: what they ask of C once
 * answers many reads, from what it has left in a struct of theirs.
 */
#include "seq.h"

#include <math.h>
#include <stdbool.h>

/* Adapters do best with whole runs of 16. */
enum { WINDOW = sizeof((neap_window *)NULL)->leaf / sizeof(int16_t) };
_Static_assert(WINDOW <= NEAP__SEQ_RUN_MAX, "a window is resolved in one run");

/* Items of a stretch at most. */
#define STRETCH_MAX (INT64_C(1) << 30)
/* Items of turns at most: few enough for multiplying by an inverse in place of
   dividing (k * NEAP_TURNS_MAX < 2^32), and for 32 bits. */
#define TURNS_ITEMS_MAX (INT64_C(1) << 27)
/* Items for which tables tell whose turn it is. */
enum { NEAR_MAX = 240 };
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
  /* Where doubles are not exact, each index is asked for by itself. */
  const bool is_exact = span->index < EXACT / 2 && step < STRETCH_MAX &&
                        (index + STRETCH_MAX) / 2 < EXACT / 4 / step &&
                        (step != 1 || fabs(stretch->offset) < INT32_MAX);
  stretch->shift = is_exact && step == 1 ? (int32_t)stretch->offset : 0;
  stretch->stop = stretch->first + (is_exact ? (double)count : 0);
  stretch->near = stretch->stop < INT32_MAX ? stretch->stop : INT32_MAX;
  stretch->next = stretch->stop;
}

/*
 * Who jumps gets the stretch from the start, if that may be all there is to
 * know, or none: one that is hit now and then would mislead who compiles.
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

/*
 * Items for which turns taken by spans hold, where they are such that Lua can
 * compute with them; 0 where they are not.
 */
static int64_t items_of_turns(const neap__span *spans, int32_t count,
                              int64_t index, int64_t items) {
  if (items > TURNS_ITEMS_MAX) items = TURNS_ITEMS_MAX;
  if (index >= EXACT - items) return 0;
  for (int32_t t = 0; t < count && t < items; t++) {
    if (spans[t].step != 1 || spans[t].leaf > INT16_MAX ||
        spans[t].index >= INT32_MAX - TURNS_ITEMS_MAX)
      return 0;
    if (spans[t].count < (items - t + count - 1) / count)
      items = spans[t].count * count + t;
  }
  return items;
}

/* k % n, or k / n, for all k below NEAR_MAX: a row for each n. */
#define FOUR(op, n, k) (k) op n, (k + 1) op n, (k + 2) op n, (k + 3) op n
#define TWENTY(op, n, k) \
  FOUR(op, n, k), FOUR(op, n, k + 4), FOUR(op, n, k + 8), FOUR(op, n, k + 12), \
      FOUR(op, n, k + 16)
#define EIGHTY(op, n, k) \
  TWENTY(op, n, k), TWENTY(op, n, k + 20), TWENTY(op, n, k + 40), \
      TWENTY(op, n, k + 60)
#define ROW(op, n) \
  { EIGHTY(op, n, 0), EIGHTY(op, n, 80), EIGHTY(op, n, 160) }
#define ROWS(op) \
  ROW(op, 1), ROW(op, 2), ROW(op, 3), ROW(op, 4), ROW(op, 5), ROW(op, 6), \
      ROW(op, 7), ROW(op, 8), ROW(op, 9), ROW(op, 10), ROW(op, 11), \
      ROW(op, 12)
static const uint8_t turn_of[NEAP_TURNS_MAX][NEAR_MAX] = {ROWS(%)};
static const uint8_t round_of[NEAP_TURNS_MAX][NEAR_MAX] = {ROWS(/)};

/* Makes item `first` the tables' first; they end with a whole round. */
static void begin_tables(neap_turns *turns) {
  const int64_t whole = NEAR_MAX - NEAR_MAX % turns->count;
  const int64_t left = (int64_t)(turns->stop - turns->first);
  turns->near = left < whole ? left : whole;
  turns->k = 1;
  turns->last = turns->first;
  turns->turn = turn_of[turns->count - 1];
  turns->round = round_of[turns->count - 1];
}

/* Who has read in order up to the tables' end goes on at their start. */
static bool begin_again(neap_turns *turns, double epoch, double i) {
  if (turns->count == 0 || i != turns->last + 1 || i >= turns->stop ||
      epoch != turns->epoch || turns->k != turns->near)
    return false;
  for (int32_t t = 0; t < turns->count; t++)
    turns->offset[t] += (int32_t)(turns->near / turns->count);
  turns->first = i;
  begin_tables(turns);
  return true;
}

int64_t neap_seq_turns(neap_turns *turns, int64_t epoch, int64_t index,
                       int32_t *leaf) {
  const neap_seq *seq = turns->tree;
  neap__span spans[NEAP_TURNS_MAX] = {0};
  int32_t count = 0;
  int64_t items = 0;
  if (begin_again(turns, (double)epoch, (double)index + 1)) {
    *leaf = turns->leaf[0];
    return turns->offset[0] - 1;
  }
  if (seq->ops->turns != NULL)
    items = seq->ops->turns(seq, epoch, index, spans, &count);
  if (items == 0) count = 0;
  items = items_of_turns(spans, count, index, items);
  *turns = (neap_turns){.tree = turns->tree,
                        .first = (double)index + 1,
                        .stop = (double)index + 1 + (double)items,
                        .epoch = (double)epoch};
  if (items == 0) return neap_seq_resolve_one(seq, epoch, index, leaf);
  turns->count = count;
  turns->inverse = ((INT64_C(1) << 32) + count - 1) / count;
  turns->is_straight = 1;
  for (int32_t t = 0; t < count; t++) {
    turns->offset[t] = (int32_t)(spans[t].index + 1);
    turns->leaf[t] = (int16_t)spans[t].leaf;
    turns->is_straight &= spans[t].leaf == t;
  }
  begin_tables(turns);
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
