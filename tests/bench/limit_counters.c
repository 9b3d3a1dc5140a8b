/* SPDX-License-Identifier: MIT */
/*
 * The counters of a worker, alone: so many reads of the clock and additions
 * to shared memory a run, as runtime/ring/filler.c does them. Prints seconds a
 * run.
 */
#include "limit.h"

#include "base/futex.h"
#include "ring/ring.h"

static void add(_Atomic int64_t *counter, int64_t amount) {
  atomic_store_explicit(
      counter, atomic_load_explicit(counter, memory_order_relaxed) + amount,
      memory_order_relaxed);
}

int main(int argc, char **argv) {
  const char *usage = "CLOCKS ADDITIONS RUNS";
  const long clocks = limit_argument(argc, argv, 1, 3, usage);
  const long additions = limit_argument(argc, argv, 2, 3, usage);
  const long runs = limit_argument(argc, argv, 3, 3, usage);
  neap__worker_record *const record = limit_share(sizeof *record);
  neap__slot *const slot = limit_share(sizeof *slot);
  _Atomic int64_t *const counters[] = {&record->items,   &record->runs,
                                       &record->bytes,   &record->busy_ns,
                                       &record->idle_ns, &slot->began_ns};
  const long count = sizeof counters / sizeof *counters;

  const double since = limit_now_s();
  for (long run = 0; run < runs; run++) {
    int64_t amount = run;
    for (long k = 0; k < clocks; k++)
      amount += neap__now_ns();
    for (long k = 0; k < additions; k++)
      add(counters[k % count], amount & 0xff);
  }
  printf("%.9g\n", (limit_now_s() - since) / (double)runs);
  return 0;
}
