/* SPDX-License-Identifier: MIT */
/*
 * A filler: claims runs that the consumer asks for, and publishes them.
 *
 * A claim is in its task: the entry, its ticket, and the slot to fill. So a
 * filler may compute several runs at once, each in its own task. The worker in
 * pool/ is a filler in a process.
 */
#ifndef NEAP_RING_FILLER_H
#define NEAP_RING_FILLER_H

#include "memory/segment.h"
#include "ring/ring.h"

typedef struct neap__filler {
  /* Set by the owner, who zero-fills the rest. */
  neap__ring *ring;
  const neap__buffer *buffer;
  uint32_t number; /* of this filler, below ring->worker_count */

  uint32_t last;   /* the slot published last, still in the caches */
  int32_t claims;  /* tasks that are claimed */
  int64_t free_ns; /* when the last run was done; 0: read the clock */
  int64_t
      busy_ns; /* up to when its record counts it as busy, if it has claims */
} neap__filler;

/*
 * Claims an open entry for a task, which is zero-filled or was published. The
 * run begins at now_ns. Does not wait: NEAP_AGAIN if no entry is open.
 */
int neap__filler_claim(neap__filler *filler, neap_task *task, int64_t now_ns,
                       neap_error *error);
/*
 * The same, but NEAP_END when the host stops the workers.
 */
int neap__filler_try_next(neap__filler *filler, neap_task *task,
                          neap_error *error);
/*
 * The same, but sleeps until an entry is open. Only for a filler without
 * another claim: while it sleeps, a claim counts as damage
 * (neap__ring_is_falsely_claimed).
 */
int neap__filler_next(neap__filler *filler, neap_task *task, neap_error *error);
/* A claimed task waits: neither its timeout nor a death counts. It goes on. */
void neap__filler_wait(neap__filler *filler, const neap_task *task);
void neap__filler_resume(neap__filler *filler, const neap_task *task);
/*
 * Publishes a claimed task's slot, of which `used` bytes are written. If the
 * run was cancelled, the task keeps the slot for its next claim.
 */
void neap__filler_publish(neap__filler *filler, neap_task *task, uint64_t used);

#endif
