/* SPDX-License-Identifier: MIT */
/*
 * Binds the parameters of a function. What the text of an argument means is
 * found out here, once, and so is whether the parameter's type can take it;
 * whether an item can is found out for each item.
 */
#include "chain/binding.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "chain/cell.h"
#include "chain/results.h"

typedef struct binder {
  neap__bound *bound;
  const neap_argument *argument;
  bool is_constant; /* no part of an item can be bound */
  neap_error *error;
} binder;

static int fail(const binder *b, const neap__place *place, const char *format,
                ...) __attribute__((format(printf, 3, 4)));

static int fail(const binder *b, const neap__place *place, const char *format,
                ...) {
  char why[1024];
  neap__ctype_text type = {0};
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(why, sizeof why, format, arguments);
  va_end(arguments);
  return neap__error_set(
      b->error, NEAP_EINVAL, 0, "cannot bind '%s' (%s) of %s: %s", place->path,
      neap__ctype_print(place->type, &type), b->bound->text, why);
}

static int fail_not_constant(const binder *b, const neap__place *place) {
  return fail(b, place, "it can only be bound to a constant");
}

static int fail_memory(const binder *b) {
  return neap__error_set(b->error, NEAP_EMEMORY, 0, "cannot open %s: no memory",
                         b->bound->text);
}

/* ---- Steps --------------------------------------------------------------- */

int neap__bound_field(neap__bound *bound, const char *name, int32_t *out,
                      neap_error *error) {
  for (*out = 0; *out < bound->field_count; ++*out)
    if (strcmp(bound->fields[*out], name) == 0) return NEAP_OK;
  if (bound->field_count == NEAP__FIELDS_MAX)
    return neap__error_set(error, NEAP_EINVAL, 0,
                           "cannot bind %s: it reads more than %d fields",
                           bound->text, NEAP__FIELDS_MAX);
  char *copy = neap__blocks_copy(bound->blocks, name, strlen(name));
  if (copy == NULL)
    return neap__error_set(error, NEAP_EMEMORY, 0, "cannot open %s: no memory",
                           bound->text);
  bound->fields[bound->field_count++] = copy;
  return NEAP_OK;
}

/* A step that fills the place; a constant's has been done when it is bound. */
static int add_step(const binder *b, const neap__place *place,
                    const neap__part *part, neap__step step) {
  int rc = NEAP_OK;
  step.path = place->path;
  step.parameter = place->type;
  step.field = -1;
  step.dimension = part != NULL ? part->dimension : 0;
  if (part != NULL && part->has_field)
    rc = neap__bound_field(b->bound, part->field, &step.field, b->error);
  b->bound->steps[b->bound->step_count++] = step;
  return rc;
}

/* ---- Numbers ------------------------------------------------------------- */

/* Where the number goes: the place, or what the pointer points at. */
static int find_cell(const binder *b, const neap__place *place,
                     const neap__ctype **type, void **cell) {
  *type = place->type;
  *cell = place->cell;
  if (place->type->kind != NEAP__POINTER) return NEAP_OK;
  *type = place->type->of;
  if (!neap__ctype_is_scalar(*type))
    return fail(b, place,
                "it points at no number\nhelp: bind it to \"data\", to "
                "\"null\", or to an output");
  *cell = neap__blocks_new(b->bound->blocks, 16);
  if (*cell == NULL) return fail_memory(b);
  *(void **)place->cell = *cell;
  return NEAP_OK;
}

static int bind_number(const binder *b, const neap__place *place) {
  const double number = b->argument->number;
  neap__step step = {.what = NEAP__CONSTANT, .number = number};
  const int rc = find_cell(b, place, &step.type, &step.cell);
  if (rc != NEAP_OK) return rc;
  if (!neap__cell_put_number(step.type, step.cell, number))
    return fail(b, place, "the type cannot hold %.17g", number);
  const bool is_written =
      place->type->kind == NEAP__POINTER && !place->type->is_constant;
  return is_written ? add_step(b, place, NULL, step) : NEAP_OK;
}

static int bind_counter(const binder *b, const neap__place *place,
                        const neap__part *part) {
  neap__step step = {.what = part->what};
  if (part->what == NEAP__SHAPE && part->dimension < 0)
    return fail(b, place,
                "a shape has several sizes\nhelp: \"shape[1]\" is "
                "the first of them");
  const int rc = find_cell(b, place, &step.type, &step.cell);
  return rc != NEAP_OK ? rc : add_step(b, place, part, step);
}

/* ---- Pointers ------------------------------------------------------------ */

static int bind_text(const binder *b, const neap__place *place) {
  const char *text = b->argument->text;
  if (place->type->kind != NEAP__POINTER || !neap__ctype_is_bytes(place->type))
    return fail(b, place, "it takes no text: only pointers to char do");
  if (!place->type->is_constant)
    return fail(b, place,
                "the function may write to it, and the text is a constant\n"
                "help: if it only reads, declare it const");
  char *copy = neap__blocks_copy(b->bound->blocks, text, strlen(text));
  *(char **)place->cell = copy;
  return copy != NULL ? NEAP_OK : fail_memory(b);
}

static neap__step data_step(const neap__place *place, neap__what what) {
  neap__step step = {.what = what, .pointer_cell = place->cell};
  step.takes_any = neap__ctype_is_bytes(place->type) ||
                   place->type->of->kind == NEAP__STRUCT;
  if (neap__ctype_is_scalar(place->type->of))
    neap__cell_dtype(place->type->of, &step.code, &step.bits);
  return step;
}

static int bind_data(const binder *b, const neap__place *place,
                     const neap__part *part) {
  if (place->type->kind != NEAP__POINTER)
    return fail(b, place, "it is no pointer, and data are passed by one");
  if (place->type->of->kind == NEAP__POINTER)
    return fail(b, place, "the elements of tensors are numbers");
  if (!place->type->is_constant) {
    neap__ctype_text type = {0};
    return fail(b, place,
                "the function may write there, and the item may be shared\n"
                "help: if it only reads, declare it `const %s`; else bind it "
                "to an output that begins as a copy",
                neap__ctype_print(place->type, &type));
  }
  return add_step(b, place, part, data_step(place, NEAP__DATA));
}

/* "item" of a pointer: the number's address, or the elements. */
static int bind_either(const binder *b, const neap__place *place,
                       const neap__part *part) {
  if (!neap__ctype_is_scalar(place->type->of)) return bind_data(b, place, part);
  if (!place->type->is_constant) return bind_counter(b, place, part);
  neap__step step = data_step(place, NEAP__EITHER);
  const int rc = find_cell(b, place, &step.type, &step.cell);
  return rc != NEAP_OK ? rc : add_step(b, place, part, step);
}

static int bind_array(const binder *b, const neap__place *place,
                      const neap__part *part) {
  if (!neap__ctype_is_scalar(place->type->of))
    return fail(b, place, "it is an array of no numbers");
  const neap__step step = {
      .what = NEAP__COPY, .type = place->type, .cell = place->cell};
  return add_step(b, place, part, step);
}

static int bind_context(const binder *b, const neap__place *place) {
  if (place->type->kind != NEAP__POINTER)
    return fail(b, place, "it is no pointer, and the context is one");
  return add_step(
      b, place, NULL,
      (neap__step){.what = NEAP__CONTEXT, .pointer_cell = place->cell});
}

static int bind_null(const binder *b, const neap__place *place) {
  if (place->type->kind != NEAP__POINTER)
    return fail(b, place, "it is no pointer, and \"null\" is one");
  return NEAP_OK; /* cells begin as zeros */
}

/* ---- Outputs ------------------------------------------------------------- */

/* It begins as a constant for each item. */
static int bind_output_number(const binder *b, const neap__place *place) {
  const int32_t before = b->bound->step_count;
  const int rc = bind_number(b, place);
  if (rc != NEAP_OK) return rc;
  const neap__step *step = &b->bound->steps[before];
  return neap__results_of_cell(b->bound, place->path, step->type, step->cell,
                               b->error);
}

static int bind_output(const binder *b, const neap__place *place) {
  if (place->type->kind != NEAP__POINTER || place->type->is_constant)
    return fail(b, place,
                "an output is written through a pointer that is not const");
  neap__step step = {.what = NEAP__OUTPUT, .pointer_cell = place->cell};
  neap__bound *bound = b->bound;
  if (b->argument->bits == 0 && b->argument->part == NULL) {
    if (place->pointee != NULL) {
      if (b->argument->number != 0)
        return fail(b, place, "it points at a struct, which is no number");
      *(void **)place->cell = place->pointee;
      return neap__results_of_struct(bound, place, b->error);
    }
    return bind_output_number(b, place);
  }
  step.output = bound->result_count;
  const int rc = neap__results_of_tensor(bound, place, b->argument, b->error);
  return rc != NEAP_OK ? rc : add_step(b, place, NULL, step);
}

/* ---- One argument -------------------------------------------------------- */

static int bind_part(const binder *b, const neap__place *place,
                     const neap__part *part) {
  if (b->is_constant && part->what != NEAP__NULL)
    return fail_not_constant(b, place);
  switch (part->what) {
  case NEAP__NULL: return bind_null(b, place);
  case NEAP__CONTEXT: return bind_context(b, place);
  case NEAP__DATA:
    return (place->type->kind == NEAP__ARRAY ? bind_array : bind_data)(b, place,
                                                                       part);
  case NEAP__ITEM:
    if (place->type->kind == NEAP__ARRAY) return bind_array(b, place, part);
    if (place->type->kind == NEAP__POINTER) return bind_either(b, place, part);
    break;
  default: break;
  }
  if (place->type->kind == NEAP__ARRAY)
    return fail(b, place, "it is an array, and takes \"data\"");
  return bind_counter(b, place, part);
}

/* A pointer's members are bound, or it is itself. */
static int mark(const binder *b, neap__place *place) {
  if (place->is_bound) return fail(b, place, "it is bound twice");
  place->is_bound = true;
  if (place->through < 0) return NEAP_OK;
  neap__place *pointer = &b->bound->prepared->places[place->through];
  if (pointer->is_bound && !pointer->is_parted)
    return fail(b, place, "'%s' is bound, too", pointer->path);
  pointer->is_bound = pointer->is_parted = true;
  *(void **)pointer->cell = pointer->pointee;
  return NEAP_OK;
}

static int bind_place(const binder *b, neap__place *place,
                      const neap__part *part) {
  const int rc = mark(b, place);
  if (rc != NEAP_OK) return rc;
  if (b->is_constant && b->argument->is_output)
    return fail_not_constant(b, place);
  if (b->argument->is_output) return bind_output(b, place);
  if (part != NULL) return bind_part(b, place, part);
  if (b->argument->text != NULL) return bind_text(b, place);
  if (place->type->kind == NEAP__ARRAY)
    return fail(b, place, "it is an array, and takes \"data\"");
  return bind_number(b, place);
}

/* A member's path behind that of the struct, or NULL. */
static const char *path_within(const char *path, const char *of) {
  const size_t size = strlen(of);
  return strncmp(path, of, size) == 0 && path[size] == '.' ? path + size + 1
                                                           : NULL;
}

/* A struct is bound to a table: each member to the field of its name. */
static int bind_members(const binder *b, const char *of,
                        const neap__part *part) {
  neap__prepared *p = b->bound->prepared;
  for (int k = 0; k < p->place_count; k++) {
    const char *rest = path_within(p->places[k].path, of);
    if (rest == NULL) continue;
    neap__part member = *part;
    if (!neap__part_extend(&member, rest))
      return fail(b, &p->places[k], "the name of its field is too long");
    const int rc = bind_place(b, &p->places[k], &member);
    if (rc != NEAP_OK) return rc;
  }
  return NEAP_OK;
}

static bool has_members(const neap__prepared *p, const char *path) {
  for (int k = 0; k < p->place_count; k++)
    if (path_within(p->places[k].path, path) != NULL) return true;
  return false;
}

static neap__place *find_place(neap__prepared *p, const char *path) {
  for (int k = 0; k < p->place_count; k++)
    if (strcmp(p->places[k].path, path) == 0) return &p->places[k];
  return NULL;
}

static int fail_unknown(const binder *b, const char *path) {
  const neap__declaration *d = b->bound->prepared->declaration;
  char names[512] = "it has none";
  size_t used = 0;
  for (int k = 0; k < d->parameter_count && used < sizeof names; k++)
    used += (size_t)snprintf(names + used, sizeof names - used, "%s%s",
                             k == 0 ? "its parameters are " : ", ",
                             d->parameters[k].name);
  return neap__error_set(b->error, NEAP_EINVAL, 0,
                         "cannot bind '%s' of %s: there is no such parameter\n"
                         "help: %s",
                         path, b->bound->text, names);
}

static int bind_path(const binder *b, const char *path) {
  neap__part part;
  const char *text = b->argument->is_output ? NULL : b->argument->part;
  neap__place *place = find_place(b->bound->prepared, path);
  const bool is_struct = has_members(b->bound->prepared, path);
  if (place == NULL && !is_struct) return fail_unknown(b, path);
  if (text != NULL) {
    const int rc = neap__part_parse(text, &part, b->bound->text, b->error);
    if (rc != NEAP_OK) return rc;
  }
  if (is_struct && text != NULL && part.what == NEAP__ITEM)
    return bind_members(b, path, &part);
  if (place == NULL)
    return neap__error_set(b->error, NEAP_EINVAL, 0,
                           "cannot bind '%s' of %s: it is a struct\nhelp: bind "
                           "its members, as '%s.x', or all of it to a table",
                           path, b->bound->text, path);
  return bind_place(b, place, text != NULL ? &part : NULL);
}

/* ---- All arguments ------------------------------------------------------- */

static int bind_given(binder *b, const neap_argument *arguments,
                      int32_t count) {
  const neap__declaration *d = b->bound->prepared->declaration;
  int rc = NEAP_OK;
  for (int32_t k = 0; k < count && rc == NEAP_OK; k++) {
    b->argument = &arguments[k];
    const char *name = arguments[k].parameter;
    if (name == NULL && d->parameter_count == 1) name = d->parameters[0].name;
    if (name == NULL)
      return neap__error_set(b->error, NEAP_EINVAL, 0,
                             "cannot bind %s: an argument names no parameter, "
                             "and it has %d",
                             b->bound->text, d->parameter_count);
    rc = bind_path(b, name);
  }
  return rc;
}

static int fail_missing(const binder *b, const neap__place *place) {
  return fail(b, place,
              b->is_constant ? "nothing is said of it\nhelp: bind it to a "
                               "constant"
                             : "nothing is said of it\nhelp: bind it to a part "
                               "of the item (\"item\", \"data\", \"count\", "
                               "...), to a constant, or to an output");
}

static int check_all_bound(const binder *b) {
  const neap__prepared *p = b->bound->prepared;
  for (int k = 0; k < p->place_count; k++) {
    const neap__place *place = &p->places[k];
    const bool is_needed =
        place->through < 0 || p->places[place->through].is_parted;
    if (is_needed && !place->is_bound) return fail_missing(b, place);
  }
  return NEAP_OK;
}

static bool are_none_bound(const neap__prepared *p) {
  for (int k = 0; k < p->place_count; k++)
    if (p->places[k].is_bound) return false;
  return true;
}

static int begin(binder *b) {
  neap__bound *bound = b->bound;
  bound->steps = neap__blocks_new(bound->blocks, (NEAP__PLACES_MAX + 1) *
                                                     sizeof *bound->steps);
  return bound->steps != NULL ? NEAP_OK : fail_memory(b);
}

int neap__bind_stage(neap__bound *bound, const neap_argument *arguments,
                     int32_t count, neap_error *error) {
  static const neap_argument item = {.part = "item"};
  binder b = {.bound = bound, .error = error};
  const neap__prepared *p = bound->prepared;
  for (int32_t k = 0; k < count; k++)
    bound->output_count += arguments[k].is_output != 0;
  int rc = begin(&b);
  if (rc == NEAP_OK) rc = bind_given(&b, arguments, count);
  if (rc == NEAP_OK && p->declaration->parameter_count == 1 &&
      are_none_bound(p))
    rc = bind_given(&b, &item, 1);
  if (rc == NEAP_OK) rc = check_all_bound(&b);
  if (rc == NEAP_OK && bound->output_count == 0)
    rc = neap__results_of_function(bound, error);
  return rc;
}

/* The parameters of init, fini and error that are not bound. */
static int bind_rest(const binder *b, bool has_context, bool has_status) {
  neap__prepared *p = b->bound->prepared;
  const neap__part status = {.what = NEAP__INDEX};
  int rc = NEAP_OK;
  for (int k = 0; k < p->place_count && rc == NEAP_OK; k++) {
    neap__place *place = &p->places[k];
    if (place->is_bound || place->through >= 0) continue;
    if (place->type->kind == NEAP__POINTER && has_context)
      rc = bind_context(b, place);
    else if (neap__ctype_is_integer(place->type) && has_status)
      rc = bind_counter(b, place, &status);
    else
      continue;
    place->is_bound = true;
  }
  return rc;
}

int neap__bind_constants(neap__bound *bound, const neap_argument *arguments,
                         int32_t count, bool has_context, bool has_status,
                         neap_error *error) {
  binder b = {.bound = bound, .is_constant = true, .error = error};
  int rc = begin(&b);
  if (rc == NEAP_OK) rc = bind_given(&b, arguments, count);
  if (rc == NEAP_OK) rc = bind_rest(&b, has_context, has_status);
  return rc == NEAP_OK ? check_all_bound(&b) : rc;
}
