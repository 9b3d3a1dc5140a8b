/* SPDX-License-Identifier: MIT */
/* Bytes that are written and read one after another: packed trees. */
#ifndef NEAP_BASE_BYTES_H
#define NEAP_BASE_BYTES_H

#include <stdbool.h>
#include <stddef.h>

#include "neap.h"

/* Where the bytes will be aligned to that, so are those that are aligned here.
 */
enum { NEAP__BYTES_ALIGNMENT = 64 };

/* A text that grows; zero-filled before its first use. */
typedef struct neap__bytes {
  uint8_t *data; /* free() it */
  size_t used;
  size_t room;
  bool has_failed; /* memory was short: what follows is not written */
  bool is_local;   /* for this process: memory of others is named by address */
} neap__bytes;

void neap__bytes_put(neap__bytes *bytes, const void *from, size_t count);
void neap__bytes_put_integer(neap__bytes *bytes, int64_t value);
void neap__bytes_put_number(neap__bytes *bytes, double value);
/* With its end; NULL is kept. */
void neap__bytes_put_text(neap__bytes *bytes, const char *text);
/* Adds zeroes up to the next multiple of NEAP__BYTES_ALIGNMENT. */
void neap__bytes_align(neap__bytes *bytes);

/*
 * What is read of such a text. After a read that goes past the end, has_failed
 * is set, and reads return 0 or NULL. The bytes may be anything: the reader
 * checks values.
 */
typedef struct neap__cursor {
  const uint8_t *data;
  size_t used;
  size_t bytes;
  bool has_failed;
  bool is_local;
} neap__cursor;

/* In place; NULL past the end. */
const void *neap__cursor_take(neap__cursor *cursor, size_t count);
int64_t neap__cursor_integer(neap__cursor *cursor);
/* An integer from low to high, else has_failed is set. */
int64_t neap__cursor_within(neap__cursor *cursor, int64_t low, int64_t high);
double neap__cursor_number(neap__cursor *cursor);
/* In place; NULL for NULL. */
const char *neap__cursor_text(neap__cursor *cursor);
void neap__cursor_align(neap__cursor *cursor);

#endif
