/* SPDX-License-Identifier: MIT */
/*
 * A function of numbers, called for each element of tensors. Blocks of elements
 * are converted to the parameters' types. The commonest types have a loop in C;
 * others go through libffi, element by element.
 */
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "chain/cell.h"
#include "chain/native.h"
#include "tensor/dtype.h"

enum { BLOCK = 256, TENSORS_MAX = NEAP__PARAMETERS_MAX };

/* ---- Loops --------------------------------------------------------------- */

#define LOOPS(type) \
  static void loop_1_##type(neap__function function, \
                            const neap__operands *from, void *to, \
                            int64_t count) { \
    type (*const f)(type) = (type(*)(type))function; \
    const type *a = from->at[0]; \
    const int64_t step = from->step[0]; \
    for (int64_t k = 0; k < count; k++) \
      ((type *)to)[k] = f(a[k * step]); \
  } \
  static void loop_2_##type(neap__function function, \
                            const neap__operands *from, void *to, \
                            int64_t count) { \
    type (*const f)(type, type) = (type(*)(type, type))function; \
    const type *a = from->at[0], *b = from->at[1]; \
    const int64_t a_step = from->step[0], b_step = from->step[1]; \
    for (int64_t k = 0; k < count; k++) \
      ((type *)to)[k] = f(a[k * a_step], b[k * b_step]); \
  } \
  static void loop_3_##type(neap__function function, \
                            const neap__operands *from, void *to, \
                            int64_t count) { \
    type (*const f)(type, type, type) = (type(*)(type, type, type))function; \
    const type *a = from->at[0], *b = from->at[1], *c = from->at[2]; \
    const int64_t a_step = from->step[0], b_step = from->step[1]; \
    const int64_t c_step = from->step[2]; \
    for (int64_t k = 0; k < count; k++) \
      ((type *)to)[k] = f(a[k * a_step], b[k * b_step], c[k * c_step]); \
  }
LOOPS(double)
LOOPS(float)
LOOPS(int)

static bool is_same(const neap__ctype *a, const neap__ctype *b) {
  return a->kind == b->kind && a->size == b->size;
}

neap__loop *neap__elements_loop(const neap__declaration *declaration) {
  static neap__loop *const loops[][3] = {
      {loop_1_double, loop_2_double, loop_3_double},
      {loop_1_float, loop_2_float, loop_3_float},
      {loop_1_int, loop_2_int, loop_3_int},
  };
  const neap__ctype *type = declaration->result;
  const int count = declaration->parameter_count;
  if (count < 1 || count > 3) return NULL;
  for (int k = 0; k < count; k++)
    if (!is_same(declaration->parameters[k].type, type)) return NULL;
  if (type->kind == NEAP__FLOATING)
    return loops[type->size == sizeof(double) ? 0 : 1][count - 1];
  return type->kind == NEAP__SIGNED && type->size == sizeof(int)
             ? loops[2][count - 1]
             : NULL;
}

/* ---- Plans --------------------------------------------------------------- */

static bool is_operand(const neap__step *step, const neap_part *fields) {
  return step->what == NEAP__ITEM && fields[step->field].type == NEAP_TENSOR;
}

bool neap__elements_are_meant(const neap_native *native,
                              const neap_part *fields, int32_t *field) {
  const neap__bound *bound = &native->bound;
  for (int32_t k = 0; k < bound->step_count; k++) {
    if (!is_operand(&bound->steps[k], fields)) continue;
    *field = bound->steps[k].field;
    return true;
  }
  return false;
}

static int check_shapes(const neap_native *native, const neap_part *fields,
                        const neap_part *like, neap_error *error) {
  const neap__bound *bound = &native->bound;
  for (int32_t k = 0; k < bound->step_count; k++) {
    if (!is_operand(&bound->steps[k], fields)) continue;
    const neap_part *part = &fields[bound->steps[k].field];
    bool is_equal = part->ndim == like->ndim;
    for (int i = 0; is_equal && i < like->ndim; i++)
      is_equal = part->shape[i] == like->shape[i];
    if (!is_equal)
      return neap__error_set(error, NEAP_EINVAL, 0,
                             "cannot call %s for each element: the tensors "
                             "have different shapes",
                             bound->text);
  }
  return NEAP_OK;
}

int neap__elements_plan(const neap_native *native, const neap_part *fields,
                        int32_t field, neap_part *result, neap_error *error) {
  const neap__bound *bound = &native->bound;
  const neap__ctype *type = bound->results[0].type;
  const neap_part *like = &fields[field];
  if (bound->output_count > 0 || bound->result_count != 1 || type == NULL ||
      !neap__ctype_is_scalar(type))
    return neap__error_set(
        error, NEAP_EINVAL, 0,
        "cannot call %s for each element of a tensor: it returns no number\n"
        "help: bind a pointer to \"data\" to pass all elements at once",
        bound->text);
  *result = (neap_part){.type = NEAP_TENSOR, .ndim = like->ndim};
  neap__cell_dtype(type, &result->code, &result->bits);
  memcpy(result->shape, like->shape, sizeof result->shape);
  result->count = like->count;
  result->nbytes = result->count * (result->bits / 8);
  return check_shapes(native, fields, like, error);
}

/* ---- Blocks -------------------------------------------------------------- */

typedef struct operand {
  const neap__step *step;
  const neap_part *part;
  const neap__dtype *dtype;
  bool is_as_is;           /* elements have the parameter's type */
  const char *at;          /* of this block, in that type */
  double converted[BLOCK]; /* room for any type */
} operand;

static int find_operand(operand *o, const neap__step *step,
                        const neap_part *part, neap_error *error) {
  const neap_tensor tensor = {
      .code = part->code, .bits = part->bits, .lanes = 1};
  uint8_t code, bits;
  o->step = step;
  o->part = part;
  neap__cell_dtype(step->type, &code, &bits);
  o->is_as_is = code == part->code && bits == part->bits;
  return neap__dtype_find(&tensor, &o->dtype, error);
}

/* Numbers as they are loaded, one by one: the first that does not fit. */
static int64_t store_checked(const operand *o, const double *numbers,
                             const int64_t *integers, char *to, int64_t count) {
  const neap__ctype *type = o->step->type;
  const bool is_u64 = o->dtype->code == NEAP_UINT && o->dtype->bits == 64;
  for (int64_t k = 0; k < count; k++, to += type->size) {
    bool is_fine;
    if (numbers != NULL)
      is_fine = neap__cell_put_number(type, to, numbers[k]);
    else if (is_u64)
      is_fine = neap__cell_put_unsigned(type, to, (uint64_t)integers[k]);
    else
      is_fine = neap__cell_put_integer(type, to, integers[k]);
    if (!is_fine) return k;
  }
  return -1;
}

/* Integers from integers keep all bits; all else goes by doubles. */
static int64_t convert_checked(operand *o, const char *from, int64_t count) {
  double numbers[BLOCK];
  int64_t integers[BLOCK];
  char *to = (char *)o->converted;
  if (!neap__dtype_is_integer(o->dtype)) {
    o->dtype->load(from, numbers, count);
    return store_checked(o, numbers, NULL, to, count);
  }
  if (o->dtype->bits == 64)
    memcpy(integers, from, (size_t)count * sizeof *integers);
  else
    o->dtype->load_integer(from, integers, count);
  return store_checked(o, NULL, integers, to, count);
}

static int64_t convert(operand *o, int64_t first, int64_t count) {
  const neap__ctype *type = o->step->type;
  const char *from = (const char *)o->part->data + first * (o->part->bits / 8);
  o->at = o->is_as_is ? from : (const char *)o->converted;
  if (o->is_as_is) return -1;
  if (type->kind != NEAP__FLOATING) return convert_checked(o, from, count);
  if (type->size == sizeof(float))
    neap__dtype_load_floats(o->dtype, from, (float *)(void *)o->converted,
                            count);
  else
    o->dtype->load(from, o->converted, count);
  return -1;
}

static int fail_element(const neap_native *native, const operand *o,
                        int64_t element, neap_error *error) {
  neap__ctype_text text = {0};
  double value = 0;
  o->dtype->load((const char *)o->part->data + element * (o->part->bits / 8),
                 &value, 1);
  return neap__error_set(
      error, NEAP_EINVAL, 0,
      "cannot call %s: '%s' (%s) cannot hold %.17g, element %lld of the tensor",
      native->bound.text, o->step->path,
      neap__ctype_print(o->step->parameter, &text), value,
      (long long)element + 1);
}

/* ---- Calls --------------------------------------------------------------- */

static void call_by_libffi(neap_native *native, const operand *operands,
                           int count, char *to, int64_t elements) {
  neap__prepared *p = &native->prepared;
  const size_t size = p->declaration->result->size;
  for (int64_t k = 0; k < elements; k++, to += size) {
    for (int n = 0; n < count; n++) {
      const size_t step = operands[n].step->type->size;
      memcpy(operands[n].step->cell, operands[n].at + (size_t)k * step, step);
    }
    neap__prepared_call(p);
    memcpy(to, p->result, size);
  }
}

/* Parameters that are no operands keep what their cells have. */
static void call_by_loop(neap_native *native, const operand *operands,
                         int count, char *to, int64_t elements) {
  const neap__prepared *p = &native->prepared;
  neap__operands from = {0};
  for (int k = 0; k < p->declaration->parameter_count; k++) {
    from.at[k] = p->values[k];
    for (int n = 0; n < count; n++) {
      if (operands[n].step->cell != p->values[k]) continue;
      from.at[k] = operands[n].at;
      from.step[k] = 1;
    }
  }
  native->loop(p->function, &from, to, elements);
}

static int call_blocks(neap_native *native, operand *operands, int count,
                       neap_part *result, neap_error *error) {
  char *to = result->data;
  for (int64_t done = 0, part; done < result->count; done += part) {
    part = result->count - done < BLOCK ? result->count - done : BLOCK;
    for (int n = 0; n < count; n++) {
      const int64_t wrong = convert(&operands[n], done, part);
      if (wrong >= 0)
        return fail_element(native, &operands[n], done + wrong, error);
    }
    neap__native_enter(native);
    (native->loop != NULL ? call_by_loop : call_by_libffi)(
        native, operands, count, to + done * (result->bits / 8), part);
    neap__native_leave(native);
  }
  return NEAP_OK;
}

int neap__elements_call(neap_native *native, const neap_part *fields,
                        neap_part *result, neap_error *error) {
  operand operands[4];
  const neap__bound *bound = &native->bound;
  int count = 0;
  for (int32_t k = 0; k < bound->step_count; k++) {
    const neap__step *step = &bound->steps[k];
    if (!is_operand(step, fields)) continue;
    if (count == (int)(sizeof operands / sizeof operands[0]))
      return neap__error_set(error, NEAP_EINVAL, 0,
                             "cannot call %s for each element: more than 4 "
                             "tensors",
                             bound->text);
    const int rc =
        find_operand(&operands[count++], step, &fields[step->field], error);
    if (rc != NEAP_OK) return rc;
  }
  return call_blocks(native, operands, count, result, error);
}
