/* SPDX-License-Identifier: MIT */
/* Shared memory without a name: a memfd, its mapping, and its seals. */
#ifndef NEAP_MEMORY_SEGMENT_H
#define NEAP_MEMORY_SEGMENT_H

#include "neap.h"

typedef struct neap__segment {
  int fd; /* -1 when closed */
  uint8_t *base;
  uint64_t bytes;
} neap__segment;

/* Makes a segment of zeroes that cannot shrink; label shows in /proc. */
int neap__segment_open(neap__segment *segment, const char *label,
                       uint64_t bytes, neap_error *error);
/* Maps the whole of a segment that was handed down as a descriptor. */
int neap__segment_attach(neap__segment *segment, int fd, neap_error *error);
/* Gives the pages of a range back to the system; they read as zeroes. */
void neap__segment_trim(neap__segment *segment, uint64_t offset,
                        uint64_t bytes);
void neap__segment_close(neap__segment *segment);

#endif
