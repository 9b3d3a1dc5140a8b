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

/* A segment of slots. */
typedef struct neap__buffer {
  neap__segment segment;
  uint64_t slot_bytes; /* of each; a multiple of the page size */
} neap__buffer;

/* Makes a segment of zeroes with a fixed size; /proc shows the label. */
int neap__segment_open(neap__segment *segment, const char *label,
                       uint64_t bytes, neap_error *error);
/* Maps a segment that was inherited as a descriptor. */
int neap__segment_attach(neap__segment *segment, int fd, neap_error *error);
void neap__segment_close(neap__segment *segment);

static inline uint8_t *neap__buffer_slot(const neap__buffer *buffer,
                                         uint32_t slot) {
  return buffer->segment.base + slot * buffer->slot_bytes;
}
/*
 * Frees the pages of a slot except its first `kept` bytes; freed pages read
 * as zeroes. Returns the bytes kept, in whole pages.
 */
uint64_t neap__buffer_trim(neap__buffer *buffer, uint32_t slot, uint64_t kept);

#endif
