/* SPDX-License-Identifier: MIT */
/* The options of a native stage as bytes, which a chain keeps and packs. */
#include "chain/stage_options.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"

enum { ARGUMENTS_MAX = 4096 };

static void put_arguments(neap__bytes *out, const neap_argument *arguments,
                          int32_t count) {
  neap__bytes_put_integer(out, count);
  for (int32_t k = 0; k < count; k++) {
    neap_argument plain = arguments[k]; /* without its texts */
    plain.parameter = plain.part = plain.text = plain.shape_of = NULL;
    neap__bytes_put(out, &plain, sizeof plain);
    neap__bytes_put_text(out, arguments[k].parameter);
    neap__bytes_put_text(out, arguments[k].part);
    neap__bytes_put_text(out, arguments[k].text);
    neap__bytes_put_text(out, arguments[k].shape_of);
  }
}

static void put_call(neap__bytes *out, const neap_call *call) {
  neap__bytes_put_text(out, call->declaration);
  put_arguments(out, call->arguments, call->argument_count);
}

/* A path with a slash is relative to this process's folder, which may change;
   one without is a soname. */
static void put_library(neap__bytes *out, const char *library) {
  char path[PATH_MAX];
  const bool is_path = library != NULL && strchr(library, '/') != NULL;
  neap__bytes_put_text(
      out, is_path && realpath(library, path) != NULL ? path : library);
}

void neap__stage_options_put(const neap_stage_options *options,
                             neap__bytes *out) {
  put_library(out, options->lib);
  neap__bytes_put_text(out,
                       options->label != NULL ? options->label : options->lib);
  neap__bytes_put_text(out, options->declaration);
  put_arguments(out, options->arguments, options->argument_count);
  put_call(out, &options->init);
  put_call(out, &options->fini);
  neap__bytes_put_text(out, options->error);
  neap__bytes_put_integer(out, options->fails);
  neap__bytes_put_integer(out, options->seed);
  neap__bytes_put_text(out, options->where);
}

static neap_argument *take_arguments(neap__cursor *in, int32_t *count) {
  *count = (int32_t)neap__cursor_within(in, 0, ARGUMENTS_MAX);
  neap_argument *list = calloc((size_t)*count + 1, sizeof *list);
  if (list == NULL) in->has_failed = true;
  for (int32_t k = 0; k < *count && !in->has_failed; k++) {
    const void *plain = neap__cursor_take(in, sizeof *list);
    if (plain == NULL) break;
    memcpy(&list[k], plain, sizeof *list);
    list[k].parameter = neap__cursor_text(in);
    list[k].part = neap__cursor_text(in);
    list[k].text = neap__cursor_text(in);
    list[k].shape_of = neap__cursor_text(in);
  }
  return list;
}

static void take_call(neap__cursor *in, neap_call *call,
                      neap_argument **arguments) {
  call->declaration = neap__cursor_text(in);
  call->arguments = *arguments = take_arguments(in, &call->argument_count);
}

int neap__stage_options_take(neap__cursor *in, neap__stage_copy *out,
                             neap_error *error) {
  *out = (neap__stage_copy){.options = {.lib = NULL}};
  neap_stage_options *options = &out->options;
  options->lib = neap__cursor_text(in);
  options->label = neap__cursor_text(in);
  options->declaration = neap__cursor_text(in);
  options->arguments = out->arguments[0] =
      take_arguments(in, &options->argument_count);
  take_call(in, &options->init, &out->arguments[1]);
  take_call(in, &options->fini, &out->arguments[2]);
  options->error = neap__cursor_text(in);
  options->fails = (int32_t)neap__cursor_integer(in);
  options->seed = neap__cursor_integer(in);
  options->where = neap__cursor_text(in);
  if (!in->has_failed) return NEAP_OK;
  neap__stage_copy_fini(out);
  return neap__error_set(error, NEAP_EDAMAGED, 0,
                         "cannot read a native stage: it is damaged, or memory "
                         "is short");
}

void neap__stage_copy_fini(neap__stage_copy *copy) {
  for (int k = 0; k < 3; k++) {
    free(copy->arguments[k]);
    copy->arguments[k] = NULL;
  }
}
