/* SPDX-License-Identifier: MIT */
/* Launches workers: finds the program, and runs it with what it inherits. */
#ifndef NEAP_POOL_PROCESS_H
#define NEAP_POOL_PROCESS_H

#include <limits.h>
#include <sys/types.h>

#include "neap_lua.h"

/* The descriptors of a worker, besides stdio. It closes all others. */
enum {
  NEAP__FD_CONTROL = 3,
  NEAP__FD_SLOTS = 4,
  NEAP__FD_SOCKET = 5,
  NEAP__FD_HEAP = 6,   /* may be closed: no shared tensors */
  NEAP__FD_STDERR = 7, /* the host's; the worker takes it later; or closed */
  NEAP__FD_WAKE = 8,   /* an eventfd by which the host wakes it; or closed */
  NEAP__FD_COUNT = 9
};

/* The first message on a worker's socket. */
typedef struct neap__hello {
  int32_t worker;
  int32_t host_pid;
} neap__hello;

/* The first byte of each message of a worker. */
enum {
  NEAP__SAYS_ATTACHED = 'a',
  NEAP__SAYS_READY = 'r',
  NEAP__SAYS_WHY_NOT = 'n' /* the text follows */
};

/*
 * The path of the neap executable: `path_given` if it is not NULL, else
 * NEAP_WORKER of the environment, else beside the library, else on PATH. A
 * setuid program does not use its environment.
 */
int neap__spawn_find(const char *path_given, char *path, size_t size,
                     neap_error *error);

/* A copy of a neap_launch; closed if zero-filled. */
typedef struct neap__launcher {
  char path[PATH_MAX];
  char **arguments;
  char **environment; /* NULL: the host's */
} neap__launcher;

/* Finds the program, and copies the rest. That of a native chain is beside the
   neap executable. */
int neap__launcher_open(neap__launcher *launcher, const neap_launch *launch,
                        neap_error *error);
void neap__launcher_close(neap__launcher *launcher);
/*
 * Starts the program, without a fork of the host's memory. From
 * NEAP__FD_CONTROL on, inherit[fd] becomes its descriptor fd; -1: none.
 * `stderr_fd` becomes its stderr. All of them are NEAP__FD_COUNT or above. The
 * error's errno is ESRCH if it has died, and the host has reaped it.
 */
int neap__launcher_spawn(const neap__launcher *launcher,
                         const int inherit[NEAP__FD_COUNT], int stderr_fd,
                         pid_t *pid, int *pidfd, neap_error *error);

#endif
