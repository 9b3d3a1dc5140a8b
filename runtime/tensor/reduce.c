/* SPDX-License-Identifier: MIT */
/*
 * Reductions over all elements or one dimension: sums, spreads, least and
 * greatest elements and their places.
 *
 * A tensor is outer x n x inner, of which n is reduced. Rows of `inner`
 * elements are read by blocks of as many as fit a buffer, and a block is
 * reduced lane by lane; at the end, the rows of lanes are. So the compiler can
 * vectorise each loop, whatever the shape, the result does not depend on the
 * width of vectors, and sums of floats lose little.
 */
#pragma GCC optimize("O3", "no-trapping-math")

#include "neap_lua.h"

#include <math.h>
#include <string.h>

#include "base/error.h"
#include "tensor/dtype.h"
#include "tensor/operand.h"
#include "tensor/vector.h"

__extension__ typedef __int128 wide; /* a sum of 64-bit integers */

/* ---- Loops --------------------------------------------------------------- */

/* lanes[k] = lanes[k] with x[k]; `mean` is what STD subtracts. */
typedef void fold(void *lanes, const void *x, const double *mean,
                  int64_t count);

#define FOLD(name, type, expression) \
  NEAP__VECTOR static void name(void *lanes, const void *from, \
                                const double *mean, int64_t count) { \
    type *const restrict p = lanes; \
    const type *const restrict q = from; \
    (void)mean; \
    for (int64_t k = 0; k < count; k++) { \
      const type a = p[k]; \
      const type x = q[k]; \
      p[k] = expression; \
    } \
  }

FOLD(add_f64, double, a + x)
FOLD(add_i64, int64_t, a + x)
FOLD(spread_f64, double, a + (x - mean[k]) * (x - mean[k]))
/* A NaN wins, and stays. */
FOLD(max_f32, float, x > a || x != x ? x : a)
FOLD(max_f64, double, x > a || x != x ? x : a)
FOLD(max_i64, int64_t, x > a ? x : a)
FOLD(max_u64, uint64_t, x > a ? x : a)
FOLD(min_f32, float, x < a || x != x ? x : a)
FOLD(min_f64, double, x < a || x != x ? x : a)
FOLD(min_i64, int64_t, x < a ? x : a)
FOLD(min_u64, uint64_t, x < a ? x : a)

enum { LANES = 64, ROWS = 256 }; /* 256 bytes fit a sum of 16 bits */

/* 0.07 ns a byte, where a loop over one sum takes 0.3. */
NEAP__VECTOR static int64_t sum_bytes(const uint8_t *from, int64_t count) {
  int64_t total = 0;
  while (count >= LANES) {
    uint16_t lanes[LANES] = {0};
    const int64_t rows = count / LANES < ROWS ? count / LANES : ROWS;
    for (int64_t row = 0; row < rows; row++, from += LANES)
      for (int k = 0; k < LANES; k++)
        lanes[k] = (uint16_t)(lanes[k] + from[k]);
    for (int k = 0; k < LANES; k++)
      total += lanes[k];
    count -= rows * LANES;
  }
  for (int64_t k = 0; k < count; k++)
    total += from[k];
  return total;
}

/* ---- Walking ------------------------------------------------------------- */

typedef struct shape {
  int64_t outer;
  int64_t n;
  int64_t inner;
} shape;

static shape shape_of(const neap_tensor *tensor, int32_t dim) {
  shape s = {1, 1, 1};
  if (dim < 0) {
    s.n = neap_tensor_count(tensor);
    return s;
  }
  for (int32_t k = 0; k < tensor->ndim; k++)
    *(k < dim ? &s.outer : (k == dim ? &s.n : &s.inner)) *= tensor->shape[k];
  return s;
}

static int64_t least(int64_t a, int64_t b) {
  return a < b ? a : b;
}

/* How the elements of a reduction are read and folded. */
typedef struct reduction {
  const neap__dtype *type;
  bool is_integer;     /* read through load_integer, whatever the kind */
  neap__kind kind;     /* what lanes are */
  fold *step;          /* a block into lanes */
  fold *last;          /* lanes into lanes */
  const double *means; /* of all results, for STD; or NULL */
} reduction;

typedef struct buffers {
  _Alignas(64) char block[NEAP__BLOCK * sizeof(double)];
  _Alignas(64) char lanes[NEAP__BLOCK * sizeof(double)];
  _Alignas(64) double means[NEAP__BLOCK];
} buffers;

static const void *load(const reduction *r, const char *from, int64_t count,
                        buffers *b) {
  if (r->is_integer)
    r->type->load_integer(from, (int64_t *)b->block, count);
  else if (neap__kind_is_direct(r->kind, r->type))
    return from;
  else if (r->kind == NEAP__F32)
    neap__dtype_load_floats(r->type, from, (float *)b->block, count);
  else
    r->type->load(from, (double *)b->block, count);
  return b->block;
}

static int64_t lane_size(const reduction *r) {
  return r->kind == NEAP__F32 ? sizeof(float) : sizeof(double);
}

/*
 * Reduces n rows of `width` elements, `stride` elements apart; width is at most
 * a block, and below stride only if one row is read at a time. The result is
 * the first `width` lanes. Sums begin at 0, others with the first rows.
 */
static void reduce_rows(const reduction *r, const char *from, int64_t n,
                        int64_t width, int64_t stride, buffers *b) {
  const int64_t size = r->type->bits / 8;
  const int64_t rows =
      width == stride ? least(n, NEAP__BLOCK / width) : least(n, 1);
  const bool is_sum = r->last == add_f64 || r->last == add_i64;
  int64_t row = 0;
  if (is_sum) {
    memset(b->lanes, 0, sizeof b->lanes);
  } else if (n > 0) {
    const void *first = load(r, from, rows * width, b);
    memcpy(b->lanes, first, (size_t)(rows * width * lane_size(r)));
    row = rows;
  }
  for (int64_t part; row < n; row += part) {
    part = least(rows, n - row);
    r->step(b->lanes, load(r, from + row * stride * size, part * width, b),
            b->means, part * width);
  }
  for (int64_t k = 1; k < rows; k++)
    r->last(b->lanes, b->lanes + k * width * lane_size(r), NULL, width);
}

/* Takes `width` results, which are the first lanes. */
typedef void finish(const void *lanes, int64_t first, int64_t width,
                    const shape *s, neap_tensor *to);

/* The means of the results from `first` on, for each row of a block. */
static void repeat_means(const double *means, int64_t first, int64_t width,
                         double *to) {
  for (int64_t row = 0; row < NEAP__BLOCK / width; row++)
    memcpy(to + row * width, means + first, (size_t)width * sizeof *to);
}

static void reduce(const reduction *r, const neap_tensor *from, const shape *s,
                   finish *end, neap_tensor *to) {
  buffers b;
  const int64_t size = r->type->bits / 8;
  const char *const data = neap__tensor_data(from);
  for (int64_t outer = 0; outer < s->outer; outer++) {
    for (int64_t k = 0, width; k < s->inner; k += width) {
      width = least(s->inner - k, NEAP__BLOCK);
      const int64_t first = outer * s->inner + k;
      if (r->means != NULL) repeat_means(r->means, first, width, b.means);
      reduce_rows(r, data + (outer * s->n * s->inner + k) * size, s->n, width,
                  s->inner, &b);
      end(b.lanes, first, width, s, to);
    }
  }
}

/* ---- Checks -------------------------------------------------------------- */

static int check(const char *name, const neap_tensor *from, int32_t dim,
                 const neap_tensor *to, uint8_t code, uint8_t bits,
                 neap_error *error) {
  neap__text text, to_text;
  int64_t sizes[NEAP_DIMS_MAX];
  neap_tensor wanted = {.code = code, .bits = bits, .lanes = 1, .shape = sizes};
  NEAP_ASSERT(dim >= -1 && dim < from->ndim);
  for (int32_t k = 0; dim >= 0 && k < from->ndim; k++)
    if (k != dim) sizes[wanted.ndim++] = from->shape[k];
  bool is_fine =
      to->code == code && to->bits == bits && to->ndim == wanted.ndim;
  for (int32_t k = 0; is_fine && k < to->ndim; k++)
    is_fine = to->shape[k] == sizes[k];
  if (!is_fine)
    return neap__error_set(error, NEAP_EINVAL, 0,
                           "cannot %s: the result is %s, and out is %s", name,
                           neap__tensor_text(&wanted, &text),
                           neap__tensor_text(to, &to_text));
  if (neap__overlap(neap__tensor_data(from), neap_tensor_nbytes(from),
                    neap__tensor_data(to), neap_tensor_nbytes(to)))
    return neap__error_set(error, NEAP_EINVAL, 0,
                           "cannot %s: the result would overwrite a part of "
                           "what is read",
                           name);
  return NEAP_OK;
}

static bool is_wide(const neap__dtype *type) {
  return neap__dtype_is_integer(type) && type->bits == 64;
}

/* ---- Sums ---------------------------------------------------------------- */

static void finish_copy(const void *lanes, int64_t first, int64_t width,
                        const shape *s, neap_tensor *to) {
  (void)s;
  memcpy(neap__tensor_data(to) + first * (int64_t)sizeof(double), lanes,
         (size_t)width * sizeof(double));
}

static void sum_rows_of_bytes(const neap_tensor *from, const shape *s,
                              neap_tensor *to) {
  const uint8_t *data = (const uint8_t *)neap__tensor_data(from);
  int64_t *sums = (int64_t *)(void *)neap__tensor_data(to);
  for (int64_t k = 0; k < s->outer; k++)
    sums[k] = sum_bytes(data + k * s->n, s->n);
}

static wide sum_wide(const neap_tensor *from, const shape *s, int64_t outer,
                     int64_t inner) {
  const int64_t *p = (const void *)neap__tensor_data(from);
  wide total = 0;
  p += outer * s->n * s->inner + inner;
  for (int64_t k = 0; k < s->n; k++)
    total += from->code == NEAP_INT ? (wide)p[k * s->inner]
                                    : (wide)(uint64_t)p[k * s->inner];
  return total;
}

/* Sums of 64-bit integers: exact, then saturated, or divided for a mean. */
static void sum_all_wide(const neap_tensor *from, const shape *s,
                         neap_tensor *to) {
  char *const sums = neap__tensor_data(to);
  for (int64_t k = 0; k < s->outer * s->inner; k++) {
    wide total = sum_wide(from, s, k / s->inner, k % s->inner);
    if (to->code == NEAP_FLOAT) {
      ((double *)(void *)sums)[k] = (double)total / (double)s->n;
    } else if (to->code == NEAP_INT) {
      total = total < INT64_MIN ? INT64_MIN : total;
      ((int64_t *)(void *)sums)[k] =
          (int64_t)(total > INT64_MAX ? INT64_MAX : total);
    } else {
      ((uint64_t *)(void *)sums)[k] =
          (uint64_t)(total > UINT64_MAX ? UINT64_MAX : total);
    }
  }
}

int neap_tensor_sum(const neap_tensor *from, int32_t dim, neap_tensor *to,
                    neap_error *error) {
  reduction r = {.kind = NEAP__F64, .step = add_f64, .last = add_f64};
  const shape s = shape_of(from, dim);
  int rc;
  if ((rc = neap__dtype_find(from, &r.type, error)) != NEAP_OK) return rc;
  r.is_integer = neap__dtype_is_integer(r.type);
  const bool is_unsigned = is_wide(r.type) && r.type->code == NEAP_UINT;
  rc = check("sum", from, dim, to,
             is_unsigned ? NEAP_UINT : (r.is_integer ? NEAP_INT : NEAP_FLOAT),
             64, error);
  if (rc != NEAP_OK) return rc;
  if (is_wide(r.type)) {
    sum_all_wide(from, &s, to);
  } else if (r.type->bits == 8 && r.type->code != NEAP_INT && s.inner == 1) {
    sum_rows_of_bytes(from, &s, to);
  } else {
    if (r.is_integer) {
      r.kind = NEAP__I64;
      r.step = r.last = add_i64;
    }
    reduce(&r, from, &s, finish_copy, to);
  }
  return NEAP_OK;
}

/* ---- Means and spreads --------------------------------------------------- */

static void finish_mean(const void *lanes, int64_t first, int64_t width,
                        const shape *s, neap_tensor *to) {
  const double *sums = lanes;
  double *means = (double *)(void *)neap__tensor_data(to) + first;
  for (int64_t k = 0; k < width; k++)
    means[k] = sums[k] / (double)s->n;
}

static void finish_integer_mean(const void *lanes, int64_t first, int64_t width,
                                const shape *s, neap_tensor *to) {
  const int64_t *sums = lanes;
  double *means = (double *)(void *)neap__tensor_data(to) + first;
  for (int64_t k = 0; k < width; k++)
    means[k] = (double)sums[k] / (double)s->n;
}

static void finish_std(const void *lanes, int64_t first, int64_t width,
                       const shape *s, neap_tensor *to) {
  finish_mean(lanes, first, width, s, to);
  double *stds = (double *)(void *)neap__tensor_data(to) + first;
  for (int64_t k = 0; k < width; k++)
    stds[k] = sqrt(stds[k]);
}

static void compute_means(reduction *r, const neap_tensor *from, const shape *s,
                          neap_tensor *to) {
  if (is_wide(r->type)) {
    sum_all_wide(from, s, to);
  } else if (neap__dtype_is_integer(r->type)) {
    r->is_integer = true;
    r->kind = NEAP__I64;
    r->step = r->last = add_i64;
    if (s->inner == 1 && r->type->bits == 8 && r->type->code != NEAP_INT) {
      sum_rows_of_bytes(from, s, to);
      int64_t *sums = (int64_t *)(void *)neap__tensor_data(to);
      for (int64_t k = 0; k < s->outer; k++) {
        const int64_t sum = sums[k];
        finish_integer_mean(&sum, k, 1, s, to);
      }
    } else {
      reduce(r, from, s, finish_integer_mean, to);
    }
  } else {
    reduce(r, from, s, finish_mean, to);
  }
}

static int mean_or_std(const char *name, const neap_tensor *from, int32_t dim,
                       neap_tensor *to, neap_error *error) {
  reduction r = {.kind = NEAP__F64, .step = add_f64, .last = add_f64};
  const shape s = shape_of(from, dim);
  int rc;
  if ((rc = neap__dtype_find(from, &r.type, error)) != NEAP_OK ||
      (rc = check(name, from, dim, to, NEAP_FLOAT, 64, error)) != NEAP_OK)
    return rc;
  compute_means(&r, from, &s, to);
  return NEAP_OK;
}

int neap_tensor_mean(const neap_tensor *from, int32_t dim, neap_tensor *to,
                     neap_error *error) {
  return mean_or_std("mean", from, dim, to, error);
}

/* Of the whole population; the means are in `to`, and replaced one by one. */
int neap_tensor_std(const neap_tensor *from, int32_t dim, neap_tensor *to,
                    neap_error *error) {
  reduction r = {.kind = NEAP__F64, .step = spread_f64, .last = add_f64};
  const shape s = shape_of(from, dim);
  const int rc = mean_or_std("std", from, dim, to, error);
  if (rc != NEAP_OK) return rc;
  neap__dtype_find(from, &r.type, NULL);
  r.means = (const double *)(const void *)neap__tensor_data(to);
  reduce(&r, from, &s, finish_std, to);
  return NEAP_OK;
}

/* ---- Least and greatest -------------------------------------------------- */

static int refuse_empty(const char *name, const neap_tensor *from,
                        neap_error *error) {
  neap__text text;
  return neap__error_set(error, NEAP_EINVAL, 0,
                         "cannot %s: the tensor is %s: there is no element to "
                         "return",
                         name, neap__tensor_text(from, &text));
}

/* Values of the tensor itself: no store rounds them. */
static void finish_extreme(const void *lanes, int64_t first, int64_t width,
                           const shape *s, neap_tensor *to) {
  const neap__dtype *type;
  (void)s;
  if (neap__dtype_find(to, &type, NULL) != NEAP_OK) return;
  const neap__kind kind = neap__kind_of(type);
  char *const results = neap__tensor_data(to) + first * (type->bits / 8);
  if (neap__kind_is_direct(kind, type))
    memcpy(results, lanes, (size_t)(width * (type->bits / 8)));
  else if (kind == NEAP__F32)
    neap__dtype_store_floats(type, lanes, results, width);
  else
    type->store(lanes, results, width);
}

static int extreme(const char *name, fold *const *folds,
                   const neap_tensor *from, int32_t dim, neap_tensor *to,
                   neap_error *error) {
  reduction r = {0};
  const shape s = shape_of(from, dim);
  int rc;
  if ((rc = neap__dtype_find(from, &r.type, error)) != NEAP_OK ||
      (rc = check(name, from, dim, to, from->code, from->bits, error)) !=
          NEAP_OK)
    return rc;
  if (s.n == 0 && s.outer * s.inner > 0) return refuse_empty(name, from, error);
  r.kind = neap__kind_of(r.type);
  r.step = r.last = folds[r.kind];
  reduce(&r, from, &s, finish_extreme, to);
  return NEAP_OK;
}

static fold *const max_folds[] = {max_f32, max_f64, max_i64, max_u64};
static fold *const min_folds[] = {min_f32, min_f64, min_i64, min_u64};

int neap_tensor_max(const neap_tensor *from, int32_t dim, neap_tensor *to,
                    neap_error *error) {
  return extreme("max", max_folds, from, dim, to, error);
}

int neap_tensor_min(const neap_tensor *from, int32_t dim, neap_tensor *to,
                    neap_error *error) {
  return extreme("min", min_folds, from, dim, to, error);
}

/* ---- The place of the greatest ------------------------------------------- */

/* Whether element k of what was loaded is greater than lane `lane`; a NaN is
   greater than all but a NaN. */
#define IS_GREATER(type) \
  do { \
    const type x = ((const type *)from)[k]; \
    const type best = ((const type *)lanes)[lane]; \
    return x > best || (x != x && best == best); \
  } while (0)

static inline bool is_greater(neap__kind kind, const void *from, int64_t k,
                              const void *lanes, int64_t lane) {
  switch (kind) {
  case NEAP__F32: IS_GREATER(float);
  case NEAP__F64: IS_GREATER(double);
  case NEAP__I64: IS_GREATER(int64_t);
  case NEAP__U64: IS_GREATER(uint64_t);
  case NEAP__U8:
  case NEAP__RAW: break;
  }
  return false;
}

/* The place of each lane's first greatest element among n rows. */
static void find_greatest(const reduction *r, const char *from, int64_t n,
                          int64_t width, int64_t stride, buffers *b,
                          int64_t *places) {
  const int64_t size = r->type->bits / 8;
  const int64_t lane_bytes = lane_size(r);
  const int64_t rows = width == stride ? NEAP__BLOCK / width : 1;
  const char *block = NULL;
  for (int64_t row = 0; row < n; row++) {
    const int64_t k = row % rows * width; /* where the row is in its block */
    if (k == 0)
      block =
          load(r, from + row * stride * size, least(rows, n - row) * width, b);
    for (int64_t lane = 0; lane < width; lane++) {
      if (row > 0 && !is_greater(r->kind, block, k + lane, b->lanes, lane))
        continue;
      memcpy(b->lanes + lane * lane_bytes, block + (k + lane) * lane_bytes,
             (size_t)lane_bytes);
      places[lane] = row;
    }
  }
}

/* The same of one row of n elements: its greatest first, by vectors. */
static int64_t find_in_row(reduction *r, fold *max, const char *from, int64_t n,
                           buffers *b) {
  const int64_t size = r->type->bits / 8;
  _Alignas(double) char greatest[sizeof(double)];
  r->step = r->last = max;
  reduce_rows(r, from, n, 1, 1, b);
  memcpy(greatest, b->lanes, sizeof greatest);
  for (int64_t k = 0; k < n; k += NEAP__BLOCK) {
    const int64_t count = least(NEAP__BLOCK, n - k);
    const char *block = load(r, from + k * size, count, b);
    for (int64_t i = 0; i < count; i++)
      if (!is_greater(r->kind, greatest, 0, block, i)) return k + i;
  }
  return 0;
}

/* Places count from 1, as Lua counts. */
int neap_tensor_argmax(const neap_tensor *from, int32_t dim, neap_tensor *to,
                       neap_error *error) {
  reduction r = {0};
  const shape s = shape_of(from, dim);
  buffers b;
  int rc;
  if ((rc = neap__dtype_find(from, &r.type, error)) != NEAP_OK ||
      (rc = check("argmax", from, dim, to, NEAP_INT, 64, error)) != NEAP_OK)
    return rc;
  if (s.n == 0 && s.outer * s.inner > 0)
    return refuse_empty("argmax", from, error);
  r.kind = neap__kind_of(r.type);
  int64_t *places = (int64_t *)(void *)neap__tensor_data(to);
  const char *data = neap__tensor_data(from);
  for (int64_t k = 0; s.inner == 1 && k < s.outer; k++)
    places[k] = 1 + find_in_row(&r, max_folds[r.kind],
                                data + k * s.n * (r.type->bits / 8), s.n, &b);
  for (int64_t outer = 0; s.inner > 1 && outer < s.outer; outer++) {
    for (int64_t k = 0, width; k < s.inner; k += width, places += width) {
      width = least(s.inner - k, NEAP__BLOCK);
      find_greatest(&r, data + (outer * s.n * s.inner + k) * (r.type->bits / 8),
                    s.n, width, s.inner, &b, places);
      for (int64_t lane = 0; lane < width; lane++)
        places[lane]++;
    }
  }
  return NEAP_OK;
}
