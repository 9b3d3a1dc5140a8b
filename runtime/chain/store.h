/* SPDX-License-Identifier: MIT */
/* Files of memory for the tensors of chains: workers inherit one. */
#ifndef NEAP_CHAIN_STORE_H
#define NEAP_CHAIN_STORE_H

#include "neap.h"

typedef struct neap__store {
  int fd; /* -1: none */
  uint8_t *data;
  uint64_t nbytes;
} neap__store;

/* Zeroed, and mapped for writing. */
int neap__store_open(neap__store *store, uint64_t nbytes, neap_error *error);
/* Frees the mapping; the memory lives as long as a descriptor does. */
void neap__store_close(neap__store *store);
/* An empty one, not mapped; -1 with errno. */
int neap__store_new(void);
/* Writes data after `end`, on a page of its own: at *offset. Moves the end.
   Returns 0, or -1 with errno. */
int neap__store_append(int fd, uint64_t *end, const void *data, uint64_t nbytes,
                       uint64_t *offset);
/* A read-only descriptor of the same; -1 with errno. */
int neap__store_share(int fd);

#endif
