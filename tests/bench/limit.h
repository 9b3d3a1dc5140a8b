/* SPDX-License-Identifier: MIT */
/*
 * What the limits share. A limit is the plainest C program that does the work
 * of a row of the bench, and nothing of what neap does besides; it prints one
 * number.
 */
#ifndef NEAP_BENCH_LIMIT_H
#define NEAP_BENCH_LIMIT_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static inline double limit_now_s(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static inline void limit_need(int is_fine, const char *what) {
  if (is_fine) return;
  perror(what);
  exit(1);
}

/* The number that argument k is; usage is said if there are not `count`. */
static inline long limit_argument(int argc, char **argv, int k, int count,
                                  const char *usage) {
  if (argc == count + 1) return atol(argv[k]);
  fprintf(stderr, "usage: %s %s\n", argv[0], usage);
  exit(2);
}

/* Zeroed memory that children share. */
static inline void *limit_share(size_t bytes) {
  const int fd = memfd_create("limit", MFD_CLOEXEC);
  limit_need(fd >= 0 && ftruncate(fd, (off_t)bytes) == 0, "memfd");
  void *base = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  limit_need(base != MAP_FAILED, "mmap");
  close(fd);
  return base;
}

static inline void limit_await_children(void) {
  int status;
  while (wait(&status) > 0)
    if (status != 0) exit(1);
}

#endif
