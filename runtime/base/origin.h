/* SPDX-License-Identifier: MIT */
/*
 * Tells the process that opened something from one that was forked off it.
 * The kernel zeroes a page in the child of a fork, so that asking is a load;
 * getpid() is a system call.
 */
#ifndef NEAP_BASE_ORIGIN_H
#define NEAP_BASE_ORIGIN_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <unistd.h>

typedef struct neap__origin {
  volatile uint8_t *page; /* 1, and 0 in a forked child; NULL: ask getpid() */
  pid_t pid;              /* of the process that opened it */
} neap__origin;

/* This process is the origin from now on. Cannot fail. */
void neap__origin_open(neap__origin *origin);
/* False in a process that was forked off the origin. */
static inline bool neap__origin_is_here(const neap__origin *origin) {
  return origin->page != NULL ? *origin->page != 0 : origin->pid == getpid();
}
/* Takes one that is zero-filled or closed, too. */
void neap__origin_close(neap__origin *origin);

#endif
