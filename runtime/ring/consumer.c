/* SPDX-License-Identifier: MIT */
/*
 * The consumer: asks for items, and takes them.
 *
 * It asks for up to `buffered` items ahead, in runs whose length depends on the
 * measured cost of an item, and takes them in order or as completed. It checks
 * the shared words against records in private memory (`asked`, `refs`).
 */
#include "ring/consumer.h"

#include <stdlib.h>

#include "base/error.h"
#include "base/futex.h"
#include "base/interrupt.h"

/* The wanted time of a run: long enough to hide its overhead, short enough for
   its items not to wait for each other. */
enum { RUN_NS_WANTED = 50000 };
/* The wanted size of a run: it stays in a core's cache. */
enum { RUN_BYTES_WANTED = 256 << 10 };
/* A run that takes longer than this is worth waking a worker. */
enum { RUN_NS_SLOW = 20000 };
/* Polls between two reads of the clock. */
enum { LOOKS_A_CLOCK = 32 };

/* -- Asking -- */

static const bool may_move[NEAP__ASKED_STATES][NEAP__ASKED_STATES] = {
    [NEAP__UNASKED] = {[NEAP__ASKED] = true},
    [NEAP__ASKED] = {true, true, true, true},
    [NEAP__SPLIT] =
        {[NEAP__UNASKED] = true, [NEAP__SPLIT] = true, [NEAP__FAILED] = true},
    [NEAP__FAILED] = {[NEAP__UNASKED] = true, [NEAP__ASKED] = true},
};

static void move(neap__consumer *c, uint32_t entry, enum neap__asked_state to) {
  neap__asked *a = &c->asked[entry];
  NEAP_ASSERT(may_move[a->state][to]);
  if (a->state == NEAP__UNASKED) c->busy++;
  if (to == NEAP__UNASKED) c->busy--;
  a->state = to;
}

/* Asks for a run, after which the entry owes `rest` more items. */
static void ask(neap__consumer *c, uint32_t entry, int64_t epoch, int64_t first,
                int32_t count, int32_t rest) {
  neap__asked *a = &c->asked[entry];
  move(c, entry, rest > 0 ? NEAP__SPLIT : NEAP__ASKED);
  c->ticket = (c->ticket + 1) & ((1ull << NEAP__TICKET_BITS) - 1);
  a->ticket = c->ticket;
  a->epoch = epoch;
  a->first = first;
  a->count = count;
  a->rest = rest;
  a->skip = 0;
  neap__ring_open(c->ring, entry, a->ticket, epoch, first, count);
}

/* The entry next delivers the failure of item `first`, the first of `rest`. */
static void owe_failure(neap__consumer *c, uint32_t entry, int64_t first,
                        int32_t rest) {
  neap__asked *a = &c->asked[entry];
  move(c, entry, NEAP__FAILED);
  a->first = first;
  a->count = 0;
  a->rest = rest;
  a->skip = 0;
}

static bool is_asked(const neap__consumer *c, uint32_t entry) {
  return c->asked[entry].state != NEAP__UNASKED;
}

static uint32_t following(const neap__consumer *c, uint32_t entry) {
  return entry + 1 < c->ring->entry_count ? entry + 1 : 0;
}

/* Whether the span of undelivered items would be too long with `count` more.
   Only without order, where a slow item can stay behind. */
static bool is_beyond_span(neap__consumer *c, int32_t count) {
  const int64_t end = c->next + count;
  if (c->span == 0 || end - c->oldest <= c->span) return false;
  c->oldest = c->next;
  for (uint32_t e = 0; e < c->ring->entry_count; e++) {
    const neap__asked *a = &c->asked[e];
    if (is_asked(c, e) && a->first < c->oldest) c->oldest = a->first;
  }
  return end - c->oldest > c->span;
}

/* Opens entries while a run fits `buffered`; only the sequence's last run is
   shorter than run_items. */
static void ask_ahead(neap__consumer *c) {
  const uint32_t entries = c->ring->entry_count;
  while (c->busy < entries && c->next < c->stop) {
    const int64_t room = c->buffered - c->ahead;
    const int64_t left = c->stop - c->next;
    const int32_t count = neap__clamp(c->run_items, 1, left);
    if (count > room && c->busy > 0) return;
    if (c->busy > 0 && is_beyond_span(c, count)) return;
    while (is_asked(c, c->tail))
      c->tail = following(c, c->tail);
    const uint32_t entry = c->tail;
    c->tail = following(c, entry);
    /* Before the entry is open: else a worker may take it as the earliest. */
    atomic_store(&c->ring->control->earliest, c->tail);
    ask(c, entry, c->epoch, c->next, count, 0);
    c->ahead += count;
    c->next += count;
  }
}

static bool is_slow(const neap__consumer *c) {
  return c->item_ns * c->run_items > RUN_NS_SLOW;
}

/* Open entries for which a sleeping worker is woken: for quick runs half of the
   ring, so that workers do not wake for each run. */
static uint32_t enough_to_wake(const neap__consumer *c) {
  if (is_slow(c)) return 1;
  const uint32_t half = c->ring->entry_count / 2;
  return half > 0 ? half : 1;
}

/* -- Measuring -- */

/* Running means over the last dozen runs, and the next run's length. */
static void measure(neap__consumer *c, double cost_ns, double used,
                    int32_t count) {
  const double weight = c->item_ns == 0 ? 1 : 0.125;
  c->item_ns += (cost_ns / count - c->item_ns) * weight;
  c->item_bytes += (used / count - c->item_bytes) * weight;
  if (c->chunk > 0) return;
  const double by_time = RUN_NS_WANTED / (c->item_ns + 1);
  const double by_bytes = RUN_BYTES_WANTED / (c->item_bytes + 1);
  const int64_t wanted = (int64_t)(by_time < by_bytes ? by_time : by_bytes);
  const int64_t share = c->buffered / (2 * (int64_t)c->ring->worker_count);
  int64_t most = 2 * (int64_t)c->run_items;
  if (share < most) most = share;
  c->run_items = neap__clamp(wanted < most ? wanted : most, 1, NEAP_RUN_MAX);
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
      .note = a->failure.note,
  };
}

static int damaged(neap_error *error) {
  return neap__error_set(error, NEAP_EDAMAGED, 0,
                         "cannot go on: a worker has written over the memory "
                         "that it shares with the host");
}

static int take_done(neap__consumer *c, uint32_t entry, neap__mark mark,
                     neap_run *run, neap_error *error) {
  const neap__asked *a = &c->asked[entry];
  if (mark.ticket != a->ticket || mark.slot >= c->ring->slot_count ||
      neap__lender_has_lent(c->lender, (int32_t)mark.slot) ||
      !neap__ring_take(c->ring, entry, mark))
    return damaged(error);
  const neap__slot *slot = &c->ring->slots[mark.slot];
  uint64_t used = atomic_load_explicit(&slot->used, memory_order_relaxed);
  const int64_t cost_ns =
      atomic_load_explicit(&slot->cost_ns, memory_order_relaxed);
  if (used > c->buffer->slot_bytes) used = c->buffer->slot_bytes;
  measure(c, (double)neap__clamp(cost_ns, 1, INT32_MAX), (double)used,
          a->count);
  neap__lender_lend(c->lender, mark.slot, used);
  const uint8_t *base = neap__buffer_slot(c->buffer, mark.slot);
  *run = (neap_run){
      .epoch = a->epoch,
      .first = a->first + a->skip,
      .count = a->count - a->skip,
      .slot = (int32_t)mark.slot,
      .cells = (const neap_cell *)(const void *)base + a->skip,
      .base = base,
      .bytes = used,
  };
  return NEAP_OK;
}

/*
 * Workers died too often at item k of the run: asks for the items before k
 * again, then delivers a failure for k, then asks for the rest.
 */
static void split_lost(neap__consumer *c, uint32_t entry) {
  neap__asked *a = &c->asked[entry];
  const neap__fate fate = c->crew->ops->fate(c->crew, entry);
  const int32_t k = neap__clamp(fate.item, 0, a->count - 1) - a->skip;
  const int64_t first = a->first + a->skip;
  const int32_t count = a->count - a->skip;
  neap__ring_forget(c->ring, entry);
  c->ahead -= a->skip;
  if (k < 0) { /* a seek has skipped it */
    ask(c, entry, a->epoch, first, count, a->rest);
    return;
  }
  a->failure = fate;
  const int32_t rest = count + a->rest - k;
  if (k > 0)
    ask(c, entry, a->epoch, first, k, rest);
  else
    owe_failure(c, entry, first, rest);
}

/* After a delivery: moves on to what the entry still owes. */
static void go_on(neap__consumer *c, uint32_t entry, int32_t delivered) {
  const neap__asked *a = &c->asked[entry];
  const int64_t first = a->first + delivered;
  if (a->state == NEAP__SPLIT)
    owe_failure(c, entry, first, a->rest);
  else if (a->state == NEAP__FAILED && a->rest > 1)
    ask(c, entry, a->epoch, first, a->rest - 1, 0);
  else
    move(c, entry, NEAP__UNASKED);
}

/* Whether there is something to deliver, damage included: an error. */
static bool is_ready(neap__consumer *c, uint32_t entry) {
  const neap__asked *a = &c->asked[entry];
  if (a->state == NEAP__FAILED) return true;
  const neap__mark mark = neap__ring_look(c->ring, entry);
  return mark.ticket != a->ticket ||
         (mark.state != NEAP__OPEN && mark.state != NEAP__CLAIMED);
}

/* The first entry from the tail on that is ready to deliver, or -1. */
static int64_t find_any_ready(neap__consumer *c) {
  uint32_t e = c->tail;
  for (uint32_t k = 0; k < c->ring->entry_count; k++) {
    if (is_asked(c, e) && is_ready(c, e)) return e;
    e = following(c, e);
  }
  return -1;
}

/*
 * An entry that is ready: the one awaited, or any. What one worker finished is
 * taken in its order: an entry that the first search passed may have become
 * ready before the one that it found, so the second search decides.
 */
static int64_t find_ready(neap__consumer *c, uint32_t awaited) {
  if (awaited != NEAP__ANY_ENTRY)
    return is_ready(c, awaited) ? (int64_t)awaited : -1;
  const int64_t found = find_any_ready(c);
  return found < 0 || found == c->tail ? found : find_any_ready(c);
}

/*
 * A quick run is ready sooner than a sleeping thread wakes: so polls for as
 * long as a quick run may take, if there is a core to spare.
 */
static void linger(neap__consumer *c, uint32_t awaited, int64_t since) {
  if (!c->has_cores || is_slow(c)) return;
  for (int look = 1; find_ready(c, awaited) < 0; look++) {
    if (look % LOOKS_A_CLOCK == 0 && neap__now_ns() - since > RUN_NS_SLOW)
      return;
    neap__pause();
  }
}

/* Whether an awaited entry will not be published: its claim is false. */
static bool is_hopeless(const neap__consumer *c, uint32_t awaited) {
  if (awaited != NEAP__ANY_ENTRY)
    return neap__ring_is_falsely_claimed(c->ring, awaited);
  for (uint32_t e = 0; e < c->ring->entry_count; e++)
    if (is_asked(c, e) && neap__ring_is_falsely_claimed(c->ring, e))
      return true;
  return false;
}

/* For how long a read that began at `since` may sleep now; 0: not at all. */
static int32_t sleep_ms(const neap__consumer *c, int64_t since, int64_t now) {
  if (c->wait_ns_max == 0) return NEAP__SLEEP_MS_MAX;
  const int64_t left_ns = since + c->wait_ns_max - now;
  return neap__clamp((left_ns + 999999) / 1000000, 0, NEAP__SLEEP_MS_MAX);
}

/*
 * Sleeps until the awaited entry is ready, or will not be published. NEAP_AGAIN
 * if the time of a read is over; a signal handler ends that, too.
 */
static int sleep_for(neap__consumer *c, uint32_t awaited, int64_t since,
                     int64_t *found, neap_error *error) {
  int64_t repaired_ns = since;
  int32_t ms = sleep_ms(c, since, since);
  for (;;) {
    neap__ring_wait_begin(c->ring, awaited);
    *found = find_ready(c, awaited);
    if (*found >= 0) return NEAP_OK;
    int rc = neap__interrupt_check(error);
    if (rc == NEAP_OK) rc = c->crew->ops->failure(c->crew, error);
    if (rc != NEAP_OK) return rc;
    const bool is_undisturbed = neap__ring_wait_sleep(c->ring, awaited, ms);
    const int64_t now = neap__now_ns(); /* the host's signals wake it, too */
    ms = is_undisturbed || c->wait_ns_max == 0 ? sleep_ms(c, since, now) : 0;
    if (ms > 0 && now - repaired_ns < NEAP__SLEEP_MS_MAX * 1000000ll) continue;
    repaired_ns = now;
    if (is_hopeless(c, awaited)) return damaged(error);
    neap__ring_repair_hints(c->ring);
    if (ms == 0 && find_ready(c, awaited) < 0) return NEAP_AGAIN;
  }
}

/* NEAP_AGAIN, after it has woken a worker; or why nothing will become ready. */
static int look_again(neap__consumer *c, uint32_t awaited, neap_error *error) {
  const int rc = c->crew->ops->failure(c->crew, error);
  if (rc != NEAP_OK) return rc;
  if (is_hopeless(c, awaited)) return damaged(error);
  neap__ring_wake_workers(c->ring, 1);
  return NEAP_AGAIN;
}

/* Waits until the awaited entry is ready; *entry is its number. */
static int await(neap__consumer *c, uint32_t awaited, bool may_wait,
                 uint32_t *entry, neap_error *error) {
  int64_t found = find_ready(c, awaited);
  if (found < 0 && !may_wait) return look_again(c, awaited, error);
  if (found < 0) {
    const int64_t since = neap__now_ns();
    neap__ring_wake_workers(c->ring, 1);
    linger(c, awaited, since);
    const int rc = sleep_for(c, awaited, since, &found, error);
    neap__ring_wait_end(c->ring);
    c->wait_ns += neap__now_ns() - since;
    if (rc != NEAP_OK) return rc;
  }
  *entry = (uint32_t)found;
  return NEAP_OK;
}

/* Delivers a run or a failure of the awaited entry. Splits lost runs. */
static int deliver(neap__consumer *c, uint32_t awaited, bool may_wait,
                   uint32_t *entry, neap_run *run, neap_error *error) {
  for (;;) {
    int rc = await(c, awaited, may_wait, entry, error);
    if (rc != NEAP_OK) return rc;
    if (c->asked[*entry].state == NEAP__FAILED) {
      fill_failure(&c->asked[*entry], run);
      return NEAP_OK;
    }
    const neap__mark mark = neap__ring_look(c->ring, *entry);
    if (mark.state == NEAP__DONE) return take_done(c, *entry, mark, run, error);
    if (mark.state != NEAP__LOST || mark.ticket != c->asked[*entry].ticket)
      return damaged(error);
    split_lost(c, *entry);
  }
}

/* Whether a read may begin. */
static int check_read(const neap__consumer *c, neap_error *error) {
  const int rc = neap__interrupt_check(error);
  if (rc != NEAP_OK) return rc;
  if (c->lender->held < c->lender->held_max) return NEAP_OK;
  return neap__error_set(
      error, NEAP_EHELD, 0,
      "cannot read on: all %d slots that may be held are held\n"
      "help: release some items, clone what is to be kept, or raise buffered",
      c->lender->held_max);
}

/* Cancels what a get that returned NEAP_AGAIN asked for. */
static void drop_aside(neap__consumer *c) {
  const uint32_t aside = c->ring->entry_count;
  if (!is_asked(c, aside)) return;
  neap__ring_cancel(c->ring, aside);
  move(c, aside, NEAP__UNASKED);
}

static uint32_t awaited_by(const neap__consumer *c) {
  return c->is_ordered ? c->head : NEAP__ANY_ENTRY;
}

static void begin(neap__consumer *c) {
  if (c->began_ns == 0) c->began_ns = neap__now_ns();
}

static void note_first(neap__consumer *c) {
  if (c->first_ns == 0) c->first_ns = neap__consumer_elapsed(c);
}

static void end(neap__consumer *c) {
  c->spent_ns = neap__consumer_elapsed(c);
  c->began_ns = 0;
}

int64_t neap__consumer_elapsed(const neap__consumer *c) {
  return c->began_ns == 0 ? c->spent_ns
                          : c->spent_ns + neap__now_ns() - c->began_ns;
}

int neap__consumer_next(neap__consumer *c, bool may_wait, neap_run *run,
                        neap_error *error) {
  *run = (neap_run){.slot = -1};
  int rc = check_read(c, error);
  if (rc != NEAP_OK) return rc;
  begin(c);
  drop_aside(c);
  ask_ahead(c);
  if (c->busy == 0) {
    end(c);
    return NEAP_END;
  }
  uint32_t entry;
  rc = deliver(c, awaited_by(c), may_wait, &entry, run, error);
  if (rc != NEAP_OK) return rc;
  note_first(c);
  const int32_t delivered = run->count + c->asked[entry].skip;
  c->ahead -= delivered;
  go_on(c, entry, delivered);
  if (c->is_ordered && !is_asked(c, entry)) c->head = following(c, c->head);
  ask_ahead(c);
  neap__ring_wake_workers(c->ring, enough_to_wake(c));
  return NEAP_OK;
}

int neap__consumer_get(neap__consumer *c, int64_t epoch, int64_t index,
                       neap_run *run, neap_error *error) {
  *run = (neap_run){.slot = -1};
  int rc = check_read(c, error);
  if (rc != NEAP_OK) return rc;
  if (index < 0 || index >= c->length)
    return neap__error_set(error, NEAP_EINVAL, 0,
                           "cannot read: index %lld is out of range",
                           (long long)index);
  begin(c);
  const uint32_t aside = c->ring->entry_count;
  const neap__asked *a = &c->asked[aside];
  uint32_t entry;
  if (a->epoch != epoch || a->first != index) drop_aside(c);
  if (!is_asked(c, aside)) ask(c, aside, epoch, index, 1, 0);
  neap__ring_wake_workers(c->ring, 1);
  rc = deliver(c, aside, true, &entry, run, error);
  if (rc == NEAP_AGAIN) return rc;
  if (rc != NEAP_OK)
    neap__ring_cancel(c->ring, aside);
  else
    note_first(c);
  move(c, aside, NEAP__UNASKED);
  return rc;
}

/* -- Waiting on another thread -- */

bool neap__consumer_is_ready(neap__consumer *c) {
  return c->busy == 0 || find_ready(c, awaited_by(c)) >= 0 ||
         c->crew->ops->failure(c->crew, NULL) != NEAP_OK;
}

void neap__consumer_watch(neap__consumer *c, const atomic_bool *is_called_off) {
  const uint32_t awaited = awaited_by(c);
  for (;;) {
    neap__ring_wait_begin(c->ring, awaited);
    if (atomic_load(is_called_off) || neap__consumer_is_ready(c)) break;
    const int64_t since = neap__now_ns();
    neap__ring_wait_sleep(c->ring, awaited, NEAP__SLEEP_MS_MAX);
    if (neap__now_ns() - since < NEAP__SLEEP_MS_MAX * 1000000ll) continue;
    if (is_hopeless(c, awaited)) break; /* the next read tells */
    neap__ring_repair_hints(c->ring);
  }
  neap__ring_wait_end(c->ring);
}

/* -- Seeking -- */

static void drop(neap__consumer *c, uint32_t entry) {
  const neap__asked *a = &c->asked[entry];
  if (!is_asked(c, entry)) return;
  neap__ring_cancel(c->ring, entry);
  c->ahead -= a->count + a->rest;
  move(c, entry, NEAP__UNASKED);
}

/* Drops the items before index, if index was asked for already and no later
   item was dropped. */
static bool skip_to(neap__consumer *c, int64_t epoch, int64_t index) {
  if (!c->is_ordered || epoch != c->epoch || !is_asked(c, c->head) ||
      c->stop < c->length || index >= c->next ||
      index < c->asked[c->head].first)
    return false;
  for (;;) {
    neap__asked *a = &c->asked[c->head];
    if (a->rest > 0) return false;
    if (index < a->first + a->count) {
      a->skip = (int32_t)(index - a->first);
      return true;
    }
    drop(c, c->head);
    c->head = following(c, c->head);
  }
}

int neap__consumer_seek(neap__consumer *c, int64_t epoch, int64_t index,
                        neap_error *error) {
  if (index < 0 || index > c->length)
    return neap__error_set(error, NEAP_EINVAL, 0,
                           "cannot seek: index %lld is out of range",
                           (long long)index);
  if (skip_to(c, epoch, index)) return NEAP_OK;
  for (uint32_t e = 0; e < c->ring->entry_count; e++)
    drop(c, e);
  c->head = c->tail;
  c->epoch = epoch;
  c->next = c->oldest = index;
  c->stop = c->length;
  return NEAP_OK;
}

void neap__consumer_shorten(neap__consumer *c, int64_t length) {
  if (length >= c->stop) return;
  for (uint32_t e = 0; e < c->ring->entry_count; e++) {
    const neap__asked *a = &c->asked[e];
    if (a->first + a->skip >= length) drop(c, e);
  }
  c->stop = length;
  if (c->next > length) c->next = length;
}

/* -- Opening and closing -- */

int neap__consumer_init(neap__consumer *c) {
  c->run_items = c->chunk > 0 ? c->chunk : 1;
  c->epoch = 1;
  c->stop = c->length;
  c->asked = calloc(c->ring->entry_count + 1, sizeof *c->asked);
  return c->asked != NULL ? NEAP_OK : NEAP_EMEMORY;
}

void neap__consumer_fini(neap__consumer *c) {
  free(c->asked);
  c->asked = NULL;
}
