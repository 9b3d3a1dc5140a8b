/* SPDX-License-Identifier: MIT */
/*
 * The limit of asking for one item and waiting for it: a round trip between
 * two processes that sleep on futexes, one of which fills BYTES in between.
 * Prints seconds a trip.
 *
 * PAUSE_US goes by between two trips, outside of the time that is counted.
 */
#include <string.h>

#include "limit.h"

#include "base/futex.h"

typedef struct word {
  _Alignas(64) _Atomic uint32_t is_set;
} word;

static void set(word *w) {
  atomic_store(&w->is_set, 1);
  neap__futex_wake(&w->is_set);
}

static void await(word *w) {
  while (!atomic_exchange(&w->is_set, 0))
    neap__futex_wait(&w->is_set, 0);
}

int main(int argc, char **argv) {
  const char *usage = "BYTES PAUSE_US TRIPS";
  const size_t bytes = (size_t)limit_argument(argc, argv, 1, 3, usage);
  const long pause_us = limit_argument(argc, argv, 2, 3, usage);
  const long trips = limit_argument(argc, argv, 3, 3, usage);
  word *const words = limit_share(2 * sizeof *words);
  void *const memory = bytes > 0 ? limit_share(bytes) : NULL;

  if (fork() == 0) {
    for (long k = 0; k < trips; k++) {
      await(&words[0]);
      if (bytes > 0) memset(memory, (int)k, bytes);
      set(&words[1]);
    }
    _exit(0);
  }
  double sum = 0;
  for (long k = 0; k < trips; k++) {
    if (pause_us > 0) usleep((useconds_t)pause_us);
    const double since = limit_now_s();
    set(&words[0]);
    await(&words[1]);
    sum += limit_now_s() - since;
  }
  limit_await_children();
  printf("%.9g\n", sum / (double)trips);
  return 0;
}
