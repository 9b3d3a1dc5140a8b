/* SPDX-License-Identifier: MIT */
/* Before a call of a native stage: the cells of its arguments, and what does
   not fit them. */
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/random.h"
#include "chain/cell.h"
#include "chain/native.h"
#include "chain/results.h"
#include "tensor/dtype.h"

static bool is_number(const neap_part *part) {
  return part->type >= NEAP_BOOLEAN && part->type <= NEAP_UINT64;
}

static bool has_count(const neap_part *part) {
  return part->type == NEAP_TENSOR || part->type == NEAP_STRING;
}

/* Whether a pointer may point at what is there. */
static inline bool takes_data(const neap__step *step, const neap_part *part) {
  if (part->type == NEAP_TENSOR)
    return step->takes_any ||
           (step->code == part->code && step->bits == part->bits) ||
           neap__pointer_takes(step->parameter, part->code, part->bits);
  return part->type == NEAP_STRING && step->takes_any;
}

static bool takes_copy(const neap__step *step, const neap_part *part) {
  uint8_t code, bits;
  neap__cell_dtype(step->type->of, &code, &bits);
  if (part->type == NEAP_STRING)
    return step->type->of->is_char && part->count < (int64_t)step->type->count;
  return part->type == NEAP_TENSOR && part->code == code &&
         part->bits == bits && part->count == (int64_t)step->type->count;
}

/* Whether a value suits, as far as its type tells. */
static bool suits(const neap__step *step, const neap_part *part) {
  switch (step->what) {
  case NEAP__ITEM: return is_number(part);
  case NEAP__DATA: return takes_data(step, part);
  case NEAP__EITHER: return is_number(part) || takes_data(step, part);
  case NEAP__COPY: return takes_copy(step, part);
  case NEAP__COUNT:
  case NEAP__NBYTES: return has_count(part);
  case NEAP__SHAPE:
    return part->type == NEAP_TENSOR && step->dimension < part->ndim;
  default: return true;
  }
}

/* ---- Messages ------------------------------------------------------------ */

static void describe(const neap_part *part, char *out, size_t room) {
  neap__text text;
  neap_tensor tensor = {.code = part->code,
                        .bits = part->bits,
                        .ndim = part->ndim,
                        .lanes = 1,
                        .shape = (int64_t *)part->shape};
  switch (part->type) {
  case NEAP_TENSOR:
    snprintf(out, room, "a tensor, %s", neap__tensor_text(&tensor, &text));
    break;
  case NEAP_STRING:
    snprintf(out, room, "a string of %lld bytes", (long long)part->count);
    break;
  case NEAP_BOOLEAN:
    snprintf(out, room, "%s", part->number != 0 ? "true" : "false");
    break;
  case NEAP_NUMBER: snprintf(out, room, "%.17g", part->number); break;
  case NEAP_INT64: snprintf(out, room, "%lld", (long long)part->integer); break;
  case NEAP_UINT64:
    snprintf(out, room, "%llu", (unsigned long long)part->integer);
    break;
  default: snprintf(out, room, "%s", neap_type_name(part->type));
  }
}

static const char *wish(const neap__step *step, const neap_part *part) {
  switch (step->what) {
  case NEAP__ITEM: return "takes a number";
  case NEAP__DATA:
    return is_number(part) ? "takes data" : "takes data of another type";
  case NEAP__EITHER: return "takes a number, or data of that type";
  case NEAP__COPY: return "takes as many elements of that type";
  case NEAP__SHAPE: return "takes a size that it has not";
  default: return "takes a size of a tensor or a string";
  }
}

int neap__native_refuse(const neap_native *native, const neap__step *step,
                        const neap_part *part, neap_error *error) {
  const char *field = step->field < 0 ? "" : native->bound.fields[step->field];
  neap__ctype_text text = {0};
  char value[256], who[280];
  describe(part, value, sizeof value);
  snprintf(who, sizeof who, "%s%s%s", field[0] == '\0' ? "the item" : "'",
           field, field[0] == '\0' ? "" : "'");
  if (suits(step, part))
    return neap__error_set(error, NEAP_EINVAL, 0,
                           "cannot call %s: '%s' (%s) cannot hold %s",
                           native->bound.text, step->path,
                           neap__ctype_print(step->parameter, &text), value);
  return neap__error_set(
      error, NEAP_EINVAL, 0, "cannot call %s: %s is %s, and '%s' (%s) %s",
      native->bound.text, who, value, step->path,
      neap__ctype_print(step->parameter, &text), wish(step, part));
}

/* ---- Cells --------------------------------------------------------------- */

static bool fill_copy(const neap__step *step, const neap_part *part) {
  if (!takes_copy(step, part)) return false;
  memset(step->cell, 0, step->type->size);
  if (part->nbytes > 0) memcpy(step->cell, part->data, (size_t)part->nbytes);
  return true;
}

static bool fill_counter(const neap__step *step, const neap_part *part) {
  if (!suits(step, part)) return false;
  int64_t value = part->count;
  if (step->what == NEAP__NBYTES) value = part->nbytes;
  if (step->what == NEAP__SHAPE) value = part->shape[step->dimension];
  return neap__cell_put_integer(step->type, step->cell, value);
}

static bool fill_pointer(const neap__step *step, const neap_part *part) {
  if (step->what == NEAP__EITHER && is_number(part)) {
    *step->pointer_cell = step->cell;
    return neap__cell_put(step->type, step->cell, part);
  }
  *step->pointer_cell = part->data;
  return takes_data(step, part);
}

/* From a part of the item. */
static inline bool fill_part(const neap__step *step, const neap_part *part) {
  switch (step->what) {
  case NEAP__ITEM:
    return is_number(part) && neap__cell_put(step->type, step->cell, part);
  case NEAP__DATA:
  case NEAP__EITHER: return fill_pointer(step, part);
  case NEAP__COPY: return fill_copy(step, part);
  default: return fill_counter(step, part);
  }
}

/* The elements that an output begins with, where it begins as a copy. Else they
   are those that its memory had: the function fills all of it. */
static void fill_output(const neap_native *native, const neap__step *step,
                        const neap_part *fields, const neap_part *results) {
  const neap__result *result = &native->bound.results[step->output];
  const neap_part *part = &results[step->output];
  *step->pointer_cell = part->data;
  if (result->copy < 0 || part->nbytes == 0) return;
  memcpy(part->data, fields[result->copy].data, (size_t)part->nbytes);
}

/* From anything else; false: *number does not fit. */
static inline bool fill_other(const neap_native *native, const neap__step *step,
                              int64_t epoch, int64_t index, neap_part *number) {
  *number = (neap_part){.type = NEAP_INT64};
  switch (step->what) {
  case NEAP__INDEX: number->integer = index; break;
  case NEAP__EPOCH: number->integer = epoch; break;
  case NEAP__SEED:
    neap__cell_put_bits(step->type, step->cell,
                        neap__key(native->seed, epoch, index));
    return true;
  case NEAP__CONSTANT:
    return neap__cell_put_number(step->type, step->cell, step->number);
  default: return true;
  }
  return neap__cell_put_integer(step->type, step->cell, number->integer);
}

int neap__native_fill(neap_native *native, const neap_part *fields,
                      neap_part *results, int64_t epoch, int64_t index,
                      neap_error *error) {
  const neap__bound *bound = &native->bound;
  int rc = NEAP_OK;
  for (int32_t k = 0; k < bound->step_count; k++) {
    const neap__step *step = &bound->steps[k];
    neap_part number;
    if (step->field >= 0) {
      const neap_part *part = &fields[step->field];
      if (step->what == NEAP__ITEM && part->type == NEAP_TENSOR)
        rc = NEAP__ELEMENTS;
      else if (!fill_part(step, part))
        return neap__native_refuse(native, step, part, error);
    } else if (step->what == NEAP__OUTPUT) {
      fill_output(native, step, fields, results);
    } else if (!fill_other(native, step, epoch, index, &number)) {
      return neap__native_refuse(native, step, &number, error);
    }
  }
  return rc;
}

/* ---- Plans --------------------------------------------------------------- */

static void plan_like(const neap_part *field, neap_part *plan) {
  plan->ndim = field->type == NEAP_STRING ? 1 : field->ndim;
  for (int k = 0; k < plan->ndim; k++)
    plan->shape[k] =
        field->type == NEAP_STRING ? field->count : field->shape[k];
  plan->count = field->count;
  plan->nbytes = plan->count * (plan->bits / 8);
}

/* A tensor that has the shape, or a copy of the elements, of a field. */
static int plan_of_field(const neap_native *native, const neap__result *result,
                         const neap_part *field, neap_part *plan,
                         neap_error *error) {
  char value[256];
  const bool is_copy = result->copy >= 0;
  if (is_copy) {
    plan->type = NEAP_TENSOR;
    plan->code = field->type == NEAP_STRING ? NEAP_UINT : field->code;
    plan->bits = field->type == NEAP_STRING ? 8 : field->bits;
  }
  if (has_count(field) &&
      (!is_copy ||
       neap__pointer_takes(result->pointer, plan->code, plan->bits))) {
    plan_like(field, plan);
    return NEAP_OK;
  }
  describe(field, value, sizeof value);
  return neap__error_set(error, NEAP_EINVAL, 0,
                         "cannot call %s: an output is to be like '%s', which "
                         "is %s",
                         native->bound.text, native->bound.fields[result->like],
                         value);
}

int neap_native_plan(const neap_native *native, const neap_part *fields,
                     neap_part *results, neap_error *error) {
  const neap__bound *bound = &native->bound;
  int32_t field;
  const bool is_by_element = neap__elements_are_meant(native, fields, &field);
  for (int32_t k = 0; k < bound->step_count; k++) {
    const neap__step *step = &bound->steps[k];
    if (step->field < 0 || suits(step, &fields[step->field])) continue;
    if (step->what == NEAP__ITEM && fields[step->field].type == NEAP_TENSOR)
      continue;
    return neap__native_refuse(native, step, &fields[step->field], error);
  }
  if (is_by_element)
    return neap__elements_plan(native, fields, field, results, error);
  for (int32_t k = 0; k < bound->result_count; k++) {
    const neap__result *result = &bound->results[k];
    results[k] = result->plan;
    if (result->like < 0) continue;
    const int rc = plan_of_field(native, result, &fields[result->like],
                                 &results[k], error);
    if (rc != NEAP_OK) return rc;
  }
  return NEAP_OK;
}
