/* SPDX-License-Identifier: MIT */
/*
 * The ring: which worker computes which items, in shared memory.
 *
 * An entry asks for a run of items. The consumer (one thread of the host)
 * opens entries, workers claim and publish them, the consumer takes them. The
 * state of an entry is one 64-bit word, and each move is one compare-and-swap,
 * so a process may be killed between any two instructions:
 *
 *   word = state (3 bits) | owner (10) | slot (14) | ticket (37)
 *
 * The ticket numbers the openings and only grows. If a claim is cancelled, the
 * word changes, and the worker's publishing fails.
 *
 *   who         move              when
 *   consumer    IDLE -> OPEN      a run is asked for (first, count, epoch are
 *                                 written before)
 *   worker      OPEN -> CLAIMED   naming itself and the slot it will fill
 *   worker      CLAIMED -> DONE   the slot holds the run
 *   consumer    DONE -> IDLE      taken; the slot was marked HELD before
 *   consumer    OPEN -> IDLE      cancelled
 *   consumer    CLAIMED -> IDLE   cancelled; publishing will fail
 *   supervisor  CLAIMED -> OPEN   the owner is dead and reaped, tries are left
 *   supervisor  CLAIMED -> LOST   the owner is dead, no tries are left
 *   consumer    LOST -> IDLE      the consumer splits the run, or drops it
 *   never       OPEN -> DONE      no worker owned the work
 *   never       DONE -> OPEN      no process would own its slot
 *
 * A slot has one word too: generation (40 bits) | owner (12) | state (2). The
 * generation only grows:
 *
 *   worker      FREE -> FILLING   taken, before an entry is claimed
 *   worker      FILLING -> READY  just before CLAIMED -> DONE
 *   worker      READY -> FILLING  the entry was cancelled meanwhile
 *   consumer    READY -> HELD     before DONE -> IDLE
 *   consumer    HELD -> FREE      released
 *   consumer    FREE -> HELD      to free its pages; released at once, and only
 *                                 while the caller may hold one more
 *   supervisor  FILLING -> FREE   the owner is dead
 *   supervisor  READY -> FREE     the owner is dead, and no entry that is DONE
 *                                 names the slot
 *   never       HELD -> FILLING   the consumer sees its bytes (I3)
 *
 * There are as many slots as entries, claims that workers may hold, and runs
 * that the consumer may hold, together: so a worker always finds a free slot
 * (I4), and never waits for one.
 *
 * Waiting: a worker that finds no open entry sets its idle bit, looks again,
 * and sleeps on its own word. The consumer writes the entry that it waits for
 * to one word, looks again, and sleeps on that word. The side that opens or
 * publishes an entry looks at the bits or the word afterwards. All of these are
 * sequentially consistent, so one of the two sees the other.
 *
 * A worker that holds several claims (control.concurrency) waits for work and
 * for its items' sockets at once: it rests in poll() with a wake descriptor,
 * which the host writes to where it would wake a futex. It does so only for a
 * worker that rests in poll().
 *
 * The invariants I1 to I4 are those of docs/internals/ring.md; the model in
 * tests/model/ring.pml has the same moves and changes with this file.
 */
#ifndef NEAP_RING_RING_H
#define NEAP_RING_RING_H

#include <stdatomic.h>
#include <stdbool.h>

#include "base/bits.h"
#include "neap_lua.h"

enum { NEAP__ENTRIES_MAX = 4096, NEAP__SLOTS_MAX = 16383 };

/* How long the consumer sleeps at most before it looks again. */
enum { NEAP__SLEEP_MS_MAX = 1000 };

enum neap__entry_state {
  NEAP__IDLE,
  NEAP__OPEN,
  NEAP__CLAIMED,
  NEAP__DONE,
  NEAP__LOST
};

enum neap__slot_state { NEAP__FREE, NEAP__FILLING, NEAP__READY, NEAP__HELD };

/* An entry's word, unpacked. */
typedef struct neap__mark {
  enum neap__entry_state state;
  uint32_t owner;
  uint32_t slot;
  uint64_t ticket;
} neap__mark;

enum { NEAP__TICKET_BITS = 37 };

static inline uint64_t neap__mark_pack(neap__mark mark) {
  return (uint64_t)mark.state << 61 | (uint64_t)mark.owner << 51 |
         (uint64_t)mark.slot << NEAP__TICKET_BITS | mark.ticket;
}

static inline neap__mark neap__mark_unpack(uint64_t word) {
  return (neap__mark){
      .state = (enum neap__entry_state)(word >> 61),
      .owner = (uint32_t)(word >> 51) & 0x3ff,
      .slot = (uint32_t)(word >> NEAP__TICKET_BITS) & 0x3fff,
      .ticket = word & (((uint64_t)1 << NEAP__TICKET_BITS) - 1),
  };
}

/*
 * One cache line. The consumer writes first, count, epoch and alone while the
 * entry is IDLE. A worker reads them before it claims; the claim succeeds only
 * if the word has not changed since. The supervisor sets alone before it opens
 * an entry again.
 */
typedef struct neap__entry {
  _Alignas(64) _Atomic uint64_t word;
  _Atomic int64_t first;
  _Atomic int64_t epoch;
  _Atomic int32_t count;
  _Atomic int32_t alone; /* 1: a worker that died computed it: no neighbours */
} neap__entry;

/* A slot's word, and the fields that its owner writes while it is FILLING. */
typedef struct neap__slot {
  _Alignas(64) _Atomic uint64_t word;
  _Atomic uint64_t used; /* bytes written */
  /* The most bytes written since the consumer set it, cancelled runs included.
   */
  _Atomic uint64_t touched;
  _Atomic int64_t cost_ns;  /* of computing the run */
  _Atomic int64_t began_ns; /* when its run began, or went on after a wait; 0:
                               none, or it waits */
  _Atomic int32_t progress; /* the item of the run that is being computed */
} neap__slot;

/* How a worker rests. One that rests in poll() may hold claims. */
enum neap__rest { NEAP__AWAKE, NEAP__RESTS, NEAP__POLLS };

/* What a worker reports. The worker writes all of it except `cancels`. */
typedef struct neap__worker_record {
  _Alignas(128) _Atomic uint32_t asleep; /* the host sets 0 to wake it */
  _Atomic uint32_t cancels; /* by the consumer: of this worker's claims */
  _Atomic int64_t items;
  _Atomic int64_t runs;
  _Atomic int64_t bytes;
  _Atomic int64_t busy_ns;
  _Atomic int64_t idle_ns;
  _Atomic int32_t note; /* the note of what it calls now, from 1; 0: nothing */
} neap__worker_record;

/* What a worker may be doing when it dies, as texts; it alone writes there. */
typedef struct neap__notes {
  char text[NEAP_NOTES][NEAP_NOTE_BYTES];
} neap__notes;

enum { NEAP__ANY_ENTRY = 0x7fffffff };

/* The control segment. Offsets are from its start. */
typedef struct neap__control {
  /* At the same offsets in every version, to tell versions apart. */
  uint64_t magic;
  uint64_t layout; /* sizes of the structs, to refuse another version's */
  char host[1008]; /* neap__library_describe of the host, for its error */
  uint32_t worker_count;
  uint32_t entry_count; /* of the ring; one more, aside, for reads by index */
  uint32_t slot_count;
  uint64_t slot_bytes;
  uint64_t chain_offset;
  uint64_t chain_bytes;
  uint64_t memory_bytes; /* that a worker may allocate; 0: any number */
  uint32_t stage_count;  /* whose time each worker reports */
  uint32_t concurrency;  /* claims that a worker may hold */
  uint64_t stages_offset;
  uint64_t entries_offset;
  uint64_t slots_offset;
  uint64_t records_offset;
  uint64_t notes_offset;

  _Alignas(64) _Atomic uint32_t stop;     /* by the host: workers end */
  _Alignas(64) _Atomic uint32_t wanted;   /* 0, or 1 + the entry that the
                                             consumer awaits, or ANY_ENTRY */
  _Alignas(64) _Atomic uint32_t earliest; /* by the consumer, before it opens
                                             an entry: the following one, where
                                             searches begin */
  _Alignas(64) neap__bits open[(NEAP__ENTRIES_MAX + 1 + 63) / 64];
  _Alignas(64) neap__bits free[(NEAP__SLOTS_MAX + 63) / 64];
  _Alignas(64) neap__bits idle[(NEAP_WORKERS_MAX + 63) / 64];
  /* Bit k: a worker writes warning k, and nobody else will; it is whole. */
  _Alignas(64) _Atomic uint32_t warned;
  _Atomic uint32_t warnings;
  char warning[NEAP_WARNINGS][NEAP_WARNING_BYTES];
} neap__control;

/* Pointers of this process to the parts of a control segment. */
typedef struct neap__ring {
  neap__control *control;
  neap__entry *entries; /* entry_count + 1 */
  neap__slot *slots;
  neap__worker_record *records;
  neap__notes *notes;                             /* one per worker */
  uint8_t *stages;                                /* neap__ring_stages() */
  uint32_t worker_count, entry_count, slot_count; /* private copies */
  uint32_t stage_count;
  const int *wake_fds; /* the host's, one per worker; NULL: no worker polls */
} neap__ring;

/* The most stages whose time workers report. */
enum { NEAP__STAGES_MAX = 1024 };

/* What a control segment has room for. */
typedef struct neap__counts {
  uint32_t workers, entries, slots, stages;
  uint64_t slot_bytes; /* of the other segment */
  uint64_t chain_bytes;
} neap__counts;

/* The size of a control segment for these counts; writing its header. */
uint64_t neap__ring_bytes(const neap__counts *counts);
void neap__ring_format(void *base, const neap__counts *counts);
/* Whether the first fields are from a host of another version. */
bool neap__ring_is_foreign(const neap__control *control);
/* Checks the header against the segment's size. NEAP_OK or NEAP_EDAMAGED. */
int neap__ring_attach(neap__ring *ring, void *base, uint64_t bytes,
                      neap_error *error);

/* What a worker reports of its stages; it alone writes there. */
neap_stage *neap__ring_stages(const neap__ring *ring, uint32_t worker);

/* -- The consumer's moves -- */

void neap__ring_open(neap__ring *ring, uint32_t entry, uint64_t ticket,
                     int64_t epoch, int64_t first, int32_t count);
/* Cancels an entry in any state; frees the slot of a DONE one. */
void neap__ring_cancel(neap__ring *ring, uint32_t entry);
/* DONE -> IDLE. False if the word names a slot that is not READY. */
bool neap__ring_take(neap__ring *ring, uint32_t entry, neap__mark mark);
/* LOST -> IDLE. */
void neap__ring_forget(neap__ring *ring, uint32_t entry);
neap__mark neap__ring_look(const neap__ring *ring, uint32_t entry);
/* FREE -> HELD; false if it is not free. */
bool neap__slot_hold(neap__ring *ring, uint32_t slot);
/* HELD -> FREE. */
void neap__slot_release(neap__ring *ring, uint32_t slot);
/* Wakes one idle worker for each `enough` open entries. */
void neap__ring_wake_workers(neap__ring *ring, uint32_t enough);
/*
 * Begin writes what the consumer waits for, an entry or NEAP__ANY_ENTRY. Sleep
 * lasts until a wake, a signal (then it returns false), or `ms`. A broken
 * worker may have overwritten hints or that word: after NEAP__SLEEP_MS_MAX,
 * repair sets all hints and wakes all workers, and the consumer looks again. A
 * claim is false if its owner does not exist, sleeps without claims, or does
 * not own the slot: a worker has overwritten the entry's word.
 */
void neap__ring_wait_begin(neap__ring *ring, uint32_t entry);
bool neap__ring_wait_sleep(neap__ring *ring, uint32_t entry, int32_t ms);
void neap__ring_repair_hints(neap__ring *ring);
bool neap__ring_is_falsely_claimed(const neap__ring *ring, uint32_t entry);
void neap__ring_wait_end(neap__ring *ring);

/* -- A worker's moves -- */

/* FREE -> FILLING; prefers `last`. -1 if there is none. */
int32_t neap__slot_acquire(neap__ring *ring, uint32_t worker, uint32_t last);
/* OPEN -> CLAIMED of the earliest open entry; -1 if there is none. */
int32_t neap__ring_claim(neap__ring *ring, uint32_t worker, uint32_t slot,
                         neap_task *task, uint64_t *ticket);
/*
 * CLAIMED -> DONE. NEAP__CANCELLED: the worker still owns the slot. NEAP__WOKE:
 * the worker has woken the consumer, which takes time.
 */
enum neap__published { NEAP__CANCELLED, NEAP__PUBLISHED, NEAP__WOKE };
enum neap__published neap__ring_publish(neap__ring *ring, uint32_t worker,
                                        uint32_t entry, uint32_t slot,
                                        uint64_t ticket);
/* Whether the host has stopped the workers; whether an entry is open. */
bool neap__ring_is_stopped(const neap__ring *ring);
bool neap__ring_has_work(const neap__ring *ring);
/* Sleeps until woken, unless an entry is open or the workers are stopped. */
void neap__ring_rest(neap__ring *ring, uint32_t worker);
/*
 * The same for a worker that sleeps in poll(), on its wake descriptor and
 * others. Begin returns whether it may sleep. It wants to be woken for open
 * entries, or not: it holds as many claims as it may. It is woken in any case
 * when it is stopped, and when its claims are cancelled: once their count is no
 * longer `cancels`.
 */
bool neap__ring_poll_begin(neap__ring *ring, uint32_t worker, bool wants_work,
                           uint32_t cancels);
void neap__ring_poll_end(neap__ring *ring, uint32_t worker);
/* Whether that claim was not cancelled. */
bool neap__ring_holds(const neap__ring *ring, uint32_t worker, uint32_t entry,
                      uint32_t slot, uint64_t ticket);

/* -- The supervisor's moves -- */

/* What a dead worker was calling; "" if it was nothing. */
void neap__ring_read_note(const neap__ring *ring, uint32_t worker,
                          char text[NEAP_NOTE_BYTES]);
/* The worker, dead or alive, that is filling a slot; -1: none. */
int32_t neap__slot_filler(const neap__ring *ring, uint32_t slot);

/*
 * Recovers from the death of a worker: opens each entry that it had claimed
 * again, or marks it LOST if `again` returns false; frees its slots; sets all
 * hints.
 */
typedef bool neap__again(void *host, uint32_t entry, neap__mark claim);
void neap__ring_recover(neap__ring *ring, uint32_t worker, neap__again *again,
                        void *host);
/* Tells all workers to end. */
void neap__ring_stop(neap__ring *ring);
/* Wakes the consumer from any sleep. */
void neap__ring_wake_consumer(neap__ring *ring);

#endif
