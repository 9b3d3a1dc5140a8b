/* SPDX-License-Identifier: MIT */
/* A worker's process, in the host: starts, greets, reads and reaps it. */
#include "pool/child.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/descriptor.h"
#include "base/error.h"
#include "base/futex.h"

/* Bytes forwarded at a time: few enough not to block on a terminal. */
enum { OUTPUT_BYTES = 512 };
#ifndef P_PIDFD /* since glibc 2.36 */
#define P_PIDFD 3
#endif

/* The most bytes that a pipe may contain when its writer has ended. */
enum { PIPE_BYTES_MAX = 1 << 20 };

/* -- Starting -- */

/* Clears the number first: a child that another thread forks meanwhile must not
   close it again. */
static void shut(int *fd) {
  const int shut_fd = *fd;
  *fd = -1;
  if (shut_fd >= 0) close(shut_fd);
}

/*
 * Splits a pair that was just opened, if rc is 0. Moves `theirs` above the
 * descriptors that a worker inherits, and `ours` above stdio; `ours` does not
 * block.
 */
static int part(int rc, const int pair[2], int *ours, int *theirs,
                const char *what, neap_error *error) {
  int reason = errno;
  *ours = *theirs = -1;
  if (rc == 0) {
    *theirs = neap__descriptor_copy(pair[1], NEAP__FD_COUNT);
    reason = errno;
    close(pair[1]);
    *ours = neap__descriptor_raise(pair[0]);
    if (*ours < 0 || fcntl(*ours, F_SETFL, O_NONBLOCK) != 0)
      reason = errno;
    else if (*theirs >= 0)
      return NEAP_OK;
  }
  shut(ours);
  shut(theirs);
  return neap__error_set(error, NEAP_ESYSTEM, reason, "cannot open %s", what);
}

int neap__child_start(neap__child *child, const neap__launcher *launcher,
                      const int inherit[NEAP__FD_COUNT], neap_error *error) {
  int pair[2], socket = -1, stderr_fd = -1;
  int handed[NEAP__FD_COUNT];
  child->state = NEAP__CHILD_STARTED;
  child->started_ns = neap__now_ns();
  child->is_blocked = false;
  child->is_overdue = false;
  child->tail_bytes = 0;
  int rc = socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair);
  rc = part(rc, pair, &child->socket, &socket, "a worker's socket", error);
  if (rc == NEAP_OK)
    rc = part(pipe2(pair, O_CLOEXEC), pair, &child->output, &stderr_fd,
              "a pipe for a worker's stderr", error);
  if (rc == NEAP_OK) {
    memcpy(handed, inherit, sizeof handed);
    handed[NEAP__FD_SOCKET] = socket;
    rc = neap__launcher_spawn(launcher, handed, stderr_fd, &child->pid,
                              &child->pidfd, error);
  }
  shut(&socket);
  shut(&stderr_fd);
  if (rc != NEAP_OK) {
    child->pid = 0;
    shut(&child->socket);
    shut(&child->output);
  }
  return rc;
}

int neap__child_greet(neap__child *child, int32_t worker, neap_error *error) {
  const neap__hello hello = {worker, (int32_t)getpid()};
  if (send(child->socket, &hello, sizeof hello, MSG_NOSIGNAL) >= 0 ||
      errno == EPIPE || errno == ECONNRESET)
    return NEAP_OK; /* it has died: its pidfd will tell */
  return neap__error_set(error, NEAP_ESYSTEM, errno,
                         "cannot tell worker %d to begin", (int)child->pid);
}

/* -- Listening -- */

bool neap__child_receive(neap__child *child, neap_error *why) {
  char message[sizeof why->text + 1];
  const ssize_t length = recv(child->socket, message, sizeof message - 1, 0);
  if (length < 0) return false;
  if (length == 0) { /* its end is closed: the pidfd tells the rest */
    shut(&child->socket);
    return false;
  }
  message[length] = '\0';
  switch (message[0]) {
  case NEAP__SAYS_ATTACHED: child->state = NEAP__CHILD_ATTACHED; break;
  case NEAP__SAYS_READY: child->state = NEAP__CHILD_READY; break;
  case NEAP__SAYS_WHY_NOT:
    neap__error_set(why, NEAP_EWORKER, 0, "%s", message + 1);
    return true;
  default: break; /* a broken worker */
  }
  return false;
}

static bool takes_output(int out) {
  struct pollfd room = {.fd = out, .events = POLLOUT};
  return out < 0 || poll(&room, 1, 0) != 0;
}

/* Keeps the last NEAP__TAIL_BYTES of the output. */
static void keep(neap__child *child, const char *text, size_t bytes) {
  size_t kept = child->tail_bytes;
  if (bytes > NEAP__TAIL_BYTES) {
    text += bytes - NEAP__TAIL_BYTES;
    bytes = NEAP__TAIL_BYTES;
  }
  if (kept + bytes > NEAP__TAIL_BYTES) {
    const size_t dropped = kept + bytes - NEAP__TAIL_BYTES;
    kept -= dropped;
    memmove(child->tail, child->tail + dropped, kept);
  }
  memcpy(child->tail + kept, text, bytes);
  child->tail_bytes = kept + bytes;
}

bool neap__child_forward(neap__child *child, int out) {
  char text[OUTPUT_BYTES];
  if (child->output < 0) return false;
  child->is_blocked = !takes_output(out);
  if (child->is_blocked) return false;
  const ssize_t bytes = read(child->output, text, sizeof text);
  if (bytes < 0 && errno == EAGAIN) return false;
  if (bytes <= 0) {
    shut(&child->output);
    return false;
  }
  keep(child, text, (size_t)bytes);
  if (out >= 0) (void)!write(out, text, (size_t)bytes);
  return true;
}

/* -- Ending -- */

bool neap__child_kill(const neap__child *child) {
  return syscall(SYS_pidfd_send_signal, child->pidfd, SIGKILL, NULL, 0) == 0 ||
         shutdown(child->socket, SHUT_RDWR) == 0;
}

void neap__child_abandon(neap__child *child) {
  shut(&child->pidfd);
  shut(&child->socket);
  shut(&child->output);
  child->pid = 0;
}

/* By pidfd: if the host has reaped it already, another child may have its pid.
 */
static int wait_for_end(const neap__child *child) {
  siginfo_t end;
  while (waitid(P_PIDFD, (id_t)child->pidfd, &end, WEXITED) != 0)
    if (errno != EINTR) return NEAP_STATUS_LOST;
  switch (end.si_code) {
  case CLD_EXITED: return (end.si_status & 0xff) << 8;
  case CLD_DUMPED: return end.si_status | WCOREFLAG;
  default: return end.si_status;
  }
}

int neap__child_reap(neap__child *child, int out) {
  const int status = wait_for_end(child);
  for (int heard = 0; heard < PIPE_BYTES_MAX; heard += OUTPUT_BYTES)
    if (!neap__child_forward(child, takes_output(out) ? out : -1)) break;
  neap__child_abandon(child);
  return status;
}

void neap__child_describe_end(const neap__child *child, int status, char *text,
                              size_t size) {
  size_t bytes = child->tail_bytes;
  while (bytes > 0 && child->tail[bytes - 1] == '\n')
    bytes--;
  const char *const link = bytes > 0 ? ", and wrote:\n" : "";
  if (status == NEAP_STATUS_LOST)
    snprintf(text, size,
             "ended with an unknown status (the host ignores SIGCHLD or waits "
             "for all its children)%s%.*s",
             link, (int)bytes, child->tail);
  else if (WIFSIGNALED(status))
    snprintf(text, size, "was ended by signal %d (%s)%s%.*s", WTERMSIG(status),
             strsignal(WTERMSIG(status)), link, (int)bytes, child->tail);
  else if (WEXITSTATUS(status) == NEAP_EXIT_MEMORY)
    snprintf(text, size, "found no memory%s%.*s", link, (int)bytes,
             child->tail);
  else
    snprintf(text, size, "ended with exit status %d%s%.*s", WEXITSTATUS(status),
             link, (int)bytes, child->tail);
}
