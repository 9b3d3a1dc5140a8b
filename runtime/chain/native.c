/* SPDX-License-Identifier: MIT */
/*
 * A native stage: a C function of a shared library with what its parameters are
 * bound to. Opening does all that can be done once; a call fills cells, calls,
 * and reads the result. Nothing is allocated for an item.
 */
#include "chain/native.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "chain/cell.h"
#include "chain/results.h"

/* ---- init, fini, error --------------------------------------------------- */

static bool is_there(const neap__helper *helper) {
  return helper->prepared.declaration != NULL;
}

/* Fills the cells that change, and calls. */
static void call_helper(neap_native *native, neap__helper *helper,
                        int64_t status) {
  for (int32_t k = 0; k < helper->bound.step_count; k++) {
    const neap__step *step = &helper->bound.steps[k];
    if (step->what == NEAP__CONTEXT)
      *step->pointer_cell = native->context;
    else if (step->what == NEAP__INDEX)
      neap__cell_put_bits(step->type, step->cell, (uint64_t)status);
    else
      neap__cell_put_number(step->type, step->cell, step->number);
  }
  neap__native_enter(native);
  neap__prepared_call(&helper->prepared);
  neap__native_leave(native);
}

/* The first line of the library's own text of a failure, in parentheses, or
   "". */
static const char *failure_text(neap_native *native, int64_t status, char *out,
                                size_t room) {
  out[0] = '\0';
  if (!is_there(&native->error)) return out;
  call_helper(native, &native->error, status);
  const char *text = *(const char **)native->error.prepared.result;
  const size_t size = text != NULL ? strcspn(text, "\r\n") : 0;
  if (size > 0)
    snprintf(out, room, " (%.*s)", (int)(size < room ? size : room), text);
  return out;
}

/* ---- What a function returned -------------------------------------------- */

static neap__verdict verdict_of(const neap__ctype *type, bool has_outputs) {
  switch (type->kind) {
  case NEAP__POINTER: return NEAP__IS_NULL;
  case NEAP__BOOLEAN: return has_outputs ? NEAP__FALSE : NEAP__NEVER;
  case NEAP__SIGNED:
  case NEAP__UNSIGNED: return has_outputs ? NEAP__NOT_ZERO : NEAP__NEVER;
  default: return NEAP__NEVER;
  }
}

/* Judges by *status, an integer that was returned. */
static bool has_failed(const neap__prepared *p, neap__verdict verdict,
                       int64_t *status) {
  const neap__ctype *type = p->declaration->result;
  *status = 0;
  switch (verdict) {
  case NEAP__NEVER: return false;
  case NEAP__IS_NULL: return *(void *const *)p->result == NULL;
  case NEAP__FALSE: return neap__cell_integer(type, p->result) == 0;
  case NEAP__NOT_ZERO:
  case NEAP__NEGATIVE: break;
  }
  *status = neap__cell_integer(type, p->result);
  if (verdict == NEAP__NOT_ZERO) return *status != 0;
  const uint64_t sign = (uint64_t)1 << (8 * type->size - 1);
  return ((uint64_t)*status & sign) != 0;
}

static int fail_call(neap_native *native, const neap__prepared *p,
                     neap__verdict verdict, int64_t status, neap_error *error) {
  char value[32], text[512];
  const bool is_main = p == &native->prepared;
  snprintf(value, sizeof value, "%lld", (long long)status);
  if (verdict == NEAP__IS_NULL) snprintf(value, sizeof value, "NULL");
  if (verdict == NEAP__FALSE) snprintf(value, sizeof value, "false");
  failure_text(native, status, text, sizeof text);
  if (is_main)
    return neap__error_set(error, NEAP_EITEM, 0, "%s failed: it returned %s%s",
                           native->bound.text, value, text);
  return neap__error_set(error, NEAP_EITEM, 0,
                         "cannot begin %s: init, %s, returned %s%s",
                         native->bound.text, p->declaration->name, value, text);
}

/* Calls init, once, and passes on the context. */
static int begin(neap_native *native, neap_error *error) {
  neap__prepared *p = &native->init.prepared;
  if (is_there(&native->init)) {
    const neap__verdict verdict = verdict_of(p->declaration->result, true);
    int64_t status;
    call_helper(native, &native->init, 0);
    if (has_failed(p, verdict, &status))
      return fail_call(native, p, verdict, status, error);
    if (verdict == NEAP__IS_NULL) native->context = *(void **)p->result;
  }
  for (int32_t k = 0; k < native->bound.step_count; k++)
    if (native->bound.steps[k].what == NEAP__CONTEXT)
      *native->bound.steps[k].pointer_cell = native->context;
  native->has_begun = true;
  return NEAP_OK;
}

/* ---- Results ------------------------------------------------------------- */

static void read_text(const char *text, size_t limit, neap_part *out) {
  out->type = text != NULL ? NEAP_STRING : NEAP_NIL;
  out->data = (void *)(uintptr_t)text;
  out->count = text != NULL ? (int64_t)strnlen(text, limit) : 0;
  out->nbytes = out->count;
}

static void read_result(const neap__result *result, neap_part *out) {
  const neap__ctype *type = result->type;
  switch (type->kind) {
  case NEAP__VOID: out->type = NEAP_NIL; break;
  case NEAP__POINTER:
    read_text(*(const char *const *)result->cell, SIZE_MAX, out);
    break;
  case NEAP__ARRAY:
    if (type->of->is_char)
      read_text(result->cell, type->count, out);
    else
      memcpy(out->data, result->cell, type->size);
    break;
  default: neap__cell_get(type, result->cell, out);
  }
}

int neap_native_call(neap_native *native, const neap_part *fields,
                     neap_part *results, int64_t epoch, int64_t index,
                     neap_error *error) {
  const neap__bound *bound = &native->bound;
  neap__prepared *p = &native->prepared;
  int64_t status;
  int rc = native->has_begun ? NEAP_OK : begin(native, error);
  if (rc != NEAP_OK) return rc;
  rc = neap__native_fill(native, fields, results, epoch, index, error);
  if (rc == NEAP__ELEMENTS)
    return neap__elements_call(native, fields, &results[0], error);
  if (rc != NEAP_OK) return rc;
  neap__native_enter(native);
  neap__prepared_call(p);
  neap__native_leave(native);
  if (has_failed(p, native->verdict, &status))
    return fail_call(native, p, native->verdict, status, error);
  for (int32_t k = 0; k < bound->result_count; k++)
    if (bound->results[k].type != NULL)
      read_result(&bound->results[k], &results[k]);
  return NEAP_OK;
}

/* ---- Opening ------------------------------------------------------------- */

static int fail_memory(neap_error *error) {
  return neap__error_set(error, NEAP_EMEMORY, 0,
                         "cannot open a native stage: no memory");
}

static const char *make_text(neap_native *native,
                             const neap_stage_options *options,
                             const char *function) {
  const char *library = options->label != NULL ? options->label : options->lib;
  char text[256];
  const int size =
      snprintf(text, sizeof text, "%.100s of %.140s", function, library);
  return neap__blocks_copy(&native->blocks, text, (size_t)size);
}

static int prepare(neap_native *native, const neap_stage_options *options,
                   neap__prepared *out, const char *text, const char *what,
                   neap_error *error) {
  return neap__prepared_init(out, &native->blocks, native->library,
                             options->lib, text, what, error);
}

static void set_status(neap_native *native, int32_t fails) {
  if (fails == NEAP_FAILS_NEGATIVE) native->verdict = NEAP__NEGATIVE;
  if (fails == NEAP_FAILS_NEVER) native->verdict = NEAP__NEVER;
}

static int open_function(neap_native *native, const neap_stage_options *options,
                         neap_error *error) {
  neap__bound *bound = &native->bound;
  neap__prepared *p = &native->prepared;
  int rc = prepare(native, options, p, options->declaration, "the declaration",
                   error);
  if (rc != NEAP_OK) return rc;
  bound->prepared = p;
  bound->blocks = &native->blocks;
  bound->text = make_text(native, options, p->declaration->name);
  if (bound->text == NULL) return fail_memory(error);
  rc = neap__bind_stage(bound, options->arguments, options->argument_count,
                        error);
  native->verdict = verdict_of(p->declaration->result, bound->output_count > 0);
  if (native->verdict == NEAP__NOT_ZERO) set_status(native, options->fails);
  native->loop = neap__elements_loop(p->declaration);
  return rc;
}

static int open_helper(neap_native *native, const neap_stage_options *options,
                       neap__helper *helper, const neap_call *call,
                       const char *what, neap_error *error) {
  const bool is_init = helper == &native->init;
  if (call->declaration == NULL) return NEAP_OK;
  int rc = prepare(native, options, &helper->prepared, call->declaration, what,
                   error);
  if (rc != NEAP_OK) return rc;
  helper->bound.prepared = &helper->prepared;
  helper->bound.blocks = &native->blocks;
  helper->bound.text =
      make_text(native, options, helper->prepared.declaration->name);
  if (helper->bound.text == NULL) return fail_memory(error);
  return neap__bind_constants(&helper->bound, call->arguments,
                              call->argument_count, !is_init,
                              helper == &native->error, error);
}

static int check_helpers(const neap_native *native, neap_error *error) {
  const neap__helper *error_of = &native->error;
  bool needs_context = false;
  for (int32_t k = 0; k < native->bound.step_count; k++)
    needs_context |= native->bound.steps[k].what == NEAP__CONTEXT;
  if (needs_context &&
      (!is_there(&native->init) ||
       native->init.prepared.declaration->result->kind != NEAP__POINTER))
    return neap__error_set(error, NEAP_EINVAL, 0,
                           "cannot bind \"context\" of %s: there is no init "
                           "that returns a pointer",
                           native->bound.text);
  if (!is_there(error_of)) return NEAP_OK;
  const neap__ctype *text = error_of->prepared.declaration->result;
  if (text->kind == NEAP__POINTER && neap__ctype_is_text(text)) return NEAP_OK;
  return neap__error_set(error, NEAP_EINVAL, 0,
                         "cannot use %s for the text of a failure: it does not "
                         "return a const char *",
                         error_of->bound.text);
}

static int open_all(neap_native *native, const neap_stage_options *options,
                    neap_error *error) {
  const neap_call text = {.declaration = options->error};
  int rc = neap__shared_library_open(options->lib, &native->library, error);
  if (rc == NEAP_OK) rc = open_function(native, options, error);
  if (rc == NEAP_OK)
    rc = open_helper(native, options, &native->init, &options->init,
                     "the declaration of init", error);
  if (rc == NEAP_OK)
    rc = open_helper(native, options, &native->fini, &options->fini,
                     "the declaration of fini", error);
  if (rc == NEAP_OK)
    rc = open_helper(native, options, &native->error, &text,
                     "the declaration of error", error);
  return rc == NEAP_OK ? check_helpers(native, error) : rc;
}

int neap_native_open(const neap_stage_options *options, neap_native **out,
                     neap_error *error) {
  *out = NULL;
  if (options->declaration == NULL)
    return neap__error_set(error, NEAP_EINVAL, 0,
                           "cannot open a native stage: it has no declaration");
  neap_native *native = calloc(1, sizeof *native);
  if (native == NULL) return fail_memory(error);
  native->seed = options->seed;
  native->watch = &native->unwatched;
  const int rc = open_all(native, options, error);
  if (rc == NEAP_OK)
    *out = native;
  else
    neap_native_close(native);
  return rc;
}

void neap_native_close(neap_native *native) {
  if (native == NULL) return;
  if (native->has_begun && is_there(&native->fini))
    call_helper(native, &native->fini, 0);
  neap__prepared_fini(&native->prepared);
  neap__prepared_fini(&native->init.prepared);
  neap__prepared_fini(&native->fini.prepared);
  neap__prepared_fini(&native->error.prepared);
  neap__shared_library_close(native->library);
  neap__blocks_free(&native->blocks);
  free(native);
}

/* ---- What it is ---------------------------------------------------------- */

const char *neap_native_text(const neap_native *native) {
  return native->bound.text;
}

int32_t neap_native_field_count(const neap_native *native) {
  return native->bound.field_count;
}

const char *neap_native_field(const neap_native *native, int32_t k) {
  return native->bound.fields[k];
}

int32_t neap_native_result_count(const neap_native *native) {
  return native->bound.result_count;
}

const char *neap_native_result(const neap_native *native, int32_t k) {
  return native->bound.results[k].name;
}

void neap_native_watch(neap_native *native, int32_t *now, int32_t number) {
  native->watch = now != NULL ? now : &native->unwatched;
  native->number = number;
}
