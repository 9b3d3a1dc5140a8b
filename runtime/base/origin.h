/* SPDX-License-Identifier: MIT */
/*
 * Tells the process that opened an object from its forked children. The kernel
 * zeroes a page in the child, so the check is a load; getpid() is a system
 * call.
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

/* Makes this process the origin. Cannot fail. */
void neap__origin_open(neap__origin *origin);
/* False in a forked child of the origin. */
static inline bool neap__origin_is_here(const neap__origin *origin) {
  return origin->page != NULL ? *origin->page != 0 : origin->pid == getpid();
}
/* Also for an origin that is zero-filled or closed. */
void neap__origin_close(neap__origin *origin);

#endif
