/* SPDX-License-Identifier: MIT */
/* Keeps descriptors off 0, 1 and 2, and resizes files without a signal. */
#ifndef NEAP_BASE_DESCRIPTOR_H
#define NEAP_BASE_DESCRIPTOR_H

#include <stdint.h>

/* A close-on-exec copy with number `least` or above; -1 with errno. */
int neap__descriptor_copy(int fd, int least);

/*
 * Returns the descriptor. Moves it above 2 first, close-on-exec, if it is 0, 1
 * or 2; if that fails it is closed. Returns -1 with errno then, and for fd -1.
 */
int neap__descriptor_raise(int fd);
/* ftruncate(), but EFBIG above RLIMIT_FSIZE, without SIGXFSZ. */
int neap__descriptor_resize(int fd, uint64_t bytes);

#endif
