/* SPDX-License-Identifier: MIT */
/*
 * Operations on the elements of tensors, one by one: arithmetic, comparisons,
 * clamp and where. An operation is a loop for each kind of number, and reads
 * its operands by blocks (operand.h), which stay in the L1 cache.
 */
#pragma GCC optimize("O3", "no-trapping-math")

#include "neap_lua.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "tensor/dtype.h"
#include "tensor/operand.h"
#include "tensor/vector.h"

/* `to` is one of the others, or apart from them. If b and c are numbers, they
   are one element each. */
typedef void kernel(const void *a, const void *b, const void *c,
                    bool are_numbers, void *to, int64_t count);

#define LOOP(name, first, type, result, expression) \
  NEAP__VECTOR static void name(const void *a, const void *b, const void *c, \
                                bool are_numbers, void *to, int64_t count) { \
    const first *const p = a; \
    const type *const q = b; \
    const type *const r = c; \
    result *const results = to; \
    if (are_numbers) { \
      const type y = *q; \
      const type z = *r; \
      (void)z; \
      NEAP__APART \
      for (int64_t k = 0; k < count; k++) { \
        const first x = p[k]; \
        results[k] = expression; \
      } \
      return; \
    } \
    NEAP__APART \
    for (int64_t k = 0; k < count; k++) { \
      const first x = p[k]; \
      const type y = q[k]; \
      const type z = r[k]; \
      (void)z; \
      results[k] = expression; \
    } \
  }

/* The loops of an operation, in the order of neap__kind. */
#define KERNELS(name) \
  { name##_f32, name##_f64, name##_i64, name##_u64, name##_u8 }
#define ARITHMETIC(name, floats, i64, u64, u8) \
  LOOP(name##_u8, uint8_t, uint8_t, uint8_t, (uint8_t)(u8)) \
  LOOP(name##_f32, float, float, float, floats) \
  LOOP(name##_f64, double, double, double, floats) \
  LOOP(name##_i64, int64_t, int64_t, int64_t, i64) \
  LOOP(name##_u64, uint64_t, uint64_t, uint64_t, u64)
#define TEST(name, expression) \
  LOOP(name##_u8, uint8_t, uint8_t, uint8_t, expression) \
  LOOP(name##_f32, float, float, uint8_t, expression) \
  LOOP(name##_f64, double, double, uint8_t, expression) \
  LOOP(name##_i64, int64_t, int64_t, uint8_t, expression) \
  LOOP(name##_u64, uint64_t, uint64_t, uint8_t, expression)

/* ---- 64-bit integers saturate -------------------------------------------- */

static inline int64_t limit_i64(bool is_negative) {
  return is_negative ? INT64_MIN : INT64_MAX;
}

static inline int64_t add_i64_one(int64_t x, int64_t y) {
  int64_t result;
  return __builtin_add_overflow(x, y, &result) ? limit_i64(x < 0) : result;
}

static inline int64_t sub_i64_one(int64_t x, int64_t y) {
  int64_t result;
  return __builtin_sub_overflow(x, y, &result) ? limit_i64(x < 0) : result;
}

static inline int64_t mul_i64_one(int64_t x, int64_t y) {
  int64_t result;
  return __builtin_mul_overflow(x, y, &result) ? limit_i64((x < 0) != (y < 0))
                                               : result;
}

static inline uint64_t add_u64_one(uint64_t x, uint64_t y) {
  return x + y < x ? UINT64_MAX : x + y;
}

static inline uint64_t mul_u64_one(uint64_t x, uint64_t y) {
  uint64_t result;
  return __builtin_mul_overflow(x, y, &result) ? UINT64_MAX : result;
}

/* To nearest, ties to even. */
static inline uint64_t div_u64_one(uint64_t x, uint64_t y) {
  if (y == 0) return x == 0 ? 0 : UINT64_MAX;
  const uint64_t quotient = x / y;
  const uint64_t rest = x % y;
  const uint64_t other = y - rest;
  return quotient + (rest > other || (rest == other && quotient % 2 == 1));
}

static inline int64_t div_i64_one(int64_t x, int64_t y) {
  const bool is_negative = (x < 0) != (y < 0);
  if (y == 0) return x == 0 ? 0 : limit_i64(x < 0);
  const uint64_t result = div_u64_one(x < 0 ? 0 - (uint64_t)x : (uint64_t)x,
                                      y < 0 ? 0 - (uint64_t)y : (uint64_t)y);
  if (is_negative) return (int64_t)(0 - result);
  return result > INT64_MAX ? INT64_MAX : (int64_t)result;
}

/* In floats, which the compiler can vectorise. */
static inline int32_t div_u8_one(uint8_t x, uint8_t y) {
  const float quotient = (float)x / (float)y; /* NaN for 0 / 0 */
  const float bounded = quotient < UINT8_MAX ? quotient : UINT8_MAX;
  const float result = x == 0 ? 0 : bounded;
  return (int32_t)((result + 0x1.8p23F) - 0x1.8p23F);
}

/* ---- The loops ----------------------------------------------------------- */

ARITHMETIC(add, x + y, add_i64_one(x, y), add_u64_one(x, y),
           (uint8_t)(x + y) < x ? UINT8_MAX : x + y)
ARITHMETIC(sub, x - y, sub_i64_one(x, y), x < y ? 0 : x - y, x < y ? 0 : x - y)
ARITHMETIC(mul, x *y, mul_i64_one(x, y), mul_u64_one(x, y),
           x *y > UINT8_MAX ? UINT8_MAX : x * y)
ARITHMETIC(div, x / y, div_i64_one(x, y), div_u64_one(x, y), div_u8_one(x, y))
/* A NaN stays. */
#define CLAMP (x < y ? y : (x > z ? z : x))
ARITHMETIC(clamp, CLAMP, CLAMP, CLAMP, CLAMP)
TEST(eq, x == y)
TEST(lt, x < y)
TEST(gt, x > y)
LOOP(where_8, uint8_t, uint8_t, uint8_t, x != 0 ? y : z)
LOOP(where_16, uint8_t, uint16_t, uint16_t, x != 0 ? y : z)
LOOP(where_32, uint8_t, uint32_t, uint32_t, x != 0 ? y : z)
LOOP(where_64, uint8_t, uint64_t, uint64_t, x != 0 ? y : z)

/* ---- Operands ------------------------------------------------------------ */

/* A call of an operation: its operands, and its result. */
typedef struct call {
  const char *name;
  neap__operand operands[3];
  int32_t count; /* of operands */
  neap_tensor *to;
  const neap__dtype *type; /* of the result */
  neap__kind kind;         /* of the result; NEAP__RAW for tests */
} call;

/* (Zeroing all of it would take longer than a small tensor.) */
static void begin(call *self, const char *name, int32_t count,
                  neap_tensor *to) {
  self->name = name;
  self->count = count;
  self->to = to;
  self->type = NULL;
  self->kind = NEAP__RAW;
}

static bool is_number(const neap_tensor *tensor) {
  return tensor->ndim == 0 && tensor->code == NEAP_FLOAT && tensor->bits == 64;
}

static double number_of(const neap_tensor *tensor) {
  double number;
  memcpy(&number, neap__tensor_data(tensor), sizeof number);
  return number;
}

/* Whether a number is one of the dtype's, so that integers suffice. */
static bool is_held(const neap__dtype *type, const neap_tensor *other) {
  if (other == NULL || !is_number(other)) return true;
  const double x = number_of(other);
  return x >= type->least && x < type->limit && x == rint(x);
}

static neap__kind kind_with(const neap__dtype *type, const neap_tensor *b,
                            const neap_tensor *c) {
  const neap__kind kind = neap__kind_of(type);
  const bool is_integer = is_held(type, b) && is_held(type, c);
  if (kind == NEAP__I64 || kind == NEAP__U64)
    return is_integer ? kind : NEAP__F64;
  return is_integer && neap__kind_is_direct(NEAP__U8, type) ? NEAP__U8 : kind;
}

/* The last dimension of that size, from 1, or 0. */
static int32_t dimension_of(const neap_tensor *shape, int64_t size) {
  int32_t k = shape->ndim;
  while (k > 0 && shape->shape[k - 1] != size)
    k--;
  return k;
}

static int refuse_shape(const char *name, const neap_tensor *shape,
                        const neap_tensor *other, int32_t k,
                        neap_error *error) {
  neap__text text, other_text;
  char help[80] = "";
  const int32_t dim =
      other->ndim == 1 ? dimension_of(shape, other->shape[0]) : 0;
  if (dim > 0)
    snprintf(help, sizeof help,
             "\nhelp: name the dimension that it belongs to: dim = %d", dim);
  return neap__error_set(
      error, NEAP_EINVAL, 0,
      "cannot %s: argument #%d is %s, the tensor is %s: its sizes must be the "
      "tensor's or 1, counted from the last dimension%s",
      name, k, neap__tensor_text(other, &other_text),
      neap__tensor_text(shape, &text), help);
}

static int refuse_dtype(const char *name, const neap__dtype *type,
                        const neap_tensor *shape, const neap_tensor *other,
                        int32_t k, neap_error *error) {
  neap__text text, other_text;
  return neap__error_set(error, NEAP_EINVAL, 0,
                         "cannot %s: argument #%d is %s, the tensor is %s: "
                         "they must be of one dtype\n"
                         "help: convert one of them: t:to(\"%s\")",
                         name, k, neap__tensor_text(other, &other_text),
                         neap__tensor_text(shape, &text), type->name);
}

/* Sets operand k: a tensor of that dtype, or a number (a scalar of f64). */
static int set_operand(call *self, int32_t k, const neap_tensor *tensor,
                       const neap__dtype *type, neap__kind kind,
                       const neap_tensor *shape, neap_error *error) {
  const neap__dtype *own;
  int rc;
  if ((rc = neap__dtype_find(tensor, &own, error)) != NEAP_OK) return rc;
  if (own != type && is_number(tensor)) {
    neap__operand_init_number(&self->operands[k], type, kind,
                              number_of(tensor));
    return NEAP_OK;
  }
  if (own != type)
    return refuse_dtype(self->name, type, shape, tensor, k, error);
  if (!neap__operand_init(&self->operands[k], tensor, type, kind, shape))
    return refuse_shape(self->name, shape, tensor, k, error);
  const int64_t nbytes = neap_tensor_nbytes(tensor);
  const int64_t to_nbytes = neap_tensor_nbytes(self->to);
  const char *to = neap__tensor_data(self->to);
  const bool is_same = self->operands[k].is_whole &&
                       to == self->operands[k].data && nbytes == to_nbytes;
  if (!is_same && neap__overlap(self->operands[k].data, nbytes, to, to_nbytes))
    return neap__error_set(error, NEAP_EINVAL, 0,
                           "cannot %s: the result would overwrite a part of "
                           "what is read",
                           self->name);
  return NEAP_OK;
}

static int set_result(call *self, uint8_t code, uint8_t bits,
                      const neap_tensor *shape, neap_error *error) {
  const neap_tensor *to = self->to;
  neap_tensor wanted = *shape;
  neap__text text, to_text;
  bool is_fine = to->code == code && to->bits == bits && to->lanes == 1 &&
                 to->ndim == shape->ndim;
  for (int32_t k = 0; is_fine && k < to->ndim; k++)
    is_fine = to->shape[k] == shape->shape[k];
  if (is_fine) return neap__dtype_find(to, &self->type, error);
  wanted.code = code;
  wanted.bits = bits;
  return neap__error_set(error, NEAP_EINVAL, 0,
                         "cannot %s: the result is %s, and out is %s",
                         self->name, neap__tensor_text(&wanted, &text),
                         neap__tensor_text(to, &to_text));
}

/* Whether all operands but the first are the same for all elements. */
static bool are_numbers(const call *self) {
  bool are = true;
  for (int32_t k = 1; k < self->count; k++)
    are = are && self->operands[k].period == 1;
  return are;
}

/*
 * Elements of a block: all of them, if nothing is loaded, stored or stretched.
 * Else a multiple of the first period above 1.
 */
static int64_t block_of(const call *self, bool is_direct, int64_t count) {
  const int32_t read = are_numbers(self) ? 1 : self->count;
  const int64_t most =
      NEAP__BLOCK_BYTES / neap__operand_size(&self->operands[1]);
  for (int32_t k = 0; k < self->count; k++) {
    const neap__operand *operand = &self->operands[k];
    if (operand->period > 1) return most / operand->period * operand->period;
    if (k < read)
      is_direct = is_direct && operand->is_whole && operand->is_direct;
  }
  return is_direct ? count : most;
}

static void store(const call *self, const void *from, char *to, int64_t count) {
  if (self->kind == NEAP__F32)
    neap__dtype_store_floats(self->type, from, to, count);
  else
    self->type->store(from, to, count);
}

static void run(call *self, kernel *loop) {
  _Alignas(64) char buffer[NEAP__BLOCK_BYTES];
  const int64_t count = neap_tensor_count(self->to);
  const int64_t size = self->type->bits / 8;
  const bool is_direct = neap__kind_is_direct(self->kind, self->type);
  const int64_t block = block_of(self, is_direct, count);
  const bool numbers = are_numbers(self);
  const void *from[3];
  for (int32_t k = 0; k < self->count; k++)
    neap__operand_settle(&self->operands[k], block);
  for (int64_t first = 0, part; first < count; first += part) {
    part = count - first < block ? count - first : block;
    for (int32_t k = 0; k < self->count; k++)
      from[k] = neap__operand_block(&self->operands[k], first,
                                    k > 0 && numbers ? 1 : part);
    if (self->count == 2) from[2] = from[1];
    char *const to = neap__tensor_data(self->to) + first * size;
    loop(from[0], from[1], from[2], numbers, is_direct ? to : buffer, part);
    if (!is_direct) store(self, buffer, to, part);
  }
}

/* ---- Operations ---------------------------------------------------------- */

typedef struct operation {
  const char *name;
  bool is_test; /* the result is a bool */
  kernel *kernels[NEAP__KINDS];
} operation;

static int operate(const operation *op, const neap_tensor *a,
                   const neap_tensor *b, const neap_tensor *c, neap_tensor *to,
                   neap_error *error) {
  call self;
  const neap_tensor *tensors[] = {a, b, c};
  const neap__dtype *type;
  int rc;
  begin(&self, op->name, c == NULL ? 2 : 3, to);
  if ((rc = neap__dtype_find(a, &type, error)) != NEAP_OK) return rc;
  if (type->code == NEAP_BOOL && !op->is_test)
    return neap__error_set(error, NEAP_EINVAL, 0,
                           "cannot %s: the tensor is of dtype bool\n"
                           "help: convert it: t:to(\"u8\")",
                           op->name);
  rc = set_result(&self, op->is_test ? NEAP_BOOL : a->code,
                  op->is_test ? 8 : a->bits, a, error);
  if (rc != NEAP_OK) return rc;
  const neap__kind kind = kind_with(type, b, c);
  self.kind = op->is_test ? NEAP__RAW : kind;
  for (int32_t k = 0; k < self.count; k++) {
    rc = set_operand(&self, k, tensors[k], type, kind, a, error);
    if (rc != NEAP_OK) return rc;
  }
  run(&self, op->kernels[kind]);
  return NEAP_OK;
}

#define BINARY(name, is_test) \
  int neap_tensor_##name(const neap_tensor *a, const neap_tensor *b, \
                         neap_tensor *to, neap_error *error) { \
    static const operation op = {#name, is_test, KERNELS(name)}; \
    return operate(&op, a, b, NULL, to, error); \
  }

BINARY(add, false)
BINARY(sub, false)
BINARY(mul, false)
BINARY(div, false)
BINARY(eq, true)
BINARY(lt, true)
BINARY(gt, true)

int neap_tensor_clamp(const neap_tensor *a, const neap_tensor *low,
                      const neap_tensor *high, neap_tensor *to,
                      neap_error *error) {
  static const operation op = {"clamp", false, KERNELS(clamp)};
  return operate(&op, a, low, high, to, error);
}

static kernel *where_of(int bits) {
  switch (bits) {
  case 8: return where_8;
  case 16: return where_16;
  case 32: return where_32;
  default: return where_64;
  }
}

int neap_tensor_where(const neap_tensor *condition, const neap_tensor *a,
                      const neap_tensor *b, neap_tensor *to,
                      neap_error *error) {
  call self;
  const neap__dtype *type;
  int rc;
  begin(&self, "where", 3, to);
  if ((rc = neap__dtype_find(condition, &type, error)) != NEAP_OK) return rc;
  if (type->code != NEAP_BOOL)
    return neap__error_set(error, NEAP_EINVAL, 0,
                           "cannot where: the tensor is of dtype %s, not bool",
                           type->name);
  if ((rc = set_result(&self, to->code, to->bits, condition, error)) !=
          NEAP_OK ||
      (rc = set_operand(&self, 0, condition, type, NEAP__RAW, condition,
                        error)) != NEAP_OK ||
      (rc = set_operand(&self, 1, a, self.type, NEAP__RAW, condition, error)) !=
          NEAP_OK ||
      (rc = set_operand(&self, 2, b, self.type, NEAP__RAW, condition, error)) !=
          NEAP_OK)
    return rc;
  run(&self, where_of(to->bits));
  return NEAP_OK;
}
