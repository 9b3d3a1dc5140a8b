/* SPDX-License-Identifier: MIT */
/* Waiting on a word of shared memory, across processes (Linux futex). */
#ifndef NEAP_BASE_FUTEX_H
#define NEAP_BASE_FUTEX_H

#include <errno.h>
#include <linux/futex.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* Sleeps while *word is `value`; may also return for no reason. */
static inline void neap__futex_wait(_Atomic uint32_t *word, uint32_t value) {
  syscall(SYS_futex, word, FUTEX_WAIT, value, NULL, NULL, 0);
}

/* The same, for `ms` milliseconds at most. False: a signal handler ran. */
static inline bool neap__futex_wait_ms(_Atomic uint32_t *word, uint32_t value,
                                       int32_t ms) {
  const struct timespec time = {ms / 1000, ms % 1000 * 1000000};
  return syscall(SYS_futex, word, FUTEX_WAIT, value, &time, NULL, 0) == 0 ||
         errno != EINTR;
}

static inline void neap__futex_wake(_Atomic uint32_t *word) {
  syscall(SYS_futex, word, FUTEX_WAKE, 1, NULL, NULL, 0);
}

/* Pauses the core in a loop that polls a word. */
static inline void neap__pause(void) {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

static inline int64_t neap__now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

#endif
