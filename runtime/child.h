/* SPDX-License-Identifier: MIT */
/* A worker as its host sees it: started, greeted, listened to, reaped. */
#ifndef NEAP_RUNTIME_CHILD_H
#define NEAP_RUNTIME_CHILD_H

#include <sys/types.h>

#include "neap.h"

/* The supervisor's thread owns it. */
typedef struct neap__child {
  pid_t pid; /* 0: none */
  int pidfd;
  int socket;
  int is_ready;
  int vain_deaths;     /* in a row, of workers of this number */
  int64_t runs_before; /* done by those before this one */
} neap__child;

#define NEAP__NO_CHILD ((neap__child){.pidfd = -1, .socket = -1})

/*
 * Starts worker number `worker`, which waits until it is greeted: so it can be
 * watched first. inherit is as neap__spawn wants it, its socket aside.
 */
int neap__child_start(neap__child *child, const char *path, const char *lua_dir,
                      const int inherit[4], neap_error *error);
void neap__child_greet(neap__child *child, int32_t worker);
/* After its end: answers how it ended, as waitpid tells it, and forgets it. */
int neap__child_reap(neap__child *child);
/* "was ended by signal 9 (Killed)" */
void neap__child_describe_end(int status, char *text, size_t size);

#endif
