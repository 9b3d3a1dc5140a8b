/* SPDX-License-Identifier: MIT */
/* A process that a host started, seen from inside: a worker or a builder. */
#include "pool/guest.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/error.h"
#include "pool/process.h"

/* Bytes of a message: they fit a neap_error. */
enum { WHY_BYTES_MAX = 2000 };

/* Closes descriptors that the host did not mark close-on-exec. */
static void close_the_rest(void) {
#ifdef SYS_close_range
  if (syscall(SYS_close_range, NEAP__FD_COUNT, ~0u, 0) == 0) return;
#endif
  const long limit = sysconf(_SC_OPEN_MAX);
  for (int fd = NEAP__FD_COUNT; fd < limit; fd++)
    close(fd);
}

/* Processes that a worker starts inherit only stdio. */
static void keep_to_ourselves(void) {
  for (int fd = NEAP__FD_CONTROL; fd < NEAP__FD_COUNT; fd++)
    fcntl(fd, F_SETFD, FD_CLOEXEC);
}

void neap__guest_keep_descriptors(void) {
  close_the_rest();
  keep_to_ourselves();
}

int neap__guest_say(int what, const char *text, neap_error *error) {
  char message[1 + WHY_BYTES_MAX + 1] = {(char)what};
  const size_t length = strnlen(text, WHY_BYTES_MAX);
  memcpy(message + 1, text, length);
  if (send(NEAP__FD_SOCKET, message, 1 + length, MSG_NOSIGNAL) < 0 &&
      errno != EPIPE && errno != ECONNRESET) /* those: the host is closing */
    return neap__error_set(error, NEAP_ESYSTEM, errno, "cannot tell the host");
  return NEAP_OK;
}

/*
 * Asks for SIGKILL at the host's death. The kernel drops the parent-death
 * signal if this process changes its user, and does not send it if the host has
 * changed its own. So the end of the host's socket sends SIGKILL too, in place
 * of SIGIO: this process is the owner, so no change of user matters. A host
 * that has changed its user ends its workers that way.
 */
static bool end_with_host(void) {
  return prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 &&
         fcntl(NEAP__FD_SOCKET, F_SETSIG, SIGKILL) == 0 &&
         fcntl(NEAP__FD_SOCKET, F_SETOWN, getpid()) == 0 &&
         fcntl(NEAP__FD_SOCKET, F_SETFL, O_ASYNC) == 0;
}

/* Whether the host's end of the socket is closed: it sends only a hello. */
static bool has_host_hung_up(void) {
  char word;
  return recv(NEAP__FD_SOCKET, &word, sizeof word, MSG_PEEK | MSG_DONTWAIT) ==
         0;
}

int neap__guest_greet(uint32_t *number, neap_error *error) {
  neap__hello hello;
  if (recv(NEAP__FD_SOCKET, &hello, sizeof hello, 0) != sizeof hello)
    return neap__error_set(error, NEAP_EWORKER, 0,
                           "cannot work: this process was not started by a "
                           "host");
  if (!end_with_host())
    return neap__error_set(error, NEAP_ESYSTEM, errno,
                           "cannot work: the host's death would go unnoticed");
  if (getppid() != hello.host_pid || has_host_hung_up())
    _exit(1); /* the host died before that, or abandoned this process */
  *number = (uint32_t)hello.worker;
  return NEAP_OK;
}
