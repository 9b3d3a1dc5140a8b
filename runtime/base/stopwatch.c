/* SPDX-License-Identifier: MIT */
/*
 * A stopwatch: how long the stages of a chain take, for some of the items.
 *
 * It runs for one stage at a time. Entering a stage, or leaving it, adds the
 * time since the last such change to the stage that ran until then. So each
 * stage gets its own time, without that of the stages below it.
 */
#include <stdatomic.h>

#include "base/futex.h"
#include "neap_lua.h"

/*
 * What timing an item costs at least: NS_ITEM, and NS_CHANGE for each change.
 * It is more while LuaJIT has not compiled the timed function: up to DEARER
 * times as much. It may cost one part in PARTS of the time.
 */
enum { NS_ITEM = 3000, NS_CHANGE = 150, DEARER = 10, PARTS = 200 };

/* The most items from one that is timed to the next. */
enum { PAUSE_MAX = 1 << 30 };

/* Only this process writes it; the host may read it at any time. */
static void add(int64_t *counter, int64_t amount) {
  _Atomic int64_t *word = (_Atomic int64_t *)counter;
  atomic_store_explicit(
      word, atomic_load_explicit(word, memory_order_relaxed) + amount,
      memory_order_relaxed);
}

static void change(neap_stopwatch *watch, int32_t stage) {
  const int64_t now_ns = neap__now_ns();
  add(&watch->stages[watch->stage].busy_ns, now_ns - watch->since_ns);
  watch->since_ns = now_ns;
  watch->stage = stage;
  watch->changes++;
}

void neap_stopwatch_open(neap_stopwatch *watch, neap_stage *stages) {
  const int64_t now_ns = neap__now_ns();
  *watch = (neap_stopwatch){
      .stages = stages, .opened_ns = now_ns, .random = (uint64_t)now_ns | 1};
}

void neap_stopwatch_start(neap_stopwatch *watch) {
  watch->stage = 0;
  watch->changes = 0;
  watch->began_ns = watch->since_ns = neap__now_ns();
}

int32_t neap_stopwatch_enter(neap_stopwatch *watch, int32_t stage) {
  const int32_t before = watch->stage;
  change(watch, stage);
  add(&watch->stages[stage].calls, 1);
  return before;
}

void neap_stopwatch_leave(neap_stopwatch *watch, int32_t stage) {
  change(watch, stage);
}

void neap_stopwatch_count(neap_stopwatch *watch, int32_t stage, int32_t more) {
  add(&watch->stages[stage].calls, more);
  if (stage > 0) return;
  watch->timed_items += more;
  watch->items += more;
}

/* Marsaglia's xorshift64. */
static uint64_t draw(neap_stopwatch *watch) {
  uint64_t x = watch->random;
  x ^= x << 13;
  x ^= x >> 7;
  x ^= x << 17;
  return watch->random = x;
}

/* How much longer items take that are timed, within the limits above. */
static double cost_of(const neap_stopwatch *watch, double item_ns) {
  const double least = NS_ITEM + (double)watch->changes * NS_CHANGE;
  const double more =
      (double)watch->timed_ns / (double)watch->timed_items - item_ns;
  if (more < least) return least;
  return more < least * DEARER ? more : least * DEARER;
}

/*
 * The items up to the next one that is timed: so many, on average, that timing
 * costs little. They are drawn, since costs may repeat with a period.
 */
static int64_t choose_pause(neap_stopwatch *watch) {
  const double item_ns =
      (double)(watch->since_ns - watch->opened_ns) / (double)watch->items;
  const double mean = cost_of(watch, item_ns) * PARTS / (item_ns + 1);
  if (mean <= 1) return 1;
  const uint64_t most = mean < PAUSE_MAX / 2 ? (uint64_t)(2 * mean) : PAUSE_MAX;
  return 1 + (int64_t)(draw(watch) % most);
}

double neap_stopwatch_stop(neap_stopwatch *watch) {
  change(watch, 0);
  add(&watch->stages[0].calls, 1);
  watch->timed_items++;
  watch->timed_ns += watch->since_ns - watch->began_ns;
  watch->items += watch->pause > 0 ? watch->pause : 1;
  watch->pause = choose_pause(watch);
  return (double)watch->pause;
}
