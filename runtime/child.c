/* SPDX-License-Identifier: MIT */
/* A worker as its host sees it: started, greeted, listened to, reaped. */
#include "child.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "descriptor.h"
#include "error.h"
#include "process.h"

/* A socket pair whose worker's end is out of the way of what it inherits. */
static int open_sockets(int *ours, int *theirs, neap_error *error) {
  int pair[2];
  *ours = *theirs = -1;
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
    return neap__error_set(error, NEAP_ESYSTEM, errno,
                           "cannot open a worker's socket");
  *ours = neap__descriptor_raise(pair[0]);
  *theirs = fcntl(pair[1], F_DUPFD_CLOEXEC, NEAP__FD_COUNT);
  close(pair[1]);
  if (*ours >= 0 && *theirs >= 0) return NEAP_OK;
  if (*ours >= 0) close(*ours);
  if (*theirs >= 0) close(*theirs);
  *ours = *theirs = -1;
  return neap__error_set(error, NEAP_ESYSTEM, errno,
                         "cannot open a worker's socket");
}

int neap__child_start(neap__child *child, const char *path, const char *lua_dir,
                      const int inherit[4], neap_error *error) {
  int theirs;
  int rc = open_sockets(&child->socket, &theirs, error);
  if (rc != NEAP_OK) return rc;
  const int handed[4] = {inherit[0], inherit[1], theirs, inherit[3]};
  rc = neap__spawn(path, lua_dir, handed, &child->pid, &child->pidfd, error);
  close(theirs);
  child->is_ready = 0;
  if (rc != NEAP_OK) {
    child->pid = 0;
    close(child->socket);
    child->socket = -1;
  }
  return rc;
}

void neap__child_greet(neap__child *child, int32_t worker) {
  const neap__hello hello = {worker, (int32_t)getpid()};
  (void)send(child->socket, &hello, sizeof hello, MSG_NOSIGNAL);
}

int neap__child_reap(neap__child *child) {
  int status = 0;
  while (waitpid(child->pid, &status, 0) < 0)
    if (errno != EINTR) break; /* the host reaped it: how it ended is lost */
  close(child->pidfd);
  if (child->socket >= 0) close(child->socket);
  child->pid = 0;
  child->pidfd = child->socket = -1;
  return status;
}

void neap__child_describe_end(int status, char *text, size_t size) {
  if (WIFSIGNALED(status))
    snprintf(text, size, "was ended by signal %d (%s)", WTERMSIG(status),
             strsignal(WTERMSIG(status)));
  else
    snprintf(text, size, "ended with exit status %d", WEXITSTATUS(status));
}
