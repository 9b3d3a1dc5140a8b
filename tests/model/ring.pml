/* SPDX-License-Identifier: MIT */
/*
 * The ring of runtime/ring/ring.h, for spin: its moves, one access to shared
 * memory a step, in the order of the code. docs/internals/ring.md maps the
 * steps to functions and numbers the invariants; run.sh says what is run.
 *
 * An atomic is one access, with what a process does in its own memory around
 * it. It is two accesses only where nobody can tell the difference:
 *  - A word that is loaded and then swapped: a swap that fails because the
 *    word moved in between is a load after it moved.
 *  - A store followed by a futex wake, by a process that is not killed: a
 *    wake that comes late wakes for no reason, and SPURIOUS has those.
 *  - The supervisor's looks at slots that are not the dead worker's: none can
 *    become the dead worker's.
 *
 * Left out, for they change no move: `earliest` (workers look from anywhere),
 * `last` (slots are alike), generations (for readers), runs of several items.
 * Each BUG_x is a mistake that the invariants must notice.
 */
#ifndef WORKERS
#define WORKERS 2
#endif
#ifndef ENTRIES
#define ENTRIES 2 /* of the ring; entry number ENTRIES is the one aside */
#endif
#ifndef HELD
#define HELD 1 /* runs that the consumer may hold */
#endif
#ifndef ITEMS
#define ITEMS 3
#endif
#ifndef KILLS
#define KILLS 1
#endif
#ifndef SEEKS
#define SEEKS 1
#endif
#ifndef GETS
#define GETS 0 /* items asked for aside */
#endif
#ifndef TRIMS
#define TRIMS 0 /* slots trimmed while they are idle */
#endif
#ifndef ENOUGH
#define ENOUGH 2 /* open entries for which the consumer rouses unasked */
#endif
#ifndef CLAIMS
#define CLAIMS 1 /* that a worker may hold */
#endif
#ifndef SLOTS
#define SLOTS (ENTRIES + WORKERS * CLAIMS + HELD)
#endif
#if GETS
#define ALL (ENTRIES + 1)
#else
#define ALL ENTRIES
#endif

/* An entry's word. */
#define IDLE 0
#define OPEN 1
#define CLAIMED 2
#define DONE 3
#define LOST 4
#define WORD(state, owner, slot, ticket) \
  ((state) + 8 * (owner) + 32 * (slot) + 512 * (ticket))
#define STATE(word) ((word) % 8)
#define OWNER(word) (((word) / 8) % 4)
#define SLOT(word) (((word) / 32) % 16)
#define TICKET(word) ((word) / 512)
#define IDLE_AFTER(word) WORD(IDLE, 0, 0, TICKET(word))
#define IS_READY(word) (STATE(word) == DONE || STATE(word) == LOST)
#ifdef BUG_TICKET
#define NEXT_TICKET(word) TICKET(word)
#else
#define NEXT_TICKET(word) (TICKET(word) + 1)
#endif

/* A slot's state. */
#define FREE 0
#define FILLING 1
#define READY 2
#define HOLDING 3

#define NONE 15
#define ANY 15        /* wanted: whichever entry is ready */
#define ASIDE_ITEM 8  /* items are 1 .. ITEMS, and this one */
#define LATER_EPOCH 16 /* is added to items asked for after a seek */

#define BIT(k) (1 << (k))
#define COUNT(bits) \
  (((bits) & 1) + (((bits) >> 1) & 1) + (((bits) >> 2) & 1))
#define LOWEST(bits) \
  ((bits) & 1 -> 0 : ((bits) & 2 -> 1 : ((bits) & 4 -> 2 : \
  ((bits) & 8 -> 3 : ((bits) & 16 -> 4 : ((bits) & 32 -> 5 : \
  ((bits) & 64 -> 6 : 7)))))))
#define HIGHEST(bits) \
  ((bits) & 128 -> 7 : ((bits) & 64 -> 6 : ((bits) & 32 -> 5 : \
  ((bits) & 16 -> 4 : ((bits) & 8 -> 3 : ((bits) & 4 -> 2 : \
  ((bits) & 2 -> 1 : 0)))))))
/* Neighbours take from the two ends: it gives fewer states. */
#define PICK(bits) (_pid % 2 -> HIGHEST(bits) : LOWEST(bits))

/* Shared memory. */
short word[ALL];
byte first[ALL];
byte slot_state[SLOTS];
byte slot_owner[SLOTS];
byte data[SLOTS];
byte open_bits, idle_bits;
byte free_bits = BIT(SLOTS) - 1;
byte wanted;
#if CLAIMS > 1
byte asleep[WORKERS];
byte cancels[WORKERS];
byte rung; /* the wake descriptors that are readable, as bits */
#else
bit asleep[WORKERS];
#endif
bit stop;

/* The kernel's: who sleeps on a futex, and who is dead. */
bit consumer_parked;
bit parked[WORKERS];
bit is_corpse[WORKERS];
byte kills;

bit is_over; /* the consumer has come to its end */

/* -- Slots -- */

/* The bits of slots that are FREE, in fact or (HINTS) by the hints. */
#ifdef HINTS
#define SET_FREE(s) slot_state[s] = FREE
#define SET_HOLDING(s) slot_state[s] = HOLDING
#define HINT_FREE(s) free_bits = free_bits | BIT(s)
#else
#define SET_HOLDING(s) slot_state[s] = HOLDING; free_bits = free_bits & ~BIT(s)
#define SET_FREE(s) slot_state[s] = FREE; free_bits = free_bits | BIT(s)
#define HINT_FREE(s) skip
#endif

/* slot_free */
inline free_slot(s) {
  atomic { SET_FREE(s); slot_owner[s] = 0; data[s] = 0 };
  HINT_FREE(s)
}

/* wake_worker */
#define RESTS 1
#define POLLS 2
#if CLAIMS > 1
#define WAKE(w) \
  if \
  :: asleep[w] == POLLS -> rung = rung | BIT(w) \
  :: else -> parked[w] = 0 \
  fi; \
  asleep[w] = 0
#else
#define WAKE(w) asleep[w] = 0; parked[w] = 0
#endif

/* -- A worker: neap__filler_next, neap__filler_publish -- */

/*
 * A killing shows to the others by the writes that do not come. So it is
 * offered in the place of each write, and in sleep, and nowhere else.
 */
#define OR_DIE \
  :: atomic { \
       kills < KILLS && !stop -> \
       kills++; is_corpse[_pid] = 1; parked[_pid] = 0; asleep[_pid] = 0; \
       slot = NONE; e = 0; k = 0; item = 0; mark = 0 \
     }; \
     goto dead

/* take_open: see the bit, clear it. */
#ifdef BUG_HINT
#define TAKE_OPEN(k) :: atomic { open_bits & BIT(k) -> e = k }
#define CLEAR_LATE open_bits = open_bits & ~BIT(e)
#else
#define TAKE_OPEN(k) \
  :: atomic { open_bits & BIT(k) -> open_bits = open_bits & ~BIT(k); e = k }
#define CLEAR_LATE skip
#endif

#if CLAIMS == 1
active [WORKERS] proctype worker() {
  byte slot = NONE, e, k, item;
  short mark;

next:
  if
  :: stop -> goto ended
  :: !stop && slot != NONE -> goto claim
  :: !stop && slot == NONE
  fi;

acquire: /* neap__slot_acquire */
#ifdef HINTS
  if
  :: atomic {
       free_bits != 0 -> k = PICK(free_bits); free_bits = free_bits & ~BIT(k)
     };
     if
     :: atomic {
          slot_state[k] == FREE ->
          slot_state[k] = FILLING; slot_owner[k] = _pid; slot = k; k = 0
        };
        goto claim
     :: atomic { slot_state[k] != FREE -> k = 0 };
        goto acquire
     OR_DIE
     fi
  :: atomic {
       free_bits == 0 ->
       do
       :: slot_state[k] == FREE -> break
       :: else -> k++; assert(k < SLOTS) /* I4 */
       od;
       k = 0
     }
  OR_DIE
  fi;
  do /* slot_acquire_unhinted */
  :: atomic {
       k < SLOTS && slot_state[k] == FREE ->
       slot_state[k] = FILLING; slot_owner[k] = _pid; slot = k; k = 0
     };
     break
  :: atomic { k < SLOTS && slot_state[k] != FREE -> k++ }
  :: atomic { k == SLOTS -> k = 0 };
     goto acquire
  OR_DIE
  od;
#else
  if
  :: atomic {
       true ->
       assert(free_bits != 0); /* I4 */
       slot = PICK(free_bits); free_bits = free_bits & ~BIT(slot);
       slot_state[slot] = FILLING; slot_owner[slot] = _pid
     }
  OR_DIE
  fi;
#endif

claim: /* neap__ring_claim */
  if
  TAKE_OPEN(0)
  TAKE_OPEN(1)
  TAKE_OPEN(2)
  :: open_bits == 0 -> goto rest
#ifdef WIDE /* a bit may be set behind a search over several words */
  :: open_bits != 0 -> goto rest
#endif
  OR_DIE
  fi;
  do
  :: atomic { STATE(word[e]) == OPEN -> mark = word[e] };
     item = first[e];
     if
     :: atomic {
          word[e] == mark ->
          assert(!(idle_bits & BIT(_pid))); /* else the claim looks false */
          word[e] = WORD(CLAIMED, _pid, slot, TICKET(mark)); mark = word[e]
        };
        CLEAR_LATE;
        break
     :: atomic { word[e] != mark -> mark = 0; item = 0 }
     OR_DIE
     fi
  :: atomic { STATE(word[e]) != OPEN -> CLEAR_LATE; e = 0 };
     goto claim
  od;

  /* The task, and neap__ring_publish */
  if
  :: atomic {
       true ->
       assert(slot_state[slot] == FILLING && slot_owner[slot] == _pid); /* I3 */
       data[slot] = item; item = 0
#ifndef BUG_READY
       ; slot_state[slot] = READY
#endif
     }
  OR_DIE
  fi;
  if
  :: atomic {
       word[e] == mark ->
       word[e] = WORD(DONE, _pid, slot, TICKET(mark)); slot = NONE; mark = 0
     }
  :: atomic { word[e] != mark -> mark = 0; e = 0 };
     if
     :: atomic { true -> slot_state[slot] = FILLING; data[slot] = 0 }
     OR_DIE
     fi;
     goto next
  OR_DIE
  fi;
  if
  :: atomic { wanted == e + 1 || wanted == ANY -> wanted = 0; e = 0 };
     if
     :: consumer_parked = 0
     OR_DIE
     fi
  :: atomic { wanted != e + 1 && wanted != ANY -> e = 0 }
  OR_DIE
  fi;
  goto next;

rest: /* neap__ring_rest */
  if
  :: asleep[_pid] = 1
  OR_DIE
  fi;
  if
  :: idle_bits = idle_bits | BIT(_pid)
  OR_DIE
  fi;
#ifndef BUG_LOOK
  if
  :: open_bits != 0 -> goto rested
  :: open_bits == 0
  fi;
#endif
  if
  :: stop -> goto rested
  :: !stop
  fi;
  if
  :: atomic { asleep[_pid] == 1 -> parked[_pid] = 1 };
     if
     :: parked[_pid] == 0
#ifdef SPURIOUS
     :: parked[_pid] = 0
#endif
     OR_DIE
     fi
  :: asleep[_pid] == 0
  fi;
rested:
  if
  :: atomic { true -> idle_bits = idle_bits & ~BIT(_pid); asleep[_pid] = 0 }
  OR_DIE
  fi;
  goto next;

dead:
  if
  :: is_corpse[_pid] == 0 -> goto next /* its successor */
  :: stop
  fi;
ended:
  skip
}
#else
#include "many.pml"
#endif

/* -- neap__ring_wake_workers, by the consumer or the supervisor -- */

inline wake_workers(enough) {
  n = COUNT(idle_bits);
  if
  :: n == 0
  :: n > 0 ->
    if
    :: atomic {
         COUNT(open_bits) >= enough ->
         n = (COUNT(open_bits) / enough < n -> COUNT(open_bits) / enough : n)
       }
    :: atomic { COUNT(open_bits) < enough -> n = 0 }
    fi
  fi;
  do
  :: n == 0 -> break
  :: atomic { n > 0 && idle_bits == 0 -> n = 0 }
  :: atomic {
       n > 0 && idle_bits != 0 ->
       k = LOWEST(idle_bits); idle_bits = idle_bits & ~BIT(k)
     };
     atomic { WAKE(k); k = 0; n-- }
  od
}

/* -- The consumer: consumer.c -- */

/* neap__ring_open */
inline open_entry(e, item) {
  first[e] = item;
  atomic {
    assert(STATE(word[e]) == IDLE && TICKET(word[e]) < 60);
    word[e] = WORD(OPEN, 0, 0, NEXT_TICKET(word[e]))
  };
  open_bits = open_bits | BIT(e)
}

inline ask_ahead() {
  do
  :: busy == BIT(ENTRIES) - 1 || asked == ITEMS -> break
  :: else ->
    do
    :: busy & BIT(tail) -> tail = (tail + 1) % ENTRIES
    :: else -> break
    od;
    open_entry(tail, asked + 1 + epoch);
    atomic { busy = busy | BIT(tail); asked++; tail = (tail + 1) % ENTRIES }
  od
}

/* neap__ring_take */
inline take(e) {
#ifdef BUG_IDLE
  atomic { mark = word[e]; word[e] = IDLE_AFTER(mark) };
#else
  mark = word[e];
#endif
  atomic {
    assert(slot_state[SLOT(mark)] == READY);
    slot_state[SLOT(mark)] = HOLDING; slot_owner[SLOT(mark)] = 0
  };
#ifndef BUG_IDLE
  atomic { assert(word[e] == mark); word[e] = IDLE_AFTER(mark) }
#endif
}

/* tell_owner, after a cancel */
inline tell_owner() {
#if CLAIMS > 1 && !defined(BUG_CANCEL)
  if
  :: STATE(mark) == CLAIMED ->
    k = OWNER(mark);
    cancels[k] = cancels[k] + 1;
    if
    :: atomic { asleep[k] == POLLS -> WAKE(k) }
    :: asleep[k] != POLLS
    fi;
    k = 0
  :: else
  fi
#else
  skip
#endif
}

/* neap__ring_cancel */
inline cancel(e) {
  do
  :: STATE(word[e]) == IDLE -> break
  :: STATE(word[e]) == DONE ->
    take(e);
    free_slot(SLOT(mark));
    break
  :: atomic {
       STATE(word[e]) != IDLE && STATE(word[e]) != DONE -> mark = word[e]
     };
     if
     :: atomic { word[e] == mark -> word[e] = IDLE_AFTER(mark) };
        tell_owner();
        break
     :: word[e] != mark
     fi
  od;
  mark = 0
}

/* find_ready: sets found and e. */
inline find_ready() {
#ifdef UNORDERED
  e = 0;
  do
  :: atomic { awaited != ANY -> e = awaited; found = IS_READY(word[e]) };
     break
  :: awaited == ANY && e == ENTRIES -> break
  :: atomic {
       awaited == ANY && e < ENTRIES && (busy & BIT(e)) && IS_READY(word[e]) ->
       found = 1
     };
     break
  :: awaited == ANY && e < ENTRIES && !((busy & BIT(e)) && IS_READY(word[e])) ->
     e++
  od
#else
  atomic { e = awaited; found = IS_READY(word[e]) }
#endif
}

/* trim_idle, of any slot: its pages go while it is held. */
inline trim_idle() {
#if TRIMS
  e = 0;
  do
  :: e < SLOTS && trims < TRIMS ->
    if
    :: e++
#ifdef BUG_PUNCH
    :: slot_state[e] == FREE -> data[e] = 0; trims++; break
#else
    :: atomic { slot_state[e] == FREE -> SET_HOLDING(e); trims++ };
       free_slot(e);
       break
#endif
    fi
  :: else -> break
  od;
  e = 0
#else
  skip
#endif
}

#define WANTED (awaited == ANY -> ANY : awaited + 1)

active proctype consumer() {
  byte head, tail, busy, asked, epoch, e, k, n, awaited;
  byte delivered;  /* items, as bits */
  byte held_count;
  short held[HELD + 1]; /* items and their slots, the oldest first */
  byte seeks, gets, trims;
  short mark;
  bit found;

  do
  :: delivered == BIT(ITEMS) - 1 -> break
  :: else ->
    ask_ahead();

    /* neap_pool_next, neap_pool_get or neap_pool_seek */
#ifdef UNORDERED
    awaited = ANY;
#else
    awaited = head;
#endif
    if
#ifdef HANGS /* until they are cancelled: to read is to wait for ever */
    :: seeks == SEEKS
#else
    :: true
#endif
#if GETS
    :: atomic { gets < GETS -> gets++; awaited = ENTRIES };
       open_entry(awaited, ASIDE_ITEM);
       wake_workers(1)
#endif
#if SEEKS && !defined(UNORDERED) && !defined(HANGS)
    :: atomic { seeks < SEEKS && (busy & BIT((head + 1) % ENTRIES)) -> seeks++ };
       /* skip_to: the next item is jumped over. */
       cancel(head);
       atomic {
         busy = busy & ~BIT(head);
         delivered = delivered | BIT((first[head] - 1) % 8);
         head = (head + 1) % ENTRIES
       };
       goto again
#endif
#if SEEKS
    :: atomic { seeks < SEEKS && busy -> seeks++; e = 0 };
       /* All anew, from the first that was not delivered. */
       do
       :: e < ENTRIES ->
         if
         :: busy & BIT(e) -> cancel(e)
         :: else
         fi;
         e++
       :: else -> break
       od;
       atomic {
         true ->
         e = 0; busy = 0; head = tail; epoch = LATER_EPOCH; asked = 0;
#ifdef UNORDERED
         delivered = 0
#else
         do
         :: delivered & BIT(asked) -> asked++
         :: else -> break
         od
#endif
       };
       goto again
#endif
    fi;

  await:
    find_ready();
    if
    :: found
    :: else ->
#ifndef BUG_SLEEP
      wake_workers(1);
#endif
      do
      :: true ->
#ifdef BUG_WAIT
        find_ready();
        wanted = WANTED;
#else
        wanted = WANTED;
        find_ready();
#endif
        if
        :: found -> break
        :: else
        fi;
        if
        :: atomic { wanted == WANTED -> consumer_parked = 1 };
           if
           :: consumer_parked == 0
#ifdef SPURIOUS
           :: consumer_parked = 0
#endif
           fi
        :: wanted != WANTED
        fi
      od;
      wanted = 0
    fi;
    found = 0;

    /* deliver */
    if
    :: STATE(word[e]) == DONE ->
      take(e);
      atomic {
        true ->
        assert(data[SLOT(mark)] == first[e]); /* I1 */
        held[held_count] = 16 * first[e] + SLOT(mark);
        held_count++;
        mark = 0
      }
    :: else -> /* split_lost */
      atomic { assert(STATE(word[e]) == LOST); word[e] = IDLE_AFTER(word[e]) };
      if
      :: true /* it is the failing item's turn */
      :: open_entry(e, first[e]); /* that of the items around it */
         goto await
      fi
    fi;

    /* go_on */
    if
    :: e == ENTRIES
    :: else ->
      atomic {
        k = (first[e] - 1) % 8;
        assert(first[e] > epoch && !(delivered & BIT(k))); /* I1: once */
#ifndef UNORDERED
        assert(e == head && delivered == BIT(k) - 1); /* and in order */
        head = (head + 1) % ENTRIES;
#endif
        delivered = delivered | BIT(k);
        busy = busy & ~BIT(e);
        k = 0; e = 0
      };
      ask_ahead();
      wake_workers(ENOUGH)
    fi;

  again:
    /* A full hand must let go before the consumer reads on. */
    e = 0;
    do
    :: held_count < HELD -> break
    :: held_count > 0 ->
      atomic {
        k = held[0] % 16;
        assert(slot_state[k] == HOLDING && data[k] == held[0] / 16); /* I3 */
        held_count--;
        e = 0;
        do
        :: e < HELD -> held[e] = held[e + 1]; e++
        :: else -> break
        od;
        e = 0
      };
#ifdef BUG_TRIM
      trim_idle();
      free_slot(k);
#else
      free_slot(k);
      trim_idle();
#endif
      k = 0
    od
  od;

  /* neap_pool_close */
  stop = 1;
  do
  :: k < WORKERS -> atomic { WAKE(k); k++ }
  :: else -> break
  od;
  is_over = 1
}

/* -- The supervisor: recover, neap__ring_recover -- */

inline recover_entry() {
  if
  :: STATE(word[e]) == OPEN -> open_bits = open_bits | BIT(e)
  :: atomic {
       STATE(word[e]) == CLAIMED && OWNER(word[e]) == w -> mark = word[e]
     };
     if /* again: tries are left, or not */
     :: next = OPEN
     :: next = LOST
     fi;
     if
     :: atomic {
          word[e] == mark -> word[e] = WORD(next, 0, 0, TICKET(mark))
        };
#ifndef BUG_REOPEN
        if
        :: next == OPEN -> open_bits = open_bits | BIT(e)
        :: else
        fi
#endif
     :: word[e] != mark
     fi;
     atomic { mark = 0; next = 0 }
  :: else
  fi
}

#define IS_THEIRS(s) (slot_owner[s] == w && \
  (slot_state[s] == FILLING || slot_state[s] == READY))

inline recover_slot() {
  if
  :: slot_state[s] == READY ->
    e = 0;
#ifndef BUG_DELIVERED
    do /* is_delivered */
    :: atomic {
         e < ALL && STATE(word[e]) == DONE && SLOT(word[e]) == s -> e = NONE
       };
       break
    :: atomic {
         e < ALL && !(STATE(word[e]) == DONE && SLOT(word[e]) == s) -> e++
       }
    :: e == ALL -> break
    od;
#endif
    if
    :: atomic {
         e != NONE && slot_state[s] == READY && slot_owner[s] == w ->
         SET_FREE(s); slot_owner[s] = 0; data[s] = 0
       };
       HINT_FREE(s)
    :: else
    fi;
    e = 0
  :: slot_state[s] == FILLING -> free_slot(s)
  :: else
  fi
}

active proctype supervisor() {
  byte w, e, s, n, k, next;
  short mark;
  do
  :: stop -> break
  :: is_corpse[0] -> w = 0; goto recover
  :: is_corpse[1 % WORKERS] -> w = 1 % WORKERS; goto recover
  :: is_corpse[2 % WORKERS] -> w = 2 % WORKERS; goto recover
  recover:
    do
    :: e < ALL -> recover_entry(); e++
    :: else -> break
    od;
    e = 0;
    do
    :: atomic {
         s < SLOTS ->
         do
         :: s < SLOTS && !IS_THEIRS(s) ->
#ifdef HINTS
            if
            :: slot_state[s] == FREE -> free_bits = free_bits | BIT(s)
            :: else
            fi;
#endif
            s++
         :: else -> break
         od
       };
       if
       :: s < SLOTS -> recover_slot(); s++
       :: else
       fi
    :: else -> break
    od;
    s = 0;
    idle_bits = idle_bits & ~BIT(w);
    /* neap__ring_wake_consumer */
#ifdef BUG_WAKE
    if
    :: atomic { wanted != 0 -> wanted = 0; consumer_parked = 0 }
    :: wanted == 0
    fi;
#else
    atomic { wanted = 0; consumer_parked = 0 };
#endif
    wake_workers(1);
    atomic { is_corpse[w] = 0; w = 0 }
  od
}

#ifdef LIVE
ltl ends { <> is_over }
#endif
