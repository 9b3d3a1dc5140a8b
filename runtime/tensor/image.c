/* SPDX-License-Identifier: MIT */
/*
 * Operations on images, computed in f32: resizing, and colours.
 *
 * A row of the result is a weighted sum of rows of the image, then of elements
 * along it. Rows come first: their loop is vectorised, and for a smaller result
 * each row is read about once.
 */
#pragma GCC optimize("O3", "no-trapping-math")

#include "neap_lua.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "tensor/dtype.h"
#include "tensor/vector.h"

/* ---- Weights ------------------------------------------------------------- */

/* Place k of the result: weights[k * most + n] of place first[k] + n. */
typedef struct taps {
  int64_t most; /* weights of a place */
  int64_t *first;
  int64_t *counts;
  float *weights;
} taps;

static double bound(double x, double low, double high) {
  return x < low ? low : (x > high ? high : x);
}

/* Between the two pixels whose centres are nearest. */
static void set_bilinear(taps *t, int64_t k, double scale, int64_t from) {
  const double x = bound(((double)k + 0.5) * scale - 0.5, 0, (double)from - 1);
  t->first[k] = (int64_t)x;
  t->counts[k] = t->first[k] + 1 < from ? 2 : 1;
  t->weights[k * t->most] = 1;
  if (t->counts[k] == 1) return;
  t->weights[k * t->most + 1] = (float)(x - (double)t->first[k]);
  t->weights[k * t->most] = 1 - t->weights[k * t->most + 1];
}

/* All pixels under the new one, by how much of each is. */
static void set_area(taps *t, int64_t k, double scale, int64_t from) {
  const double low = (double)k * scale;
  const double high = bound(low + scale, 0, (double)from);
  t->first[k] = (int64_t)bound(floor(low), 0, (double)from - 1);
  const int64_t stop =
      (int64_t)bound(ceil(high), (double)t->first[k] + 1, (double)from);
  t->counts[k] = stop - t->first[k];
  for (int64_t n = 0; n < t->counts[k]; n++) {
    const double left = (double)(t->first[k] + n);
    const double covered = fmin(high, left + 1) - fmax(low, left);
    t->weights[k * t->most + n] = (float)(covered / (high - low));
  }
}

static void taps_fini(taps *t) {
  free(t->first);
  free(t->counts);
  free(t->weights);
}

static bool taps_init(taps *t, int method, int64_t from, int64_t to) {
  const double scale = (double)from / (double)to;
  t->most = method == NEAP_RESIZE_AREA ? (int64_t)ceil(scale) + 2 : 2;
  t->first = calloc((size_t)to + 1, sizeof *t->first);
  t->counts = calloc((size_t)to + 1, sizeof *t->counts);
  t->weights = calloc((size_t)(to * t->most) + 1, sizeof *t->weights);
  if (t->first == NULL || t->counts == NULL || t->weights == NULL) return false;
  for (int64_t k = 0; k < to; k++) {
    if (method == NEAP_RESIZE_AREA)
      set_area(t, k, scale, from);
    else
      set_bilinear(t, k, scale, from);
  }
  return true;
}

/* ---- Resizing ------------------------------------------------------------ */

NEAP__VECTOR_MASKED static void add_row(const float *restrict from,
                                        float weight, float *restrict to,
                                        int64_t count) {
  for (int64_t k = 0; k < count; k++)
    to[k] += weight * from[k];
}

static inline __attribute__((always_inline)) void
squeeze(const float *row, const taps *t, int64_t width, int channels,
        float *to) {
  for (int64_t k = 0; k < width; k++, to += channels) {
    const float *from = row + t->first[k] * channels;
    const float *weights = t->weights + k * t->most;
    for (int c = 0; c < channels; c++)
      to[c] = weights[0] * from[c];
    for (int64_t n = 1; n < t->counts[k]; n++)
      for (int c = 0; c < channels; c++)
        to[c] += weights[n] * from[n * channels + c];
  }
}

/* Sums along a row of pixels. */
static void squeeze_row(const float *row, const taps *t, int64_t width,
                        int channels, float *to) {
  switch (channels) {
  case 1: squeeze(row, t, width, 1, to); break;
  case 3: squeeze(row, t, width, 3, to); break;
  case 4: squeeze(row, t, width, 4, to); break;
  default: squeeze(row, t, width, channels, to); break;
  }
}

typedef struct resizing {
  const neap__dtype *type;
  int64_t rows, columns;       /* of the image */
  int64_t to_rows, to_columns; /* of the result */
  int64_t channels;
  taps row_taps, column_taps;
  float *loaded; /* a row of the image */
  float *sum;    /* rows of the image */
  float *result; /* a row of the result */
} resizing;

static void resize_plane(const resizing *r, const char *from, char *to) {
  const int64_t size = r->type->bits / 8;
  const int64_t width = r->columns * r->channels;
  const int64_t to_width = r->to_columns * r->channels;
  const taps *t = &r->row_taps;
  for (int64_t row = 0; row < r->to_rows; row++) {
    memset(r->sum, 0, (size_t)width * sizeof *r->sum);
    for (int64_t n = 0; n < t->counts[row]; n++) {
      neap__dtype_load_floats(
          r->type, from + (t->first[row] + n) * width * size, r->loaded, width);
      add_row(r->loaded, t->weights[row * t->most + n], r->sum, width);
    }
    squeeze_row(r->sum, &r->column_taps, r->to_columns, (int)r->channels,
                r->result);
    neap__dtype_store_floats(r->type, r->result, to + row * to_width * size,
                             to_width);
  }
}

static void resize_planes(const resizing *r, const neap_tensor *from,
                          neap_tensor *to, int64_t planes) {
  const int64_t size = r->type->bits / 8;
  const int64_t from_bytes = r->rows * r->columns * r->channels * size;
  const int64_t to_bytes = r->to_rows * r->to_columns * r->channels * size;
  for (int64_t k = 0; k < planes; k++)
    resize_plane(r, neap__tensor_data(from) + k * from_bytes,
                 neap__tensor_data(to) + k * to_bytes);
}

int neap_tensor_resize(const neap_tensor *from, int32_t dim, int method,
                       neap_tensor *to, neap_error *error) {
  resizing r = {.channels = 1};
  int64_t planes = 1;
  int rc;
  if ((rc = neap__dtype_find(from, &r.type, error)) != NEAP_OK) return rc;
  for (int32_t k = 0; k < from->ndim; k++)
    if (k < dim)
      planes *= from->shape[k];
    else if (k > dim + 1)
      r.channels *= from->shape[k];
  r.rows = from->shape[dim];
  r.columns = from->shape[dim + 1];
  r.to_rows = to->shape[dim];
  r.to_columns = to->shape[dim + 1];
  if (neap_tensor_count(to) == 0) return NEAP_OK;
  const size_t width = (size_t)(r.columns * r.channels);
  r.loaded = malloc(width * sizeof *r.loaded);
  r.sum = malloc(width * sizeof *r.sum);
  r.result = malloc((size_t)(r.to_columns * r.channels) * sizeof *r.result);
  const bool has_taps =
      taps_init(&r.row_taps, method, r.rows, r.to_rows) &&
      taps_init(&r.column_taps, method, r.columns, r.to_columns);
  if (!has_taps || r.loaded == NULL || r.sum == NULL || r.result == NULL)
    rc = neap__error_set(error, NEAP_EMEMORY, 0, "cannot resize: no memory");
  else
    resize_planes(&r, from, to, planes);
  taps_fini(&r.row_taps);
  taps_fini(&r.column_taps);
  free(r.loaded);
  free(r.sum);
  free(r.result);
  return rc;
}

/* ---- Colours ------------------------------------------------------------- */

/* Luma of ITU-R BT.601, as JPEG has it. */
static const float RED = 0.299F, GREEN = 0.587F, BLUE = 0.114F;

#define COLOUR(name, at) \
  NEAP__VECTOR_MASKED static void name( \
      float *pixels, int64_t count, float scale, float grey, float offset) { \
    for (int64_t k = 0; k < count; k++) { \
      const float red = pixels[at(0)]; \
      const float green = pixels[at(1)]; \
      const float blue = pixels[at(2)]; \
      const float add = \
          grey * (RED * red + GREEN * green + BLUE * blue) + offset; \
      pixels[at(0)] = scale * red + add; \
      pixels[at(1)] = scale * green + add; \
      pixels[at(2)] = scale * blue + add; \
    } \
  }
#define BESIDE(c) 3 * k + c
#define APART(c) c *(NEAP__BLOCK / 3) + k
COLOUR(colour_beside, BESIDE)
COLOUR(colour_apart, APART)

enum { PIXELS = NEAP__BLOCK / 3 };

static void colour_pixels(const neap__dtype *type, const char *from, char *to,
                          int64_t count, const neap_colour *c) {
  float block[NEAP__BLOCK];
  const int64_t size = 3 * (type->bits / 8);
  for (int64_t done = 0, part; done < count; done += part) {
    part = count - done < PIXELS ? count - done : PIXELS;
    neap__dtype_load_floats(type, from + done * size, block, 3 * part);
    colour_beside(block, part, c->scale, c->grey, c->offset);
    neap__dtype_store_floats(type, block, to + done * size, 3 * part);
  }
}

static void colour_planes(const neap__dtype *type, const char *from, char *to,
                          int64_t count, const neap_colour *c) {
  float block[NEAP__BLOCK];
  const int64_t size = type->bits / 8;
  for (int64_t done = 0, part; done < count; done += part) {
    part = count - done < PIXELS ? count - done : PIXELS;
    for (int64_t k = 0; k < 3; k++)
      neap__dtype_load_floats(type, from + (k * count + done) * size,
                              block + k * PIXELS, part);
    colour_apart(block, part, c->scale, c->grey, c->offset);
    for (int64_t k = 0; k < 3; k++)
      neap__dtype_store_floats(type, block + k * PIXELS,
                               to + (k * count + done) * size, part);
  }
}

int neap_tensor_colour(const neap_tensor *from, int is_planes,
                       const neap_colour *colour, neap_tensor *to,
                       neap_error *error) {
  const neap__dtype *type;
  const int rc = neap__dtype_find(from, &type, error);
  if (rc != NEAP_OK) return rc;
  const int64_t count = neap_tensor_count(from) / 3;
  if (is_planes)
    colour_planes(type, neap__tensor_data(from), neap__tensor_data(to), count,
                  colour);
  else
    colour_pixels(type, neap__tensor_data(from), neap__tensor_data(to), count,
                  colour);
  return NEAP_OK;
}
