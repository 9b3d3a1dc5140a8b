/* SPDX-License-Identifier: MIT */
/*
 * Decoded pixels to a tensor, in one pass over the rows of the result: cut out,
 * resized, turned upright, normalised, converted and laid out.
 *
 * A row of the result is the weighted sum of a few rows of pixels (down), of
 * which each pixel is the weighted sum of a few (across). Weights are those of
 * a triangle as wide as two pixels of the coarser side: bilinear where the
 * image grows, antialiased where it shrinks. Pixels stay as they are stored:
 * an orientation only changes the strides by which results are written.
 */
/* Without alignment, these loops took up to 1.5 times as long. */
#pragma GCC optimize("O3", "align-loops=64", "align-functions=64")

#include "neap_lua.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "tensor/vector.h"

enum { LANES = 4 }; /* floats for a pixel of 3 or 4 channels */

typedef float pixel __attribute__((vector_size(LANES * sizeof(float))));

/*
 * The pixels that one dimension of the result is made of: `used` of them for
 * each result. Equal numbers keep the loops over them predictable.
 */
typedef struct axis {
  int64_t count;  /* results */
  int64_t taps;   /* weights that there is room for, for each result */
  int64_t used;   /* weights of each result; some may be 0 */
  int64_t *first; /* pixel of a result */
  float *weights;
  int64_t least; /* pixels that any result uses: least <= k < limit */
  int64_t limit;
} axis;

/* A range of an image's dimension, in pixels. */
typedef struct range {
  double from;
  double length;
} range;

typedef struct fitting {
  const neap_image *image;
  const neap_tensor *to;
  axis down, across;
  int64_t step_down, step_across, step_channel; /* in the tensor's elements */
  int64_t base;     /* of the first pixel's result */
  int32_t channels; /* of the tensor */
  int32_t lanes;    /* floats for a pixel */
  float *sums;      /* a row, before it is resized across */
  float *samples;   /* a row, resized */
  float *values;    /* a channel of a row, to be converted */
  void *converted;
} fitting;

/* ---- Weights ------------------------------------------------------------- */

static double greater(double a, double b) {
  return a > b ? a : b;
}

static double lesser(double a, double b) {
  return a < b ? a : b;
}

/* Sets the weights of result k, whose sum is 1. */
static void weigh(axis *to, int64_t k, range from, int64_t size) {
  const double scale = from.length / (double)to->count;
  const double support = greater(scale, 1);
  const double centre = from.from + ((double)k + 0.5) * scale;
  const int64_t first = (int64_t)greater(floor(centre - support + 0.5), 0);
  const int64_t limit =
      (int64_t)lesser(floor(centre + support + 0.5), (double)size);
  float *weights = to->weights + k * to->taps;
  double sum = 0;
  to->first[k] = first;
  for (int64_t t = 0; t < to->taps && first + t < limit; t++) {
    const double away = fabs((double)(first + t) + 0.5 - centre) / support;
    weights[t] = (float)greater(1 - away, 0);
    sum += (double)weights[t];
    if (weights[t] > 0 && t >= to->used) to->used = t + 1;
  }
  for (int64_t t = 0; t < to->taps; t++)
    weights[t] = (float)((double)weights[t] / sum);
}

/* Lets the pixels of result k begin earlier, where they would pass the end. */
static void keep_within(axis *to, int64_t k, int64_t size) {
  const int64_t beyond = to->first[k] + to->used - size;
  float *weights = to->weights + k * to->taps;
  if (beyond <= 0) return;
  memmove(weights + beyond, weights,
          (size_t)(to->used - beyond) * sizeof *weights);
  memset(weights, 0, (size_t)beyond * sizeof *weights);
  to->first[k] -= beyond;
}

static int axis_init(axis *to, int64_t count, range from, int64_t size) {
  const double support = ceil(greater(from.length / (double)count, 1));
  to->count = count;
  to->taps = (int64_t)lesser(2 * support + 2, (double)size);
  to->first = malloc((size_t)count * sizeof *to->first);
  to->weights = calloc((size_t)(count * to->taps), sizeof *to->weights);
  if (to->first == NULL || to->weights == NULL) return -1;
  for (int64_t k = 0; k < count; k++)
    weigh(to, k, from, size);
  for (int64_t k = 0; k < count; k++)
    keep_within(to, k, size);
  to->least = to->first[0];
  to->limit = to->first[count - 1] + to->used;
  return 0;
}

static void axis_fini(axis *to) {
  free(to->first);
  free(to->weights);
}

/* ---- Rows ---------------------------------------------------------------- */

/* Two rows at a time: half of the loads and stores of the sums. */
static inline __attribute__((always_inline)) void
add_rows(float *restrict sums, const uint8_t *restrict a,
         const uint8_t *restrict b, float weight_a, float weight_b,
         int64_t count, bool is_first) {
  for (int64_t k = 0; k < count; k++)
    sums[k] = (is_first ? 0 : sums[k]) + weight_a * (float)a[k] +
              weight_b * (float)b[k];
}

NEAP__VECTOR_MASKED
static void sum_rows(const fitting *f, int64_t row) {
  const axis *down = &f->down;
  const int64_t stored = f->image->channels;
  const int64_t stride = f->image->width * stored;
  const int64_t count = (f->across.limit - f->across.least) * stored;
  const uint8_t *p =
      f->image->pixels + down->first[row] * stride + f->across.least * stored;
  const float *weights = down->weights + row * down->taps;
  const int64_t used = down->used;
  for (int64_t t = 0; t < used; t += 2) {
    const bool is_pair = t + 1 < used;
    const uint8_t *a = p + t * stride;
    const uint8_t *b = is_pair ? a + stride : a;
    const float weight_b = is_pair ? weights[t + 1] : 0;
    if (t == 0)
      add_rows(f->sums, a, b, weights[t], weight_b, count, true);
    else
      add_rows(f->sums, a, b, weights[t], weight_b, count, false);
  }
}

/* Reads four floats for each pixel, also if it has three. */
static inline __attribute__((always_inline)) void
sum_pixels_of(const fitting *f, int64_t stored, int64_t used) {
  const axis *across = &f->across;
  for (int64_t k = 0; k < across->count; k++) {
    const float *p = f->sums + (across->first[k] - across->least) * stored;
    const float *weights = across->weights + k * across->taps;
    pixel sum = {0}, one;
    for (int64_t t = 0; t < used; t++) {
      memcpy(&one, p + t * stored, sizeof one);
      sum += one * weights[t];
    }
    memcpy(f->samples + k * LANES, &sum, sizeof sum);
  }
}

/* The usual numbers of weights are constants. */
static inline __attribute__((always_inline)) void sum_pixels(const fitting *f,
                                                             int64_t stored) {
  switch (f->across.used) {
  case 1: sum_pixels_of(f, stored, 1); break;
  case 2: sum_pixels_of(f, stored, 2); break;
  case 3: sum_pixels_of(f, stored, 3); break;
  case 4: sum_pixels_of(f, stored, 4); break;
  default: sum_pixels_of(f, stored, f->across.used); break;
  }
}

static void sum_grey(const fitting *f) {
  const axis *across = &f->across;
  for (int64_t k = 0; k < across->count; k++) {
    const float *p = f->sums + (across->first[k] - across->least);
    const float *weights = across->weights + k * across->taps;
    float sum = 0;
    for (int64_t t = 0; t < across->used; t++)
      sum += p[t] * weights[t];
    f->samples[k] = sum;
  }
}

/* As JPEG does: ITU-R BT.601. */
static void make_grey(const fitting *f) {
  for (int64_t k = 0; k < f->across.count; k++) {
    const float *p = f->samples + k * LANES;
    f->samples[k] = 0.299f * p[0] + 0.587f * p[1] + 0.114f * p[2];
  }
}

NEAP__VECTOR_MASKED
static void resize_across(const fitting *f) {
  switch (f->image->channels) {
  case 1: sum_grey(f); break;
  case 3: sum_pixels(f, 3); break;
  default: sum_pixels(f, 4); break;
  }
  if (f->channels == 1 && f->image->channels == 3) make_grey(f);
}

/* ---- Results ------------------------------------------------------------- */

static inline uint8_t to_byte(float value) {
  value = value > 0 ? value : 0;
  return (uint8_t)(int32_t)((value < 255 ? value : 255) + 0.5f);
}

NEAP__VECTOR_MASKED
static void scale(const fitting *f) {
  const float *by = f->image->scale, *plus = f->image->offset;
  const int64_t count = f->across.count;
  const pixel scales = {by[0], by[1], by[2], by[3]};
  const pixel offsets = {plus[0], plus[1], plus[2], plus[3]};
  if (f->lanes == 1) {
    for (int64_t k = 0; k < count; k++)
      f->values[k] = f->samples[k] * by[0] + plus[0];
    return;
  }
  for (int64_t k = 0; k < count; k++) {
    pixel one;
    memcpy(&one, f->samples + k * LANES, sizeof one);
    one = one * scales + offsets;
    memcpy(f->values + k * LANES, &one, sizeof one);
  }
}

NEAP__VECTOR_MASKED
static void make_bytes(const float *restrict from, uint8_t *restrict to,
                       int64_t count) {
  for (int64_t k = 0; k < count; k++)
    to[k] = to_byte(from[k]);
}

static bool is_dtype(const neap_tensor *tensor, int code, int bits) {
  return tensor->code == code && tensor->bits == bits;
}

/* Converts a row; *out is where the results are. */
static int convert(const fitting *f, const void **out, neap_error *error) {
  int64_t count = f->across.count * f->lanes;
  neap_tensor floats = {.data = f->values,
                        .device_type = 1,
                        .ndim = 1,
                        .code = NEAP_FLOAT,
                        .bits = 32,
                        .lanes = 1,
                        .shape = &count};
  neap_tensor results = floats;
  results.data = f->converted;
  results.code = f->to->code;
  results.bits = f->to->bits;
  *out = f->converted;
  if (is_dtype(f->to, NEAP_UINT, 8))
    make_bytes(f->values, f->converted, count);
  else if (is_dtype(f->to, NEAP_FLOAT, 32))
    *out = f->values;
  else
    return neap_tensor_convert(&floats, &results, 1, 0, error);
  return NEAP_OK;
}

/*
 * Puts a row where it goes. Of pixels of three channels, one after another,
 * each overwrites what the one before it wrote too much.
 */
#define SCATTER(name, type) \
  NEAP__VECTOR_MASKED \
  static void name(const fitting *f, const type *restrict from, \
                   type *restrict to) { \
    const int64_t count = f->across.count, step = f->step_across; \
    const int32_t channels = f->channels; \
    if (f->lanes == 1) { \
      for (int64_t k = 0; k < count; k++) \
        to[k * step] = from[k]; \
    } else if (step == 1) { \
      for (int32_t c = 0; c < channels; c++) \
        for (int64_t k = 0; k < count; k++) \
          to[c * f->step_channel + k] = from[k * LANES + c]; \
    } else if (step == 3 && f->step_channel == 1) { \
      for (int64_t k = 0; k < count - 1; k++) \
        memcpy(to + k * 3, from + k * LANES, LANES * sizeof(type)); \
      memcpy(to + (count - 1) * 3, from + (count - 1) * LANES, \
             3 * sizeof(type)); \
    } else { \
      for (int64_t k = 0; k < count; k++) \
        for (int32_t c = 0; c < channels; c++) \
          to[k * step + c * f->step_channel] = from[k * LANES + c]; \
    } \
  }

SCATTER(scatter_8, uint8_t)
SCATTER(scatter_16, uint16_t)
SCATTER(scatter_32, uint32_t)
SCATTER(scatter_64, uint64_t)

static int put_row(const fitting *f, int64_t row, neap_error *error) {
  const int64_t at = f->base + row * f->step_down;
  const void *from;
  void *to = (char *)f->to->data + f->to->byte_offset + at * (f->to->bits / 8);
  scale(f);
  const int rc = convert(f, &from, error);
  if (rc != NEAP_OK) return rc;
  switch (f->to->bits) {
  case 8: scatter_8(f, from, to); break;
  case 16: scatter_16(f, from, to); break;
  case 32: scatter_32(f, from, to); break;
  default: scatter_64(f, from, to); break;
  }
  return NEAP_OK;
}

/* ---- Where what goes ----------------------------------------------------- */

/* What the letters of EXIF's orientations mean for stored rows and columns. */
static bool is_turned(const neap_image *image) {
  return image->orientation >= 5;
}

static bool is_row_reversed(const neap_image *image) {
  const int32_t o = image->orientation;
  return o == 3 || o == 4 || o == 6 || o == 7;
}

static bool is_column_reversed(const neap_image *image) {
  const int32_t o = image->orientation;
  return o == 2 || o == 3 || o == 7 || o == 8;
}

/* The part of a stored dimension that is wanted. */
static range part(int64_t size, double from, double length, bool is_reversed) {
  const range found = {.from = (double)size *
                               (is_reversed ? 1 - from - length : from),
                       .length = (double)size * length};
  return found;
}

/* Keeps the middle of a range. */
static void narrow(range *wanted, double length) {
  wanted->from += (wanted->length - length) / 2;
  wanted->length = length;
}

typedef struct frame {
  int64_t rows, columns; /* of the upright result that hold the image */
  range down, across;    /* the pixels that it is made of, as stored */
} frame;

static int64_t scaled(double length, double scale, int64_t most) {
  const double size = floor(length * scale + 0.5);
  return size < 1 ? 1 : size > (double)most ? most : (int64_t)size;
}

static frame find_frame(const neap_image *image, int64_t height,
                        int64_t width) {
  const float *region = image->region;
  const bool turned = is_turned(image);
  frame found = {.rows = height, .columns = width};
  found.down = part(image->height, (double)region[turned],
                    (double)region[2 + turned], is_row_reversed(image));
  found.across = part(image->width, (double)region[!turned],
                      (double)region[2 + !turned], is_column_reversed(image));
  range *rows = turned ? &found.across : &found.down;
  range *columns = turned ? &found.down : &found.across;
  const double by_rows = (double)height / rows->length;
  const double by_columns = (double)width / columns->length;
  if (image->fit == NEAP_FIT_CROP) {
    const double scale = greater(by_rows, by_columns);
    narrow(rows, lesser((double)height / scale, rows->length));
    narrow(columns, lesser((double)width / scale, columns->length));
  } else if (image->fit == NEAP_FIT_PAD) {
    const double scale = lesser(by_rows, by_columns);
    found.rows = scaled(rows->length, scale, height);
    found.columns = scaled(columns->length, scale, width);
  }
  return found;
}

/* The strides that turn the stored image upright, in the middle. */
static void find_steps(fitting *f, const frame *where) {
  const int64_t *shape = f->to->shape;
  const bool planar = f->image->is_planar != 0, turned = is_turned(f->image);
  const int64_t height = shape[planar ? 1 : 0], width = shape[planar ? 2 : 1];
  const int64_t column = planar ? 1 : f->channels, row = width * column;
  f->step_channel = planar ? height * width : 1;
  f->step_down = turned ? column : row;
  f->step_across = turned ? row : column;
  f->base =
      (height - where->rows) / 2 * row + (width - where->columns) / 2 * column;
  if (is_row_reversed(f->image)) {
    f->base += (f->down.count - 1) * f->step_down;
    f->step_down = -f->step_down;
  }
  if (is_column_reversed(f->image)) {
    f->base += (f->across.count - 1) * f->step_across;
    f->step_across = -f->step_across;
  }
}

/* ---- Memory, and the space around an image ------------------------------- */

static void fini(fitting *f) {
  axis_fini(&f->down);
  axis_fini(&f->across);
  free(f->sums);
  free(f->samples);
  free(f->values);
  free(f->converted);
}

static int no_memory(neap_error *error) {
  return neap__error_set(error, NEAP_EMEMORY, 0,
                         "cannot resize an image: no memory");
}

static int rows_init(fitting *f, int64_t width) {
  const size_t count = (size_t)(width * LANES);
  f->samples = malloc(count * sizeof *f->samples);
  f->values = malloc(count * sizeof *f->values);
  f->converted = malloc(count * sizeof(double));
  f->lanes = f->image->channels == 1 || f->channels == 1 ? 1 : LANES;
  return f->samples == NULL || f->values == NULL || f->converted == NULL ? -1
                                                                         : 0;
}

/* Fills the whole tensor with what is around an image. */
static int fill(const neap_image *image, const neap_tensor *to,
                const frame *whole, neap_error *error) {
  fitting f = {.image = image, .to = to, .across.count = whole->columns};
  int rc = NEAP_OK;
  f.channels = (int32_t)to->shape[image->is_planar ? 0 : 2];
  f.step_across = image->is_planar ? 1 : f.channels;
  f.step_down = f.step_across * whole->columns;
  f.step_channel = image->is_planar ? whole->rows * whole->columns : 1;
  if (rows_init(&f, whole->columns) != 0)
    rc = no_memory(error);
  else
    for (int64_t k = 0; k < whole->columns * LANES; k++)
      f.samples[k] = image->pad;
  for (int64_t row = 0; rc == NEAP_OK && row < whole->rows; row++)
    rc = put_row(&f, row, error);
  fini(&f);
  return rc;
}

/* ---- All of it ----------------------------------------------------------- */

static int init(fitting *f, const frame *where, neap_error *error) {
  const neap_image *image = f->image;
  const bool turned = is_turned(image);
  const int64_t down = turned ? where->columns : where->rows;
  const int64_t across = turned ? where->rows : where->columns;
  if (axis_init(&f->down, down, where->down, image->height) != 0 ||
      axis_init(&f->across, across, where->across, image->width) != 0 ||
      rows_init(f, across) != 0)
    return no_memory(error);
  const int64_t used = f->across.limit - f->across.least;
  f->sums = calloc((size_t)(used * image->channels + LANES), sizeof *f->sums);
  if (f->sums == NULL) return no_memory(error);
  find_steps(f, where);
  return NEAP_OK;
}

static int fit(const neap_image *image, const neap_tensor *to,
               const frame *where, neap_error *error) {
  fitting f = {.image = image, .to = to};
  f.channels = (int32_t)to->shape[image->is_planar ? 0 : 2];
  int rc = init(&f, where, error);
  for (int64_t row = 0; rc == NEAP_OK && row < f.down.count; row++) {
    sum_rows(&f, row);
    resize_across(&f);
    rc = put_row(&f, row, error);
  }
  fini(&f);
  return rc;
}

static bool is_region(const float *region) {
  for (int k = 0; k < 2; k++)
    if (!(region[k] >= 0 && region[2 + k] > 0 &&
          (double)region[k] + (double)region[2 + k] <= 1.000001))
      return false;
  return true;
}

static const char *doubt(const neap_image *image, const neap_tensor *to) {
  if (image->pixels == NULL || image->height < 1 || image->width < 1)
    return "it has no pixels";
  if (image->channels != 1 && image->channels != 3 && image->channels != 4)
    return "it does not have 1, 3 or 4 channels";
  if (image->orientation < 1 || image->orientation > 8)
    return "its orientation is not 1 to 8";
  if (!is_region(image->region)) return "the region is not within the image";
  if (to->ndim != 3 || to->lanes != 1) return "the result has not 3 dimensions";
  const int64_t channels = to->shape[image->is_planar ? 0 : 2];
  if (channels != image->channels && !(channels == 1 && image->channels == 3))
    return "the result has other channels";
  return NULL;
}

int neap_image_fit(const neap_image *image, const neap_tensor *to,
                   neap_error *error) {
  const char *why = doubt(image, to);
  int rc = NEAP_OK;
  if (why != NULL)
    return neap__error_set(error, NEAP_EINVAL, 0, "cannot resize an image: %s",
                           why);
  const int64_t height = to->shape[image->is_planar ? 1 : 0];
  const int64_t width = to->shape[image->is_planar ? 2 : 1];
  if (height == 0 || width == 0) return NEAP_OK;
  const frame where = find_frame(image, height, width);
  const frame whole = {.rows = height, .columns = width};
  if (where.rows < height || where.columns < width)
    rc = fill(image, to, &whole, error);
  return rc == NEAP_OK ? fit(image, to, &where, error) : rc;
}

void neap_image_from_cmyk(uint8_t *pixels, int64_t count) {
  for (int64_t k = 0; k < count; k++)
    for (int c = 0; c < 3; c++)
      pixels[3 * k + c] =
          (uint8_t)((pixels[4 * k + c] * pixels[4 * k + 3] + 127) / 255);
}
