/* SPDX-License-Identifier: MIT */
/*
 * A filler: takes runs that the consumer asks for, and publishes them.
 *
 * A claim lives in its task: the entry, its ticket, and the slot to fill. So
 * a filler may have several runs in work, each in a task of its own. A filler
 * knows no process; the worker of pool/ is one that runs in a process.
 */
#ifndef NEAP_RING_FILLER_H
#define NEAP_RING_FILLER_H

#include "memory/segment.h"
#include "ring/ring.h"

typedef struct neap__filler {
  /* Set by the owner; the rest is zero-filled. */
  neap__ring *ring;
  const neap__buffer *buffer;
  uint32_t number; /* of this filler, below ring->worker_count */

  uint32_t last;   /* the slot published last: its pages are in the caches */
  int64_t free_ns; /* when the last run was done; 0: look at the clock */
} neap__filler;

/*
 * Claims an open entry for a task, which is zero-filled or was published. The
 * run begins at now_ns. Does not wait: NEAP_AGAIN where no entry is open.
 */
int neap__filler_claim(neap__filler *filler, neap_task *task, int64_t now_ns,
                       neap_error *error);
/*
 * The same, but sleeps until an entry is open. NEAP_END when the host says
 * stop. Only for a filler without another claim: a claim of one that sleeps
 * counts as damage (neap__ring_is_falsely_claimed).
 */
int neap__filler_next(neap__filler *filler, neap_task *task, neap_error *error);
/*
 * Hands over a claimed task's slot, of which `used` bytes are written. Where
 * the run was cancelled meanwhile, the task keeps the slot for its next claim.
 */
void neap__filler_publish(neap__filler *filler, neap_task *task, uint64_t used);

#endif
