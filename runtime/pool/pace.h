/* SPDX-License-Identifier: MIT */
/* How long a worker has been at its item: what a timeout is measured by. */
#ifndef NEAP_POOL_PACE_H
#define NEAP_POOL_PACE_H

#include "ring/ring.h"

/* What a worker was seen to do, and since when. */
typedef struct neap__pace {
  int64_t began_ns; /* its run, by which it is told from others; 0: none */
  int32_t item;     /* of the run */
  int64_t since_ns;
  bool is_overdue; /* it was killed for this item */
} neap__pace;

/* Whether the worker still computes what it was seen to. */
bool neap__pace_holds(const neap__pace *pace, const neap__corner *corner);

/* The host stood still that long: it is not held against the item. */
void neap__pace_pause(neap__pace *pace, int64_t ns);

/*
 * Looks at the worker, now; looked_ns: when that was done last. The first item
 * of a run began with the run, any other at the first look that sees it: so an
 * item may get the time between two looks more than is its due, and never less.
 */
void neap__pace_keep(neap__pace *pace, const neap__corner *corner,
                     int64_t looked_ns, int64_t now_ns);

#endif
