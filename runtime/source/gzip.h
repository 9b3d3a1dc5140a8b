/* SPDX-License-Identifier: MIT */
/*
 * Unpacks gzip data of a file from its start or from an entry point; a file may
 * be of several members, one after another.
 */
#ifndef NEAP_SOURCE_GZIP_H
#define NEAP_SOURCE_GZIP_H

#include <zlib.h>

#include "neap_lua.h"

enum { GZIP_INPUT = 64 << 10 };

typedef struct neap__inflate {
  z_stream z;
  const neap_file *file;
  int64_t input_end; /* offset in the file of what is read next */
  int64_t position;  /* in the text */
  int64_t member;    /* position at which the member began, as far as known */
  int is_open;
  int is_raw; /* without the header and the trailer of a member */
  int is_end;
  int is_started; /* within a member */
  uint8_t input[GZIP_INPUT];
} neap__inflate;

/* An entry point: where a block of deflate begins. */
typedef struct neap__point {
  int64_t position; /* in the text */
  int64_t offset;   /* in the file, of the first whole byte */
  int64_t bits;     /* of the byte before it that belong to the block */
  int64_t window;   /* bytes of text before it that the block may refer to */
} neap__point;

/* Whether a file begins as gzip data does. */
int neap__is_gzip(const neap_file *file);

/* Begins at the start of the file. */
int neap__inflate_begin(neap__inflate *self, const neap_file *file,
                        neap_error *error);
/* Begins at an entry point; `window` holds NEAP_GZIP_WINDOW bytes. */
int neap__inflate_enter(neap__inflate *self, const neap_file *file,
                        const neap__point *point, const uint8_t *window,
                        neap_error *error);
/*
 * Unpacks up to nbytes; fewer only at the end of the text, or, if `stops` is
 * true, at the end of a block.
 */
int neap__inflate_read(neap__inflate *self, void *to, int64_t nbytes, int stops,
                       int64_t *got, neap_error *error);
/* Whether it stands where a block begins; then writes the entry point. */
int neap__inflate_point(neap__inflate *self, neap__point *point,
                        uint8_t *window);
/* A zero-filled one is fine. */
void neap__inflate_end(neap__inflate *self);

#endif
