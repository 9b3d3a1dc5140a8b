/* SPDX-License-Identifier: MIT */
/* Descriptors that stand out of the way of stdin, stdout and stderr. */
#ifndef NEAP_RUNTIME_DESCRIPTOR_H
#define NEAP_RUNTIME_DESCRIPTOR_H

/* A copy, close-on-exec, of that number or more; -1 with errno. */
int neap__descriptor_copy(int fd, int least);

/*
 * Answers the descriptor, moved if it is 0, 1 or 2 and then close-on-exec; -1
 * with errno if it is -1 or cannot be moved, and then it is closed.
 */
int neap__descriptor_raise(int fd);

#endif
