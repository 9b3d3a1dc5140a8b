/* SPDX-License-Identifier: MIT */
/*
 * Failing the n-th call that libneap makes to the C library.
 *
 * A test that includes this file is linked so that libneap's calls of the
 * functions below come here first (ld's --wrap; its .link file names them).
 * Between nth_arm() and nth_disarm() they are counted, whichever thread makes
 * them, and those that the plan names fail with an errno that the real one may
 * answer.
 */
#ifndef NEAP_TESTS_NTH_H
#define NEAP_TESTS_NTH_H

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { NTH_NAMES_MAX = 64 };

static struct {
  /* The plan: written while nothing is armed. */
  const char *only; /* the function that is counted; NULL: all */
  int first;        /* the call that fails, from 1; 0: none */
  bool goes_on;     /* all calls after it fail too */

  atomic_bool is_armed;
  atomic_int calls;
  atomic_int failures;
  _Atomic(const char *) failed; /* the last one that failed, */
  atomic_int reason;            /* and its errno */
  atomic_int blocks;            /* allocated and not freed, armed or not */
  _Atomic(const char *) names[NTH_NAMES_MAX]; /* of all that were called */
} nth;

static inline void nth_plan(const char *only, int first, bool goes_on) {
  nth.only = only;
  nth.first = first;
  nth.goes_on = goes_on;
  atomic_store(&nth.calls, 0);
  atomic_store(&nth.failures, 0);
  atomic_store(&nth.failed, NULL);
}

static inline void nth_arm(void) {
  atomic_store(&nth.is_armed, true);
}

static inline void nth_disarm(void) {
  atomic_store(&nth.is_armed, false);
}

static inline void nth_note(const char *name) {
  for (int k = 0; k < NTH_NAMES_MAX; k++) {
    const char *known = NULL;
    if (atomic_compare_exchange_strong(&nth.names[k], &known, name) ||
        strcmp(known, name) == 0)
      return;
  }
}

/* Whether this call shall fail; errno is set then. */
static inline bool nth_is_due(const char *name, int reason) {
  if (!atomic_load(&nth.is_armed)) return false;
  nth_note(name);
  if (nth.only != NULL && strcmp(nth.only, name) != 0) return false;
  const int call = atomic_fetch_add(&nth.calls, 1) + 1;
  if (nth.first == 0 || call < nth.first || (call > nth.first && !nth.goes_on))
    return false;
  atomic_store(&nth.failed, name);
  atomic_store(&nth.reason, reason);
  atomic_fetch_add(&nth.failures, 1);
  errno = reason;
  return true;
}

/* -- What is stood in for -- */

#define WRAP(name, type, parameters, failure, reason, otherwise) \
  extern __typeof__(name) __real_##name; \
  type __wrap_##name parameters; \
  type __wrap_##name parameters { \
    if (nth_is_due(#name, reason)) return failure; \
    return __real_##name otherwise; \
  }

/* Some take less than that: what is not there is passed on, and not read. */
#define SIX_WORDS long a, long b, long c, long d, long e, long f

WRAP(access, int, (const char *path, int mode), -1, EACCES, (path, mode))
WRAP(dup2, int, (int fd, int as), -1, EBUSY, (fd, as))
WRAP(eventfd, int, (unsigned int start, int flags), -1, EMFILE, (start, flags))
WRAP(fallocate, int, (int fd, int mode, off_t at, off_t bytes), -1, ENOSPC,
     (fd, mode, at, bytes))
WRAP(fcntl, int, (int fd, int command, long a), -1, EMFILE, (fd, command, a))
WRAP(fopen, FILE *, (const char *path, const char *mode), NULL, EMFILE,
     (path, mode))
WRAP(fstat, int, (int fd, struct stat *about), -1, ENOMEM, (fd, about))
WRAP(ftruncate, int, (int fd, off_t bytes), -1, EFBIG, (fd, bytes))
WRAP(madvise, int, (void *base, size_t bytes, int advice), -1, ENOMEM,
     (base, bytes, advice))
WRAP(memfd_create, int, (const char *name, unsigned int flags), -1, EMFILE,
     (name, flags))
WRAP(mmap, void *,
     (void *base, size_t bytes, int access, int flags, int fd, off_t at),
     MAP_FAILED, ENOMEM, (base, bytes, access, flags, fd, at))
WRAP(open, int, (const char *path, int flags, long mode), -1, EMFILE,
     (path, flags, (mode_t)mode))
WRAP(pipe2, int, (int pair[2], int flags), -1, EMFILE, (pair, flags))
WRAP(poll, int, (struct pollfd * polls, nfds_t count, int timeout_ms), -1,
     ENOMEM, (polls, count, timeout_ms))
WRAP(posix_spawn, int,
     (pid_t * pid, const char *path, const posix_spawn_file_actions_t *actions,
      const posix_spawnattr_t *attributes, char *const *arguments,
      char *const *environment),
     EAGAIN, EAGAIN, (pid, path, actions, attributes, arguments, environment))
WRAP(posix_spawnattr_init, int, (posix_spawnattr_t * attributes), ENOMEM,
     ENOMEM, (attributes))
WRAP(posix_spawn_file_actions_init, int, (posix_spawn_file_actions_t * actions),
     ENOMEM, ENOMEM, (actions))
WRAP(posix_spawn_file_actions_adddup2, int,
     (posix_spawn_file_actions_t * actions, int fd, int as), ENOMEM, ENOMEM,
     (actions, fd, as))
WRAP(posix_spawn_file_actions_addclose, int,
     (posix_spawn_file_actions_t * actions, int fd), ENOMEM, ENOMEM,
     (actions, fd))
WRAP(prctl, int, (int option, long a, long b, long c, long d), -1, EPERM,
     (option, a, b, c, d))
WRAP(pthread_create, int,
     (pthread_t * thread, const pthread_attr_t *attributes,
      void *(*start)(void *), void *argument),
     EAGAIN, EAGAIN, (thread, attributes, start, argument))
WRAP(pthread_setname_np, int, (pthread_t thread, const char *name), EACCES,
     EACCES, (thread, name))
WRAP(read, ssize_t, (int fd, void *bytes, size_t count), -1, EINTR,
     (fd, bytes, count))
WRAP(recv, ssize_t, (int fd, void *bytes, size_t count, int flags), -1, ENOMEM,
     (fd, bytes, count, flags))
WRAP(recvmsg, ssize_t, (int fd, struct msghdr *message, int flags), -1, ENOMEM,
     (fd, message, flags))
WRAP(sched_getaffinity, int, (pid_t pid, size_t bytes, cpu_set_t *set), -1,
     EPERM, (pid, bytes, set))
WRAP(send, ssize_t, (int fd, const void *bytes, size_t count, int flags), -1,
     ENOBUFS, (fd, bytes, count, flags))
WRAP(shutdown, int, (int fd, int how), -1, ENOTCONN, (fd, how))
WRAP(socketpair, int, (int domain, int type, int protocol, int pair[2]), -1,
     EMFILE, (domain, type, protocol, pair))
WRAP(write, ssize_t, (int fd, const void *bytes, size_t count), -1, EINTR,
     (fd, bytes, count))

/* -- Blocks: also counted -- */

extern __typeof__(calloc) __real_calloc;
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size) {
  if (nth_is_due("calloc", ENOMEM)) return NULL;
  void *block = __real_calloc(count, size);
  if (block != NULL) atomic_fetch_add(&nth.blocks, 1);
  return block;
}

extern __typeof__(strdup) __real_strdup;
char *__wrap_strdup(const char *text);
char *__wrap_strdup(const char *text) {
  if (nth_is_due("strdup", ENOMEM)) return NULL;
  char *copy = __real_strdup(text);
  if (copy != NULL) atomic_fetch_add(&nth.blocks, 1);
  return copy;
}

extern __typeof__(aligned_alloc) __real_aligned_alloc;
void *__wrap_aligned_alloc(size_t alignment, size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size) {
  if (nth_is_due("aligned_alloc", ENOMEM)) return NULL;
  void *block = __real_aligned_alloc(alignment, size);
  if (block != NULL) atomic_fetch_add(&nth.blocks, 1);
  return block;
}

extern __typeof__(free) __real_free;
void __wrap_free(void *block);
void __wrap_free(void *block) {
  if (block != NULL) atomic_fetch_sub(&nth.blocks, 1);
  __real_free(block);
}

/* -- What fails in its own way -- */

/* Fails as it does where the host has reaped the child already. */
extern __typeof__(waitid) __real_waitid;
int __wrap_waitid(idtype_t type, id_t id, siginfo_t *end, int options);
int __wrap_waitid(idtype_t type, id_t id, siginfo_t *end, int options) {
  const bool is_due = nth_is_due("waitid", ECHILD);
  const int rc = __real_waitid(type, id, end, options);
  if (is_due) errno = ECHILD;
  return is_due ? -1 : rc;
}

extern __typeof__(waitpid) __real_waitpid;
pid_t __wrap_waitpid(pid_t pid, int *status, int options);
pid_t __wrap_waitpid(pid_t pid, int *status, int options) {
  int lost;
  const bool is_due = nth_is_due("waitpid", ECHILD);
  const pid_t reaped = __real_waitpid(pid, is_due ? &lost : status, options);
  if (is_due) errno = ECHILD;
  return is_due ? -1 : reaped;
}

extern __typeof__(syscall) __real_syscall;
long __wrap_syscall(long number, SIX_WORDS);
long __wrap_syscall(long number, SIX_WORDS) {
  bool is_due = false;
  switch (number) {
  case SYS_futex: /* waking cannot fail */
    if (b == FUTEX_WAIT) is_due = nth_is_due("futex", EINTR);
    break;
  case SYS_pidfd_open: is_due = nth_is_due("pidfd_open", EMFILE); break;
  case SYS_pidfd_send_signal:
    is_due = nth_is_due("pidfd_send_signal", EPERM);
    break;
  default: is_due = nth_is_due("another system call", ENOSYS);
  }
  return is_due ? -1 : __real_syscall(number, a, b, c, d, e, f);
}

#endif
