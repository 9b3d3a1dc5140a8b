/* SPDX-License-Identifier: MIT */
/* The consumer of a ring: asks for items, and takes them. One thread at a time.
 */
#ifndef NEAP_RING_CONSUMER_H
#define NEAP_RING_CONSUMER_H

#include <stdbool.h>

#include "memory/segment.h"
#include "ring/crew.h"
#include "ring/lender.h"
#include "ring/ring.h"

/*
 * What the consumer asked of an entry:
 *
 *   UNASKED  nothing
 *   ASKED    the run of `count` items from `first` on
 *   SPLIT    the same, then `rest` items: one that failed, since its workers
 *            died, and those after it in its run
 *   FAILED   item `first` failed, the first of `rest`: to be delivered next
 *
 *   move                 when
 *   UNASKED -> ASKED     items are asked for
 *   ASKED -> UNASKED     the run is delivered, or a seek drops it
 *   ASKED -> ASKED       lost at an item that a seek has skipped
 *   ASKED -> SPLIT       lost at an item after the first
 *   ASKED -> FAILED      lost at the first item
 *   SPLIT -> SPLIT       lost again, at an item after the first
 *   SPLIT -> FAILED      the items before are delivered, or lost at the first
 *   SPLIT -> UNASKED     a seek drops it
 *   FAILED -> ASKED      the failure is delivered, the items after it follow
 *   FAILED -> UNASKED    the failure is delivered and was the last item, or a
 *                        seek drops it
 *   never UNASKED -> SPLIT, UNASKED -> FAILED   no run was lost
 *   never SPLIT -> ASKED                        the failure would be lost
 *   never FAILED -> SPLIT, FAILED -> FAILED     no entry is open
 */
enum neap__asked_state {
  NEAP__UNASKED,
  NEAP__ASKED,
  NEAP__SPLIT,
  NEAP__FAILED,
  NEAP__ASKED_STATES
};

typedef struct neap__asked {
  enum neap__asked_state state;
  uint64_t ticket;
  int64_t epoch;
  int64_t first;
  int32_t count;      /* asked of the worker now */
  int32_t rest;       /* items after them that this entry still owes */
  int32_t skip;       /* items at the start that a seek skipped */
  neap__fate failure; /* SPLIT, FAILED: of the first item of `rest` */
} neap__asked;

typedef struct neap__consumer {
  /* Set by the pool before neap__consumer_init, then read only. */
  neap__ring *ring;
  const neap__buffer *buffer;
  neap__lender *lender;
  neap__crew *crew;
  int64_t length; /* INT64_MAX: endless */
  int32_t buffered;
  int32_t chunk; /* 0: by the measured cost */
  int32_t span;  /* 0: none */
  bool is_ordered;
  bool has_cores; /* more than one */

  /* The consumer's own. */
  neap__asked *asked; /* one per entry, the entry aside included */
  uint64_t ticket;    /* of the last opening */
  uint32_t head;      /* the entry to deliver next, when ordered */
  uint32_t tail;      /* the entry to open next */
  uint32_t busy;      /* entries that are not UNASKED */
  int64_t ahead;      /* items asked for and not delivered */
  int64_t epoch;
  int64_t next;               /* the index to ask for next */
  int64_t stop;               /* the index before which asking ends */
  int64_t oldest;             /* with a span: no entry owes an item before it */
  double item_ns, item_bytes; /* running means; 0: nothing measured yet */
  int32_t run_items;          /* the length of the next run */
  int64_t wait_ns;
  int64_t spent_ns; /* in iterations that have ended */
  int64_t first_ns; /* waiting for the first run; 0: it has not come */
  int64_t began_ns; /* the first read since the last one ended; 0: none */
} neap__consumer;

static inline int32_t neap__clamp(int64_t value, int64_t low, int64_t high) {
  return (int32_t)(value < low ? low : value > high ? high : value);
}

/* The iteration begins at epoch 1, index 0. NEAP_OK or NEAP_EMEMORY. */
int neap__consumer_init(neap__consumer *consumer);
void neap__consumer_fini(neap__consumer *consumer);
/* As neap_pool_next, _get, _seek and _shorten. */
int neap__consumer_next(neap__consumer *consumer, neap_run *run,
                        neap_error *error);
int neap__consumer_get(neap__consumer *consumer, int64_t epoch, int64_t index,
                       neap_run *run, neap_error *error);
int neap__consumer_seek(neap__consumer *consumer, int64_t epoch, int64_t index,
                        neap_error *error);
/* neap_pool_stats.consumer_ns */
int64_t neap__consumer_elapsed(const neap__consumer *consumer);
void neap__consumer_shorten(neap__consumer *consumer, int64_t length);

#endif
