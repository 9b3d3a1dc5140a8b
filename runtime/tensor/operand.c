/* SPDX-License-Identifier: MIT */
#include "tensor/operand.h"

#include <math.h>
#include <string.h>

static bool is_wide(const neap__dtype *type) {
  return type->bits == 64 && neap__dtype_is_integer(type);
}

static bool is_f32(const neap__dtype *type) {
  return type->code == NEAP_FLOAT && type->bits == 32;
}

static int64_t least(int64_t a, int64_t b) {
  return a < b ? a : b;
}

neap__kind neap__kind_of(const neap__dtype *type) {
  if (type->bits == 8 || is_f32(type)) return NEAP__F32;
  if (is_wide(type)) return type->code == NEAP_INT ? NEAP__I64 : NEAP__U64;
  return NEAP__F64;
}

bool neap__kind_is_direct(neap__kind kind, const neap__dtype *type) {
  switch (kind) {
  case NEAP__F32: return is_f32(type);
  case NEAP__F64: return type->code == NEAP_FLOAT && type->bits == 64;
  case NEAP__I64: return is_wide(type) && type->code == NEAP_INT;
  case NEAP__U64: return is_wide(type) && type->code == NEAP_UINT;
  case NEAP__U8: return type->bits == 8 && type->code == NEAP_UINT;
  case NEAP__RAW: return true;
  }
  return false;
}

/* ---- Stretching ---------------------------------------------------------- */

/* Adds a dimension after those that are there. */
static void add_dimension(neap__operand *operand, int64_t size,
                          int64_t stride) {
  const int32_t last = operand->ndim - 1;
  if (size == 1) return;
  if (last >= 0 && operand->strides[last] == stride * size) {
    operand->sizes[last] *= size;
    operand->strides[last] = stride;
    return;
  }
  operand->sizes[last + 1] = size;
  operand->strides[last + 1] = stride;
  operand->ndim++;
}

/* Elements after which it repeats, if only the first dimension is stretched. */
static int64_t period_of(const neap__operand *operand) {
  int64_t period = 1;
  if (operand->ndim == 0) return 1;
  if (operand->strides[0] != 0) return 0;
  for (int32_t k = 1; k < operand->ndim; k++)
    period *= operand->sizes[k];
  return period <= NEAP__BLOCK ? period : 0;
}

bool neap__operand_init(neap__operand *operand, const neap_tensor *tensor,
                        const neap__dtype *type, neap__kind kind,
                        const neap_tensor *shape) {
  const int32_t missing = shape->ndim - tensor->ndim;
  int64_t strides[NEAP_DIMS_MAX];
  operand->type = type;
  operand->data = neap__tensor_data(tensor);
  operand->kind = kind;
  operand->is_direct = neap__kind_is_direct(kind, type);
  operand->ndim = 0;
  operand->is_number = false;
  operand->is_loaded = false;
  operand->filled = NULL;
  if (missing < 0) return false;
  neap_tensor_strides(tensor->ndim, tensor->shape, strides);
  for (int32_t k = 0; k < shape->ndim; k++) {
    const int64_t size = shape->shape[k];
    const int64_t own = k < missing ? 1 : tensor->shape[k - missing];
    if (own != size && own != 1) return false;
    add_dimension(operand, size, own == 1 ? 0 : strides[k - missing]);
  }
  operand->is_whole =
      operand->ndim <= 1 && (operand->ndim == 0 || operand->strides[0] == 1);
  operand->period = operand->is_whole ? 0 : period_of(operand);
  return true;
}

/* ---- Blocks -------------------------------------------------------------- */

#define SPLAT(type) \
  do { \
    type value; \
    memcpy(&value, from, sizeof value); \
    for (int64_t k = 0; k < count; k++) \
      memcpy(to + k * (int64_t)sizeof value, &value, sizeof value); \
  } while (0)

static void splat(const char *from, char *to, int64_t count, int bits) {
  switch (bits) {
  case 8: memset(to, *from, (size_t)count); break;
  case 16: SPLAT(uint16_t); break;
  case 32: SPLAT(uint32_t); break;
  default: SPLAT(uint64_t); break;
  }
}

/* Mostly, the next block lies in the same run. */
static void fill_raw(neap__operand *operand, const char *from) {
  if (operand->filled != from)
    splat(from, operand->raw, NEAP__BLOCK_BYTES / (operand->type->bits / 8),
          operand->type->bits);
  operand->filled = from;
}

/* The address of the row, along the last dimension, at these indexes. */
static const char *row_at(const neap__operand *operand, const int64_t *at) {
  int64_t place = 0;
  for (int32_t k = 0; k < operand->ndim - 1; k++)
    place += at[k] * operand->strides[k];
  return operand->data + place * (operand->type->bits / 8);
}

/* Writes elements first .. first + count of the result to `raw`. */
static void stretch(neap__operand *operand, int64_t first, int64_t count) {
  const int32_t last = operand->ndim - 1;
  const int64_t *sizes = operand->sizes;
  const int64_t size = operand->type->bits / 8;
  const bool is_stretched = operand->strides[last] == 0;
  const int64_t next = last > 0 ? operand->strides[last - 1] * size : 0;
  char *to = operand->raw;
  int64_t at[NEAP_DIMS_MAX] = {0};
  for (int32_t k = last; k >= 0; k--) {
    at[k] = first % sizes[k];
    first /= sizes[k];
  }
  const char *row = row_at(operand, at);
  if (is_stretched && count <= sizes[last] - at[last]) {
    fill_raw(operand, row);
    return;
  }
  operand->filled = NULL;
  while (count > 0) {
    const int64_t run = least(count, sizes[last] - at[last]);
    if (is_stretched)
      splat(row, to, run, operand->type->bits);
    else
      memcpy(to, row + at[last] * size, (size_t)(run * size));
    to += run * size;
    count -= run;
    at[last] = 0;
    row += next;
    if (last > 0 && ++at[last - 1] == sizes[last - 1]) {
      for (int32_t k = last - 1; k > 0 && at[k] == sizes[k]; k--) {
        at[k] = 0;
        at[k - 1]++;
      }
      row = row_at(operand, at);
    }
  }
}

/* Returns the elements as the kind has them: loaded, or where they are. */
static const void *load(neap__operand *operand, const char *from,
                        int64_t count) {
  if (operand->is_direct) return from;
  if (operand->kind == NEAP__F32)
    neap__dtype_load_floats(operand->type, from, (float *)operand->loaded,
                            count);
  else
    operand->type->load(from, (double *)operand->loaded, count);
  return operand->loaded;
}

int64_t neap__operand_size(const neap__operand *operand) {
  switch (operand->kind) {
  case NEAP__F32: return sizeof(float);
  case NEAP__U8:
  case NEAP__RAW: return operand->type->bits / 8;
  default: return sizeof(double);
  }
}

void neap__operand_init_number(neap__operand *operand, const neap__dtype *type,
                               neap__kind kind, double number) {
  char *const value = operand->raw;
  memset(operand, 0, offsetof(neap__operand, raw));
  operand->type = type;
  operand->kind = kind;
  operand->is_number = true;
  operand->period = 1;
  if (kind == NEAP__RAW || !neap__dtype_is_integer(type)) {
    type->store(&number, value, 1);
    if (kind != NEAP__RAW) type->load(value, &number, 1);
  }
  if (kind == NEAP__F32) {
    const float single = (float)number;
    memcpy(value, &single, sizeof single);
  } else if (kind == NEAP__I64) {
    const int64_t integer = (int64_t)number;
    memcpy(value, &integer, sizeof integer);
  } else if (kind == NEAP__U64) {
    const uint64_t integer = (uint64_t)number;
    memcpy(value, &integer, sizeof integer);
  } else if (kind == NEAP__U8) {
    value[0] = (char)(uint8_t)number;
  } else if (kind == NEAP__F64) {
    memcpy(value, &number, sizeof number);
  }
}

/* Copies the first `done` bytes again and again. */
static void repeat(char *data, int64_t done, int64_t nbytes) {
  for (int64_t part; done < nbytes; done += part) {
    part = least(done, nbytes - done);
    memcpy(data + done, data, (size_t)part);
  }
}

/* The blocks of what repeats are equal, and are made once: the first one is the
   longest. */
static const void *repeated(neap__operand *operand, int64_t count) {
  const int64_t size = neap__operand_size(operand);
  if (operand->is_loaded) return operand->loaded;
  operand->is_loaded = true;
  if (operand->is_number) {
    splat(operand->raw, operand->loaded, count, (int)size * 8);
    return operand->loaded;
  }
  const int64_t first = least(count, operand->period);
  stretch(operand, 0, first);
  const void *loaded = load(operand, operand->raw, first);
  if (loaded != operand->loaded)
    memcpy(operand->loaded, loaded, (size_t)(first * size));
  repeat(operand->loaded, first * size, count * size);
  return operand->loaded;
}

void neap__operand_settle(neap__operand *operand, int64_t block) {
  if (operand->period > 0 && block % operand->period != 0) operand->period = 0;
}

const void *neap__operand_block(neap__operand *operand, int64_t first,
                                int64_t count) {
  if (operand->is_whole)
    return load(operand, operand->data + first * (operand->type->bits / 8),
                count);
  if (operand->period > 0) return repeated(operand, count);
  stretch(operand, first, count);
  return load(operand, operand->raw, count);
}
