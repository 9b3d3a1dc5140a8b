/* SPDX-License-Identifier: MIT */
/* How long an item has been in work: what a timeout is measured by. */
#ifndef NEAP_POOL_PACE_H
#define NEAP_POOL_PACE_H

#include "ring/ring.h"

/* What was seen of a slot that is being filled, and since when. */
typedef struct neap__pace {
  int64_t began_ns; /* its run, which is told from others by it; 0: none */
  int32_t item;     /* of the run */
  int64_t since_ns;
  bool is_overdue; /* its worker was killed for this item */
} neap__pace;

/* Whether the slot is still filled with the item that was seen. */
bool neap__pace_holds(const neap__pace *pace, const neap__slot *slot);

/* The host stood still that long: it is not held against the item. */
void neap__pace_pause(neap__pace *pace, int64_t ns);

/*
 * Looks at the slot, now; looked_ns: when that was done last. The first item
 * of a run began with the run, any other at the first look that sees it: so an
 * item may get the time between two looks more than is its due, and never less.
 */
void neap__pace_keep(neap__pace *pace, const neap__slot *slot,
                     int64_t looked_ns, int64_t now_ns);

#endif
