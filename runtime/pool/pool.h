/* SPDX-License-Identifier: MIT */
/*
 * The parts of a pool: a ring and a buffer of slots, their consumer, and the
 * crew: the supervisor with its workers, or threads.
 *
 * One thread at a time uses the consumer and the lender. It shares with the
 * crew's threads only the ring and the functions of ring/crew.h.
 */
#ifndef NEAP_POOL_POOL_H
#define NEAP_POOL_POOL_H

#include <stdbool.h>

#include "neap_lua.h"
#include "base/origin.h"
#include "memory/segment.h"
#include "pool/supervisor.h"
#include "pool/threads.h"
#include "ring/consumer.h"
#include "ring/lender.h"
#include "ring/ring.h"

struct neap_pool {
  neap__segment control;
  neap__buffer buffer;
  neap__ring ring;
  neap__lender lender;
  neap__consumer consumer;
  neap__crew *crew;            /* one of the next two */
  neap__supervisor supervisor; /* of processes */
  neap__threads threads;
  neap__origin origin;     /* the process that opened it */
  uint32_t warnings_taken; /* bit k: NEAP_WARN_... k */
  int *wake_fds;           /* one per worker that may hold several claims */
  bool is_closed;          /* only the lender and the buffer are left */
};

#endif
