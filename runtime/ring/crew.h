/* SPDX-License-Identifier: MIT */
/*
 * The crew: the interface by which a consumer uses what runs the fillers of its
 * ring. The supervisor in pool/ is one; its fillers are processes.
 */
#ifndef NEAP_RING_CREW_H
#define NEAP_RING_CREW_H

#include <stdbool.h>

#include "neap_lua.h"

/* How fillers died that had claimed an entry. */
typedef struct neap__fate {
  uint64_t ticket;
  int32_t item;       /* of the run: the one that was being computed */
  int32_t deaths;     /* of fillers in a row at this item */
  int32_t run_deaths; /* at any of its items, in this opening */
  int32_t status;     /* of the last one, as from waitpid */
  bool is_overdue;    /* the last one was killed: the item took too long */
  char note[NEAP_NOTE_BYTES]; /* what it was calling; "": nothing known */
} neap__fate;

typedef struct neap__crew neap__crew;

/*
 * A crew is the first member of a larger struct. One thread at a time calls
 * these functions, without a lock. Only `stop` waits for fillers.
 */
typedef struct neap__crew_ops {
  /* Called once, after the ring is formatted. Does not wait for the fillers: if
     they cannot start, `failure` returns why. */
  int (*start)(neap__crew *crew, neap_error *error);
  /* Ends the fillers; waits for them up to a limit. Does nothing if the crew
     has not started, or has stopped. */
  void (*stop)(neap__crew *crew);
  /* The fate of the last opening of an entry that is LOST. */
  neap__fate (*fate)(neap__crew *crew, uint32_t entry);
  /* NEAP_OK, or the status and error with which the crew has given up. The
     consumer calls this before each sleep; the crew wakes it when it gives up.
   */
  int (*failure)(neap__crew *crew, neap_error *error);
} neap__crew_ops;

struct neap__crew {
  const neap__crew_ops *ops;
};

#endif
