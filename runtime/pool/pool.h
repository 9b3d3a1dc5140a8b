/* SPDX-License-Identifier: MIT */
/*
 * What a pool consists of, for the files that make one: pool.c opens and
 * closes it, consumer.c asks for items and takes them, hold.c lends slots to
 * the caller, stats.c tells what has been done.
 *
 * Who may touch what: the consumer is one thread at a time; the supervisor's
 * thread shares with it what supervisor.h says, and nothing else.
 */
#ifndef NEAP_POOL_POOL_H
#define NEAP_POOL_POOL_H

#include <stdbool.h>

#include "neap.h"
#include "base/origin.h"
#include "ring/ring.h"
#include "memory/segment.h"
#include "pool/supervisor.h"

/* What the consumer asked of an entry. */
typedef struct neap__asked {
  bool is_busy;
  bool is_failing; /* the next thing to deliver is the failure of `first` */
  uint64_t ticket;
  int64_t epoch;
  int64_t first;
  int32_t count;      /* asked of the worker now */
  int32_t rest;       /* items after them that this entry still owes */
  int32_t skip;       /* items at the start that a seek jumped over */
  neap__fate failure; /* of the item after `count`, when rest counts it */
} neap__asked;

struct neap_pool {
  /* Set by pool.c when it is opened, then read only. */
  int64_t length; /* INT64_MAX: endless */
  int32_t buffered;
  int32_t chunk; /* 0: chosen */
  int32_t held_max;
  int32_t span; /* 0: none */
  bool is_ordered;
  bool has_cores;      /* more than one */
  bool is_strict;      /* NEAP_DEBUG: a slot is readable while it is held */
  neap__origin origin; /* who opened it: not a forked child */
  uint64_t slot_bytes;
  neap__segment control;
  neap__segment slots;
  neap__ring ring;
  neap__supervisor supervisor;
  bool is_closed; /* by pool.c, at the end */

  /* Of consumer.c. */
  neap__asked *asked; /* one an entry, and the one aside */
  uint64_t ticket;    /* of the last opening */
  uint32_t head;      /* the entry to deliver next, when ordered */
  uint32_t tail;      /* the entry to open next */
  uint32_t busy;      /* entries that are busy */
  int64_t ahead;      /* items asked for and not delivered */
  int64_t epoch;
  int64_t next;               /* the index to ask for next */
  int64_t stop;               /* the index before which asking ends */
  int64_t oldest;             /* with a span: no entry owes an item before it */
  double item_ns, item_bytes; /* running means; 0: nothing measured yet */
  int32_t run_items;          /* the length of the next run */
  int64_t wait_ns;

  /* Of hold.c; consumer.c reads them. */
  int32_t *refs; /* holds of a slot by the caller */
  int32_t held;
  uint64_t used_recently; /* a decaying maximum of a slot's use */
  uint32_t looked_at;     /* the slot that was last looked at while idle */
};

static inline int32_t neap__clamp(int64_t value, int64_t low, int64_t high) {
  return (int32_t)(value < low ? low : value > high ? high : value);
}

/* Frees a closed pool, once the caller holds none of its slots' memory. */
void neap__pool_free_if_done(neap_pool *pool);
/* The caller holds the slot, of which `used` bytes say something. */
void neap__pool_lend(neap_pool *pool, uint32_t slot, uint64_t used);

#endif
