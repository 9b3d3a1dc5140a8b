/* SPDX-License-Identifier: MIT */
/*
 * The slots that the caller holds: lent with a run, until the caller has
 * released each of its references.
 */
#ifndef NEAP_RING_LENDER_H
#define NEAP_RING_LENDER_H

#include <stdbool.h>

#include "memory/segment.h"
#include "ring/ring.h"

typedef struct neap__lender {
  /* Set by the pool before neap__lender_init, then read only. */
  neap__ring *ring;
  neap__buffer *buffer;
  int32_t held_max;
  bool is_strict; /* NEAP_DEBUG: a slot is readable while it is held */

  /* The lender's own. */
  int32_t *refs;          /* of the caller to a slot */
  int32_t held;           /* slots with references */
  uint64_t used_recently; /* a decaying maximum of a slot's use */
  uint32_t looked_at;     /* by the last trim of an idle slot */
} neap__lender;

/* NEAP_OK or NEAP_EMEMORY. */
int neap__lender_init(neap__lender *lender);
void neap__lender_fini(neap__lender *lender);
/* Gives a HELD slot one reference; `used` bytes of it are written. */
void neap__lender_lend(neap__lender *lender, uint32_t slot, uint64_t used);
/* Whether the caller has references to that slot; any number is fine. */
bool neap__lender_has_lent(const neap__lender *lender, int32_t slot);
/*
 * Drops one reference. After the last one the slot is free. If the ring is not
 * ours, in a closed pool or a forked child, its words do not change.
 */
void neap__lender_release(neap__lender *lender, uint32_t slot, bool is_ours);
/* At the close, when nobody fills slots any more: frees the pages of the slots
   that the caller does not hold, while it holds others. */
void neap__lender_trim_others(neap__lender *lender);

#endif
