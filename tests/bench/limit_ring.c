/* SPDX-License-Identifier: MIT */
/*
 * The limit of numbers through prefetch: producers and a consumer over a bare
 * ring, ITEMS numbers an entry. Prints items a second.
 *
 * A producer takes a ticket, waits for room, writes the cells, marks the entry
 * full; the consumer takes entries in order. Nobody can die or be cancelled,
 * and entries hold their items. Who waits yields a few times first, and sleeps
 * on a futex then: where there are fewer cores than processes, sleeping at
 * once was three times as slow. Producers that found no room are woken when
 * half of the ring is empty, or before the consumer sleeps.
 */
#include <sched.h>
#include <stdbool.h>

#include "limit.h"

#include "base/futex.h"
#include "neap_lua.h"

enum { PRODUCERS_MAX = 16, YIELDS = 20 };

typedef struct line {
  _Alignas(64) _Atomic uint64_t word;
} line;

typedef struct sleeper {
  _Alignas(64) _Atomic uint32_t is_asleep;
} sleeper;

typedef struct ring {
  line claimed; /* tickets given to producers */
  line taken;   /* entries that the consumer is done with */
  sleeper consumer;
  sleeper producers[PRODUCERS_MAX];
  line entries[]; /* the ticket that filled it, from 1 */
} ring;

static ring *shared;
static neap_cell *cells;
static uint64_t producers, entries, items, tickets;

static void wake(sleeper *one) {
  if (atomic_load(&one->is_asleep) && atomic_exchange(&one->is_asleep, 0))
    neap__futex_wake(&one->is_asleep);
}

static bool has_room(uint64_t ticket) {
  return ticket - atomic_load(&shared->taken.word) < entries;
}

static void produce(sleeper *self) {
  uint64_t ticket;
  while ((ticket = atomic_fetch_add(&shared->claimed.word, 1)) < tickets) {
    for (int k = 0; k < YIELDS && !has_room(ticket); k++)
      sched_yield();
    while (!has_room(ticket)) {
      atomic_store(&self->is_asleep, 1);
      if (!has_room(ticket)) neap__futex_wait(&self->is_asleep, 1);
    }
    neap_cell *cell = cells + ticket % entries * items;
    for (uint64_t k = 0; k < items; k++) {
      cell[k].type = NEAP_NUMBER;
      cell[k].number = (double)(int64_t)(ticket * items + k);
    }
    atomic_store(&shared->entries[ticket % entries].word, ticket + 1);
    wake(&shared->consumer);
  }
}

static bool is_full(uint64_t ticket) {
  return atomic_load(&shared->entries[ticket % entries].word) == ticket + 1;
}

static void wake_producers(void) {
  for (uint64_t p = 0; p < producers; p++)
    wake(&shared->producers[p]);
}

static void await_entry(uint64_t ticket) {
  for (int k = 0; k < YIELDS && !is_full(ticket); k++)
    sched_yield();
  while (!is_full(ticket)) {
    wake_producers();
    atomic_store(&shared->consumer.is_asleep, 1);
    if (!is_full(ticket)) neap__futex_wait(&shared->consumer.is_asleep, 1);
  }
}

static double consume(void) {
  const uint64_t half = entries / 2 > 0 ? entries / 2 : 1;
  double sum = 0;
  for (uint64_t ticket = 0; ticket < tickets; ticket++) {
    await_entry(ticket);
    const neap_cell *cell = cells + ticket % entries * items;
    for (uint64_t k = 0; k < items; k++)
      if (cell[k].type == NEAP_NUMBER) sum += cell[k].number;
    atomic_store(&shared->taken.word, ticket + 1);
    if (ticket % half == 0) wake_producers();
  }
  return sum;
}

int main(int argc, char **argv) {
  const char *usage = "PRODUCERS ENTRIES ITEMS TOTAL";
  producers = (uint64_t)limit_argument(argc, argv, 1, 4, usage);
  entries = (uint64_t)limit_argument(argc, argv, 2, 4, usage);
  items = (uint64_t)limit_argument(argc, argv, 3, 4, usage);
  tickets = (uint64_t)limit_argument(argc, argv, 4, 4, usage) / items;
  shared = limit_share(sizeof *shared + entries * sizeof *shared->entries);
  cells = limit_share(entries * items * sizeof *cells);
  limit_need(producers <= PRODUCERS_MAX, "PRODUCERS");

  const double since = limit_now_s();
  for (uint64_t p = 0; p < producers; p++)
    if (fork() == 0) {
      produce(&shared->producers[p]);
      _exit(0);
    }
  const double sum = consume(), total = (double)(tickets * items);
  const double seconds = limit_now_s() - since;
  limit_await_children();
  limit_need(sum == total * (total - 1) / 2, "the sum is wrong");
  printf("%.9g\n", total / seconds);
  return 0;
}
