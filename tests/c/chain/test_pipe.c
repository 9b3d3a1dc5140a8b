/* SPDX-License-Identifier: MIT */
/* Pipes of native stages: what one stage makes is what the next one reads. */
#include "neap_lua.h"

#include <limits.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char path[PATH_MAX + 32]; /* of the library */

static int find_library(void **state) {
  const ssize_t size = readlink("/proc/self/exe", path, PATH_MAX - 1);
  (void)state;
  assert_true(size > 0);
  strcpy(strrchr(path, '/'), "/libsignatures.so");
  return 0;
}

static neap_native *stage_of(const char *declaration,
                             const neap_argument *arguments, int32_t count) {
  neap_native *native;
  neap_error error;
  const neap_stage_options options = {.lib = path,
                                      .declaration = declaration,
                                      .arguments = arguments,
                                      .argument_count = count};
  if (neap_native_open(&options, &native, &error) != NEAP_OK)
    fail_msg("%s", error.text);
  return native;
}

static neap_native *half(void) {
  return stage_of("double half(double x)", NULL, 0);
}

/* Multiplies f32 by a factor. */
static neap_native *scale(double factor) {
  const neap_argument arguments[] = {
      {.parameter = "x", .part = "data"},
      {.parameter = "out",
       .is_output = 1,
       .code = NEAP_FLOAT,
       .bits = 32,
       .ndim = -1,
       .shape_of = "shape"},
      {.parameter = "n", .part = "count"},
      {.parameter = "factor", .number = factor},
  };
  return stage_of("int scale(const float *x, float *out, int64_t n, "
                  "float factor)",
                  arguments, 4);
}

static neap_pipe *pipe_of(neap_native *const *stages, int32_t count) {
  neap_pipe *pipe;
  neap_error error;
  if (neap_pipe_open(stages, count, &pipe, &error) != NEAP_OK)
    fail_msg("%s", error.text);
  return pipe;
}

static void close_all(neap_pipe *pipe, neap_native **stages, int32_t count) {
  neap_pipe_close(pipe);
  for (int32_t k = 0; k < count; k++)
    neap_native_close(stages[k]);
}

static void put_floats(neap_pipe *pipe, float *values, int64_t count) {
  const neap_tensor tensor = {.data = values,
                              .ndim = 1,
                              .code = NEAP_FLOAT,
                              .bits = 32,
                              .lanes = 1,
                              .shape = &count};
  neap_pipe_put(pipe, 0, &tensor);
}

static void numbers_pass_through_all_stages(void **state) {
  neap_native *stages[] = {half(), half(), half()};
  neap_pipe *pipe = pipe_of(stages, 3);
  neap_error error;
  (void)state;
  for (int k = 0; k < 3; k++) {
    *neap_pipe_fields(pipe) = (neap_part){.type = NEAP_NUMBER, .number = 8 * k};
    assert_int_equal(neap_pipe_run(pipe, 1, k, &error), NEAP_OK);
    assert_int_equal(neap_pipe_results(pipe)->type, NEAP_NUMBER);
    assert_true(neap_pipe_results(pipe)->number == k);
  }
  close_all(pipe, stages, 3);
}

static void shapes_may_change_from_item_to_item(void **state) {
  neap_native *stages[] = {scale(2), scale(3), scale(0.5)};
  neap_pipe *pipe = pipe_of(stages, 3);
  const int64_t counts[] = {3, 1000, 0, 2, 100000, 2};
  static float in[100000], out[100000];
  neap_error error;
  (void)state;
  for (int k = 0; k < 6; k++) {
    for (int64_t i = 0; i < counts[k]; i++)
      in[i] = (float)(k + i);
    put_floats(pipe, in, counts[k]);
    assert_int_equal(neap_pipe_run(pipe, 1, k, &error), NEAP_AGAIN);
    neap_part *result = neap_pipe_results(pipe);
    assert_int_equal(result->type, NEAP_TENSOR);
    assert_int_equal(result->shape[0], counts[k]);
    result->data = out;
    assert_int_equal(neap_pipe_finish(pipe, 1, k, &error), NEAP_OK);
    for (int64_t i = 0; i < counts[k]; i++)
      assert_true(out[i] == 3 * in[i]);
  }
  close_all(pipe, stages, 3);
}

static void a_failure_names_its_stage(void **state) {
  neap_native *stages[] = {scale(2), scale(0), scale(3)};
  neap_pipe *pipe = pipe_of(stages, 3);
  float in[2] = {1, 2}, out[2];
  neap_error error;
  (void)state;
  put_floats(pipe, in, 2);
  assert_int_equal(neap_pipe_run(pipe, 1, 0, &error), NEAP_AGAIN);
  neap_pipe_results(pipe)->data = out;
  assert_int_equal(neap_pipe_finish(pipe, 1, 0, &error), NEAP_EITEM);
  assert_int_equal(neap_pipe_failed(pipe), 1);
  *neap_pipe_fields(pipe) = (neap_part){.type = NEAP_NUMBER};
  assert_int_equal(neap_pipe_run(pipe, 1, 0, &error), NEAP_EINVAL);
  assert_int_equal(neap_pipe_failed(pipe), 0);
  close_all(pipe, stages, 3);
}

/* Also when the types alone tell that a later stage cannot take the item. */
static void a_message_tells_what_was_computed(void **state) {
  const neap_argument data[] = {{.parameter = "x", .part = "data"},
                                {.parameter = "n", .number = 1}};
  neap_native *stages[] = {
      half(), stage_of("double sum_f64(const double *x, int64_t n)", data, 2)};
  neap_pipe *pipe = pipe_of(stages, 2);
  neap_error error;
  (void)state;
  *neap_pipe_fields(pipe) = (neap_part){.type = NEAP_NUMBER, .number = 7};
  assert_int_equal(neap_pipe_run(pipe, 1, 0, &error), NEAP_EINVAL);
  assert_int_equal(neap_pipe_failed(pipe), 1);
  assert_non_null(strstr(error.text, "the item is 3.5, and 'x'"));
  close_all(pipe, stages, 2);
}

static void the_first_failure_is_told(void **state) {
  const neap_argument outputs[] = {{.parameter = "code", .part = "item"},
                                   {.parameter = "out", .is_output = 1}};
  const neap_argument data[] = {{.parameter = "x", .part = "data"},
                                {.parameter = "n", .number = 1}};
  neap_native *stages[] = {
      stage_of("int status(int code, double *out)", outputs, 2),
      stage_of("double sum_f64(const double *x, int64_t n)", data, 2)};
  neap_pipe *pipe = pipe_of(stages, 2);
  neap_error error;
  (void)state;
  *neap_pipe_fields(pipe) = (neap_part){.type = NEAP_NUMBER, .number = 7};
  assert_int_equal(neap_pipe_run(pipe, 1, 0, &error), NEAP_EITEM);
  assert_int_equal(neap_pipe_failed(pipe), 0);
  close_all(pipe, stages, 2);
}

static void a_stage_fits_what_makes_all_that_it_reads(void **state) {
  const neap_argument of_field = {.parameter = "x", .part = "y"};
  const neap_argument copy[] = {
      {.parameter = "x", .part = "data", .is_output = 1},
      {.parameter = "n", .part = "count"},
      {.parameter = "factor", .number = 1},
  };
  neap_native *number = half(), *text;
  neap_native *field = stage_of("double half(double x)", &of_field, 1);
  neap_native *copier = stage_of(
      "void scale_in_place(float *x, int64_t n, float factor)", copy, 3);
  (void)state;
  text = stage_of("const char *name_of(int k)", NULL, 0);
  assert_int_equal(neap_pipe_fits(number, number), 1);
  assert_int_equal(neap_pipe_fits(number, field), 0);
  assert_int_equal(neap_pipe_fits(copier, copier), 1);
  assert_int_equal(neap_pipe_fits(text, copier), 0);
  neap_native_close(number);
  neap_native_close(field);
  neap_native_close(copier);
  neap_native_close(text);
}

static void no_number_passes_for_a_value_of_lua(void **state) {
  union {
    uint64_t bits;
    double number;
  } odd = {.bits = 0xfffe123456789abc};
  neap_native *stages[] = {half()};
  neap_pipe *pipe = pipe_of(stages, 1);
  neap_error error;
  (void)state;
  *neap_pipe_fields(pipe) =
      (neap_part){.type = NEAP_NUMBER, .number = odd.number};
  assert_int_equal(neap_pipe_run(pipe, 1, 0, &error), NEAP_OK);
  odd.number = neap_pipe_results(pipe)->number;
  assert_true(isnan(odd.number));
  assert_true(odd.bits <= 0xfff8000000000000);
  close_all(pipe, stages, 1);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(numbers_pass_through_all_stages),
      cmocka_unit_test(shapes_may_change_from_item_to_item),
      cmocka_unit_test(a_failure_names_its_stage),
      cmocka_unit_test(a_message_tells_what_was_computed),
      cmocka_unit_test(the_first_failure_is_told),
      cmocka_unit_test(a_stage_fits_what_makes_all_that_it_reads),
      cmocka_unit_test(no_number_passes_for_a_value_of_lua),
  };
  return cmocka_run_group_tests(tests, find_library, NULL);
}
