/* SPDX-License-Identifier: MIT */
/*
 * How long an item has been computed, for timeouts.
 *
 * A worker writes when its run began, and which item it computes: reading the
 * clock for each item would cost more than a small item. The host looks at
 * intervals. A broken worker may write anything; it harms only its own items.
 */
#include "pool/pace.h"

bool neap__pace_holds(const neap__pace *pace, const neap__slot *slot) {
  return atomic_load(&slot->began_ns) == pace->began_ns &&
         atomic_load(&slot->progress) == pace->item;
}

void neap__pace_pause(neap__pace *pace, int64_t ns) {
  pace->since_ns += ns;
}

void neap__pace_keep(neap__pace *pace, const neap__slot *slot,
                     int64_t looked_ns, int64_t now_ns) {
  if (neap__pace_holds(pace, slot)) return;
  pace->began_ns = atomic_load(&slot->began_ns);
  pace->item = atomic_load(&slot->progress);
  const bool is_told =
      pace->item == 0 && pace->began_ns > looked_ns && pace->began_ns <= now_ns;
  pace->is_overdue = false;
  pace->since_ns = is_told ? pace->began_ns : now_ns;
}
