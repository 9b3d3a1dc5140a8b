/* SPDX-License-Identifier: MIT */
/* Bytes that are written and read one after another: packed trees. */
#include "base/bytes.h"

#include <stdlib.h>
#include <string.h>

enum { ROOM_MIN = 256 };

static bool make_room(neap__bytes *bytes, size_t count) {
  if (bytes->has_failed || count > SIZE_MAX / 4 - bytes->used) {
    bytes->has_failed = true;
    return false;
  }
  if (bytes->used + count <= bytes->room) return true;
  size_t room = bytes->room > 0 ? bytes->room : ROOM_MIN;
  while (room < bytes->used + count)
    room *= 2;
  uint8_t *data = calloc(1, room);
  bytes->has_failed = data == NULL;
  if (data == NULL) return false;
  if (bytes->used > 0) memcpy(data, bytes->data, bytes->used);
  free(bytes->data);
  bytes->data = data;
  bytes->room = room;
  return true;
}

void neap__bytes_put(neap__bytes *bytes, const void *from, size_t count) {
  if (count == 0 || !make_room(bytes, count)) return;
  memcpy(bytes->data + bytes->used, from, count);
  bytes->used += count;
}

void neap__bytes_put_integer(neap__bytes *bytes, int64_t value) {
  neap__bytes_put(bytes, &value, sizeof value);
}

void neap__bytes_put_number(neap__bytes *bytes, double value) {
  neap__bytes_put(bytes, &value, sizeof value);
}

void neap__bytes_put_text(neap__bytes *bytes, const char *text) {
  const size_t count = text == NULL ? 0 : strlen(text) + 1;
  neap__bytes_put_integer(bytes, (int64_t)count);
  neap__bytes_put(bytes, text, count);
}

static size_t gap_after(size_t used) {
  return (NEAP__BYTES_ALIGNMENT - used % NEAP__BYTES_ALIGNMENT) %
         NEAP__BYTES_ALIGNMENT;
}

void neap__bytes_align(neap__bytes *bytes) {
  static const char zeroes[NEAP__BYTES_ALIGNMENT];
  neap__bytes_put(bytes, zeroes, gap_after(bytes->used));
}

const void *neap__cursor_take(neap__cursor *cursor, size_t count) {
  if (cursor->has_failed || count > cursor->bytes - cursor->used) {
    cursor->has_failed = true;
    return NULL;
  }
  const uint8_t *at = cursor->data + cursor->used;
  cursor->used += count;
  return at;
}

int64_t neap__cursor_integer(neap__cursor *cursor) {
  int64_t value = 0;
  const void *at = neap__cursor_take(cursor, sizeof value);
  if (at != NULL) memcpy(&value, at, sizeof value);
  return value;
}

int64_t neap__cursor_within(neap__cursor *cursor, int64_t low, int64_t high) {
  const int64_t value = neap__cursor_integer(cursor);
  if (value >= low && value <= high) return value;
  cursor->has_failed = true;
  return low;
}

double neap__cursor_number(neap__cursor *cursor) {
  double value = 0;
  const void *at = neap__cursor_take(cursor, sizeof value);
  if (at != NULL) memcpy(&value, at, sizeof value);
  return value;
}

const char *neap__cursor_text(neap__cursor *cursor) {
  const int64_t count = neap__cursor_integer(cursor);
  if (count <= 0) return NULL;
  const char *text = neap__cursor_take(cursor, (size_t)count);
  if (text == NULL || text[count - 1] == '\0') return text;
  cursor->has_failed = true;
  return NULL;
}

void neap__cursor_align(neap__cursor *cursor) {
  (void)neap__cursor_take(cursor, gap_after(cursor->used));
}
