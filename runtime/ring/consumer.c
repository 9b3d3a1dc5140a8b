/* SPDX-License-Identifier: MIT */
/*
 * The consumer: which items are asked for, and taking them.
 *
 * It keeps up to `buffered` items asked for, in runs whose length it chooses
 * from the measured cost of an item, and takes them in order (or as they
 * come). All that it must be sure of stands in memory of its own (`asked`,
 * `refs`): what the shared words say is checked against that.
 */
#include "pool/pool.h"

#include "base/error.h"
#include "base/futex.h"

/* A run should take about this long: long enough for its overhead not to
   count, short enough for no item to wait for its neighbours. */
enum { RUN_NS_WANTED = 50000 };
/* A run of small items should stay in a core's cache. */
enum { RUN_BYTES_WANTED = 256 << 10 };
/* Runs that take longer than this are worth waking a worker for one by one. */
enum { RUN_NS_SLOW = 20000 };
/* Looks for a quick run between two looks at the clock. */
enum { LOOKS_A_CLOCK = 32 };

/* -- Asking -- */

static void ask(neap_pool *pool, uint32_t entry, int64_t epoch, int64_t first,
                int32_t count) {
  neap__asked *a = &pool->asked[entry];
  pool->ticket = (pool->ticket + 1) & ((1ull << NEAP__TICKET_BITS) - 1);
  a->is_busy = true;
  a->is_failing = false;
  a->ticket = pool->ticket;
  a->epoch = epoch;
  a->first = first;
  a->count = count;
  neap__ring_open(&pool->ring, entry, a->ticket, epoch, first, count);
}

static uint32_t following(const neap_pool *pool, uint32_t entry) {
  return entry + 1 < pool->ring.entry_count ? entry + 1 : 0;
}

/* Whether `count` more items would leave the oldest that is owed too far back:
   without order, one that is long in work. */
static bool is_beyond_span(neap_pool *pool, int32_t count) {
  const int64_t end = pool->next + count;
  if (pool->span == 0 || end - pool->oldest <= pool->span) return false;
  pool->oldest = pool->next;
  for (uint32_t e = 0; e < pool->ring.entry_count; e++) {
    const neap__asked *a = &pool->asked[e];
    if (a->is_busy && a->first < pool->oldest) pool->oldest = a->first;
  }
  return end - pool->oldest > pool->span;
}

/* Opens entries while there is room for a run; short runs only at the end. */
static void ask_ahead(neap_pool *pool) {
  const uint32_t entries = pool->ring.entry_count;
  while (pool->busy < entries && pool->next < pool->stop) {
    const int64_t room = pool->buffered - pool->ahead;
    const int64_t left = pool->stop - pool->next;
    const int32_t count = neap__clamp(pool->run_items, 1, left);
    if (count > room && pool->busy > 0) return;
    if (pool->busy > 0 && is_beyond_span(pool, count)) return;
    while (pool->asked[pool->tail].is_busy)
      pool->tail = following(pool, pool->tail);
    const uint32_t entry = pool->tail;
    pool->tail = following(pool, entry);
    /* First, or a worker might take this entry, the newest, for the earliest */
    atomic_store(&pool->ring.control->earliest, pool->tail);
    ask(pool, entry, pool->epoch, pool->next, count);
    pool->asked[entry].rest = 0;
    pool->asked[entry].skip = 0;
    pool->busy++;
    pool->ahead += count;
    pool->next += count;
  }
}

static bool is_slow(const neap_pool *pool) {
  return pool->item_ns * pool->run_items > RUN_NS_SLOW;
}

/* Entries that must be open before sleeping workers are woken: with quick
   runs half of the ring, so that they do not wake for each. */
static uint32_t enough_to_rouse(const neap_pool *pool) {
  if (is_slow(pool)) return 1;
  const uint32_t half = pool->ring.entry_count / 2;
  return half > 0 ? half : 1;
}

/* -- Measuring -- */

/* Running means over the last dozen runs, and the next run's length. */
static void measure(neap_pool *pool, double cost_ns, double used,
                    int32_t count) {
  const double weight = pool->item_ns == 0 ? 1 : 0.125;
  pool->item_ns += (cost_ns / count - pool->item_ns) * weight;
  pool->item_bytes += (used / count - pool->item_bytes) * weight;
  if (pool->chunk > 0) return;
  const double by_time = RUN_NS_WANTED / (pool->item_ns + 1);
  const double by_bytes = RUN_BYTES_WANTED / (pool->item_bytes + 1);
  const int64_t wanted = (int64_t)(by_time < by_bytes ? by_time : by_bytes);
  const int64_t share = pool->buffered / (2 * (int64_t)pool->ring.worker_count);
  int64_t most = 2 * (int64_t)pool->run_items;
  if (share < most) most = share;
  pool->run_items = neap__clamp(wanted < most ? wanted : most, 1, NEAP_RUN_MAX);
}

/* -- Taking -- */

static void fill_failure(const neap__asked *a, neap_run *run) {
  *run = (neap_run){
      .epoch = a->epoch,
      .first = a->first,
      .count = 1,
      .slot = -1,
      .wait_status = a->failure.status,
      .attempts = a->failure.deaths,
      .is_overdue = a->failure.is_overdue,
  };
}

static int damaged(neap_error *error) {
  return neap__error_set(error, NEAP_EDAMAGED, 0,
                         "cannot go on: a worker has written over the memory "
                         "that it shares with the host");
}

static int take_done(neap_pool *pool, uint32_t entry, neap__mark mark,
                     neap_run *run, neap_error *error) {
  const neap__asked *a = &pool->asked[entry];
  if (mark.ticket != a->ticket || mark.slot >= pool->ring.slot_count ||
      pool->refs[mark.slot] != 0 || !neap__ring_take(&pool->ring, entry, mark))
    return damaged(error);
  const neap__slot *slot = &pool->ring.slots[mark.slot];
  uint64_t used = atomic_load_explicit(&slot->used, memory_order_relaxed);
  const int64_t cost_ns =
      atomic_load_explicit(&slot->cost_ns, memory_order_relaxed);
  if (used > pool->slot_bytes) used = pool->slot_bytes;
  measure(pool, (double)neap__clamp(cost_ns, 1, INT32_MAX), (double)used,
          a->count);
  neap__pool_lend(pool, mark.slot, used);
  const uint8_t *base = pool->slots.base + mark.slot * pool->slot_bytes;
  *run = (neap_run){
      .epoch = a->epoch,
      .first = a->first + a->skip,
      .count = a->count - a->skip,
      .slot = (int32_t)mark.slot,
      .cells = (const neap_value *)(const void *)base + a->skip,
      .base = base,
      .bytes = used,
  };
  return NEAP_OK;
}

/*
 * The run's worker died too often at item k of it: the items before k are
 * asked for again, k becomes a failure, and the rest follows.
 */
static void split_lost(neap_pool *pool, uint32_t entry) {
  neap__asked *a = &pool->asked[entry];
  const neap__fate fate = neap__supervisor_fate(&pool->supervisor, entry);
  const int32_t k = neap__clamp(fate.item, 0, a->count - 1) - a->skip;
  neap__ring_forget(&pool->ring, entry);
  a->first += a->skip;
  a->count -= a->skip;
  pool->ahead -= a->skip;
  a->skip = 0;
  if (k < 0) { /* a seek has jumped over it */
    ask(pool, entry, a->epoch, a->first, a->count);
    return;
  }
  const int32_t all = a->count + a->rest;
  a->failure = fate;
  a->rest = all - k;
  if (k > 0) {
    ask(pool, entry, a->epoch, a->first, k);
  } else {
    a->count = 0;
    a->is_failing = true;
  }
}

/* After a delivery: whether the entry owes more. The caller advances if not. */
static bool go_on(neap_pool *pool, uint32_t entry, int32_t delivered) {
  neap__asked *a = &pool->asked[entry];
  a->first += delivered;
  a->skip = 0;
  if (a->rest == 0) {
    a->is_busy = false;
    return false;
  }
  if (!a->is_failing) { /* the items before the failing one went first */
    a->is_failing = true;
    a->count = 0;
    return true;
  }
  if (--a->rest == 0) {
    a->is_busy = false;
    return false;
  }
  const int32_t count = a->rest;
  a->rest = 0;
  ask(pool, entry, a->epoch, a->first, count);
  return true;
}

/* Whether there is something to deliver; damage is, as an error. */
static bool is_ready(neap_pool *pool, uint32_t entry) {
  const neap__asked *a = &pool->asked[entry];
  if (a->is_failing) return true;
  const neap__mark mark = neap__ring_look(&pool->ring, entry);
  return mark.ticket != a->ticket ||
         (mark.state != NEAP__OPEN && mark.state != NEAP__CLAIMED);
}

/* An entry that is ready: the head, or the first of any when unordered. */
static int64_t find_ready(neap_pool *pool, uint32_t wish) {
  if (wish != NEAP__ANY_ENTRY) return is_ready(pool, wish) ? (int64_t)wish : -1;
  uint32_t e = pool->tail;
  for (uint32_t k = 0; k < pool->ring.entry_count; k++) {
    if (pool->asked[e].is_busy && is_ready(pool, e)) return e;
    e = following(pool, e);
  }
  return -1;
}

static int failure_of(neap_pool *pool, neap_error *error) {
  neap__supervisor *s = &pool->supervisor;
  pthread_mutex_lock(&s->lock);
  if (error != NULL) *error = s->failure;
  const int status = s->failure.status;
  pthread_mutex_unlock(&s->lock);
  return status;
}

/*
 * Quick runs come sooner than a sleeper wakes: so look on for as long as one
 * run may take to count as quick, and only if there is a core for it.
 */
static void linger(neap_pool *pool, uint32_t wish, int64_t since) {
  if (!pool->has_cores || is_slow(pool)) return;
  for (int look = 1; find_ready(pool, wish) < 0; look++) {
    if (look % LOOKS_A_CLOCK == 0 && neap__now_ns() - since > RUN_NS_SLOW)
      return;
    neap__pause();
  }
}

/* Whether what is wished for cannot come: nobody is at it. */
static bool is_hopeless(const neap_pool *pool, uint32_t wish) {
  if (wish != NEAP__ANY_ENTRY)
    return neap__ring_is_falsely_claimed(&pool->ring, wish);
  for (uint32_t e = 0; e < pool->ring.entry_count; e++)
    if (pool->asked[e].is_busy && neap__ring_is_falsely_claimed(&pool->ring, e))
      return true;
  return false;
}

/* Waits until the entry wished for is ready, and tells which. */
static int await(neap_pool *pool, uint32_t wish, uint32_t *entry,
                 neap_error *error) {
  int64_t found = find_ready(pool, wish);
  bool is_damaged = false;
  if (found < 0) {
    const int64_t since = neap__now_ns();
    int64_t stirred_ns = since;
    neap__ring_rouse(&pool->ring, 1);
    linger(pool, wish, since);
    for (;;) {
      neap__ring_wish(&pool->ring, wish);
      found = find_ready(pool, wish);
      if (found >= 0 || atomic_load(&pool->supervisor.has_failed)) break;
      neap__ring_sleep(&pool->ring, wish);
      const int64_t now = neap__now_ns(); /* the host's signals wake it, too */
      if (now - stirred_ns < NEAP__SLEEP_MS_MAX * 1000000ll) continue;
      stirred_ns = now;
      is_damaged = is_hopeless(pool, wish);
      if (is_damaged) break;
      neap__ring_stir(&pool->ring);
    }
    neap__ring_unwish(&pool->ring);
    pool->wait_ns += neap__now_ns() - since;
  }
  if (is_damaged) return damaged(error);
  if (found < 0) return failure_of(pool, error);
  *entry = (uint32_t)found;
  return NEAP_OK;
}

/* Delivers something of an entry that was awaited, splitting lost runs. */
static int deliver(neap_pool *pool, uint32_t wish, uint32_t *entry,
                   neap_run *run, neap_error *error) {
  for (;;) {
    int rc = await(pool, wish, entry, error);
    if (rc != NEAP_OK) return rc;
    if (pool->asked[*entry].is_failing) {
      fill_failure(&pool->asked[*entry], run);
      return NEAP_OK;
    }
    const neap__mark mark = neap__ring_look(&pool->ring, *entry);
    if (mark.state == NEAP__DONE)
      return take_done(pool, *entry, mark, run, error);
    if (mark.state != NEAP__LOST || mark.ticket != pool->asked[*entry].ticket)
      return damaged(error);
    split_lost(pool, *entry);
  }
}

/* Whether there are workers to ask: `what` is what the caller wants to do. */
static int check_open(const neap_pool *pool, const char *what,
                      neap_error *error) {
  if (pool->is_closed)
    return neap__error_set(error, NEAP_ECLOSED, 0,
                           "cannot %s: the prefetch is closed", what);
  if (neap__origin_is_here(&pool->origin)) return NEAP_OK;
  return neap__error_set(error, NEAP_ECLOSED, 0,
                         "cannot %s: this process was forked off the one whose "
                         "prefetch it is\n"
                         "help: make a prefetch of its own in this process",
                         what);
}

static int check_use(const neap_pool *pool, neap_error *error) {
  const int rc = check_open(pool, "read", error);
  if (rc != NEAP_OK) return rc;
  if (pool->held >= pool->held_max)
    return neap__error_set(
        error, NEAP_EHELD, 0,
        "cannot read on: all %d slots that may be held are held; release some "
        "items, clone what is to be kept, or raise buffered",
        pool->held_max);
  return NEAP_OK;
}

int neap_pool_next(neap_pool *pool, neap_run *run, neap_error *error) {
  *run = (neap_run){.slot = -1};
  int rc = check_use(pool, error);
  if (rc != NEAP_OK) return rc;
  ask_ahead(pool);
  if (pool->busy == 0) return NEAP_END;
  uint32_t entry;
  const uint32_t wish = pool->is_ordered ? pool->head : NEAP__ANY_ENTRY;
  rc = deliver(pool, wish, &entry, run, error);
  if (rc != NEAP_OK) return rc;
  const int32_t delivered = run->count + pool->asked[entry].skip;
  pool->ahead -= delivered;
  if (!go_on(pool, entry, delivered)) {
    pool->busy--;
    if (pool->is_ordered) pool->head = following(pool, pool->head);
  }
  ask_ahead(pool);
  neap__ring_rouse(&pool->ring, enough_to_rouse(pool));
  return NEAP_OK;
}

int neap_pool_get(neap_pool *pool, int64_t epoch, int64_t index, neap_run *run,
                  neap_error *error) {
  *run = (neap_run){.slot = -1};
  int rc = check_use(pool, error);
  if (rc != NEAP_OK) return rc;
  if (index < 0 || index >= pool->length)
    return neap__error_set(error, NEAP_EINVAL, 0,
                           "cannot read: index %lld is out of range",
                           (long long)index);
  uint32_t entry = pool->ring.entry_count;
  ask(pool, entry, epoch, index, 1);
  pool->asked[entry].rest = pool->asked[entry].skip = 0;
  neap__ring_rouse(&pool->ring, 1);
  rc = deliver(pool, entry, &entry, run, error);
  if (rc != NEAP_OK) neap__ring_cancel(&pool->ring, entry);
  return rc;
}

/* -- Seeking -- */

static void drop(neap_pool *pool, uint32_t entry) {
  neap__asked *a = &pool->asked[entry];
  if (!a->is_busy) return;
  neap__ring_cancel(&pool->ring, entry);
  a->is_busy = a->is_failing = false;
  pool->ahead -= a->count + a->rest;
  pool->busy--;
}

/* Drops what lies before index, if index has been asked for already, and
   nothing behind it has been dropped. */
static bool skip_to(neap_pool *pool, int64_t epoch, int64_t index) {
  if (!pool->is_ordered || epoch != pool->epoch || pool->busy == 0 ||
      pool->stop < pool->length || index >= pool->next ||
      index < pool->asked[pool->head].first)
    return false;
  for (;;) {
    neap__asked *a = &pool->asked[pool->head];
    if (a->rest > 0) return false;
    if (index < a->first + a->count) {
      a->skip = (int32_t)(index - a->first);
      return true;
    }
    drop(pool, pool->head);
    pool->head = following(pool, pool->head);
  }
}

int neap_pool_seek(neap_pool *pool, int64_t epoch, int64_t index,
                   neap_error *error) {
  const int rc = check_open(pool, "seek", error);
  if (rc != NEAP_OK) return rc;
  if (index < 0 || index > pool->length)
    return neap__error_set(error, NEAP_EINVAL, 0,
                           "cannot seek: index %lld is out of range",
                           (long long)index);
  if (skip_to(pool, epoch, index)) return NEAP_OK;
  for (uint32_t e = 0; e < pool->ring.entry_count; e++)
    drop(pool, e);
  pool->head = pool->tail;
  pool->epoch = epoch;
  pool->next = pool->oldest = index;
  pool->stop = pool->length;
  return NEAP_OK;
}

void neap_pool_shorten(neap_pool *pool, int64_t length) {
  if (check_open(pool, "read", NULL) != NEAP_OK || length >= pool->stop) return;
  for (uint32_t e = 0; e < pool->ring.entry_count; e++) {
    const neap__asked *a = &pool->asked[e];
    if (a->is_busy && a->first + a->skip >= length) drop(pool, e);
  }
  pool->stop = length;
  if (pool->next > length) pool->next = length;
}
