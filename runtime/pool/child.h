/* SPDX-License-Identifier: MIT */
/*
 * A worker's process, in the host: starts, greets, reads and reaps it.
 *
 * Until it has finished its first run, a worker's stderr is a pipe. The host
 * forwards the output to its own stderr and keeps the end of it, so that an
 * error can tell why workers do not start.
 */
#ifndef NEAP_POOL_CHILD_H
#define NEAP_POOL_CHILD_H

#include <stdbool.h>
#include <sys/types.h>

#include "neap.h"
#include "pool/process.h"

enum { NEAP__TAIL_BYTES = 1000 };

enum neap__child_state {
  NEAP__CHILD_STARTED,
  NEAP__CHILD_ATTACHED,
  NEAP__CHILD_READY
};

/* The supervisor's thread owns it. */
typedef struct neap__child {
  pid_t pid; /* 0: none */
  int pidfd;
  int socket;
  int output; /* the pipe of its stderr; -1: closed */
  enum neap__child_state state;
  int64_t started_ns;
  int vain_deaths;     /* in a row, of workers of this number */
  int64_t runs_before; /* done by its predecessors */
  bool is_blocked;     /* the host's stderr is full */
  bool is_overdue;     /* it was killed for an item that took too long */
  size_t tail_bytes;
  char tail[NEAP__TAIL_BYTES];
} neap__child;

#define NEAP__NO_CHILD ((neap__child){.pidfd = -1, .socket = -1, .output = -1})

/*
 * Starts a worker, which waits until it is greeted: so it can be watched first.
 * inherit is that of neap__launcher_spawn, except the socket: it is made here.
 */
int neap__child_start(neap__child *child, const neap__launcher *launcher,
                      const int inherit[NEAP__FD_COUNT], neap_error *error);
int neap__child_greet(neap__child *child, int32_t worker, neap_error *error);
/* Reads a message, without waiting. Whether the worker refuses, and why. */
bool neap__child_receive(neap__child *child, neap_error *why);
/*
 * Forwards some output to `out` (-1: nowhere), without waiting for either.
 * False if nothing was forwarded.
 */
bool neap__child_forward(neap__child *child, int out);
/*
 * Kills it; false if that failed. If the host lacks the right, as with another
 * user id, it ends the socket, which kills a worker that has attached.
 */
bool neap__child_kill(const neap__child *child);
/* After its end: forgets it. Returns how it ended, as from waitpid. */
int neap__child_reap(neap__child *child, int out);
/* Forgets a worker that does not end; it stays the host's child. */
void neap__child_abandon(neap__child *child);
/* "was ended by signal 9 (Killed), and wrote: ..." */
void neap__child_describe_end(const neap__child *child, int status, char *text,
                              size_t size);

#endif
