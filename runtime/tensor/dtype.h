/* SPDX-License-Identifier: MIT */
/*
 * The dtypes: how the elements of each are loaded and stored, by blocks. What
 * operations share about tensors.
 */
#ifndef NEAP_TENSOR_DTYPE_H
#define NEAP_TENSOR_DTYPE_H

#include <stdbool.h>

#include "neap.h"

enum {
  NEAP__BLOCK = 768
}; /* elements of a buffer, 6 KiB as doubles;
      pixels of 3 and 4 channels fit it exactly */

/*
 * Stores round to nearest, ties to even, and saturate; NaN becomes 0. Integers
 * are NULL for floats. A u64 above INT64_MAX is loaded as INT64_MAX.
 */
typedef struct neap__dtype {
  uint8_t code;
  uint8_t bits;
  const char *name;
  double least; /* the values that an integer dtype holds: least <= x */
  double limit; /* and x < limit; both 0 for floats */
  void (*load)(const void *from, double *to, int64_t count);
  void (*store)(const double *from, void *to, int64_t count);
  void (*load_integer)(const void *from, int64_t *to, int64_t count);
  void (*store_integer)(const int64_t *from, void *to, int64_t count);
} neap__dtype;

/* NEAP_EINVAL, and NULL in *out, if the tensor has no dtype of neap. */
int neap__dtype_find(const neap_tensor *tensor, const neap__dtype **out,
                     neap_error *error);

/* Any dtype as floats, which are rounded as doubles are. */
void neap__dtype_load_floats(const neap__dtype *type, const void *from,
                             float *to, int64_t count);
void neap__dtype_store_floats(const neap__dtype *type, const float *from,
                              void *to, int64_t count);

static inline bool neap__dtype_is_integer(const neap__dtype *type) {
  return type->load_integer != NULL;
}

static inline char *neap__tensor_data(const neap_tensor *tensor) {
  return (char *)tensor->data + tensor->byte_offset;
}

static inline bool neap__overlap(const char *a, int64_t a_bytes, const char *b,
                                 int64_t b_bytes) {
  return a_bytes > 0 && b_bytes > 0 &&
         (uintptr_t)a < (uintptr_t)b + (uintptr_t)b_bytes &&
         (uintptr_t)b < (uintptr_t)a + (uintptr_t)a_bytes;
}

typedef struct neap__text {
  char bytes[192]; /* 8 sizes of 20 digits */
} neap__text;

/* "f32 2x3", for messages. */
const char *neap__tensor_text(const neap_tensor *tensor, neap__text *buffer);

#endif
