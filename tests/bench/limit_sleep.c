/* SPDX-License-Identifier: MIT */
/*
 * The limit of items that sleep: PROCESSES that sleep the naps (microseconds)
 * in turn, whoever is awake the next one. Prints seconds.
 */
#include <stdatomic.h>

#include "limit.h"

int main(int argc, char **argv) {
  if (argc < 3) return 2;
  const long processes = atol(argv[1]);
  _Atomic int *next = limit_share(sizeof *next);
  *next = 2;
  const double since = limit_now_s();
  for (long p = 0; p < processes; p++)
    if (fork() == 0) {
      for (int k; (k = atomic_fetch_add(next, 1)) < argc;)
        usleep((useconds_t)atol(argv[k]));
      _exit(0);
    }
  limit_await_children();
  printf("%.9g\n", limit_now_s() - since);
  return 0;
}
