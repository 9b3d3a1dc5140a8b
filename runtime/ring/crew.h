/* SPDX-License-Identifier: MIT */
/*
 * The crew: what runs the fillers of a ring, as the ring's consumer sees it.
 * The supervisor in pool/ is one, of processes.
 */
#ifndef NEAP_RING_CREW_H
#define NEAP_RING_CREW_H

#include <stdbool.h>

#include "neap.h"

/* What became of the fillers that died with an entry claimed. */
typedef struct neap__fate {
  uint64_t ticket;
  int32_t item;       /* of the run: the one that was being computed */
  int32_t deaths;     /* of fillers in a row at this item */
  int32_t run_deaths; /* at any of its items, in this opening */
  int32_t status;     /* of the last, as from waitpid */
  bool is_overdue;    /* it was killed because it took too long */
} neap__fate;

typedef struct neap__crew neap__crew;

/*
 * A crew is the first member of a larger struct. Only one thread at a time
 * calls these, and holds no lock. No call waits for a filler, but `stop`.
 */
typedef struct neap__crew_ops {
  /* Called once, when the ring is formatted. Returns without waiting for the
     fillers: `failure` tells what keeps them from starting. */
  int (*start)(neap__crew *crew, neap_error *error);
  /* Ends the fillers; waits for them within a limit. A crew that has not
     started, or has stopped, is fine. */
  void (*stop)(neap__crew *crew);
  /* The fate of an entry whose state is LOST, at its last opening. */
  neap__fate (*fate)(neap__crew *crew, uint32_t entry);
  /* NEAP_OK, or the status and the error for which the crew has given up. It
     is called before each sleep of the consumer, which is woken when the crew
     gives up. */
  int (*failure)(neap__crew *crew, neap_error *error);
} neap__crew_ops;

struct neap__crew {
  const neap__crew_ops *ops;
};

#endif
