/* SPDX-License-Identifier: MIT */
/*
 * Moving elements: a copy between any strides, from which permute, flip, crop,
 * pad, rotations and concatenate are made, and rows by their indexes.
 *
 * A copy merges dimensions that are neighbours on both sides. Of the rest, two
 * make a plane: the one along which is written and the one along which is read.
 * Planes are copied by loops of known widths for pixels of 2 to 4 channels, and
 * by tiles that stay in the L1 cache.
 */
#pragma GCC optimize("O3", "no-trapping-math")

#include "neap_lua.h"

#include <string.h>

#include "base/error.h"
#include "tensor/dtype.h"
#include "tensor/vector.h"

enum { TILE = 32 };    /* rows and columns */
enum { CHANNELS = 4 }; /* of pixels that have loops of their own */

typedef struct dimension {
  int64_t size;
  int64_t from; /* stride */
  int64_t to;
} dimension;

static int64_t least(int64_t a, int64_t b) {
  return a < b ? a : b;
}

static int64_t magnitude(int64_t x) {
  return x < 0 ? -x : x;
}

/* ---- Planes -------------------------------------------------------------- */

/* Pixels apart to planes (from channels beside each other), and back. */
#define PIXELS(type, n) \
  NEAP__VECTOR_MASKED static void split_##n##_##type( \
      const type *restrict from, type *restrict to, int64_t stride, \
      int64_t count) { \
    for (int64_t k = 0; k < count; k++) \
      for (int c = 0; c < n; c++) \
        to[c * stride + k] = from[k * n + c]; \
  } \
  NEAP__VECTOR_MASKED static void join_##n##_##type( \
      const type *restrict from, type *restrict to, int64_t stride, \
      int64_t count) { \
    for (int64_t k = 0; k < count; k++) \
      for (int c = 0; c < n; c++) \
        to[k * n + c] = from[c * stride + k]; \
  } \
  static void copy_##n##_##type(const type *from, type *to, \
                                const dimension *d) { \
    for (int64_t k = 0; k < d->size; k++) \
      memcpy(to + k * d->to, from + k * d->from, n * sizeof(type)); \
  }

/* Elements of one size: the plane of dimensions a and b, of which b is the one
   along which is written, where there is one. */
#define PLANE(type) \
  PIXELS(type, 2) \
  PIXELS(type, 3) \
  PIXELS(type, 4) \
  NEAP__VECTOR_MASKED static void reverse_##type( \
      const type *restrict from, type *restrict to, int64_t count) { \
    for (int64_t k = 0; k < count; k++) \
      to[k] = from[-k]; \
  } \
  NEAP__VECTOR_MASKED static void tile_##type( \
      const type *restrict from, type *restrict to, const dimension *a, \
      const dimension *b, int64_t rows, int64_t columns) { \
    for (int64_t i = 0; i < rows; i++) \
      for (int64_t k = 0; k < columns; k++) \
        to[i * a->to + k * b->to] = from[i * a->from + k * b->from]; \
  } \
  static bool copy_pixels_##type(const type *from, type *to, \
                                 const dimension *a, const dimension *b) { \
    const bool is_copy = b->to == 1 && b->from == 1; \
    const bool is_split = b->to == 1 && a->from == 1 && b->from == a->size && \
                          a->size <= CHANNELS; \
    const bool is_join = b->to == 1 && a->from == 1 && a->to == b->size; \
    switch (is_split ? a->size : b->size) { \
      PIXEL_CASE(type, 2) \
      PIXEL_CASE(type, 3) \
      PIXEL_CASE(type, 4) \
    } \
    return false; \
  } \
  static void plane_##type(const void *source, void *target, \
                           const dimension *a, const dimension *b) { \
    const type *from = source; \
    type *to = target; \
    if (copy_pixels_##type(from, to, a, b)) return; \
    if (b->to == 1 && (b->from == 1 || b->from == -1)) { \
      for (int64_t i = 0; i < a->size; i++, from += a->from, to += a->to) { \
        if (b->from == 1) \
          memcpy(to, from, (size_t)b->size * sizeof *to); \
        else \
          reverse_##type(from, to, b->size); \
      } \
      return; \
    } \
    for (int64_t i = 0; i < a->size; i += TILE) \
      for (int64_t k = 0; k < b->size; k += TILE) \
        tile_##type(from + i * a->from + k * b->from, \
                    to + i * a->to + k * b->to, a, b, \
                    least(TILE, a->size - i), least(TILE, b->size - k)); \
  }

#define PIXEL_CASE(type, n) \
  case n: \
    if (is_split) \
      split_##n##_##type(from, to, a->to, b->size); \
    else if (is_join) \
      join_##n##_##type(from, to, b->from, a->size); \
    else if (is_copy) \
      copy_##n##_##type(from, to, a); \
    return is_split || is_join || is_copy;

PLANE(uint8_t)
PLANE(uint16_t)
PLANE(uint32_t)
PLANE(uint64_t)

typedef void plane(const void *from, void *to, const dimension *a,
                   const dimension *b);

static plane *plane_of(int bits) {
  switch (bits) {
  case 8: return plane_uint8_t;
  case 16: return plane_uint16_t;
  case 32: return plane_uint32_t;
  default: return plane_uint64_t;
  }
}

/* ---- All dimensions ------------------------------------------------------ */

/* Merges neighbours, drops sizes of 1. Returns how many are left, 2 or more. */
static int32_t merge(const neap_tensor *from, const neap_tensor *to,
                     dimension *dimensions) {
  int32_t count = 0;
  for (int32_t k = 0; k < from->ndim; k++) {
    const dimension d = {from->shape[k], from->strides[k], to->strides[k]};
    dimension *const next = &dimensions[count];
    if (d.size == 1) continue;
    if (count > 0 && next[-1].from == d.from * d.size &&
        next[-1].to == d.to * d.size) {
      next[-1] = (dimension){next[-1].size * d.size, d.from, d.to};
    } else {
      *next = d;
      count++;
    }
  }
  for (; count < 2; count++) {
    memmove(dimensions + 1, dimensions, (size_t)count * sizeof *dimensions);
    dimensions[0] = (dimension){1, 0, 0};
  }
  return count;
}

static void swap(dimension *a, dimension *b) {
  const dimension other = *a;
  *a = *b;
  *b = other;
}

/* Makes the last dimension the one along which is written, and the one before
   it that along which is read, unless that is the same. */
static void order(dimension *dimensions, int32_t count) {
  int32_t written = count - 1;
  for (int32_t k = count - 1; k >= 0; k--)
    if (magnitude(dimensions[k].to) < magnitude(dimensions[written].to) &&
        dimensions[k].to != 0)
      written = k;
  swap(&dimensions[written], &dimensions[count - 1]);
  int32_t read = count - 1;
  for (int32_t k = count - 2; k >= 0; k--)
    if (magnitude(dimensions[k].from) < magnitude(dimensions[read].from) &&
        dimensions[k].from != 0)
      read = k;
  if (read != count - 1) swap(&dimensions[read], &dimensions[count - 2]);
}

static void copy_all(const char *from, char *to, const dimension *dimensions,
                     int32_t count, int64_t size, plane *copy) {
  if (count == 2) {
    copy(from, to, &dimensions[0], &dimensions[1]);
    return;
  }
  for (int64_t k = 0; k < dimensions->size; k++)
    copy_all(from + k * dimensions->from * size, to + k * dimensions->to * size,
             dimensions + 1, count - 1, size, copy);
}

int neap_tensor_copy(const neap_tensor *from, neap_tensor *to,
                     neap_error *error) {
  dimension dimensions[NEAP_DIMS_MAX + 1];
  const neap__dtype *type;
  int rc;
  if ((rc = neap__dtype_find(from, &type, error)) != NEAP_OK) return rc;
  bool is_fine = from->ndim == to->ndim && from->bits == to->bits;
  for (int32_t k = 0; is_fine && k < from->ndim; k++)
    is_fine = from->shape[k] == to->shape[k];
  if (!is_fine)
    return neap__error_set(error, NEAP_EINVAL, 0,
                           "cannot copy a tensor: the shapes differ");
  if (neap_tensor_count(from) == 0) return NEAP_OK;
  const int32_t count = merge(from, to, dimensions);
  order(dimensions, count);
  copy_all(neap__tensor_data(from), neap__tensor_data(to), dimensions, count,
           type->bits / 8, plane_of(type->bits));
  return NEAP_OK;
}

/* ---- Rows by index ------------------------------------------------------- */

#define TAKE(n) \
  case n: \
    for (int64_t k = 0; k < count; k++) \
      memcpy(to + k * (n), from + indexes[k] * (n), n); \
    return;

static void take(const char *from, const int64_t *indexes, int64_t count,
                 int64_t nbytes, char *to) {
  switch (nbytes) {
    TAKE(1)
    TAKE(2)
    TAKE(3)
    TAKE(4)
    TAKE(6)
    TAKE(8)
    TAKE(12)
    TAKE(16)
  }
  for (int64_t k = 0; k < count; k++)
    memcpy(to + k * nbytes, from + indexes[k] * nbytes, (size_t)nbytes);
}

/* Makes indexes count from 0: from 1, or from the end if they are negative. */
static int check_indexes(int64_t *indexes, int64_t count, int64_t size,
                         neap_error *error) {
  for (int64_t k = 0; k < count; k++) {
    const int64_t index = indexes[k];
    if (index == 0 || index > size || index < -size)
      return neap__error_set(error, NEAP_EINVAL, 0,
                             "cannot take: index %lld, number %lld of the "
                             "indexes, is out of range 1..%lld",
                             (long long)index, (long long)k + 1,
                             (long long)size);
    indexes[k] = index > 0 ? index - 1 : index + size;
  }
  return NEAP_OK;
}

int neap_tensor_take(const neap_tensor *from, int32_t dim, int64_t *indexes,
                     int64_t count, neap_tensor *to, neap_error *error) {
  int64_t outer = 1;
  int64_t nbytes = from->bits / 8;
  for (int32_t k = 0; k < dim; k++)
    outer *= from->shape[k];
  for (int32_t k = dim + 1; k < from->ndim; k++)
    nbytes *= from->shape[k];
  const int rc = check_indexes(indexes, count, from->shape[dim], error);
  if (rc != NEAP_OK || nbytes == 0) return rc;
  for (int64_t k = 0; k < outer; k++)
    take(neap__tensor_data(from) + k * from->shape[dim] * nbytes, indexes,
         count, nbytes, neap__tensor_data(to) + k * count * nbytes);
  return NEAP_OK;
}

/* ---- One-hot ------------------------------------------------------------- */

int neap_tensor_one_hot(const int64_t *classes, int64_t count, neap_tensor *to,
                        neap_error *error) {
  const neap__dtype *type;
  const double value = 1;
  char one[sizeof value];
  int rc;
  if ((rc = neap__dtype_find(to, &type, error)) != NEAP_OK) return rc;
  const int64_t size = type->bits / 8;
  const int64_t width = to->shape[to->ndim - 1];
  char *data = neap__tensor_data(to);
  type->store(&value, one, 1);
  for (int64_t k = 0; k < count; k++)
    if (classes[k] < 1 || classes[k] > width)
      return neap__error_set(error, NEAP_EINVAL, 0,
                             "cannot one_hot: class %lld, element %lld, is out "
                             "of range 1..%lld",
                             (long long)classes[k], (long long)k + 1,
                             (long long)width);
  if (count > 0) memset(data, 0, (size_t)(count * width * size));
  for (int64_t k = 0; k < count; k++)
    memcpy(data + (k * width + classes[k] - 1) * size, one, (size_t)size);
  return NEAP_OK;
}
