/* SPDX-License-Identifier: MIT */
/*
 * Gzip data by position, by the method of zlib's examples/zran.c (Mark Adler):
 * a block of deflate can be unpacked if the 32 KiB of text before it are known
 * and the bit at which it begins. The pass over the file notes such entry
 * points; a read goes on from the last one before it.
 */
#include "source/gzip.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"

enum { RAW = -15, GZIP = 31, TRAILER = 8, BUFFER = 64 << 10 };

static int no_memory(const neap_file *file, neap_error *error) {
  return neap__error_set(error, NEAP_EMEMORY, 0,
                         "cannot read %s: no memory to unpack it",
                         neap_file_path(file));
}

static int refuse(const neap_file *file, const char *why, neap_error *error) {
  return neap__error_set(error, NEAP_EFORMAT, 0,
                         "cannot read %s: its gzip data is %s",
                         neap_file_path(file), why);
}

int neap__is_gzip(const neap_file *file) {
  uint8_t magic[2];
  return neap_file_bytes(file) >= 2 &&
         neap_file_read(file, 0, magic, 2, NULL) == NEAP_OK &&
         magic[0] == 0x1f && magic[1] == 0x8b;
}

static int begin(neap__inflate *self, const neap_file *file, int bits,
                 neap_error *error) {
  neap__inflate_end(self);
  memset(&self->z, 0, sizeof self->z);
  self->file = file;
  self->input_end = self->position = self->member = 0;
  self->is_end = 0;
  self->is_raw = bits == RAW;
  self->is_started = 1;
  if (inflateInit2(&self->z, bits) != Z_OK) return no_memory(file, error);
  self->is_open = 1;
  return NEAP_OK;
}

int neap__inflate_begin(neap__inflate *self, const neap_file *file,
                        neap_error *error) {
  return begin(self, file, GZIP, error);
}

int neap__inflate_enter(neap__inflate *self, const neap_file *file,
                        const neap__point *point, const uint8_t *window,
                        neap_error *error) {
  uint8_t before;
  int rc = begin(self, file, RAW, error);
  if (rc != NEAP_OK) return rc;
  self->input_end = point->offset;
  self->position = point->position;
  self->member = point->position - point->window;
  if (point->bits > 0) {
    rc = neap_file_read(file, point->offset - 1, &before, 1, error);
    if (rc != NEAP_OK) return rc;
    inflatePrime(&self->z, (int)point->bits, before >> (8 - point->bits));
  }
  inflateSetDictionary(&self->z, window + NEAP_GZIP_WINDOW - point->window,
                       (uInt)point->window);
  return NEAP_OK;
}

/* Reads on in the file; *more: whether there was anything. */
static int fill(neap__inflate *self, int *more, neap_error *error) {
  const int64_t left = neap_file_bytes(self->file) - self->input_end;
  const int64_t part = left < GZIP_INPUT ? left : GZIP_INPUT;
  *more = part > 0;
  if (part <= 0) return NEAP_OK;
  const int rc =
      neap_file_read(self->file, self->input_end, self->input, part, error);
  if (rc != NEAP_OK) return rc;
  self->z.next_in = self->input;
  self->z.avail_in = (uInt)part;
  self->input_end += part;
  return NEAP_OK;
}

static int skip(neap__inflate *self, int count, neap_error *error) {
  while (count > 0) {
    int more = 1;
    const int rc = self->z.avail_in == 0 ? fill(self, &more, error) : NEAP_OK;
    if (rc != NEAP_OK) return rc;
    if (!more) return refuse(self->file, "truncated", error);
    const uInt part =
        self->z.avail_in < (uInt)count ? self->z.avail_in : (uInt)count;
    self->z.next_in += part;
    self->z.avail_in -= part;
    count -= (int)part;
  }
  return NEAP_OK;
}

/* After a member: begins the next one. The file may end in zeros. */
static int next_member(neap__inflate *self, neap_error *error) {
  int rc;
  if (self->is_raw && (rc = skip(self, TRAILER, error)) != NEAP_OK) return rc;
  for (;;) {
    int more = 1;
    if (self->z.avail_in == 0 && (rc = fill(self, &more, error)) != NEAP_OK)
      return rc;
    if (!more) {
      self->is_end = 1;
      return NEAP_OK;
    }
    if (*self->z.next_in != 0) break;
    self->z.next_in++;
    self->z.avail_in--;
  }
  if (inflateReset2(&self->z, GZIP) != Z_OK)
    return no_memory(self->file, error);
  self->is_raw = 0;
  self->member = self->position;
  return NEAP_OK;
}

static int step(neap__inflate *self, int flush, neap_error *error) {
  int more = 1;
  int rc = self->z.avail_in == 0 ? fill(self, &more, error) : NEAP_OK;
  if (rc != NEAP_OK) return rc;
  if (!more) return refuse(self->file, "truncated", error);
  const uInt room = self->z.avail_out;
  const int status = inflate(&self->z, flush);
  self->position += room - self->z.avail_out;
  switch (status) {
  case Z_OK:
  case Z_BUF_ERROR: return NEAP_OK; /* it wants input or room */
  case Z_STREAM_END: return next_member(self, error);
  case Z_MEM_ERROR: return no_memory(self->file, error);
  default: return refuse(self->file, "corrupt", error);
  }
}

static int is_at_block(const neap__inflate *self) {
  return (self->z.data_type & 128) != 0 && (self->z.data_type & 64) == 0;
}

int neap__inflate_read(neap__inflate *self, void *to, int64_t nbytes, int stops,
                       int64_t *got, neap_error *error) {
  *got = 0;
  self->z.next_out = to;
  while (*got < nbytes && !self->is_end) {
    const int64_t left = nbytes - *got;
    const uInt room = left < (1 << 30) ? (uInt)left : 1U << 30;
    self->z.avail_out = room;
    const int rc = step(self, stops ? Z_BLOCK : Z_NO_FLUSH, error);
    if (rc != NEAP_OK) return rc;
    *got += room - self->z.avail_out;
    if (stops && is_at_block(self)) break;
  }
  return NEAP_OK;
}

int neap__inflate_point(neap__inflate *self, neap__point *point,
                        uint8_t *window) {
  if (self->is_end || !is_at_block(self)) return 0;
  uint8_t text[NEAP_GZIP_WINDOW];
  uInt count = 0;
  inflateGetDictionary(&self->z, text, &count);
  memset(window, 0, NEAP_GZIP_WINDOW);
  memcpy(window + NEAP_GZIP_WINDOW - count, text, count);
  point->position = self->position;
  point->offset = self->input_end - self->z.avail_in;
  point->bits = self->z.data_type & 7;
  point->window = count;
  return 1;
}

void neap__inflate_end(neap__inflate *self) {
  if (self->is_open) inflateEnd(&self->z);
  self->is_open = 0;
}

/* ---- Reading by position ------------------------------------------------- */

struct neap_gzip {
  neap_file *file;
  const neap__point *points;
  const uint8_t *windows;
  int64_t count;
  int64_t first; /* of the text in buffer */
  int64_t stop;
  neap__inflate inflate; /* stands at `stop`, if it is open */
  uint8_t buffer[BUFFER];
};

int neap_gzip_open(const char *path, const neap_identity *expected,
                   const int64_t *points, const uint8_t *windows, int64_t count,
                   neap_gzip **out, neap_error *error) {
  *out = NULL;
  neap_gzip *gzip = calloc(1, sizeof *gzip);
  if (gzip == NULL)
    return neap__error_set(error, NEAP_EMEMORY, 0, "cannot open %s: no memory",
                           path);
  const int rc = neap_file_open(path, expected, &gzip->file, error);
  if (rc != NEAP_OK) {
    neap_gzip_close(gzip);
    return rc;
  }
  gzip->points = (const neap__point *)points;
  gzip->windows = windows;
  gzip->count = count;
  *out = gzip;
  return NEAP_OK;
}

/* The last entry point at or before an offset. */
static int64_t find_point(const neap_gzip *gzip, int64_t offset) {
  int64_t first = 0, stop = gzip->count;
  while (stop - first > 1) {
    const int64_t middle = first + (stop - first) / 2;
    if (gzip->points[middle].position <= offset)
      first = middle;
    else
      stop = middle;
  }
  return first;
}

static int enter(neap_gzip *gzip, int64_t k, neap_error *error) {
  const neap__point *point = &gzip->points[k];
  gzip->first = gzip->stop = point->position;
  return neap__inflate_enter(&gzip->inflate, gzip->file, point,
                             gzip->windows + k * NEAP_GZIP_WINDOW, error);
}

/* Unpacks on, until the buffer contains the text at an offset. */
static int reach(neap_gzip *gzip, int64_t offset, neap_error *error) {
  int rc;
  const int64_t k = find_point(gzip, offset);
  if (!gzip->inflate.is_open || offset < gzip->first ||
      gzip->points[k].position > gzip->stop)
    if ((rc = enter(gzip, k, error)) != NEAP_OK) return rc;
  while (offset >= gzip->stop) {
    int64_t got;
    rc = neap__inflate_read(&gzip->inflate, gzip->buffer, BUFFER, 0, &got,
                            error);
    if (rc == NEAP_OK && got == 0)
      rc = refuse(gzip->file, "shorter than it was", error);
    if (rc != NEAP_OK) {
      neap__inflate_end(&gzip->inflate);
      gzip->first = gzip->stop = 0;
      return rc;
    }
    gzip->first = gzip->stop;
    gzip->stop += got;
  }
  return NEAP_OK;
}

int neap_gzip_read(neap_gzip *gzip, int64_t offset, void *to, int64_t nbytes,
                   neap_error *error) {
  uint8_t *at = to;
  if (gzip->count == 0 && nbytes > 0)
    return refuse(gzip->file, "shorter than it was", error);
  while (nbytes > 0) {
    if (offset < gzip->first || offset >= gzip->stop) {
      const int rc = reach(gzip, offset, error);
      if (rc != NEAP_OK) return rc;
    }
    const int64_t held = gzip->stop - offset;
    const int64_t part = nbytes < held ? nbytes : held;
    memcpy(at, gzip->buffer + (offset - gzip->first), (size_t)part);
    at += part;
    offset += part;
    nbytes -= part;
  }
  return NEAP_OK;
}

void neap_gzip_close(neap_gzip *gzip) {
  if (gzip == NULL) return;
  neap__inflate_end(&gzip->inflate);
  neap_file_close(gzip->file);
  free(gzip);
}
