/* SPDX-License-Identifier: MIT */
/*
 * Descriptors that stand out of the way of stdin, stdout and stderr, and grow
 * without a signal.
 */
#ifndef NEAP_BASE_DESCRIPTOR_H
#define NEAP_BASE_DESCRIPTOR_H

#include <stdint.h>

/* A copy, close-on-exec, of that number or more; -1 with errno. */
int neap__descriptor_copy(int fd, int least);

/*
 * Answers the descriptor, moved if it is 0, 1 or 2 and then close-on-exec; -1
 * with errno if it is -1 or cannot be moved, and then it is closed.
 */
int neap__descriptor_raise(int fd);
/* ftruncate(), but EFBIG where RLIMIT_FSIZE would have it send SIGXFSZ. */
int neap__descriptor_resize(int fd, uint64_t bytes);

#endif
