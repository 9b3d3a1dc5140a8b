/* SPDX-License-Identifier: MIT */
/* The ring: every move of entry and slot words, by the rules of ring.h. */
#include "ring/ring.h"

#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fault.h"
#include "base/futex.h"

#define MAGIC 0x676e69722d70656eu /* "nep-ring" */
#define LAYOUT \
  ((uint64_t)NEAP_ABI << 52 | (uint64_t)sizeof(neap__control) << 32 | \
   (uint64_t)sizeof(neap__entry) << 20 | (uint64_t)sizeof(neap__slot) << 10 | \
   sizeof(neap__worker_record))

_Static_assert(offsetof(neap__control, layout) == 8, "as in each version");
_Static_assert(offsetof(neap__control, host) == 16, "as in each version");
_Static_assert(sizeof(neap__entry) == 64, "an entry is one cache line");
_Static_assert(NEAP_WORKERS_MAX < 1 << 10, "an owner has 10 bits");
_Static_assert(NEAP__SLOTS_MAX < 1 << 14, "a slot has 14 bits");

/* Searches for the earliest open entry while the consumer opens others. */
enum { SEARCHES_MAX = 64 };

/* -- Layout -- */

static uint64_t align_up(uint64_t bytes) {
  return (bytes + 127) / 128 * 128;
}

typedef struct layout {
  uint64_t records, notes, stages, entries, slots, chain, end;
} layout;

/* Of one worker, on cache lines of its own. */
static uint64_t stages_bytes(uint32_t stages) {
  return align_up(stages * sizeof(neap_stage));
}

static layout lay_out(const neap__counts *n) {
  layout at;
  at.records = align_up(sizeof(neap__control));
  at.notes = at.records + align_up(n->workers * sizeof(neap__worker_record));
  at.stages = at.notes + align_up(n->workers * sizeof(neap__notes));
  at.entries = at.stages + n->workers * stages_bytes(n->stages);
  at.slots = at.entries + align_up((n->entries + 1) * sizeof(neap__entry));
  at.chain = at.slots + align_up(n->slots * sizeof(neap__slot));
  at.end = at.chain + align_up(n->chain_bytes);
  return at;
}

uint64_t neap__ring_bytes(const neap__counts *counts) {
  return lay_out(counts).end;
}

void neap__ring_format(void *base, const neap__counts *counts) {
  const layout at = lay_out(counts);
  neap__control *control = base;
  control->magic = MAGIC;
  control->layout = LAYOUT;
  control->worker_count = counts->workers;
  control->entry_count = counts->entries;
  control->slot_count = counts->slots;
  control->stage_count = counts->stages;
  control->slot_bytes = counts->slot_bytes;
  control->chain_offset = at.chain;
  control->chain_bytes = counts->chain_bytes;
  control->stages_offset = at.stages;
  control->entries_offset = at.entries;
  control->slots_offset = at.slots;
  control->records_offset = at.records;
  control->notes_offset = at.notes;
  for (uint32_t k = 0; k < counts->slots; k++)
    neap__bits_set(control->free, k);
}

neap_stage *neap__ring_stages(const neap__ring *ring, uint32_t worker) {
  return (void *)(ring->stages + worker * stages_bytes(ring->stage_count));
}

bool neap__ring_is_foreign(const neap__control *control) {
  return control->magic == MAGIC && control->layout != LAYOUT;
}

static bool is_count(uint32_t count, uint32_t most) {
  return count >= 1 && count <= most;
}

int neap__ring_attach(neap__ring *ring, void *base, uint64_t bytes,
                      neap_error *error) {
  neap__control *control = base;
  *ring = (neap__ring){0};
  if (bytes < sizeof *control || control->magic != MAGIC ||
      control->layout != LAYOUT)
    return neap__error_set(error, NEAP_EDAMAGED, 0,
                           "cannot attach to the host: its control segment is "
                           "not neap's, or of another version");
  const layout at = lay_out(&(neap__counts){
      .workers = control->worker_count,
      .entries = control->entry_count,
      .slots = control->slot_count,
      .stages = control->stage_count,
      .chain_bytes = control->chain_bytes,
  });
  if (!is_count(control->worker_count, NEAP_WORKERS_MAX) ||
      !is_count(control->entry_count, NEAP__ENTRIES_MAX) ||
      !is_count(control->slot_count, NEAP__SLOTS_MAX) ||
      control->stage_count > NEAP__STAGES_MAX || control->chain_bytes > bytes ||
      at.end > bytes || control->chain_offset != at.chain)
    return neap__error_set(error, NEAP_EDAMAGED, 0,
                           "cannot attach to the host: its counts are wrong");
  *ring = (neap__ring){
      .control = control,
      .entries = (void *)((uint8_t *)base + at.entries),
      .slots = (void *)((uint8_t *)base + at.slots),
      .records = (void *)((uint8_t *)base + at.records),
      .notes = (void *)((uint8_t *)base + at.notes),
      .stages = (uint8_t *)base + at.stages,
      .worker_count = control->worker_count,
      .entry_count = control->entry_count,
      .slot_count = control->slot_count,
      .stage_count = control->stage_count,
  };
  return NEAP_OK;
}

/* -- Slot words -- */

static uint64_t slot_word(uint64_t generation, uint32_t owner,
                          enum neap__slot_state state) {
  return generation << 24 | (uint64_t)owner << 2 | state;
}

static enum neap__slot_state slot_state(uint64_t word) {
  return (enum neap__slot_state)(word & 3);
}

static uint32_t slot_owner(uint64_t word) {
  return (uint32_t)(word >> 2) & 0xfff;
}

/* One compare-and-swap from a state to another, keeping the generation. */
static bool slot_move(neap__ring *ring, uint32_t slot, uint32_t owner,
                      enum neap__slot_state from, enum neap__slot_state to) {
  uint64_t word = atomic_load(&ring->slots[slot].word);
  if (slot_state(word) != from) return false;
  return atomic_compare_exchange_strong(&ring->slots[slot].word, &word,
                                        slot_word(word >> 24, owner, to));
}

static bool slot_free(neap__ring *ring, uint32_t slot, uint64_t word) {
  const uint64_t freed = slot_word((word >> 24) + 1, 0, NEAP__FREE);
  if (!atomic_compare_exchange_strong(&ring->slots[slot].word, &word, freed))
    return false;
  neap__bits_set(ring->control->free, slot);
  return true;
}

void neap__slot_release(neap__ring *ring, uint32_t slot) {
  const uint64_t word = atomic_load(&ring->slots[slot].word);
  if (slot_state(word) == NEAP__HELD) slot_free(ring, slot, word);
}

bool neap__slot_hold(neap__ring *ring, uint32_t slot) {
  return slot_move(ring, slot, 0, NEAP__FREE, NEAP__HELD);
}

/* Finds a slot whose hint is not set yet, by its word. */
static int32_t slot_acquire_unhinted(neap__ring *ring, uint32_t worker) {
  for (uint32_t s = 0; s < ring->slot_count; s++)
    if (slot_move(ring, s, worker, NEAP__FREE, NEAP__FILLING))
      return (int32_t)s;
  return -1;
}

int32_t neap__slot_acquire(neap__ring *ring, uint32_t worker, uint32_t last) {
  neap__bits *hints = ring->control->free;
  int32_t slot = (int32_t)last;
  if (!neap__bits_clear(hints, last))
    slot = neap__bits_take(hints, ring->slot_count, 0);
  for (; slot >= 0; slot = neap__bits_take(hints, ring->slot_count, 0)) {
    FAULT("acquire");
    if (slot_move(ring, (uint32_t)slot, worker, NEAP__FREE, NEAP__FILLING))
      return slot;
  }
  return slot_acquire_unhinted(ring, worker);
}

/* -- Entry words -- */

static bool entry_move(neap__ring *ring, uint32_t entry, neap__mark from,
                       neap__mark to) {
  uint64_t word = neap__mark_pack(from);
  return atomic_compare_exchange_strong(&ring->entries[entry].word, &word,
                                        neap__mark_pack(to));
}

neap__mark neap__ring_look(const neap__ring *ring, uint32_t entry) {
  return neap__mark_unpack(atomic_load(&ring->entries[entry].word));
}

static neap__mark idle_after(neap__mark mark) {
  return (neap__mark){.state = NEAP__IDLE, .ticket = mark.ticket};
}

void neap__ring_open(neap__ring *ring, uint32_t entry, uint64_t ticket,
                     int64_t epoch, int64_t first, int32_t count) {
  neap__entry *e = &ring->entries[entry];
  atomic_store_explicit(&e->first, first, memory_order_relaxed);
  atomic_store_explicit(&e->epoch, epoch, memory_order_relaxed);
  atomic_store_explicit(&e->count, count, memory_order_relaxed);
  atomic_store_explicit(&e->alone, 0, memory_order_relaxed);
  atomic_store(&e->word, neap__mark_pack((neap__mark){.state = NEAP__OPEN,
                                                      .ticket = ticket}));
  neap__bits_set(ring->control->open, entry);
}

bool neap__ring_take(neap__ring *ring, uint32_t entry, neap__mark mark) {
  if (mark.slot >= ring->slot_count ||
      !slot_move(ring, mark.slot, mark.owner, NEAP__READY, NEAP__HELD))
    return false;
  return entry_move(ring, entry, mark, idle_after(mark));
}

void neap__ring_forget(neap__ring *ring, uint32_t entry) {
  const neap__mark mark = neap__ring_look(ring, entry);
  entry_move(ring, entry, mark, idle_after(mark));
}

static void wake_worker(neap__ring *ring, uint32_t worker) {
  const uint64_t one = 1;
  const uint32_t was = atomic_exchange(&ring->records[worker].asleep, 0);
  if (was != NEAP__POLLS || ring->wake_fds == NULL)
    neap__futex_wake(&ring->records[worker].asleep);
  else /* an eventfd that does not block: if it is full, it is readable */
    (void)!write(ring->wake_fds[worker], &one, sizeof one);
}

/* A worker with several claims may wait for what the cancelled one waits for.
 */
static void tell_owner(neap__ring *ring, uint32_t owner) {
  if (ring->wake_fds == NULL || owner >= ring->worker_count) return;
  neap__worker_record *record = &ring->records[owner];
  atomic_fetch_add(&record->cancels, 1);
  if (atomic_load(&record->asleep) == NEAP__POLLS) wake_worker(ring, owner);
}

void neap__ring_cancel(neap__ring *ring, uint32_t entry) {
  for (;;) {
    const neap__mark mark = neap__ring_look(ring, entry);
    switch (mark.state) {
    case NEAP__IDLE: return;
    case NEAP__DONE:
      if (neap__ring_take(ring, entry, mark))
        neap__slot_release(ring, mark.slot);
      else
        neap__ring_forget(ring, entry);
      return;
    default:
      if (!entry_move(ring, entry, mark, idle_after(mark))) continue;
      if (mark.state == NEAP__CLAIMED) tell_owner(ring, mark.owner);
      return;
    }
  }
}

/*
 * Finds the earliest open entry and clears its bit; -1: none. The consumer
 * moves `earliest` before it opens an entry. So if `earliest` has moved during
 * the search, the search may have found the newest entry: search again.
 */
static int32_t take_open(neap__ring *ring) {
  neap__control *control = ring->control;
  const uint32_t aside = ring->entry_count;
  if (neap__bits_clear(control->open, aside)) return (int32_t)aside;
  for (int search = 1;; search++) {
    const uint32_t from = atomic_load(&control->earliest);
    const int32_t entry =
        neap__bits_find(control->open, aside + 1, from % aside);
    if (entry < 0) return -1;
    if (atomic_load(&control->earliest) != from && search < SEARCHES_MAX)
      continue;
    if (neap__bits_clear(control->open, (uint32_t)entry)) return entry;
  }
}

int32_t neap__ring_claim(neap__ring *ring, uint32_t worker, uint32_t slot,
                         neap_task *task, uint64_t *ticket) {
  for (;;) {
    const int32_t entry = take_open(ring);
    if (entry < 0) return -1;
    FAULT("claim");
    neap__entry *e = &ring->entries[entry];
    neap__mark mark = neap__ring_look(ring, (uint32_t)entry);
    while (mark.state == NEAP__OPEN) {
      task->first = atomic_load_explicit(&e->first, memory_order_relaxed);
      task->epoch = atomic_load_explicit(&e->epoch, memory_order_relaxed);
      task->count = atomic_load_explicit(&e->count, memory_order_relaxed);
      task->alone = atomic_load_explicit(&e->alone, memory_order_relaxed);
      const neap__mark ours = {NEAP__CLAIMED, worker, slot, mark.ticket};
      if (entry_move(ring, (uint32_t)entry, mark, ours)) {
        FAULT("claimed");
        *ticket = mark.ticket;
        return entry;
      }
      mark = neap__ring_look(ring, (uint32_t)entry);
    }
  }
}

static enum neap__published wake_if_waiting(neap__ring *ring,
                                            uint32_t awaited) {
  if (!atomic_compare_exchange_strong(&ring->control->wanted, &awaited, 0))
    return NEAP__PUBLISHED;
  FAULT("wake");
  neap__futex_wake(&ring->control->wanted);
  FAULT("woken");
  return NEAP__WOKE;
}

enum neap__published neap__ring_publish(neap__ring *ring, uint32_t worker,
                                        uint32_t entry, uint32_t slot,
                                        uint64_t ticket) {
  const neap__mark claimed = {NEAP__CLAIMED, worker, slot, ticket};
  const neap__mark done = {NEAP__DONE, worker, slot, ticket};
  FAULT("filled");
  slot_move(ring, slot, worker, NEAP__FILLING, NEAP__READY);
  FAULT("publish");
  if (!entry_move(ring, entry, claimed, done)) {
    FAULT("cancelled");
    slot_move(ring, slot, worker, NEAP__READY, NEAP__FILLING);
    FAULT("kept");
    return NEAP__CANCELLED;
  }
  FAULT("published");
  const uint32_t wanted = atomic_load(&ring->control->wanted);
  if (wanted == entry + 1 || wanted == NEAP__ANY_ENTRY)
    return wake_if_waiting(ring, wanted);
  return NEAP__PUBLISHED;
}

/* -- Waiting -- */

static void end_rest(neap__ring *ring, uint32_t worker) {
  FAULT("awake");
  neap__bits_clear(ring->control->idle, worker);
  atomic_store(&ring->records[worker].asleep, NEAP__AWAKE);
  FAULT("rested");
}

void neap__ring_rest(neap__ring *ring, uint32_t worker) {
  neap__control *control = ring->control;
  neap__worker_record *record = &ring->records[worker];
  atomic_store(&record->asleep, NEAP__RESTS);
  FAULT("tired");
  neap__bits_set(control->idle, worker);
  FAULT("rest");
  if (!neap__ring_has_work(ring) && !atomic_load(&control->stop))
    neap__futex_wait(&record->asleep, NEAP__RESTS);
  end_rest(ring, worker);
}

bool neap__ring_poll_begin(neap__ring *ring, uint32_t worker, bool wants_work,
                           uint32_t cancels) {
  neap__worker_record *record = &ring->records[worker];
  atomic_store(&record->asleep, NEAP__POLLS);
  FAULT("tired");
  if (wants_work) neap__bits_set(ring->control->idle, worker);
  FAULT("rest");
  return !(wants_work && neap__ring_has_work(ring)) &&
         !neap__ring_is_stopped(ring) &&
         atomic_load(&record->cancels) == cancels;
}

void neap__ring_poll_end(neap__ring *ring, uint32_t worker) {
  end_rest(ring, worker);
}

bool neap__ring_holds(const neap__ring *ring, uint32_t worker, uint32_t entry,
                      uint32_t slot, uint64_t ticket) {
  const neap__mark claimed = {NEAP__CLAIMED, worker, slot, ticket};
  return atomic_load(&ring->entries[entry].word) == neap__mark_pack(claimed);
}

bool neap__ring_is_stopped(const neap__ring *ring) {
  return atomic_load(&ring->control->stop) != 0;
}

bool neap__ring_has_work(const neap__ring *ring) {
  return neap__bits_count(ring->control->open, ring->entry_count + 1) > 0;
}

void neap__ring_wake_workers(neap__ring *ring, uint32_t enough) {
  neap__control *control = ring->control;
  uint32_t idle = neap__bits_count(control->idle, ring->worker_count);
  if (idle == 0) return;
  const uint32_t open = neap__bits_count(control->open, ring->entry_count + 1);
  if (open < enough) return;
  const uint32_t wanted = open / enough;
  for (idle = idle < wanted ? idle : wanted; idle > 0; idle--) {
    const int32_t worker =
        neap__bits_take(control->idle, ring->worker_count, 0);
    if (worker < 0) return;
    wake_worker(ring, (uint32_t)worker);
  }
}

void neap__ring_wait_begin(neap__ring *ring, uint32_t entry) {
  atomic_store(&ring->control->wanted,
               entry == NEAP__ANY_ENTRY ? entry : entry + 1);
}

bool neap__ring_wait_sleep(neap__ring *ring, uint32_t entry, int32_t ms) {
  return neap__futex_wait_ms(&ring->control->wanted,
                             entry == NEAP__ANY_ENTRY ? entry : entry + 1, ms);
}

void neap__ring_repair_hints(neap__ring *ring) {
  for (uint32_t e = 0; e <= ring->entry_count; e++)
    if (neap__ring_look(ring, e).state == NEAP__OPEN)
      neap__bits_set(ring->control->open, e);
  for (uint32_t w = 0; w < ring->worker_count; w++)
    wake_worker(ring, w);
}

/* Whether a worker sleeps without claims: it writes so after its last claim,
   and that it is awake before the next one. */
static bool rests(const neap__ring *ring, uint32_t worker) {
  return atomic_load(&ring->records[worker].asleep) == NEAP__RESTS;
}

static bool is_of(const neap__ring *ring, uint32_t slot, uint32_t worker) {
  if (slot >= ring->slot_count) return false;
  const uint64_t word = atomic_load(&ring->slots[slot].word);
  const enum neap__slot_state state = slot_state(word);
  return slot_owner(word) == worker &&
         (state == NEAP__FILLING || state == NEAP__READY);
}

/* Its owner rests, or does not own the slot: if the word is still the same
   after that, the claim is false. */
bool neap__ring_is_falsely_claimed(const neap__ring *ring, uint32_t entry) {
  const _Atomic uint64_t *word = &ring->entries[entry].word;
  const uint64_t claimed = atomic_load(word);
  const neap__mark mark = neap__mark_unpack(claimed);
  if (mark.state != NEAP__CLAIMED) return false;
  if (mark.owner >= ring->worker_count) return true;
  return (rests(ring, mark.owner) || !is_of(ring, mark.slot, mark.owner)) &&
         atomic_load(word) == claimed;
}

void neap__ring_wait_end(neap__ring *ring) {
  atomic_store(&ring->control->wanted, 0);
}

void neap__ring_wake_consumer(neap__ring *ring) {
  /* Wakes it even if nothing is wanted: a worker may have died after it cleared
     the word and before it woke the consumer. */
  atomic_store(&ring->control->wanted, 0);
  neap__futex_wake(&ring->control->wanted);
}

void neap__ring_stop(neap__ring *ring) {
  atomic_store(&ring->control->stop, 1);
  for (uint32_t w = 0; w < ring->worker_count; w++)
    wake_worker(ring, w);
}

/* -- Recovery -- */

/* The worker may have written anything. */
void neap__ring_read_note(const neap__ring *ring, uint32_t worker,
                          char text[NEAP_NOTE_BYTES]) {
  const int32_t note = atomic_load(&ring->records[worker].note);
  text[0] = '\0';
  if (note < 1 || note > NEAP_NOTES) return;
  memcpy(text, ring->notes[worker].text[note - 1], NEAP_NOTE_BYTES);
  text[NEAP_NOTE_BYTES - 1] = '\0';
}

static bool is_delivered(const neap__ring *ring, uint32_t slot) {
  for (uint32_t e = 0; e <= ring->entry_count; e++) {
    const neap__mark mark = neap__ring_look(ring, e);
    if (mark.state == NEAP__DONE && mark.slot == slot) return true;
  }
  return false;
}

int32_t neap__slot_filler(const neap__ring *ring, uint32_t slot) {
  const uint64_t word = atomic_load(&ring->slots[slot].word);
  const uint32_t owner = slot_owner(word);
  const bool is_filling = slot_state(word) == NEAP__FILLING;
  return is_filling && owner < ring->worker_count ? (int32_t)owner : -1;
}

static void recover_slots(neap__ring *ring, uint32_t worker) {
  for (uint32_t s = 0; s < ring->slot_count; s++) {
    const uint64_t word = atomic_load(&ring->slots[s].word);
    const enum neap__slot_state state = slot_state(word);
    if (state == NEAP__FREE) neap__bits_set(ring->control->free, s);
    if (slot_owner(word) != worker) continue;
    if (state == NEAP__FILLING) atomic_store(&ring->slots[s].began_ns, 0);
    if (state == NEAP__FILLING ||
        (state == NEAP__READY && !is_delivered(ring, s)))
      slot_free(ring, s, word);
  }
}

static void recover_entries(neap__ring *ring, uint32_t worker,
                            neap__again *again, void *host) {
  for (uint32_t e = 0; e <= ring->entry_count; e++) {
    const neap__mark mark = neap__ring_look(ring, e);
    if (mark.state == NEAP__OPEN) neap__bits_set(ring->control->open, e);
    if (mark.state != NEAP__CLAIMED || mark.owner != worker) continue;
    const bool open = again(host, e, mark);
    const neap__mark next = {.state = open ? NEAP__OPEN : NEAP__LOST,
                             .ticket = mark.ticket};
    if (entry_move(ring, e, mark, next) && open)
      neap__bits_set(ring->control->open, e);
  }
}

void neap__ring_recover(neap__ring *ring, uint32_t worker, neap__again *again,
                        void *host) {
  recover_entries(ring, worker, again, host);
  recover_slots(ring, worker);
  neap__bits_clear(ring->control->idle, worker);
  atomic_store(&ring->records[worker].asleep, NEAP__AWAKE);
  neap__ring_wake_consumer(ring);
  neap__ring_wake_workers(ring, 1);
}
