/* SPDX-License-Identifier: MIT */
/*
 * Keeps descriptors off 0, 1 and 2, and resizes files without a signal.
 *
 * If the host runs with one of these closed, the next descriptor gets its
 * number, and the host's output would go to it: into shared memory, say.
 */
#include "base/descriptor.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

int neap__descriptor_copy(int fd, int least) {
  const int copy = fcntl(fd, F_DUPFD_CLOEXEC, least);
  if (copy < 0 && errno == EINVAL) errno = EMFILE; /* least is over the limit */
  return copy;
}

int neap__descriptor_raise(int fd) {
  if (fd < 0 || fd > STDERR_FILENO) return fd;
  const int raised = neap__descriptor_copy(fd, STDERR_FILENO + 1);
  const int reason = errno;
  close(fd);
  errno = reason;
  return raised;
}

/* Beyond the limit, ftruncate() would end the host by SIGXFSZ. */
int neap__descriptor_resize(int fd, uint64_t bytes) {
  struct rlimit limit;
  if (getrlimit(RLIMIT_FSIZE, &limit) == 0 && bytes > limit.rlim_cur) {
    errno = EFBIG;
    return -1;
  }
  return ftruncate(fd, (off_t)bytes);
}
