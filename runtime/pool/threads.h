/* SPDX-License-Identifier: MIT */
/* A crew of threads of the host, which compute a native chain. */
#ifndef NEAP_POOL_THREADS_H
#define NEAP_POOL_THREADS_H

#include <pthread.h>
#include <stdatomic.h>

#include "memory/segment.h"
#include "ring/crew.h"
#include "ring/filler.h"

typedef struct neap__threads neap__threads;

typedef struct neap__thread {
  neap__threads *all;
  neap__filler filler;
  pthread_t thread;
} neap__thread;

struct neap__threads {
  neap__crew crew;

  /* Set by the pool before the start, then read only. */
  neap__ring *ring;
  const neap__buffer *buffer;
  const neap_chain *chain;

  /* Between the threads and the consumer. */
  pthread_mutex_t lock; /* of failure */
  neap_error failure;
  atomic_int has_failed; /* 1 once failure is written */

  neap__thread *list; /* one per worker of the ring */
  uint32_t running;   /* threads that were started, and not joined */
};

/*
 * Starts nothing yet. The caller sets the fields above, then calls the crew's
 * `start`. `stop` waits for each thread, however long its item takes.
 */
void neap__threads_init(neap__threads *threads);
/* Frees memory, ends no thread: also for a forked child. */
void neap__threads_fini(neap__threads *threads);

#endif
