/* SPDX-License-Identifier: MIT */
/*
 * What a native stage makes of an item. With one output, the result is that;
 * with several, each is a field that is named as its parameter; without, it is
 * the function's own value. A struct's members are fields.
 */
#include "chain/results.h"

#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "chain/cell.h"
#include "tensor/dtype.h"

/* ---- The list ------------------------------------------------------------ */

static int add(neap__bound *bound, const char *name, neap__result **out,
               neap_error *error) {
  if (bound->result_count == NEAP__RESULTS_MAX)
    return neap__error_set(error, NEAP_EINVAL, 0,
                           "cannot use %s: it has more than %d results",
                           bound->text, NEAP__RESULTS_MAX);
  *out = &bound->results[bound->result_count++];
  **out = (neap__result){.like = -1, .copy = -1};
  (*out)->name = neap__blocks_copy(bound->blocks, name, strlen(name));
  if ((*out)->name != NULL) return NEAP_OK;
  return neap__error_set(error, NEAP_EMEMORY, 0, "cannot open %s: no memory",
                         bound->text);
}

static void plan_tensor(neap_part *plan, uint8_t code, uint8_t bits) {
  plan->type = NEAP_TENSOR;
  plan->code = code;
  plan->bits = bits;
  plan->count = 1;
  for (int k = 0; k < plan->ndim; k++)
    plan->count *= plan->shape[k];
  plan->nbytes = plan->count * (bits / 8);
}

/* Whether a member can be a value: numbers, arrays of them, texts. */
static bool is_value(const neap__ctype *type) {
  switch (type->kind) {
  case NEAP__ARRAY: return neap__ctype_is_scalar(type->of);
  case NEAP__POINTER: return neap__ctype_is_text(type) && type->is_constant;
  default: return true;
  }
}

int neap__results_of_cell(neap__bound *bound, const char *name,
                          const neap__ctype *type, const void *cell,
                          neap_error *error) {
  neap__result *result;
  uint8_t code, bits;
  const int rc =
      add(bound, bound->output_count == 1 ? "" : name, &result, error);
  if (rc != NEAP_OK) return rc;
  result->type = type;
  result->cell = cell;
  switch (type->kind) {
  case NEAP__VOID: result->plan.type = NEAP_NIL; break;
  case NEAP__POINTER: result->plan.type = NEAP_STRING; break;
  case NEAP__ARRAY:
    result->plan.type = NEAP_STRING;
    if (type->of->is_char) break;
    neap__cell_dtype(type->of, &code, &bits);
    result->plan.ndim = 1;
    result->plan.shape[0] = (int64_t)type->count;
    plan_tensor(&result->plan, code, bits);
    break;
  default: result->plan.type = neap__cell_type(type);
  }
  return NEAP_OK;
}

static int add_members(neap__bound *bound, const char *prefix,
                       const neap__ctype *type, const char *cell,
                       neap_error *error);

static int add_member(neap__bound *bound, const char *name,
                      const neap__ctype *type, const char *cell,
                      neap_error *error) {
  const int32_t outputs = bound->output_count;
  if (type->kind == NEAP__STRUCT)
    return add_members(bound, name, type, cell, error);
  bound->output_count = 0; /* it keeps its name */
  const int rc = neap__results_of_cell(bound, name, type, cell, error);
  bound->output_count = outputs;
  return rc;
}

/* Pointers and other members that can be no value are left out. */
static int add_members(neap__bound *bound, const char *prefix,
                       const neap__ctype *type, const char *cell,
                       neap_error *error) {
  char name[256];
  for (size_t k = 0; k < type->member_count; k++) {
    const neap__member *member = &type->members[k];
    if (!is_value(member->type)) continue;
    snprintf(name, sizeof name, "%s%s%s", prefix, prefix[0] != '\0' ? "." : "",
             member->name);
    const int rc =
        add_member(bound, name, member->type, cell + member->offset, error);
    if (rc != NEAP_OK) return rc;
  }
  return NEAP_OK;
}

int neap__results_of_struct(neap__bound *bound, const neap__place *pointer,
                            neap_error *error) {
  return add_members(bound, bound->output_count == 1 ? "" : pointer->path,
                     pointer->type->of, pointer->pointee, error);
}

int neap__results_of_function(neap__bound *bound, neap_error *error) {
  const neap__prepared *p = bound->prepared;
  const neap__ctype *type = p->declaration->result;
  neap__ctype_text text = {0};
  if (type->kind == NEAP__STRUCT)
    return add_members(bound, "", type, p->result, error);
  if (is_value(type))
    return neap__results_of_cell(bound, "", type, p->result, error);
  return neap__error_set(
      error, NEAP_EINVAL, 0,
      "cannot use %s: its result, %s, is no value\nhelp: a text that is not to "
      "be freed is a const char *; data go to an output",
      bound->text, neap__ctype_print(type, &text));
}

/* ---- Tensors ------------------------------------------------------------- */

bool neap__pointer_takes(const neap__ctype *pointer, int code, int bits) {
  const neap__ctype *of = pointer->of;
  uint8_t of_code, of_bits;
  if (neap__ctype_is_bytes(pointer) || of->kind == NEAP__STRUCT) return true;
  if (!neap__ctype_is_scalar(of)) return false;
  neap__cell_dtype(of, &of_code, &of_bits);
  if (of_code == NEAP_UINT && bits == 16 && code >= NEAP_FLOAT)
    return of_bits == 16; /* f16 and bf16 have no type in C */
  return of_code == code && of_bits == bits;
}

static int fail(const neap__bound *bound, const neap__place *place,
                const char *why, neap_error *error) {
  neap__ctype_text type = {0};
  return neap__error_set(
      error, NEAP_EINVAL, 0, "cannot bind '%s' (%s) of %s to an output: %s",
      place->path, neap__ctype_print(place->type, &type), bound->text, why);
}

static int find_field(neap__bound *bound, const char *text, neap__what what,
                      int32_t *out, neap_error *error) {
  neap__part part;
  int rc = neap__part_parse(text, &part, bound->text, error);
  if (rc == NEAP_OK && (part.what != what || part.dimension >= 0))
    rc = neap__error_set(
        error, NEAP_EINVAL, 0,
        "cannot bind %s to an output: \"%.80s\" is not %s", bound->text, text,
        what == NEAP__SHAPE ? "a shape, as \"shape\" or \"image.shape\""
                            : "\"data\", or as \"image.data\"");
  return rc != NEAP_OK ? rc : neap__bound_field(bound, part.field, out, error);
}

static int plan_shape(const neap__bound *bound, const neap__place *place,
                      const neap_argument *argument, neap_part *plan,
                      neap_error *error) {
  if (argument->ndim > NEAP_DIMS_MAX)
    return fail(bound, place, "it has more than 8 dimensions", error);
  if (neap_tensor_strides(argument->ndim, argument->shape, NULL) < 0)
    return fail(bound, place, "its shape is negative or too large", error);
  plan->ndim = (uint16_t)argument->ndim;
  for (int k = 0; k < argument->ndim; k++)
    plan->shape[k] = argument->shape[k];
  return NEAP_OK;
}

int neap__results_of_tensor(neap__bound *bound, const neap__place *pointer,
                            const neap_argument *argument, neap_error *error) {
  neap__result *result;
  const neap_tensor tensor = {
      .code = argument->code, .bits = argument->bits, .lanes = 1};
  const neap__dtype *dtype;
  int rc =
      add(bound, bound->output_count == 1 ? "" : pointer->path, &result, error);
  if (rc != NEAP_OK) return rc;
  result->pointer = pointer->type;
  if (argument->part != NULL) { /* it begins as a copy */
    rc = find_field(bound, argument->part, NEAP__DATA, &result->copy, error);
    result->like = result->copy;
    return rc;
  }
  if ((rc = neap__dtype_find(&tensor, &dtype, error)) != NEAP_OK) return rc;
  if (!neap__pointer_takes(pointer->type, argument->code, argument->bits))
    return fail(bound, pointer, "the dtype is not that of the pointer", error);
  if (argument->ndim >= 0)
    rc = plan_shape(bound, pointer, argument, &result->plan, error);
  else if (argument->shape_of == NULL)
    rc = fail(bound, pointer, "it has no shape", error);
  else
    rc = find_field(bound, argument->shape_of, NEAP__SHAPE, &result->like,
                    error);
  if (rc == NEAP_OK) plan_tensor(&result->plan, argument->code, argument->bits);
  return rc;
}
