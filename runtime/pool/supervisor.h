/* SPDX-License-Identifier: MIT */
/* The supervisor: the thread in the host that keeps workers alive. */
#ifndef NEAP_POOL_SUPERVISOR_H
#define NEAP_POOL_SUPERVISOR_H

#include <pthread.h>
#include <stdatomic.h>

#include "pool/child.h"
#include "pool/pace.h"
#include "memory/segment.h"
#include "ring/crew.h"
#include "ring/ring.h"

/* How long a busy worker may take to end before it is killed. */
enum { NEAP__STOP_MS_MAX = 100 };
/* How long a killed worker may take to end before it is abandoned. */
enum { NEAP__END_MS_MAX = 5000 };
/* How long a worker may take from its start until it has attached. */
enum { NEAP__ATTACH_MS_MAX = 60000 };
/* Times in a row that a worker may die before it has done anything. */
enum { NEAP__VAIN_DEATHS_MAX = 3, NEAP__VAIN_KILLS_MAX = 30 };

typedef struct neap__supervisor {
  neap__crew crew;

  /* Set by the pool before the start, then read only. */
  neap__ring *ring;
  neap__buffer *buffer;
  int inherit[NEAP__FD_COUNT]; /* for neap__child_start */
  neap__launcher launcher;     /* opened; the supervisor closes it */
  int32_t retries;
  int64_t timeout_ns; /* of an item; 0: none */
  int32_t attach_ms;  /* NEAP__ATTACH_MS_MAX, or less for a test */
  int32_t end_ms;     /* NEAP__END_MS_MAX, or less for a test */

  /* Between the thread and the consumer. */
  pthread_mutex_t lock; /* of fates and failure; never held while waiting */
  neap__fate *fates;    /* one per entry */
  neap_error failure;
  atomic_int has_failed;  /* 1 once failure is written: no more workers */
  atomic_int is_stopping; /* 1 once the workers must end */
  atomic_int restarts;
  atomic_int retried;
  _Atomic int32_t *pids; /* one per worker, for statistics */

  /* The thread's own. */
  neap__child *children;
  neap__pace *paces; /* one per slot */
  struct pollfd *polls;
  int64_t looked_ns; /* time of the last look at the clocks */
  int64_t asked_ns;  /* interval from then until the next look was due */
  int pauses;        /* looks in a row that were late */
  int stop_fd;       /* an eventfd that ends the thread; -1 */
  pthread_t thread;
  int is_running;
} neap__supervisor;

/*
 * Starts nothing yet. The caller sets the fields above, then calls the crew's
 * `start`: it starts the thread, which starts the workers. `stop` waits
 * NEAP__STOP_MS_MAX for busy workers, and end_ms for one that cannot be killed.
 */
void neap__supervisor_init(neap__supervisor *supervisor);
/* Frees memory and descriptors, ends no process: also for a forked child. */
void neap__supervisor_fini(neap__supervisor *supervisor);

#endif
