/* SPDX-License-Identifier: MIT */
/*
 * A worker with several claims, for ring.pml: neap__filler_try_next,
 * neap_worker_poll, neap__filler_publish. Any of its tasks may be done at any
 * time, and each of them may end its sleep: as a socket or a timer does. With
 * HANGS, what was asked for before the last seek is never done.
 */
#define FULL (BIT(CLAIMS) - 1)

#undef OR_DIE
#define OR_DIE \
  :: atomic { \
       kills < KILLS && !stop -> \
       kills++; is_corpse[_pid] = 1; parked[_pid] = 0; asleep[_pid] = 0; \
       e = 0; mark = 0; held = 0; t = 0; k = 0; told = 0; due = NONE; \
       do \
       :: t < CLAIMS -> slots[t] = NONE; entries[t] = 0; items[t] = 0; marks[t] = 0; t++ \
       :: else -> break \
       od; \
       t = 0 \
     }; \
     goto dead

#ifdef HANGS
#define IS_DUE(t) (items[t] > LATER_EPOCH)
#else
#define IS_DUE(t) true
#endif
#define MAY_DO(t) ((held & BIT(t)) && IS_DUE(t))
#define IS_HELD(t) (held & BIT(t))
#define IS_CANCELLED(t) (IS_HELD(t) && word[entries[t]] != marks[t])

active [WORKERS] proctype worker() {
  byte slots[CLAIMS] = NONE;
  byte entries[CLAIMS];
  byte items[CLAIMS];
  short marks[CLAIMS];
  byte held, t, e, k, told;
  byte due = NONE; /* the task that has ended a sleep */
  short mark;

next:
  if
  :: stop -> goto ended
  :: atomic { !stop && held != FULL -> t = LOWEST(FULL & ~held) };
     if
     :: slots[t] != NONE -> goto claim
     :: slots[t] == NONE -> goto acquire
     fi
  :: atomic { !stop && MAY_DO(0) -> t = 0 };
     goto publish
  :: atomic { !stop && MAY_DO(1) -> t = 1 };
     goto publish
  :: !stop && held == FULL -> goto rest
  fi;

acquire: /* neap__slot_acquire */
  if
  :: atomic {
       true ->
       assert(free_bits != 0); /* I4 */
       k = PICK(free_bits); free_bits = free_bits & ~BIT(k);
       slot_state[k] = FILLING; slot_owner[k] = _pid; slots[t] = k; k = 0
     }
  OR_DIE
  fi;

claim: /* neap__ring_claim */
  if
  TAKE_OPEN(0)
  TAKE_OPEN(1)
  TAKE_OPEN(2)
  :: open_bits == 0 -> goto rest
  OR_DIE
  fi;
  do
  :: atomic { STATE(word[e]) == OPEN -> mark = word[e] };
     items[t] = first[e];
     if
     :: atomic {
          word[e] == mark ->
          assert(asleep[_pid] != RESTS); /* else the claim looks false */
          mark = WORD(CLAIMED, _pid, slots[t], TICKET(mark));
          word[e] = mark; marks[t] = mark; entries[t] = e;
          held = held | BIT(t); mark = 0; e = 0; t = 0
        };
        goto next
     :: atomic { word[e] != mark -> mark = 0; items[t] = 0 }
     OR_DIE
     fi
  :: atomic { STATE(word[e]) != OPEN -> e = 0 };
     goto claim
  od;

publish: /* neap__ring_publish */
  if
  :: atomic {
       true ->
       k = slots[t];
       assert(slot_state[k] == FILLING && slot_owner[k] == _pid); /* I3 */
       data[k] = items[t]; slot_state[k] = READY; e = entries[t]
     }
  OR_DIE
  fi;
  if
  :: atomic {
       word[e] == marks[t] ->
       word[e] = WORD(DONE, _pid, slots[t], TICKET(marks[t]));
       slots[t] = NONE; marks[t] = 0; entries[t] = 0; items[t] = 0; held = held & ~BIT(t);
       t = 0; k = 0
     }
  :: word[e] != marks[t] ->
     if
     :: atomic {
          true ->
          slot_state[k] = FILLING; data[k] = 0; marks[t] = 0; entries[t] = 0;
          items[t] = 0; held = held & ~BIT(t); t = 0; k = 0; e = 0
        }
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

rest: /* neap__ring_rest without claims, neap__ring_poll_begin with them */
#ifdef BUG_DOZE
  if
  :: stop || cancels[_pid] != told -> goto rested
  :: !stop && cancels[_pid] == told
  fi;
#endif
  t = 0;
  if
  :: asleep[_pid] = (held -> POLLS : RESTS)
  OR_DIE
  fi;
  if
  :: held != FULL -> idle_bits = idle_bits | BIT(_pid)
  :: held == FULL
  OR_DIE
  fi;
  if
  :: held != FULL && open_bits != 0 -> goto rested
  :: held == FULL || open_bits == 0
  fi;
#ifndef BUG_DOZE
  if
  :: stop -> goto rested
  :: !stop
  fi;
  if
  :: held && cancels[_pid] != told -> goto rested
  :: !held || cancels[_pid] == told
  fi;
#endif
  if
  :: held ->
     if
     :: rung & BIT(_pid) -> rung = rung & ~BIT(_pid)
     :: atomic { MAY_DO(0) -> due = 0 } /* its socket is ready */
     :: atomic { MAY_DO(1) -> due = 1 }
     OR_DIE
     fi
  :: !held ->
     if
     :: atomic { asleep[_pid] == RESTS -> parked[_pid] = 1 };
        if
        :: parked[_pid] == 0
        OR_DIE
        fi
     :: asleep[_pid] != RESTS
     fi
  fi;
rested:
  if
  :: atomic { true -> idle_bits = idle_bits & ~BIT(_pid); asleep[_pid] = 0 }
  OR_DIE
  fi;
  if
  :: cancels[_pid] == told -> goto woken
  :: cancels[_pid] != told -> told = cancels[_pid]
  fi;
  do /* gives up what was cancelled */
  :: atomic {
       t < CLAIMS && IS_CANCELLED(t) ->
       held = held & ~BIT(t); marks[t] = 0; entries[t] = 0; items[t] = 0;
       t++
     }
  :: atomic { t < CLAIMS && !IS_CANCELLED(t) -> t++ }
  :: atomic { t == CLAIMS -> t = 0 };
     goto woken
  od;
woken:
  if
  :: atomic { due != NONE && IS_HELD(due) -> t = due; due = NONE };
     goto publish
  :: atomic { due == NONE || !IS_HELD(due) -> due = NONE };
     goto next
  fi;

dead:
  if
  :: is_corpse[_pid] == 0 -> told = cancels[_pid]; goto next /* its successor */
  :: stop
  fi;
ended:
  skip
}
