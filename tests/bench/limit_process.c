/* SPDX-License-Identifier: MIT */
/*
 * The limits of workers as processes. Prints seconds.
 *
 * "start" has posix_spawn start COUNT times /bin/true, and waits for all of
 * them; "end" closes the pipe that COUNT forked children read from, and waits
 * for all of them; "wake" sleeps and wakes COUNT times within two seconds,
 * and prints what that took of a core.
 */
#include <poll.h>
#include <spawn.h>
#include <string.h>

#include "limit.h"

extern char **environ;

enum { WAKE_MS = 2000 };

static double start(long count) {
  char path[] = "/bin/true";
  char *const words[] = {path, NULL};
  const double since = limit_now_s();
  for (long k = 0; k < count; k++) {
    pid_t pid;
    limit_need(posix_spawn(&pid, path, NULL, NULL, words, environ) == 0, path);
  }
  limit_await_children();
  return limit_now_s() - since;
}

static double end(long count) {
  int ready[2], hold[2];
  char byte = 0;
  limit_need(pipe(ready) == 0 && pipe(hold) == 0, "pipe");
  for (long k = 0; k < count; k++)
    if (fork() == 0) {
      close(hold[1]);
      limit_need(write(ready[1], &byte, 1) == 1, "write");
      _exit((int)read(hold[0], &byte, 1)); /* 0, when the parent closes */
    }
  for (long k = 0; k < count; k++)
    limit_need(read(ready[0], &byte, 1) == 1, "read");
  /* The last one may be about to read: that takes no longer than waking. */
  const double since = limit_now_s();
  close(hold[1]);
  limit_await_children();
  return limit_now_s() - since;
}

static double computed_s(void) {
  struct timespec time;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

static double wake(long count) {
  const double before = computed_s();
  for (long k = 0; k <= count; k++)
    poll(NULL, 0, (int)(WAKE_MS / (count + 1)));
  return computed_s() - before;
}

int main(int argc, char **argv) {
  const long count = limit_argument(argc, argv, 2, 2, "start|end|wake COUNT");
  double (*const measure)(long) = strcmp(argv[1], "end") == 0    ? end
                                  : strcmp(argv[1], "wake") == 0 ? wake
                                                                 : start;
  printf("%.9g\n", measure(count));
  return 0;
}
