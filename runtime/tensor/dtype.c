/* SPDX-License-Identifier: MIT */
/*
 * The elements of tensors: one table has a load and a store for each dtype, as
 * doubles, and as integers where doubles would round. So 13 dtypes need 13
 * entries for any operation, and the compiler can vectorise each loop.
 */
/* Without alignment, these loops took up to 1.5 times as long. */
#pragma GCC optimize("O3", "no-trapping-math", "align-loops=64", \
                     "align-functions=64")

#include "tensor/dtype.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "tensor/vector.h"

/* ---- Scalars ------------------------------------------------------------ */

static inline uint64_t bits_of(double value) {
  uint64_t bits;
  memcpy(&bits, &value, sizeof bits);
  return bits;
}

static inline double double_of(uint64_t bits) {
  double value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

/*
 * To nearest, ties to even, for -2^51 < value < 2^51: the sum has no bits for a
 * fraction. Without SSE 4.1, rint() would be a call.
 */
static inline double round_even(double value) {
  const double big = 0x1.8p52;
  return (value + big) - big;
}

static inline double clamp(double value, double least, double most) {
  value = value == value ? value : 0;
  value = value > least ? value : least;
  return value < most ? value : most;
}

/*
 * A 16-bit float with that many mantissa bits. Rounding adds half of the last
 * kept bit, less one if that bit is 0. A carry out of the mantissa goes to the
 * exponent, and from there to infinity, as it should.
 */
static inline uint16_t narrow(double value, int mantissa) {
  const int cut = 52 - mantissa;
  const int bias = (1 << (14 - mantissa)) - 1;
  const uint64_t bits = bits_of(value);
  const uint64_t magnitude = bits & ~((uint64_t)1 << 63);
  const uint64_t infinity = (uint64_t)(2 * bias + 1) << mantissa;
  const uint64_t sign = bits >> 63 << 15;
  const uint64_t rebias = (uint64_t)(1023 - bias) << 52;
  const double smallest_normal = double_of(rebias + ((uint64_t)1 << 52));
  uint64_t result;
  if (value != value) {
    result = infinity | ((uint64_t)1 << (mantissa - 1));
  } else if (double_of(magnitude) < smallest_normal) {
    /* Its last bit is worth smallest_normal / 2^mantissa. */
    const double unit = double_of(rebias + ((uint64_t)(1 - mantissa) << 52));
    result = (uint64_t)round_even(double_of(magnitude) / unit);
  } else {
    const uint64_t half = ((uint64_t)1 << (cut - 1)) - 1;
    result = (magnitude + half + (magnitude >> cut & 1) - rebias) >> cut;
    result = result < infinity ? result : infinity;
  }
  return (uint16_t)(sign | result);
}

static inline double widen_f16(uint16_t bits) {
  const uint64_t sign = (uint64_t)(bits >> 15) << 63;
  const uint64_t magnitude = bits & 0x7fff;
  uint64_t result;
  if (magnitude >= 0x7c00) {
    result = ((uint64_t)0x7ff << 52) | (magnitude & 0x3ff) << 42;
  } else if (magnitude >= 0x400) {
    result = (magnitude << 42) + ((uint64_t)(1023 - 15) << 52);
  } else {
    result = bits_of((double)magnitude * 0x1p-24);
  }
  return double_of(sign | result);
}

static inline double widen_bf16(uint16_t bits) {
  const uint32_t wide = (uint32_t)bits << 16;
  float value;
  memcpy(&value, &wide, sizeof value);
  return (double)value;
}

/* The canonical NaN: see luajit.md, bits of a NaN. */
static double plain(double value) {
  return value == value ? value : (double)NAN;
}

double neap_f16_load(uint16_t bits) {
  return plain(widen_f16(bits));
}

uint16_t neap_f16_store(double value) {
  return narrow(value, 10);
}

double neap_bf16_load(uint16_t bits) {
  return plain(widen_bf16(bits));
}

uint16_t neap_bf16_store(double value) {
  return narrow(value, 7);
}

/* ---- Loading and storing blocks ------------------------------------------ */

#define LOAD_AND_STORE(dtype, type, as_double, from_double) \
  NEAP__VECTOR_MASKED static void load_##dtype( \
      const void *from, double *restrict to, int64_t count) { \
    const type *restrict p = from; \
    for (int64_t k = 0; k < count; k++) { \
      const type x = p[k]; \
      to[k] = as_double; \
    } \
  } \
  NEAP__VECTOR_MASKED static void store_##dtype(const double *restrict from, \
                                                void *to, int64_t count) { \
    type *restrict p = to; \
    for (int64_t k = 0; k < count; k++) { \
      const double x = from[k]; \
      p[k] = from_double; \
    } \
  }

/* The same for integers, through int64_t: exact, saturating. */
#define LOAD_AND_STORE_INTEGER(dtype, type, as_integer, from_integer) \
  NEAP__VECTOR_MASKED static void load_integer_##dtype( \
      const void *from, int64_t *restrict to, int64_t count) { \
    const type *restrict p = from; \
    for (int64_t k = 0; k < count; k++) { \
      const type x = p[k]; \
      to[k] = as_integer; \
    } \
  } \
  NEAP__VECTOR_MASKED static void store_integer_##dtype( \
      const int64_t *restrict from, void *to, int64_t count) { \
    type *restrict p = to; \
    for (int64_t k = 0; k < count; k++) { \
      const int64_t x = from[k]; \
      p[k] = from_integer; \
    } \
  }

#define INTEGER(dtype, type, via, least, most) \
  LOAD_AND_STORE(dtype, type, (double)x, \
                 (type)(via)round_even(clamp(x, least, most))) \
  LOAD_AND_STORE_INTEGER( \
      dtype, type, (int64_t)x, \
      (type)(x < (int64_t)least ? (int64_t)least \
                                : (x > (int64_t)most ? (int64_t)most : x)))

static inline int64_t saturate_i64(double value) {
  if (value != value) return 0;
  if (value >= 0x1p63) return INT64_MAX;
  if (value <= -0x1p63) return INT64_MIN;
  return (int64_t)rint(value);
}

static inline uint64_t saturate_u64(double value) {
  if (!(value > 0)) return 0;
  if (value >= 0x1p64) return UINT64_MAX;
  return (uint64_t)rint(value);
}

/*
 * A u64 above INT64_MAX is loaded as INT64_MAX. No store shows the difference:
 * only u64 holds more, and equal dtypes are copied.
 */
INTEGER(u8, uint8_t, int32_t, 0, UINT8_MAX)
INTEGER(i8, int8_t, int32_t, INT8_MIN, INT8_MAX)
INTEGER(i16, int16_t, int32_t, INT16_MIN, INT16_MAX)
INTEGER(u16, uint16_t, int32_t, 0, UINT16_MAX)
INTEGER(i32, int32_t, int32_t, INT32_MIN, INT32_MAX)
INTEGER(u32, uint32_t, int64_t, 0, UINT32_MAX)
LOAD_AND_STORE(i64, int64_t, (double)x, saturate_i64(x))
LOAD_AND_STORE_INTEGER(i64, int64_t, x, x)
LOAD_AND_STORE(u64, uint64_t, (double)x, saturate_u64(x))
LOAD_AND_STORE_INTEGER(u64, uint64_t, x > INT64_MAX ? INT64_MAX : (int64_t)x,
                       x < 0 ? 0 : (uint64_t)x)
LOAD_AND_STORE(f16, uint16_t, widen_f16(x), narrow(x, 10))
LOAD_AND_STORE(bf16, uint16_t, widen_bf16(x), narrow(x, 7))
LOAD_AND_STORE(f32, float, (double)x, (float)x)
LOAD_AND_STORE(f64, double, x, x)
LOAD_AND_STORE(bool, uint8_t, x != 0, x != 0)
LOAD_AND_STORE_INTEGER(bool, uint8_t, x != 0, x != 0)

#define INTEGER_DTYPE(name, code, bits, least, limit) \
  code, bits, #name, least, limit, load_##name, store_##name, \
      load_integer_##name, store_integer_##name
#define FLOAT_DTYPE(name, code, bits) \
  code, bits, #name, 0, 0, load_##name, store_##name, NULL, NULL

static const neap__dtype dtypes[] = {
    {INTEGER_DTYPE(u8, NEAP_UINT, 8, 0, 0x1p8)},
    {INTEGER_DTYPE(i8, NEAP_INT, 8, -0x1p7, 0x1p7)},
    {INTEGER_DTYPE(i16, NEAP_INT, 16, -0x1p15, 0x1p15)},
    {INTEGER_DTYPE(u16, NEAP_UINT, 16, 0, 0x1p16)},
    {INTEGER_DTYPE(i32, NEAP_INT, 32, -0x1p31, 0x1p31)},
    {INTEGER_DTYPE(u32, NEAP_UINT, 32, 0, 0x1p32)},
    {INTEGER_DTYPE(i64, NEAP_INT, 64, -0x1p63, 0x1p63)},
    {INTEGER_DTYPE(u64, NEAP_UINT, 64, 0, 0x1p64)},
    {INTEGER_DTYPE(bool, NEAP_BOOL, 8, 0, 2)},
    {FLOAT_DTYPE(f16, NEAP_FLOAT, 16)},
    {FLOAT_DTYPE(bf16, NEAP_BFLOAT, 16)},
    {FLOAT_DTYPE(f32, NEAP_FLOAT, 32)},
    {FLOAT_DTYPE(f64, NEAP_FLOAT, 64)},
};

int neap__dtype_find(const neap_tensor *tensor, const neap__dtype **out,
                     neap_error *error) {
  *out = NULL;
  for (size_t k = 0; k < sizeof dtypes / sizeof dtypes[0]; k++) {
    if (tensor->code == dtypes[k].code && tensor->bits == dtypes[k].bits &&
        tensor->lanes == 1) {
      *out = &dtypes[k];
      return NEAP_OK;
    }
  }
  return neap__error_set(error, NEAP_EINVAL, 0,
                         "cannot use a tensor: no dtype has code %d, %d bits "
                         "and %d lanes",
                         tensor->code, tensor->bits, tensor->lanes);
}

/* ---- The same as floats -------------------------------------------------- */

/* To nearest, ties to even, for -2^22 < value < 2^22; NaN becomes 0. */
static inline float round_float(float value, float least, float most) {
  const float big = 0x1.8p23f;
  value = value == value ? value : 0;
  value = value > least ? value : least;
  value = value < most ? value : most;
  return (value + big) - big;
}

#define FLOATS(dtype, type, least, most) \
  NEAP__VECTOR_MASKED static void load_float_##dtype( \
      const void *from, float *to, int64_t count) { \
    const type *p = from; \
    for (int64_t k = 0; k < count; k++) \
      to[k] = (float)p[k]; \
  } \
  NEAP__VECTOR_MASKED static void store_float_##dtype( \
      const float *from, void *to, int64_t count) { \
    type *p = to; \
    for (int64_t k = 0; k < count; k++) \
      p[k] = (type)(int32_t)round_float(from[k], least, most); \
  }
FLOATS(u8, uint8_t, 0, UINT8_MAX)
FLOATS(i8, int8_t, INT8_MIN, INT8_MAX)

static void load_by_doubles(const neap__dtype *type, const char *from,
                            float *to, int64_t count) {
  double buffer[NEAP__BLOCK];
  for (int64_t done = 0, part; done < count; done += part) {
    part = count - done < NEAP__BLOCK ? count - done : NEAP__BLOCK;
    type->load(from + done * (type->bits / 8), buffer, part);
    for (int64_t k = 0; k < part; k++)
      to[done + k] = (float)buffer[k];
  }
}

static void store_by_doubles(const neap__dtype *type, const float *from,
                             char *to, int64_t count) {
  double buffer[NEAP__BLOCK];
  for (int64_t done = 0, part; done < count; done += part) {
    part = count - done < NEAP__BLOCK ? count - done : NEAP__BLOCK;
    for (int64_t k = 0; k < part; k++)
      buffer[k] = (double)from[done + k];
    type->store(buffer, to + done * (type->bits / 8), part);
  }
}

static bool is_f32(const neap__dtype *type) {
  return type->code == NEAP_FLOAT && type->bits == 32;
}

void neap__dtype_load_floats(const neap__dtype *type, const void *from,
                             float *to, int64_t count) {
  if (is_f32(type))
    memcpy(to, from, (size_t)count * sizeof *to);
  else if (type->bits == 8 && type->code == NEAP_INT)
    load_float_i8(from, to, count);
  else if (type->bits == 8)
    load_float_u8(from, to, count);
  else
    load_by_doubles(type, from, to, count);
}

void neap__dtype_store_floats(const neap__dtype *type, const float *from,
                              void *to, int64_t count) {
  if (is_f32(type))
    memcpy(to, from, (size_t)count * sizeof *from);
  else if (type->bits == 8 && type->code == NEAP_INT)
    store_float_i8(from, to, count);
  else if (type->bits == 8 && type->code == NEAP_UINT)
    store_float_u8(from, to, count);
  else
    store_by_doubles(type, from, to, count);
}

/* ---- For messages -------------------------------------------------------- */

const char *neap__tensor_text(const neap_tensor *tensor, neap__text *buffer) {
  const neap__dtype *type;
  size_t used;
  if (neap__dtype_find(tensor, &type, NULL) != NEAP_OK) return "?";
  used = (size_t)snprintf(buffer->bytes, sizeof buffer->bytes, "%s%s",
                          type->name, tensor->ndim == 0 ? " scalar" : "");
  for (int32_t k = 0; k < tensor->ndim; k++)
    used += (size_t)snprintf(buffer->bytes + used, sizeof buffer->bytes - used,
                             "%c%lld", k == 0 ? ' ' : 'x',
                             (long long)tensor->shape[k]);
  return buffer->bytes;
}
