/* SPDX-License-Identifier: MIT */
/* How long an item has been computed, for timeouts. */
#ifndef NEAP_POOL_PACE_H
#define NEAP_POOL_PACE_H

#include "ring/ring.h"

/* The item that was last seen in a slot that is being filled. */
typedef struct neap__pace {
  int64_t began_ns; /* identifies its run; 0: none */
  int32_t item;     /* of the run */
  int64_t since_ns;
  bool is_overdue; /* its worker was killed for this item */
} neap__pace;

/* Whether the slot is still at the item that was seen. */
bool neap__pace_holds(const neap__pace *pace, const neap__slot *slot);

/* The host was stopped for that time, which does not count. */
void neap__pace_pause(neap__pace *pace, int64_t ns);

/*
 * Looks at the slot; looked_ns: the time of the last look. The first item of a
 * run began with the run, any other at the first look that sees it. So an item
 * never gets less than its time, and at most the time between two looks more.
 */
void neap__pace_keep(neap__pace *pace, const neap__slot *slot,
                     int64_t looked_ns, int64_t now_ns);

#endif
