/* SPDX-License-Identifier: MIT */
/*
 * The ring, without processes: each move by hand, then all of them at once
 * by threads that work, consume, die and are buried.
 *
 * Here a worker is a thread. It dies by ending where it stands, which is in
 * the midst of the ring's moves in builds with NEAP_FAULTS, as neap__fault is
 * ours, and between them in others.
 */
#include "ring/ring.h"

#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/fault.h"
#include "base/futex.h"

enum { WORKERS = 3, ENTRIES = 4, HELD = 2, SLOTS = WORKERS + ENTRIES + HELD };
enum { SLOT_BYTES = 4096, CHAIN_BYTES = 100, STAGES = 5 };

/* -- A ring in plain memory -- */

static void *new_segment(uint32_t workers, uint32_t entries, uint32_t slots,
                         uint64_t *bytes) {
  const neap__counts counts = {
      .workers = workers,
      .entries = entries,
      .slots = slots,
      .stages = STAGES,
      .slot_bytes = SLOT_BYTES,
      .chain_bytes = CHAIN_BYTES,
  };
  *bytes = neap__ring_bytes(&counts);
  void *base = aligned_alloc(128, *bytes);
  assert_non_null(base);
  memset(base, 0, *bytes);
  neap__ring_format(base, &counts);
  return base;
}

static void open_ring(neap__ring *ring, uint32_t workers, uint32_t entries,
                      uint32_t slots) {
  neap_error error;
  uint64_t bytes;
  void *base = new_segment(workers, entries, slots, &bytes);
  assert_int_equal(neap__ring_attach(ring, base, bytes, &error), NEAP_OK);
}

static void close_ring(neap__ring *ring) {
  free(ring->control);
}

static int set_up(void **state) {
  neap__ring *ring = calloc(1, sizeof *ring);
  if (ring == NULL) return -1;
  open_ring(ring, WORKERS, ENTRIES, SLOTS);
  *state = ring;
  return 0;
}

static int tear_down(void **state) {
  close_ring(*state);
  free(*state);
  return 0;
}

static enum neap__slot_state slot_state(const neap__ring *ring, int32_t slot) {
  return (enum neap__slot_state)(ring->slots[slot].word & 3);
}

static uint64_t slot_generation(const neap__ring *ring, int32_t slot) {
  return ring->slots[slot].word >> 24;
}

static bool has_bit(const neap__bits *bits, uint32_t k) {
  return bits[k / 64] >> (k % 64) & 1;
}

static enum neap__entry_state entry_state(const neap__ring *ring,
                                          uint32_t entry) {
  return neap__ring_look(ring, entry).state;
}

/* A worker's steps up to the claim; answers the slot. */
static int32_t claim(neap__ring *ring, uint32_t worker, int32_t expected,
                     uint64_t *ticket) {
  neap_task task;
  const int32_t slot = neap__slot_acquire(ring, worker, 0);
  assert_in_range(slot, 0, ring->slot_count - 1);
  assert_int_equal(
      neap__ring_claim(ring, worker, (uint32_t)slot, &task, ticket), expected);
  return slot;
}

/* Opens an entry and has a worker do it. */
static int32_t finish(neap__ring *ring, uint32_t worker, uint32_t entry) {
  uint64_t ticket;
  neap__ring_open(ring, entry, 1 + entry, 1, 0, 1);
  const int32_t slot = claim(ring, worker, (int32_t)entry, &ticket);
  assert_true(neap__ring_publish(ring, worker, entry, (uint32_t)slot, ticket));
  return slot;
}

static void take(neap__ring *ring, uint32_t entry) {
  assert_true(neap__ring_take(ring, entry, neap__ring_look(ring, entry)));
}

/* -- The moves -- */

static void a_word_keeps_what_is_packed(void **state) {
  (void)state;
  const neap__mark most = {NEAP__LOST, NEAP_WORKERS_MAX - 1,
                           NEAP__SLOTS_MAX - 1,
                           (1ull << NEAP__TICKET_BITS) - 1};
  const neap__mark back = neap__mark_unpack(neap__mark_pack(most));
  assert_int_equal(back.state, most.state);
  assert_int_equal(back.owner, most.owner);
  assert_int_equal(back.slot, most.slot);
  assert_int_equal(back.ticket, most.ticket);
  assert_int_equal(neap__mark_pack((neap__mark){0}), 0);
}

static void a_run_goes_around(void **state) {
  neap__ring *ring = *state;
  neap_task task;
  uint64_t ticket;
  const int32_t slot = neap__slot_acquire(ring, 1, 5);
  assert_int_equal(slot, 5);
  assert_int_equal(slot_state(ring, slot), NEAP__FILLING);
  neap__ring_open(ring, 2, 77, 3, 1000, 16);
  assert_int_equal(entry_state(ring, 2), NEAP__OPEN);
  assert_int_equal(neap__ring_claim(ring, 1, 5, &task, &ticket), 2);
  assert_int_equal(ticket, 77);
  assert_int_equal(task.epoch, 3);
  assert_int_equal(task.first, 1000);
  assert_int_equal(task.count, 16);
  assert_int_equal(entry_state(ring, 2), NEAP__CLAIMED);
  assert_true(neap__ring_publish(ring, 1, 2, 5, ticket));
  const neap__mark done = neap__ring_look(ring, 2);
  assert_int_equal(done.state, NEAP__DONE);
  assert_int_equal(done.owner, 1);
  assert_int_equal(done.slot, 5);
  assert_int_equal(done.ticket, 77);
  assert_int_equal(slot_state(ring, slot), NEAP__READY);
  assert_true(neap__ring_take(ring, 2, done));
  assert_int_equal(entry_state(ring, 2), NEAP__IDLE);
  assert_int_equal(slot_state(ring, slot), NEAP__HELD);
  neap__slot_release(ring, 5);
  assert_int_equal(slot_state(ring, slot), NEAP__FREE);
  assert_int_equal(slot_generation(ring, slot), 1);
}

static void the_earliest_entry_is_claimed_first(void **state) {
  neap__ring *ring = *state;
  const int32_t order[] = {ENTRIES, 2, 3, 0, 1};
  for (uint32_t e = 0; e <= ENTRIES; e++)
    neap__ring_open(ring, e, 1 + e, 1, e, 1);
  atomic_store(&ring->control->earliest, 2);
  neap_task task;
  uint64_t ticket;
  for (int k = 0; k <= ENTRIES; k++) {
    assert_int_equal(neap__ring_claim(ring, 0, 0, &task, &ticket), order[k]);
    assert_int_equal(task.first, order[k]);
  }
  assert_int_equal(neap__ring_claim(ring, 0, 0, &task, &ticket), -1);
}

static void a_hint_without_work_is_passed_over(void **state) {
  neap__ring *ring = *state;
  neap_task task;
  uint64_t ticket;
  finish(ring, 0, 1);
  neap__ring_open(ring, 3, 9, 1, 0, 1);
  for (uint32_t e = 0; e <= ENTRIES; e++)
    neap__bits_set(ring->control->open, e);
  assert_int_equal(neap__ring_claim(ring, 1, 8, &task, &ticket), 3);
  assert_int_equal(neap__ring_claim(ring, 1, 8, &task, &ticket), -1);
  assert_false(neap__ring_has_work(ring));
  assert_int_equal(entry_state(ring, 1), NEAP__DONE);
}

static void only_who_claimed_publishes(void **state) {
  neap__ring *ring = *state;
  uint64_t ticket;
  neap__ring_open(ring, 0, 5, 1, 0, 1);
  const int32_t other = neap__slot_acquire(ring, 1, 0);
  assert_false(neap__ring_publish(ring, 1, 0, (uint32_t)other, 5));
  assert_int_equal(entry_state(ring, 0), NEAP__OPEN);
  const int32_t slot = claim(ring, 0, 0, &ticket);
  assert_false(neap__ring_publish(ring, 1, 0, (uint32_t)slot, ticket));
  assert_false(neap__ring_publish(ring, 1, 0, (uint32_t)other, ticket));
  assert_false(neap__ring_publish(ring, 0, 0, (uint32_t)slot, ticket + 1));
  assert_int_equal(entry_state(ring, 0), NEAP__CLAIMED);
  assert_int_equal(slot_state(ring, slot), NEAP__FILLING);
  assert_int_equal(slot_state(ring, other), NEAP__FILLING);
}

static void an_earlier_claim_publishes_nothing(void **state) {
  neap__ring *ring = *state;
  uint64_t before, ticket;
  neap__ring_open(ring, 0, 1, 1, 0, 1);
  const int32_t late = claim(ring, 0, 0, &before);
  neap__ring_cancel(ring, 0);
  neap__ring_open(ring, 0, 2, 1, 50, 1);
  assert_false(neap__ring_publish(ring, 0, 0, (uint32_t)late, before));
  const int32_t slot = claim(ring, 1, 0, &ticket);
  assert_int_equal(ticket, 2);
  assert_false(neap__ring_publish(ring, 0, 0, (uint32_t)late, before));
  assert_int_equal(slot_state(ring, late), NEAP__FILLING);
  assert_true(neap__ring_publish(ring, 1, 0, (uint32_t)slot, ticket));
}

static bool never(void *host, uint32_t entry, neap__mark mark) {
  (void)host, (void)entry, (void)mark;
  return false;
}

static void any_state_is_cancelled(void **state) {
  neap__ring *ring = *state;
  uint64_t ticket;
  neap__ring_cancel(ring, 0); /* IDLE */
  neap__ring_open(ring, 0, 1, 1, 0, 1);
  neap__ring_cancel(ring, 0); /* OPEN */
  assert_int_equal(entry_state(ring, 0), NEAP__IDLE);
  neap__ring_open(ring, 0, 2, 1, 0, 1);
  const int32_t slot = claim(ring, 0, 0, &ticket);
  neap__ring_cancel(ring, 0); /* CLAIMED */
  assert_int_equal(entry_state(ring, 0), NEAP__IDLE);
  assert_int_equal(slot_state(ring, slot), NEAP__FILLING);
  const int32_t done = finish(ring, 1, 1);
  neap__ring_cancel(ring, 1); /* DONE */
  assert_int_equal(entry_state(ring, 1), NEAP__IDLE);
  assert_int_equal(slot_state(ring, done), NEAP__FREE);
  neap__ring_open(ring, 2, 3, 1, 0, 1);
  claim(ring, 2, 2, &ticket);
  neap__ring_recover(ring, 2, never, NULL);
  assert_int_equal(entry_state(ring, 2), NEAP__LOST);
  neap__ring_cancel(ring, 2); /* LOST */
  assert_int_equal(entry_state(ring, 2), NEAP__IDLE);
}

static void a_slot_that_is_not_ready_is_not_taken(void **state) {
  neap__ring *ring = *state;
  const int32_t slot = finish(ring, 0, 0);
  neap__mark mark = neap__ring_look(ring, 0);
  mark.slot = SLOTS;
  assert_false(neap__ring_take(ring, 0, mark));
  mark.slot = (uint32_t)neap__slot_acquire(ring, 1, 0);
  assert_false(neap__ring_take(ring, 0, mark));
  assert_int_equal(entry_state(ring, 0), NEAP__DONE);
  assert_int_equal(slot_state(ring, slot), NEAP__READY);
  take(ring, 0);
}

static void only_what_is_held_is_released(void **state) {
  neap__ring *ring = *state;
  const int32_t filling = neap__slot_acquire(ring, 0, 0);
  const int32_t ready = finish(ring, 1, 0);
  neap__slot_release(ring, (uint32_t)filling);
  neap__slot_release(ring, (uint32_t)ready);
  neap__slot_release(ring, SLOTS - 1);
  assert_int_equal(slot_state(ring, filling), NEAP__FILLING);
  assert_int_equal(slot_state(ring, ready), NEAP__READY);
  assert_int_equal(slot_generation(ring, SLOTS - 1), 0);
}

static void what_is_held_is_not_filled(void **state) {
  neap__ring *ring = *state;
  const int32_t held = finish(ring, 0, 0);
  take(ring, 0);
  neap__bits_set(ring->control->free, (uint32_t)held);
  const int32_t slot = neap__slot_acquire(ring, 0, (uint32_t)held);
  assert_int_not_equal(slot, held);
  assert_int_equal(slot_state(ring, held), NEAP__HELD);
}

static void only_what_is_free_is_held(void **state) {
  neap__ring *ring = *state;
  const int32_t filling = neap__slot_acquire(ring, 0, 0);
  const int32_t ready = finish(ring, 1, 0);
  const int32_t held = finish(ring, 2, 1);
  take(ring, 1);
  assert_false(neap__slot_hold(ring, (uint32_t)filling));
  assert_false(neap__slot_hold(ring, (uint32_t)ready));
  assert_false(neap__slot_hold(ring, (uint32_t)held));
  assert_true(neap__slot_hold(ring, SLOTS - 1));
  for (uint32_t k = 3; k < SLOTS - 1; k++)
    assert_int_equal(neap__slot_acquire(ring, 0, SLOTS - 1), k);
  assert_int_equal(neap__slot_acquire(ring, 0, SLOTS - 1), -1);
  neap__slot_release(ring, SLOTS - 1);
  assert_int_equal(neap__slot_acquire(ring, 0, 0), SLOTS - 1);
}

static void a_free_slot_is_found_without_its_hint(void **state) {
  neap__ring *ring = *state;
  neap__bits_clear(ring->control->free, 0);
  for (uint32_t k = 1; k < SLOTS; k++)
    assert_int_equal(neap__slot_acquire(ring, 0, k), k);
  assert_int_equal(neap__slot_acquire(ring, 0, 3), 0);
  assert_int_equal(neap__slot_acquire(ring, 0, 3), -1);
}

/* I4, at its tightest. */
static void there_are_slots_enough(void **state) {
  neap__ring *ring = *state;
  for (uint32_t k = 0; k < HELD; k++) {
    finish(ring, 0, k);
    take(ring, k);
  }
  for (uint32_t e = 0; e < ENTRIES; e++)
    finish(ring, e % WORKERS, e);
  for (uint32_t w = 0; w < WORKERS; w++)
    assert_in_range(neap__slot_acquire(ring, w, 0), 0, SLOTS - 1);
  assert_int_equal(neap__slot_acquire(ring, 0, 0), -1);
}

/* -- Waiting -- */

static void publishing_grants_the_wish_for_it(void **state) {
  neap__ring *ring = *state;
  const _Atomic uint32_t *wanted = &ring->control->wanted;
  neap__ring_wait_begin(ring, 1);
  finish(ring, 0, 0);
  assert_int_equal(*wanted, 2);
  finish(ring, 0, 1);
  assert_int_equal(*wanted, 0);
  const int64_t since = neap__now_ns();
  neap__ring_wait_sleep(ring, 1, NEAP__SLEEP_MS_MAX); /* does not */
  assert_true(neap__now_ns() - since < NEAP__SLEEP_MS_MAX * 1000000ll);
  neap__ring_wait_begin(ring, NEAP__ANY_ENTRY);
  finish(ring, 0, 2);
  assert_int_equal(*wanted, 0);
  neap__ring_wait_begin(ring, 3);
  neap__ring_wait_end(ring);
  assert_int_equal(*wanted, 0);
}

static void idle(neap__ring *ring, uint32_t worker) {
  atomic_store(&ring->records[worker].asleep, NEAP__RESTS);
  neap__bits_set(ring->control->idle, worker);
}

static void a_claim_of_one_at_rest_is_false(void **state) {
  neap__ring *ring = *state;
  uint64_t ticket;
  neap__ring_open(ring, 1, 1, 1, 0, 1);
  idle(ring, 0);
  assert_false(neap__ring_is_falsely_claimed(ring, 1)); /* OPEN */
  claim(ring, 2, 1, &ticket);
  assert_false(neap__ring_is_falsely_claimed(ring, 1));
  idle(ring, 2);
  assert_true(neap__ring_is_falsely_claimed(ring, 1));
  neap__ring_poll_end(ring, 2);
  assert_false(neap__ring_is_falsely_claimed(ring, 1));
  neap__mark mark = neap__ring_look(ring, 1);
  mark.owner = WORKERS;
  atomic_store(&ring->entries[1].word, neap__mark_pack(mark));
  assert_true(neap__ring_is_falsely_claimed(ring, 1));
  mark.owner = 1;
  atomic_store(&ring->entries[1].word, neap__mark_pack(mark));
  assert_true(neap__ring_is_falsely_claimed(ring, 1)); /* not its slot */
  neap__ring_cancel(ring, 1);
  assert_false(neap__ring_is_falsely_claimed(ring, 1));
}

/* One that rests in poll() may hold claims, and is woken by a descriptor. */
static void one_that_polls_keeps_its_claims(void **state) {
  neap__ring *ring = *state;
  uint64_t ticket, count;
  int fds[WORKERS];
  for (uint32_t w = 0; w < WORKERS; w++)
    fds[w] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  ring->wake_fds = fds;
  neap__ring_open(ring, 1, 1, 1, 0, 1);
  const int32_t slot = claim(ring, 2, 1, &ticket);
  assert_true(neap__ring_poll_begin(ring, 2, true, 0));
  assert_false(neap__ring_is_falsely_claimed(ring, 1));
  assert_true(neap__ring_holds(ring, 2, 1, (uint32_t)slot, ticket));
  neap__ring_open(ring, 3, 2, 1, 0, 1);
  neap__ring_wake_workers(ring, 1);
  assert_int_equal(read(fds[2], &count, sizeof count), sizeof count);
  assert_int_equal(ring->records[2].asleep, NEAP__AWAKE);
  assert_false(neap__ring_poll_begin(ring, 2, true, 0)); /* there is work */
  neap__ring_poll_end(ring, 2);
  assert_false(has_bit(ring->control->idle, 2));

  assert_true(neap__ring_poll_begin(ring, 2, false, 0)); /* it wants none */
  neap__ring_wake_workers(ring, 1);
  assert_int_equal(read(fds[2], &count, sizeof count), -1);
  neap__ring_cancel(ring, 1);
  assert_int_equal(read(fds[2], &count, sizeof count), sizeof count);
  assert_false(neap__ring_holds(ring, 2, 1, (uint32_t)slot, ticket));
  assert_false(neap__ring_poll_begin(ring, 2, false, 0)); /* a cancel, untold */
  assert_true(neap__ring_poll_begin(ring, 2, false, 1));
  neap__ring_stop(ring);
  assert_int_equal(read(fds[2], &count, sizeof count), sizeof count);
  assert_int_equal(read(fds[1], &count, sizeof count), -1);
  for (uint32_t w = 0; w < WORKERS; w++)
    close(fds[w]);
}

static uint32_t asleep_count(neap__ring *ring) {
  uint32_t count = 0;
  for (uint32_t w = 0; w < ring->worker_count; w++)
    count += ring->records[w].asleep;
  assert_int_equal(neap__bits_count(ring->control->idle, WORKERS), count);
  return count;
}

static void one_is_roused_for_each_enough(void **state) {
  neap__ring *ring = *state;
  for (uint32_t w = 0; w < WORKERS; w++)
    idle(ring, w);
  neap__ring_wake_workers(ring, 1);
  assert_int_equal(asleep_count(ring), 3);
  neap__ring_open(ring, 0, 1, 1, 0, 1);
  neap__ring_wake_workers(ring, 2);
  assert_int_equal(asleep_count(ring), 3);
  neap__ring_open(ring, 1, 2, 1, 0, 1);
  neap__ring_open(ring, 2, 3, 1, 0, 1);
  neap__ring_wake_workers(ring, 2);
  assert_int_equal(asleep_count(ring), 2);
  neap__ring_wake_workers(ring, 1);
  assert_int_equal(asleep_count(ring), 0);
}

static void nobody_rests_while_there_is_work(void **state) {
  neap__ring *ring = *state;
  neap__ring_open(ring, 0, 1, 1, 0, 1);
  neap__ring_rest(ring, 0);
  assert_false(has_bit(ring->control->idle, 0));
  neap__ring_cancel(ring, 0);
  neap__bits_clear(ring->control->open, 0);
  neap__ring_stop(ring);
  assert_true(neap__ring_is_stopped(ring));
  neap__ring_rest(ring, 1);
}

static void stirring_sets_hints_and_wakes_all(void **state) {
  neap__ring *ring = *state;
  neap__ring_open(ring, 1, 1, 1, 0, 1);
  neap__bits_clear(ring->control->open, 1);
  for (uint32_t w = 0; w < WORKERS; w++)
    atomic_store(&ring->records[w].asleep, 1);
  neap__ring_repair_hints(ring);
  assert_true(has_bit(ring->control->open, 1));
  assert_int_equal(asleep_count(ring), 0);
}

/* -- A death -- */

typedef struct asked_again {
  uint32_t entry;
  uint64_t ticket;
  int count;
  bool answer;
} asked_again;

static bool answer(void *host, uint32_t entry, neap__mark mark) {
  asked_again *asked = host;
  asked->entry = entry;
  asked->ticket = mark.ticket;
  asked->count++;
  return asked->answer;
}

static void a_dead_workers_claim_is_opened_again(void **state) {
  neap__ring *ring = *state;
  asked_again asked = {.answer = true};
  uint64_t ticket;
  neap__ring_open(ring, 3, 11, 2, 40, 5);
  const int32_t slot = claim(ring, 1, 3, &ticket);
  neap__ring_recover(ring, 1, answer, &asked);
  assert_int_equal(asked.count, 1);
  assert_int_equal(asked.entry, 3);
  assert_int_equal(asked.ticket, 11);
  assert_int_equal(slot_state(ring, slot), NEAP__FREE);
  assert_int_equal(slot_generation(ring, slot), 1);
  neap_task task;
  assert_int_equal(neap__ring_claim(ring, 0, 8, &task, &ticket), 3);
  assert_int_equal(ticket, 11);
  assert_int_equal(task.first, 40);
}

static void a_claim_without_tries_is_lost(void **state) {
  neap__ring *ring = *state;
  asked_again asked = {.answer = false};
  uint64_t ticket;
  neap__ring_open(ring, 0, 11, 2, 40, 5);
  claim(ring, 1, 0, &ticket);
  neap__ring_wait_begin(ring, 0);
  neap__ring_recover(ring, 1, answer, &asked);
  assert_int_equal(entry_state(ring, 0), NEAP__LOST);
  assert_int_equal(neap__ring_look(ring, 0).ticket, 11);
  assert_false(neap__ring_has_work(ring));
  assert_int_equal(ring->control->wanted, 0);
  neap__ring_forget(ring, 0);
  assert_int_equal(entry_state(ring, 0), NEAP__IDLE);
}

static void a_death_touches_nothing_of_others(void **state) {
  neap__ring *ring = *state;
  asked_again asked = {.answer = true};
  uint64_t ticket;
  const int32_t held = finish(ring, 1, 0);
  take(ring, 0);
  const int32_t delivered = finish(ring, 1, 1);
  neap__ring_open(ring, 2, 3, 1, 0, 1);
  const int32_t theirs = claim(ring, 0, 2, &ticket);
  const int32_t filling = neap__slot_acquire(ring, 1, 0);
  idle(ring, 1);
  idle(ring, 2);
  neap__ring_recover(ring, 1, answer, &asked);
  assert_int_equal(asked.count, 0);
  assert_int_equal(slot_state(ring, held), NEAP__HELD);
  assert_int_equal(slot_state(ring, delivered), NEAP__READY);
  assert_int_equal(slot_state(ring, theirs), NEAP__FILLING);
  assert_int_equal(slot_state(ring, filling), NEAP__FREE);
  assert_false(has_bit(ring->control->idle, 1));
  assert_true(has_bit(ring->control->idle, 2));
  take(ring, 1);
  assert_true(neap__ring_publish(ring, 0, 2, (uint32_t)theirs, ticket));
}

/* Killed between FILLING -> READY and CLAIMED -> DONE. */
static void a_ready_slot_that_nobody_names_is_freed(void **state) {
  neap__ring *ring = *state;
  uint64_t ticket;
  neap__ring_open(ring, 0, 3, 1, 0, 1);
  const int32_t slot = claim(ring, 1, 0, &ticket);
  ring->slots[slot].word |= NEAP__READY;
  ring->slots[slot].word &= ~(uint64_t)NEAP__FILLING;
  assert_int_equal(slot_state(ring, slot), NEAP__READY);
  neap__ring_recover(ring, 1, never, NULL);
  assert_int_equal(slot_state(ring, slot), NEAP__FREE);
}

/* Killed after clearing them. */
static void a_death_sets_all_hints_anew(void **state) {
  neap__ring *ring = *state;
  neap__ring_open(ring, 0, 3, 1, 0, 1);
  neap__bits_clear(ring->control->open, 0);
  neap__bits_clear(ring->control->free, 4);
  idle(ring, 2);
  neap__ring_recover(ring, 1, never, NULL);
  assert_true(has_bit(ring->control->open, 0));
  assert_true(has_bit(ring->control->free, 4));
  assert_int_equal(asleep_count(ring), 0); /* roused for entry 0 */
}

/* -- Bits -- */

enum { BITS_MAX = 130, BIT_WORDS = 3 };

static void a_bit_is_found_from_anywhere(void **state) {
  (void)state;
  const uint32_t counts[] = {1, 2, 63, 64, 65, 127, 128, BITS_MAX};
  for (size_t c = 0; c < sizeof counts / sizeof *counts; c++)
    for (uint32_t k = 0; k < counts[c]; k++)
      for (uint32_t from = 0; from < counts[c]; from++) {
        neap__bits bits[BIT_WORDS] = {0};
        neap__bits_set(bits, k);
        assert_int_equal(neap__bits_take(bits, counts[c], from), k);
        assert_int_equal(neap__bits_take(bits, counts[c], from), -1);
      }
}

static void the_next_bit_around_is_taken(void **state) {
  (void)state;
  const uint32_t edges[] = {0, 1, 62, 63, 64, 65, 127, 128, BITS_MAX - 1};
  enum { EDGES = sizeof edges / sizeof *edges };
  for (size_t from = 0; from < EDGES; from++) {
    neap__bits bits[BIT_WORDS] = {0};
    for (size_t k = 0; k < EDGES; k++)
      neap__bits_set(bits, edges[k]);
    assert_int_equal(neap__bits_count(bits, BITS_MAX), EDGES);
    for (size_t k = 0; k < EDGES; k++)
      assert_int_equal(neap__bits_take(bits, BITS_MAX, edges[from]),
                       edges[(from + k) % EDGES]);
    assert_int_equal(neap__bits_count(bits, BITS_MAX), 0);
  }
}

static void a_bit_is_cleared_once(void **state) {
  (void)state;
  neap__bits bits[BIT_WORDS] = {0};
  neap__bits_set(bits, 64);
  assert_false(neap__bits_clear(bits, 63));
  assert_false(neap__bits_clear(bits, 65));
  assert_true(neap__bits_clear(bits, 64));
  assert_false(neap__bits_clear(bits, 64));
}

static void bits_past_the_count_are_not_there(void **state) {
  (void)state;
  const uint32_t counts[] = {1, 63, 65, 127};
  for (size_t c = 0; c < sizeof counts / sizeof *counts; c++) {
    neap__bits bits[BIT_WORDS] = {0};
    for (uint32_t k = counts[c]; k < 128; k++)
      neap__bits_set(bits, k);
    assert_int_equal(neap__bits_count(bits, counts[c]), 0);
    assert_int_equal(neap__bits_take(bits, counts[c], 0), -1);
  }
}

/* -- The header -- */

static void assert_refused(void *base, uint64_t bytes) {
  neap__ring ring;
  neap_error error = {0};
  assert_int_equal(neap__ring_attach(&ring, base, bytes, &error),
                   NEAP_EDAMAGED);
  assert_non_null(strstr(error.text, "cannot attach to the host"));
  assert_null(ring.control);
}

static void counts_at_their_limits_fit(void **state) {
  (void)state;
  neap__ring ring;
  open_ring(&ring, 1, 1, 1);
  close_ring(&ring);
  open_ring(&ring, NEAP_WORKERS_MAX, NEAP__ENTRIES_MAX, NEAP__SLOTS_MAX);
  assert_int_equal(ring.worker_count, NEAP_WORKERS_MAX);
  neap__ring_open(&ring, NEAP__ENTRIES_MAX, 1, 1, 0, 1);
  uint64_t ticket;
  const int32_t slot = neap__slot_acquire(&ring, 0, NEAP__SLOTS_MAX - 1);
  assert_int_equal(slot, NEAP__SLOTS_MAX - 1);
  neap_task task;
  assert_int_equal(neap__ring_claim(&ring, NEAP_WORKERS_MAX - 1, (uint32_t)slot,
                                    &task, &ticket),
                   NEAP__ENTRIES_MAX);
  assert_int_equal(neap__ring_look(&ring, NEAP__ENTRIES_MAX).owner,
                   NEAP_WORKERS_MAX - 1);
  close_ring(&ring);
}

static void a_segment_that_is_too_short_is_refused(void **state) {
  (void)state;
  uint64_t bytes;
  void *base = new_segment(WORKERS, ENTRIES, SLOTS, &bytes);
  assert_refused(base, 0);
  assert_refused(base, sizeof(neap__control) - 1);
  assert_refused(base, sizeof(neap__control));
  assert_refused(base, bytes - 1);
  free(base);
}

static void a_damaged_header_is_refused(void **state) {
  (void)state;
  uint64_t bytes;
  neap__control *good = new_segment(WORKERS, ENTRIES, SLOTS, &bytes);
  neap__control *bad = aligned_alloc(128, bytes);
  assert_non_null(bad);
#define REFUSED(field, value) \
  do { \
    memcpy(bad, good, bytes); \
    bad->field = (value); \
    assert_refused(bad, bytes); \
  } while (0)
  REFUSED(magic, good->magic + 1);
  REFUSED(layout, 0);
  const uint32_t counts[] = {0, SLOTS * 100, INT32_MAX, UINT32_MAX};
  for (int k = 0; k < 4; k++) {
    REFUSED(worker_count, counts[k]);
    REFUSED(entry_count, counts[k]);
    REFUSED(slot_count, counts[k]);
  }
  REFUSED(worker_count, NEAP_WORKERS_MAX + 1);
  REFUSED(entry_count, NEAP__ENTRIES_MAX + 1);
  REFUSED(slot_count, NEAP__SLOTS_MAX + 1);
  const uint64_t sizes[] = {bytes, 1ull << 32, UINT64_MAX / 2, UINT64_MAX - 200,
                            UINT64_MAX};
  for (int k = 0; k < 5; k++) {
    REFUSED(chain_bytes, sizes[k]);
    REFUSED(chain_offset, sizes[k]);
  }
#undef REFUSED
  free(bad);
  free(good);
}

/* -- All at once -- */

enum {
  CREW = 4,
  WINDOW = 6,
  HANDFUL = 3, /* runs held */
  RUN_MAX = 4,
  PILE = WINDOW + CREW + HANDFUL,
  WORDS = 64,         /* of an item */
  SLOT_LOOKS = 10000, /* as worker.c has it */
  DEATHS = 300,       /* one in so many steps */
  WATCH_S = 60        /* how much later than it should the test may end */
};

typedef struct dice {
  uint64_t state;
} dice;

static uint32_t roll(dice *d, uint32_t sides) {
  d->state ^= d->state << 13;
  d->state ^= d->state >> 7;
  d->state ^= d->state << 17;
  return (uint32_t)(d->state >> 33) % sides;
}

typedef struct yard yard;

typedef struct hand {
  yard *yard;
  uint32_t number;
  dice dice;
  pthread_t thread;
  atomic_int is_dead;
} hand;

struct yard {
  neap__ring ring;
  hand hands[CREW];
  uint64_t items[PILE][RUN_MAX][WORDS]; /* what the slots hold */
  sem_t death;
  atomic_int is_over;
  atomic_int slotless;
  dice fate; /* the supervisor's */
  int burials, lost;
};

static _Thread_local hand *self;

static uint64_t word_of(int64_t epoch, int64_t index, int k) {
  return (uint64_t)epoch << 48 ^ (uint64_t)index * 0x9e3779b97f4a7c15u ^
         (uint64_t)k << 32;
}

static void die_perhaps(void) {
  if (self == NULL || roll(&self->dice, DEATHS) > 0) return;
  atomic_store(&self->is_dead, 1);
  sem_post(&self->yard->death);
  pthread_exit(NULL);
}

#ifdef NEAP_FAULTS
void neap__fault(const char *place) {
  (void)place;
  die_perhaps();
}
#endif

static void fill(yard *y, int32_t slot, const neap_task *task) {
  for (int32_t i = 0; i < task->count; i++) {
    for (int k = 0; k < WORDS; k++)
      y->items[slot][i][k] = word_of(task->epoch, task->first + i, k);
    die_perhaps();
  }
}

static int32_t acquire(yard *y, uint32_t worker, uint32_t last) {
  for (int look = 0; look < SLOT_LOOKS; look++) {
    const int32_t slot = neap__slot_acquire(&y->ring, worker, last);
    if (slot >= 0) return slot;
    sched_yield();
  }
  atomic_fetch_add(&y->slotless, 1);
  return -1;
}

static void *work(void *argument) {
  self = argument;
  yard *y = self->yard;
  neap__ring *ring = &y->ring;
  const uint32_t me = self->number;
  int32_t slot = -1;
  uint32_t last = 0;
  while (!neap__ring_is_stopped(ring)) {
    neap_task task;
    uint64_t ticket;
    if (slot < 0) slot = acquire(y, me, last);
    if (slot < 0) return NULL;
    die_perhaps();
    const int32_t entry =
        neap__ring_claim(ring, me, (uint32_t)slot, &task, &ticket);
    die_perhaps();
    if (entry < 0) {
      neap__ring_rest(ring, me);
      continue;
    }
    fill(y, slot, &task);
    const bool is_taken =
        neap__ring_publish(ring, me, (uint32_t)entry, (uint32_t)slot, ticket);
    die_perhaps();
    if (!is_taken) continue;
    last = (uint32_t)slot;
    slot = -1;
  }
  return NULL;
}

static bool try_again(void *host, uint32_t entry, neap__mark mark) {
  yard *y = host;
  (void)entry, (void)mark;
  const bool is_open = roll(&y->fate, 3) > 0;
  y->lost += !is_open;
  return is_open;
}

static void *supervise(void *argument) {
  yard *y = argument;
  for (;;) {
    sem_wait(&y->death);
    if (atomic_load(&y->is_over)) return NULL;
    for (uint32_t w = 0; w < CREW; w++) {
      hand *dead = &y->hands[w];
      if (!atomic_exchange(&dead->is_dead, 0)) continue;
      pthread_join(dead->thread, NULL);
      neap__ring_recover(&y->ring, w, try_again, y);
      pthread_create(&dead->thread, NULL, work, dead);
      y->burials++;
    }
  }
}

/* What the consumer has asked of an entry, and what it holds. */
typedef struct request {
  bool is_busy;
  uint64_t ticket;
  int64_t epoch, first;
  int32_t count;
  int32_t slot;
} request;

typedef struct consumer {
  yard *yard;
  neap__ring *ring;
  dice dice;
  request asked[WINDOW + 1];
  request held[HANDFUL];
  uint32_t held_count, head, tail;
  uint64_t ticket;
  int64_t epoch, next;
  int64_t runs, failures, cancelled;
} consumer;

static void ask(consumer *c, uint32_t entry, int64_t first, int32_t count) {
  c->asked[entry] = (request){true, ++c->ticket, c->epoch, first, count, -1};
  neap__ring_open(c->ring, entry, c->ticket, c->epoch, first, count);
}

static void ask_ahead(consumer *c) {
  while (!c->asked[c->tail].is_busy) {
    const int32_t count = 1 + (int32_t)roll(&c->dice, RUN_MAX);
    const uint32_t entry = c->tail;
    c->tail = (c->tail + 1) % WINDOW;
    atomic_store(&c->ring->control->earliest, c->tail);
    ask(c, entry, c->next, count);
    c->next += count;
  }
}

static void cancel_all(consumer *c) {
  for (uint32_t e = 0; e < WINDOW; e++) {
    neap__ring_cancel(c->ring, e);
    c->asked[e].is_busy = false;
    c->cancelled++;
  }
  c->head = c->tail;
  c->epoch++;
  c->next = roll(&c->dice, 1000000);
}

static void check(consumer *c, const request *w) {
  for (int32_t i = 0; i < w->count; i++)
    for (int k = 0; k < WORDS; k++)
      assert_int_equal(c->yard->items[w->slot][i][k],
                       word_of(w->epoch, w->first + i, k));
}

static void let_go(consumer *c) {
  const uint32_t k = roll(&c->dice, c->held_count);
  check(c, &c->held[k]);
  neap__slot_release(c->ring, (uint32_t)c->held[k].slot);
  c->held[k] = c->held[--c->held_count];
  const uint32_t idle_slot = roll(&c->dice, PILE);
  if (!neap__slot_hold(c->ring, idle_slot)) return;
  memset(c->yard->items[idle_slot], 0, sizeof c->yard->items[idle_slot]);
  neap__slot_release(c->ring, idle_slot);
}

static bool is_ready(const consumer *c, uint32_t entry) {
  const enum neap__entry_state now = entry_state(c->ring, entry);
  return now == NEAP__DONE || now == NEAP__LOST;
}

/* As the pool does, but without a limit: a lost wake-up is to hang. */
static void await(consumer *c, uint32_t entry) {
  if (is_ready(c, entry)) return;
  neap__ring_wake_workers(c->ring, 1);
  for (;;) {
    neap__ring_wait_begin(c->ring, entry);
    if (is_ready(c, entry)) break;
    neap__futex_wait(&c->ring->control->wanted, entry + 1);
  }
  neap__ring_wait_end(c->ring);
}

/* I1 and I3: what comes is what was asked for, and stays that. */
static void deliver(consumer *c, uint32_t entry) {
  request *asked = &c->asked[entry];
  for (;;) {
    await(c, entry);
    const neap__mark mark = neap__ring_look(c->ring, entry);
    assert_int_equal(mark.ticket, asked->ticket);
    if (mark.state == NEAP__DONE) {
      assert_true(neap__ring_take(c->ring, entry, mark));
      asked->slot = (int32_t)mark.slot;
      check(c, asked);
      c->held[c->held_count++] = *asked;
      break;
    }
    assert_int_equal(mark.state, NEAP__LOST);
    neap__ring_forget(c->ring, entry);
    c->failures++;
    if (roll(&c->dice, 2)) break;
    ask(c, entry, asked->first, asked->count);
  }
  asked->is_busy = false;
  c->runs++;
}

static void consume(consumer *c) {
  ask_ahead(c);
  if (roll(&c->dice, 100) == 0) {
    cancel_all(c);
    ask_ahead(c);
  }
  while (c->held_count == HANDFUL || (c->held_count > 0 && roll(&c->dice, 2)))
    let_go(c);
  if (roll(&c->dice, 10) == 0) { /* an item aside */
    ask(c, WINDOW, roll(&c->dice, 1000), 1);
    neap__ring_wake_workers(c->ring, 1);
    deliver(c, WINDOW);
    return;
  }
  deliver(c, c->head);
  c->head = (c->head + 1) % WINDOW;
  ask_ahead(c);
  neap__ring_wake_workers(c->ring, 1 + roll(&c->dice, WINDOW / 2));
}

static void start(yard *y, uint64_t seed, pthread_t *supervisor) {
  open_ring(&y->ring, CREW, WINDOW, PILE);
  sem_init(&y->death, 0, 0);
  y->fate = (dice){seed ^ 0x5bd1e995};
  for (uint32_t w = 0; w < CREW; w++) {
    hand *h = &y->hands[w];
    *h = (hand){.yard = y, .number = w, .dice = {seed + (w + 1) * 7919}};
    pthread_create(&h->thread, NULL, work, h);
  }
  /* Last: it looks at all hands when the first has died. */
  pthread_create(supervisor, NULL, supervise, y);
}

static void stop(yard *y, pthread_t supervisor) {
  neap__ring_stop(&y->ring);
  atomic_store(&y->is_over, 1);
  sem_post(&y->death);
  pthread_join(supervisor, NULL);
  for (uint32_t w = 0; w < CREW; w++)
    pthread_join(y->hands[w].thread, NULL);
  sem_destroy(&y->death);
}

/* Every slot is free, or has an owner who is gone or an entry that is DONE. */
static void check_slots(consumer *c) {
  for (uint32_t w = 0; w < CREW; w++)
    neap__ring_recover(c->ring, w, never, NULL);
  for (uint32_t e = 0; e <= WINDOW; e++)
    neap__ring_cancel(c->ring, e);
  while (c->held_count > 0)
    let_go(c);
  for (int32_t s = 0; s < PILE; s++)
    assert_int_equal(slot_state(c->ring, s), NEAP__FREE);
  assert_int_equal(neap__bits_count(c->ring->control->free, PILE), PILE);
}

static void nothing_is_lost_whoever_dies(void **state) {
  (void)state;
  const int64_t seconds = getenv("NEAP_LONG") != NULL ? 120 : 2;
  const char *told = getenv("NEAP_TEST_SEED");
  const uint64_t seed =
      told != NULL ? strtoull(told, NULL, 10) : (uint64_t)neap__now_ns() | 1;
  print_message("NEAP_TEST_SEED=%llu\n", (unsigned long long)seed);
  alarm((unsigned)seconds + WATCH_S); /* I2 */
  yard *y = calloc(1, sizeof *y);
  assert_non_null(y);
  pthread_t supervisor;
  start(y, seed, &supervisor);
  consumer c = {.yard = y, .ring = &y->ring, .dice = {seed}, .epoch = 1};
  const int64_t end = neap__now_ns() + seconds * 1000000000;
  while (neap__now_ns() < end)
    consume(&c);
  stop(y, supervisor);
  check_slots(&c);
  alarm(0);
  print_message("%lld runs, %lld cancelled, %lld failed; %d deaths\n",
                (long long)c.runs, (long long)c.cancelled,
                (long long)c.failures, y->burials);
  assert_int_equal(atomic_load(&y->slotless), 0); /* I4 */
  assert_in_range(c.runs, 100, INT64_MAX);
  assert_in_range(y->burials, 10, INT32_MAX);
  assert_in_range(c.failures, 1, y->lost);
  close_ring(&y->ring);
  free(y);
}

#define MOVE_TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_word_keeps_what_is_packed),
      MOVE_TEST(a_run_goes_around),
      MOVE_TEST(the_earliest_entry_is_claimed_first),
      MOVE_TEST(a_hint_without_work_is_passed_over),
      MOVE_TEST(only_who_claimed_publishes),
      MOVE_TEST(an_earlier_claim_publishes_nothing),
      MOVE_TEST(any_state_is_cancelled),
      MOVE_TEST(a_slot_that_is_not_ready_is_not_taken),
      MOVE_TEST(only_what_is_held_is_released),
      MOVE_TEST(what_is_held_is_not_filled),
      MOVE_TEST(only_what_is_free_is_held),
      MOVE_TEST(a_free_slot_is_found_without_its_hint),
      MOVE_TEST(there_are_slots_enough),
      MOVE_TEST(publishing_grants_the_wish_for_it),
      MOVE_TEST(a_claim_of_one_at_rest_is_false),
      MOVE_TEST(one_that_polls_keeps_its_claims),
      MOVE_TEST(one_is_roused_for_each_enough),
      MOVE_TEST(nobody_rests_while_there_is_work),
      MOVE_TEST(stirring_sets_hints_and_wakes_all),
      MOVE_TEST(a_dead_workers_claim_is_opened_again),
      MOVE_TEST(a_claim_without_tries_is_lost),
      MOVE_TEST(a_death_touches_nothing_of_others),
      MOVE_TEST(a_ready_slot_that_nobody_names_is_freed),
      MOVE_TEST(a_death_sets_all_hints_anew),
      cmocka_unit_test(a_bit_is_found_from_anywhere),
      cmocka_unit_test(the_next_bit_around_is_taken),
      cmocka_unit_test(a_bit_is_cleared_once),
      cmocka_unit_test(bits_past_the_count_are_not_there),
      cmocka_unit_test(counts_at_their_limits_fit),
      cmocka_unit_test(a_segment_that_is_too_short_is_refused),
      cmocka_unit_test(a_damaged_header_is_refused),
      cmocka_unit_test(nothing_is_lost_whoever_dies),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
