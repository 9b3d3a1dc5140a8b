/* SPDX-License-Identifier: MIT */
/*
 * A pipe: native stages that follow one another, called for one item at a time.
 *
 * The results of a stage lie in memory of the pipe and are the fields of the
 * next one; the caller has the memory of the last stage's. Types and shapes are
 * worked out again only when the first stage's fields have others than before.
 */
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "chain/native.h"

enum { ALIGNMENT = 64 }; /* of results */

struct step {
  neap_native *native;
  int32_t field_count;
  int32_t result_count;
  neap_part *fields;
  neap_part *results;
  int32_t *wires;  /* field k is result wires[k] of the step before */
  void **memory;   /* of result k, if it is a tensor; not in the last step */
  int64_t *nbytes; /* of it */
};

struct neap_pipe {
  int32_t count;
  int32_t failed;
  bool is_planned;  /* for the fields in `planned` */
  bool has_tensors; /* among the last step's results */
  neap_part *planned;
  struct step *steps;
};

/* -- Opening and closing --------------------------------------------------- */

static void step_fini(struct step *step) {
  for (int32_t k = 0; step->memory != NULL && k < step->result_count; k++)
    free(step->memory[k]);
  free(step->fields);
  free(step->results);
  free(step->wires);
  free(step->memory);
  free(step->nbytes);
}

void neap_pipe_close(neap_pipe *pipe) {
  if (pipe == NULL) return;
  for (int32_t k = 0; pipe->steps != NULL && k < pipe->count; k++)
    step_fini(&pipe->steps[k]);
  free(pipe->steps);
  free(pipe->planned);
  free(pipe);
}

static int refuse_memory(neap_error *error) {
  return neap__error_set(error, NEAP_EMEMORY, 0,
                         "cannot prepare native stages: no memory");
}

/* A stage may have no fields, and calloc(0) may return NULL. */
static void *list_of(int32_t count, size_t size) {
  return calloc((size_t)count + 1, size);
}

static int step_init(struct step *step, neap_native *native,
                     neap_error *error) {
  step->native = native;
  step->field_count = neap_native_field_count(native);
  step->result_count = neap_native_result_count(native);
  step->fields = list_of(step->field_count, sizeof *step->fields);
  step->results = list_of(step->result_count, sizeof *step->results);
  step->wires = list_of(step->field_count, sizeof *step->wires);
  step->memory = list_of(step->result_count, sizeof *step->memory);
  step->nbytes = list_of(step->result_count, sizeof *step->nbytes);
  return step->fields == NULL || step->results == NULL || step->wires == NULL ||
                 step->memory == NULL || step->nbytes == NULL
             ? refuse_memory(error)
             : NEAP_OK;
}

static int32_t find_result(const neap_native *native, const char *name) {
  for (int32_t k = 0; k < native->bound.result_count; k++)
    if (strcmp(native->bound.results[k].name, name) == 0) return k;
  return -1;
}

/* Whether a result has the shape of a field. */
static bool is_copied_shape(const neap_native *native, int32_t field) {
  for (int32_t k = 0; k < native->bound.result_count; k++)
    if (native->bound.results[k].like == field) return true;
  return false;
}

int neap_pipe_fits(const neap_native *before, const neap_native *after) {
  for (int32_t k = 0; k < after->bound.field_count; k++) {
    const int32_t from = find_result(before, after->bound.fields[k]);
    if (from < 0) return 0;
    if (before->bound.results[from].plan.type == NEAP_STRING &&
        is_copied_shape(after, k))
      return 0;
  }
  return 1;
}

static void step_wire(struct step *step, const struct step *before) {
  for (int32_t k = 0; k < step->field_count; k++) {
    const char *name = neap_native_field(step->native, k);
    step->wires[k] = find_result(before->native, name);
    NEAP_ASSERT(step->wires[k] >= 0);
  }
}

static int pipe_init(neap_pipe *pipe, neap_native *const *stages,
                     neap_error *error) {
  int rc = NEAP_OK;
  pipe->steps = list_of(pipe->count, sizeof *pipe->steps);
  if (pipe->steps == NULL) return refuse_memory(error);
  for (int32_t k = 0; k < pipe->count && rc == NEAP_OK; k++) {
    rc = step_init(&pipe->steps[k], stages[k], error);
    if (rc == NEAP_OK && k > 0) step_wire(&pipe->steps[k], &pipe->steps[k - 1]);
  }
  if (rc != NEAP_OK) return rc;
  pipe->planned = list_of(pipe->steps[0].field_count, sizeof *pipe->planned);
  return pipe->planned == NULL ? refuse_memory(error) : NEAP_OK;
}

int neap_pipe_open(neap_native *const *stages, int32_t count, neap_pipe **out,
                   neap_error *error) {
  *out = NULL;
  NEAP_ASSERT(count > 0);
  neap_pipe *pipe = calloc(1, sizeof *pipe);
  if (pipe == NULL) return refuse_memory(error);
  pipe->count = count;
  const int rc = pipe_init(pipe, stages, error);
  if (rc != NEAP_OK) {
    neap_pipe_close(pipe);
    return rc;
  }
  *out = pipe;
  return NEAP_OK;
}

neap_part *neap_pipe_fields(neap_pipe *pipe) {
  return pipe->steps[0].fields;
}

neap_part *neap_pipe_results(neap_pipe *pipe) {
  return pipe->steps[pipe->count - 1].results;
}

int32_t neap_pipe_failed(const neap_pipe *pipe) {
  return pipe->failed;
}

void neap_pipe_put(neap_pipe *pipe, int32_t k, const neap_tensor *tensor) {
  neap_part *part = &pipe->steps[0].fields[k];
  part->type = NEAP_TENSOR;
  part->code = tensor->code;
  part->bits = tensor->bits;
  part->ndim = (uint16_t)tensor->ndim;
  part->data = (char *)tensor->data + tensor->byte_offset;
  part->count = 1;
  for (int32_t dim = 0; dim < tensor->ndim; dim++) {
    part->shape[dim] = tensor->shape[dim];
    part->count *= tensor->shape[dim];
  }
  part->nbytes = part->count * (tensor->bits / 8);
}

/* -- Calls ----------------------------------------------------------------- */

static void step_read(struct step *step, const struct step *before) {
  for (int32_t k = 0; k < step->field_count; k++)
    step->fields[k] = before->results[step->wires[k]];
}

/* Calls the first `count` stages. */
static int call_steps(neap_pipe *pipe, int32_t count, int64_t epoch,
                      int64_t index, neap_error *error) {
  struct step *step = pipe->steps;
  for (int32_t k = 0; k < count; k++, step++) {
    if (k > 0) step_read(step, step - 1);
    const int rc = neap_native_call(step->native, step->fields, step->results,
                                    epoch, index, error);
    if (rc != NEAP_OK) {
      pipe->failed = k;
      return rc;
    }
  }
  return NEAP_OK;
}

/* -- Planning -------------------------------------------------------------- */

static bool is_like(const neap_part *a, const neap_part *b) {
  if (a->type != b->type) return false;
  if (a->type == NEAP_STRING) return a->count == b->count;
  if (a->type != NEAP_TENSOR) return true;
  if (a->code != b->code || a->bits != b->bits || a->ndim != b->ndim)
    return false;
  for (int32_t dim = 0; dim < a->ndim; dim++)
    if (a->shape[dim] != b->shape[dim]) return false;
  return true;
}

static bool is_as_planned(const neap_pipe *pipe) {
  const struct step *first = &pipe->steps[0];
  if (!pipe->is_planned) return false;
  for (int32_t k = 0; k < first->field_count; k++)
    if (!is_like(&first->fields[k], &pipe->planned[k])) return false;
  return true;
}

/* Gives the tensors among a step's results memory. */
static int step_allocate(struct step *step, neap_error *error) {
  for (int32_t k = 0; k < step->result_count; k++) {
    neap_part *part = &step->results[k];
    if (part->type != NEAP_TENSOR) continue;
    if (step->memory[k] == NULL || step->nbytes[k] < part->nbytes) {
      free(step->memory[k]);
      step->nbytes[k] = part->nbytes;
      step->memory[k] = aligned_alloc(
          ALIGNMENT, ((size_t)part->nbytes / ALIGNMENT + 1) * ALIGNMENT);
      if (step->memory[k] == NULL) return refuse_memory(error);
    }
    part->data = step->memory[k];
  }
  return NEAP_OK;
}

/* The results of the first steps are types without values until these are
   called; and the error of a step that fails comes first. */
static int refuse_as_called(neap_pipe *pipe, int32_t k, int64_t epoch,
                            int64_t index, neap_error *error) {
  struct step *step = &pipe->steps[k];
  const int rc = call_steps(pipe, k, epoch, index, error);
  if (rc != NEAP_OK) return rc;
  pipe->failed = k;
  if (k > 0) step_read(step, step - 1);
  return neap_native_plan(step->native, step->fields, step->results, error);
}

static int pipe_plan(neap_pipe *pipe, int64_t epoch, int64_t index,
                     neap_error *error) {
  struct step *step = pipe->steps;
  pipe->is_planned = pipe->has_tensors = false;
  for (int32_t k = 0; k < pipe->count; k++, step++) {
    pipe->failed = k;
    if (k > 0) step_read(step, step - 1);
    int rc = neap_native_plan(step->native, step->fields, step->results, error);
    if (rc != NEAP_OK) return refuse_as_called(pipe, k, epoch, index, error);
    if (k < pipe->count - 1) rc = step_allocate(step, error);
    if (rc != NEAP_OK) return rc;
  }
  step--;
  for (int32_t k = 0; k < step->result_count; k++)
    pipe->has_tensors |= step->results[k].type == NEAP_TENSOR;
  memcpy(pipe->planned, pipe->steps[0].fields,
         (size_t)pipe->steps[0].field_count * sizeof *pipe->planned);
  pipe->is_planned = true;
  return NEAP_OK;
}

/* -- Running --------------------------------------------------------------- */

/* LuaJIT keeps the types of values in the bits of NaNs. */
static void tame(neap_part *results, int32_t count) {
  for (int32_t k = 0; k < count; k++)
    if (results[k].type == NEAP_NUMBER && isnan(results[k].number))
      results[k].number = NAN;
}

int neap_pipe_finish(neap_pipe *pipe, int64_t epoch, int64_t index,
                     neap_error *error) {
  const struct step *last = &pipe->steps[pipe->count - 1];
  const int rc = call_steps(pipe, pipe->count, epoch, index, error);
  if (rc != NEAP_OK) return rc;
  tame(last->results, last->result_count);
  return NEAP_OK;
}

int neap_pipe_run(neap_pipe *pipe, int64_t epoch, int64_t index,
                  neap_error *error) {
  if (!is_as_planned(pipe)) {
    const int rc = pipe_plan(pipe, epoch, index, error);
    if (rc != NEAP_OK) return rc;
  }
  if (pipe->has_tensors) return NEAP_AGAIN;
  return neap_pipe_finish(pipe, epoch, index, error);
}
