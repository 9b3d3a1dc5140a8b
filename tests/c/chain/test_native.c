/* SPDX-License-Identifier: MIT */
/*
 * Native stages over a library of many signatures, which the test calls
 * directly, too: both must return the same bits.
 */
#include "neap_lua.h"

#include <dlfcn.h>
#include <limits.h>
#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "../native/signatures.h"

static char path[PATH_MAX + 32]; /* of the library */
static void *library;

#define COUNT(list) (int32_t)(sizeof(list) / sizeof(list)[0])
#define DIRECT(function) \
  ((__typeof__(&(function)))(uintptr_t)dlsym(library, #function))

static int open_library(void **state) {
  const ssize_t size = readlink("/proc/self/exe", path, PATH_MAX - 1);
  (void)state;
  assert_true(size > 0);
  strcpy(strrchr(path, '/'), "/libsignatures.so");
  library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  return library != NULL ? 0 : -1;
}

/* ---- Stages -------------------------------------------------------------- */

static neap_native *open_stage(const neap_stage_options *options) {
  neap_native *native;
  neap_error error;
  if (neap_native_open(options, &native, &error) != NEAP_OK)
    fail_msg("%s", error.text);
  return native;
}

static neap_native *open_function(const char *declaration,
                                  const neap_argument *arguments,
                                  int32_t count) {
  return open_stage(&(neap_stage_options){.lib = path,
                                          .label = "the library",
                                          .declaration = declaration,
                                          .arguments = arguments,
                                          .argument_count = count});
}

static void check_refused(const neap_stage_options *options, int status,
                          const char *text) {
  neap_native *native;
  neap_error error;
  assert_int_equal(neap_native_open(options, &native, &error), status);
  assert_null(native);
  assert_string_equal(error.text, text);
}

static void check_binding(const char *declaration, neap_argument argument,
                          const char *text) {
  check_refused(&(neap_stage_options){.lib = path,
                                      .label = "the library",
                                      .declaration = declaration,
                                      .arguments = &argument,
                                      .argument_count = 1},
                NEAP_EINVAL, text);
}

/* Plans and calls, with memory for tensors; the caller frees that. */
static int call_at(neap_native *native, const neap_part *fields,
                   neap_part *results, int64_t epoch, int64_t index,
                   neap_error *error) {
  const int rc = neap_native_plan(native, fields, results, error);
  if (rc != NEAP_OK) return rc;
  for (int32_t k = 0; k < neap_native_result_count(native); k++)
    if (results[k].type == NEAP_TENSOR)
      results[k].data =
          aligned_alloc(64, ((size_t)results[k].nbytes + 64) / 64 * 64);
  return neap_native_call(native, fields, results, epoch, index, error);
}

static void call(neap_native *native, const neap_part *fields,
                 neap_part *results) {
  neap_error error;
  if (call_at(native, fields, results, 1, 0, &error) != NEAP_OK)
    fail_msg("%s", error.text);
}

static void check_fails(neap_native *native, const neap_part *fields,
                        int status, const char *text) {
  neap_part results[8] = {0};
  neap_error error;
  assert_int_equal(call_at(native, fields, results, 1, 0, &error), status);
  assert_string_equal(error.text, text);
  for (int32_t k = 0; k < neap_native_result_count(native); k++)
    if (results[k].type == NEAP_TENSOR) free(results[k].data);
}

/* ---- Parts --------------------------------------------------------------- */

static neap_part number(double value) {
  return (neap_part){.type = NEAP_NUMBER, .number = value};
}

static neap_part integer(int64_t value) {
  return (neap_part){.type = NEAP_INT64, .integer = value};
}

static neap_part natural(uint64_t value) {
  return (neap_part){.type = NEAP_UINT64, .integer = (int64_t)value};
}

static neap_part boolean(int value) {
  return (neap_part){.type = NEAP_BOOLEAN, .number = value};
}

static neap_part string(const char *text) {
  return (neap_part){.type = NEAP_STRING,
                     .data = (void *)(uintptr_t)text,
                     .count = (int64_t)strlen(text),
                     .nbytes = (int64_t)strlen(text)};
}

static neap_part tensor(int code, int bits, const void *data, int64_t rows,
                        int64_t columns) {
  neap_part part = {.type = NEAP_TENSOR,
                    .code = (uint8_t)code,
                    .bits = (uint8_t)bits,
                    .ndim = columns > 0 ? 2 : 1,
                    .data = (void *)(uintptr_t)data,
                    .shape = {rows, columns}};
  part.count = rows * (columns > 0 ? columns : 1);
  part.nbytes = part.count * bits / 8;
  return part;
}

/* The bits of a result as an integer, whatever it came as. */
static uint64_t bits_of(const neap_part *part) {
  if (part->type == NEAP_INT64 || part->type == NEAP_UINT64)
    return (uint64_t)part->integer;
  assert_true(part->type == NEAP_NUMBER || part->type == NEAP_BOOLEAN);
  assert_true(part->number == trunc(part->number));
  return part->number < 0 ? (uint64_t)(int64_t)part->number
                          : (uint64_t)part->number;
}

/* ---- Numbers ------------------------------------------------------------- */

/* All pairs of the type's limits, and of some numbers within. */
#define CHECK_ADD(function, type, least, most, text) \
  static void check_##function(void) { \
    const neap_argument arguments[] = {{.parameter = "a", .part = "a"}, \
                                       {.parameter = "b", .part = "b.item"}}; \
    const type values[] = {(least),           (most), 0, 1, 7, (type)-1, \
                           (type)((most) / 3)}; \
    neap_native *native = open_function(text, arguments, 2); \
    assert_int_equal(neap_native_field_count(native), 2); \
    for (int i = 0; i < COUNT(values); i++) { \
      for (int j = 0; j < COUNT(values); j++) { \
        const bool is_signed = (type)-1 < (type)1; \
        const neap_part fields[] = {is_signed ? integer((int64_t)values[i]) \
                                              : natural((uint64_t)values[i]), \
                                    is_signed ? integer((int64_t)values[j]) \
                                              : natural((uint64_t)values[j])}; \
        neap_part result; \
        call(native, fields, &result); \
        const type expected = DIRECT(function)(values[i], values[j]); \
        assert_true((type)bits_of(&result) == expected); \
        assert_true(bits_of(&result) == (uint64_t)expected); \
      } \
    } \
    neap_native_close(native); \
  }

CHECK_ADD(add_i8, int8_t, INT8_MIN, INT8_MAX,
          "int8_t add_i8(int8_t a, int8_t b)")
CHECK_ADD(add_u8, uint8_t, 0, UINT8_MAX, "uint8_t add_u8(uint8_t a, uint8_t b)")
CHECK_ADD(add_i16, int16_t, INT16_MIN, INT16_MAX,
          "int16_t add_i16(int16_t a, int16_t b)")
CHECK_ADD(add_u16, uint16_t, 0, UINT16_MAX,
          "uint16_t add_u16(uint16_t a, uint16_t b)")
CHECK_ADD(add_i32, int32_t, INT32_MIN, INT32_MAX,
          "int32_t add_i32(int32_t a, int32_t b)")
CHECK_ADD(add_u32, uint32_t, 0, UINT32_MAX,
          "uint32_t add_u32(uint32_t a, uint32_t b)")
CHECK_ADD(add_i64, int64_t, INT64_MIN, INT64_MAX,
          "int64_t add_i64(int64_t a, int64_t b)")
CHECK_ADD(add_u64, uint64_t, 0, UINT64_MAX,
          "uint64_t add_u64(uint64_t a, uint64_t b)")
CHECK_ADD(add_char, char, CHAR_MIN, CHAR_MAX, "char add_char(char a, char b)")
CHECK_ADD(add_short, short, SHRT_MIN, SHRT_MAX,
          "short add_short(short a, short b)")
CHECK_ADD(add_ushort, unsigned short, 0, USHRT_MAX,
          "unsigned short int add_ushort(unsigned short a, unsigned short b)")
CHECK_ADD(add_long, long, LONG_MIN, LONG_MAX, "long add_long(long a, long b)")
CHECK_ADD(add_ulong, unsigned long, 0, ULONG_MAX,
          "unsigned long add_ulong(unsigned long a, unsigned long b)")
CHECK_ADD(add_llong, long long, LLONG_MIN, LLONG_MAX,
          "long long add_llong(long long a, long long b)")
CHECK_ADD(add_size, size_t, 0, SIZE_MAX, "size_t add_size(size_t a, size_t b)")

static void integers_of_all_widths_keep_their_bits(void **state) {
  (void)state;
  check_add_i8();
  check_add_u8();
  check_add_i16();
  check_add_u16();
  check_add_i32();
  check_add_u32();
  check_add_i64();
  check_add_u64();
  check_add_char();
  check_add_short();
  check_add_ushort();
  check_add_long();
  check_add_ulong();
  check_add_llong();
  check_add_size();
}

static void floats_keep_their_bits(void **state) {
  const neap_argument arguments[] = {{.parameter = "a", .part = "a"},
                                     {.parameter = "b", .part = "b"}};
  static const double values[] = {0, -0.0, 0.1, 1e300, -1e-310, INFINITY};
  neap_native *f64 =
      open_function("double add_f64(double a, double b)", arguments, 2);
  neap_native *f32 =
      open_function("float add_f32(float a, float b)", arguments, 2);
  (void)state;
  for (int i = 0; i < COUNT(values); i++) {
    for (int j = 0; j < COUNT(values); j++) {
      const neap_part fields[] = {number(values[i]), number(values[j])};
      neap_part result;
      double expected = DIRECT(add_f64)(values[i], values[j]);
      call(f64, fields, &result);
      assert_int_equal(result.type, NEAP_NUMBER);
      assert_memory_equal(&result.number, &expected, 8);
      expected = (double)DIRECT(add_f32)((float)values[i], (float)values[j]);
      call(f32, fields, &result);
      assert_memory_equal(&result.number, &expected, 8);
    }
  }
  neap_native_close(f64);
  neap_native_close(f32);
}

static void truths_are_booleans(void **state) {
  const neap_argument arguments[] = {{.parameter = "a", .part = "a"},
                                     {.parameter = "b", .part = "b"}};
  neap_native *native =
      open_function("bool differ(bool a, _Bool b)", arguments, 2);
  neap_part result;
  (void)state;
  call(native, (neap_part[]){boolean(1), boolean(0)}, &result);
  assert_int_equal(result.type, NEAP_BOOLEAN);
  assert_true(result.number == 1);
  call(native, (neap_part[]){boolean(1), number(1)}, &result);
  assert_true(result.number == 0);
  check_fails(native, (neap_part[]){boolean(1), number(2)}, NEAP_EINVAL,
              "cannot call differ of the library: 'b' (bool) cannot hold 2");
  neap_native_close(native);
}

static void numbers_that_do_not_fit_fail(void **state) {
  const struct {
    const char *declaration;
    neap_part part;
    const char *why;
  } cases[] = {
      {"int increase(int x)", number(2.5), "'x' (int) cannot hold 2.5"},
      {"int increase(int x)", number(2147483648.0),
       "'x' (int) cannot hold 2147483648"},
      {"int increase(int x)", number(-2147483649.0),
       "'x' (int) cannot hold -2147483649"},
      {"int increase(int x)", number(NAN), "'x' (int) cannot hold nan"},
      {"int increase(int x)", number(1e300),
       "'x' (int) cannot hold 1.0000000000000001e+300"},
      {"int increase(int x)", integer(INT64_MIN),
       "'x' (int) cannot hold -9223372036854775808"},
      {"uint8_t invert(uint8_t x)", number(256),
       "'x' (unsigned char) cannot hold 256"},
      {"uint8_t invert(uint8_t x)", number(-1),
       "'x' (unsigned char) cannot hold -1"},
      {"int64_t square(int64_t x)", natural(UINT64_MAX),
       "'x' (long) cannot hold 18446744073709551615"},
      {"int64_t square(int64_t x)", number(9223372036854775808.0),
       "'x' (long) cannot hold 9.2233720368547758e+18"},
      {"int increase(int x)", string("abc"),
       "the item is a string of 3 bytes, and 'x' (int) takes a number"},
      {"int increase(int x)",
       {.type = NEAP_NIL},
       "the item is nil, and 'x' (int) takes a number"},
  };
  (void)state;
  for (int k = 0; k < COUNT(cases); k++) {
    char text[300];
    neap_native *native = open_function(cases[k].declaration, NULL, 0);
    snprintf(text, sizeof text, "cannot call %s: %s", neap_native_text(native),
             cases[k].why);
    check_fails(native, &cases[k].part, NEAP_EINVAL, text);
    neap_native_close(native);
  }
}

static void many_arguments_arrive_in_order(void **state) {
  neap_argument arguments[20];
  neap_part fields[20], result;
  static const char names[] = "a\0b\0c\0d\0e\0f\0g\0h\0i\0j\0k\0l\0m\0n\0o\0p\0"
                              "q\0r\0s\0t";
  (void)state;
  memset(arguments, 0, sizeof arguments);
  for (int k = 0; k < 20; k++) {
    arguments[k].parameter = arguments[k].part = names + 2 * k;
    fields[k] = number(k * k + 1);
  }
  neap_native *native = open_function(
      "double many(int a, double b, int c, double d, int e, double f, int g,"
      "double h, int i, double j, int k, double l, int m, double n, int o,"
      "double p, int q, double r, int s, double t)",
      arguments, 20);
  call(native, fields, &result);
  assert_true(result.number == DIRECT(many)(1, 2, 5, 10, 17, 26, 37, 50, 65, 82,
                                            101, 122, 145, 170, 197, 226, 257,
                                            290, 325, 362));
  neap_native_close(native);
  native = open_function("double mix(int8_t a, uint16_t b, float c, int64_t d,"
                         "double e, bool f, uint8_t g)",
                         arguments, 7);
  fields[5] = boolean(1);
  call(native, fields, &result);
  assert_true(result.number == DIRECT(mix)(1, 2, 5, 10, 17, true, 37));
  neap_native_close(native);
}

/* ---- Data ---------------------------------------------------------------- */

static void pointers_get_the_elements(void **state) {
  const neap_argument arguments[] = {{.parameter = "x", .part = "data"},
                                     {.parameter = "n", .part = "count"}};
  static const double f64[] = {1, 2.5, -3, 1e-9, 5, 6};
  static const float f32[] = {1, 2.5F, -3, 1e-9F, 5, 6};
  static const int32_t i32[] = {INT32_MAX, INT32_MAX, 1, 2, 3, 4};
  neap_part part = tensor(NEAP_FLOAT, 64, f64, 2, 3), result;
  (void)state;
  neap_native *native =
      open_function("double sum_f64(const double *x, int64_t n)", arguments, 2);
  call(native, &part, &result);
  assert_true(result.number == DIRECT(sum_f64)(f64, 6));
  part = tensor(NEAP_FLOAT, 32, f32, 2, 3);
  check_fails(native, &part, NEAP_EINVAL,
              "cannot call sum_f64 of the library: the item is a tensor, f32 "
              "2x3, and 'x' (const double *) takes data of another type");
  neap_native_close(native);
  native = open_function("float sum_f32(const float *x, int n)", arguments, 2);
  call(native, &part, &result);
  assert_true(result.number == (double)DIRECT(sum_f32)(f32, 6));
  neap_native_close(native);
  native =
      open_function("int64_t sum_i32(const int *x, size_t n)", arguments, 2);
  part = tensor(NEAP_INT, 32, i32, 6, 0);
  call(native, &part, &result);
  assert_true(result.number == (double)DIRECT(sum_i32)(i32, 6));
  part.code = NEAP_UINT;
  check_fails(native, &part, NEAP_EINVAL,
              "cannot call sum_i32 of the library: the item is a tensor, u32 "
              "6, and 'x' (const int *) takes data of another type");
  neap_native_close(native);
}

static void bytes_are_those_of_any_tensor_and_string(void **state) {
  const neap_argument arguments[] = {
      {.parameter = "data", .part = "x.data"},
      {.parameter = "nbytes", .part = "x.nbytes"}};
  static const uint16_t f16[] = {0x1234, 0x5678};
  neap_part part = tensor(NEAP_FLOAT, 16, f16, 2, 0), result;
  neap_native *native = open_function(
      "uint64_t sum_bytes(const void *data, size_t nbytes)", arguments, 2);
  (void)state;
  assert_int_equal(neap_native_field_count(native), 1);
  assert_string_equal(neap_native_field(native, 0), "x");
  call(native, &part, &result);
  assert_true(result.number == (double)DIRECT(sum_bytes)(f16, 4));
  part = string("some bytes");
  call(native, &part, &result);
  assert_true(result.number == (double)DIRECT(sum_bytes)("some bytes", 10));
  part = tensor(NEAP_FLOAT, 64, NULL, 0, 0);
  call(native, &part, &result);
  assert_true(result.number == 0);
  part = number(5);
  check_fails(native, &part, NEAP_EINVAL,
              "cannot call sum_bytes of the library: 'x' is 5, and 'data' "
              "(const void *) takes data");
  neap_native_close(native);
}

static void texts_go_in_and_out(void **state) {
  neap_part part = string("four"), result;
  neap_native *native =
      open_function("int64_t text_length(const char *text)", NULL, 0);
  (void)state;
  call(native, &part, &result);
  assert_true(result.number == 4);
  neap_native_close(native);
  native = open_function("const char *name_of(int k)", NULL, 0);
  part = number(2);
  call(native, &part, &result);
  assert_int_equal(result.type, NEAP_STRING);
  assert_int_equal(result.count, 3);
  assert_memory_equal(result.data, "two", 3);
  part = number(9);
  check_fails(native, &part, NEAP_EITEM,
              "name_of of the library failed: it returned NULL");
  neap_native_close(native);
}

static void pointers_get_copies_of_numbers(void **state) {
  const neap_argument arguments[] = {{.parameter = "n", .part = "a.count"},
                                     {.parameter = "x", .part = "a.data"},
                                     {.parameter = "y", .part = "b.data"}};
  static const double x[] = {1, 2, 3}, y[] = {4, 5, 6};
  const neap_part fields[] = {tensor(NEAP_FLOAT, 64, x, 3, 0),
                              tensor(NEAP_FLOAT, 64, y, 3, 0)};
  neap_part result;
  neap_native *native = open_function(
      "double dot_(const int *n, const double *x, const double *y)", arguments,
      3);
  (void)state;
  call(native, fields, &result);
  assert_true(result.number == 32);
  neap_native_close(native);
}

/* ---- Outputs ------------------------------------------------------------- */

static void an_output_is_the_result(void **state) {
  const neap_argument arguments[] = {{.parameter = "x", .part = "data"},
                                     {.parameter = "out",
                                      .is_output = 1,
                                      .code = NEAP_FLOAT,
                                      .bits = 32,
                                      .ndim = -1,
                                      .shape_of = "shape"},
                                     {.parameter = "n", .part = "count"},
                                     {.parameter = "factor", .number = 2.5}};
  static const float x[] = {1, 2, 3, 4, 5, 6};
  const neap_part part = tensor(NEAP_FLOAT, 32, x, 2, 3);
  neap_part result;
  neap_native *native = open_function(
      "int scale(const float *x, float *out, int64_t n, float factor)",
      arguments, 4);
  (void)state;
  assert_int_equal(neap_native_result_count(native), 1);
  assert_string_equal(neap_native_result(native, 0), "");
  call(native, &part, &result);
  assert_int_equal(result.type, NEAP_TENSOR);
  assert_int_equal(result.ndim, 2);
  assert_int_equal(result.shape[1], 3);
  assert_int_equal(result.nbytes, 24);
  for (int k = 0; k < 6; k++)
    assert_true(((float *)result.data)[k] == x[k] * 2.5F);
  free(result.data);
  const neap_part other = number(1);
  check_fails(native, &other, NEAP_EINVAL,
              "cannot call scale of the library: the item is 1, and 'x' "
              "(const float *) takes data");
  neap_native_close(native);
}

static void an_output_may_begin_as_a_copy(void **state) {
  const neap_argument arguments[] = {
      {.parameter = "x", .part = "image.data", .is_output = 1},
      {.parameter = "n", .part = "image.count"},
      {.parameter = "factor", .number = 3}};
  static const float x[] = {1, 2, 3, 4, 5, 6};
  static const double y[] = {1};
  neap_part part = tensor(NEAP_FLOAT, 32, x, 3, 2), result;
  neap_native *native = open_function(
      "void scale_in_place(float *x, int64_t n, float factor)", arguments, 3);
  (void)state;
  call(native, &part, &result);
  assert_int_equal(result.shape[0], 3);
  for (int k = 0; k < 6; k++)
    assert_true(((float *)result.data)[k] == x[k] * 3);
  free(result.data);
  part = tensor(NEAP_FLOAT, 64, y, 1, 0);
  check_fails(native, &part, NEAP_EINVAL,
              "cannot call scale_in_place of the library: an output is to be "
              "like 'image', which is a tensor, f64 1");
  neap_native_close(native);
}

static void outputs_are_named_as_their_parameters(void **state) {
  const neap_argument arguments[] = {{.parameter = "x", .part = "data"},
                                     {.parameter = "n", .part = "count"},
                                     {.parameter = "least", .is_output = 1},
                                     {.parameter = "most",
                                      .is_output = 1,
                                      .code = NEAP_FLOAT,
                                      .bits = 64,
                                      .ndim = 1,
                                      .shape = {1}}};
  static const double x[] = {3, 1, 2};
  neap_part part = tensor(NEAP_FLOAT, 64, x, 3, 0), results[2];
  neap_native *native = open_function("int min_max(const double *x, int64_t n,"
                                      "double *least, double *most)",
                                      arguments, 4);
  (void)state;
  assert_int_equal(neap_native_result_count(native), 2);
  assert_string_equal(neap_native_result(native, 0), "least");
  assert_string_equal(neap_native_result(native, 1), "most");
  call(native, &part, results);
  assert_true(results[0].type == NEAP_NUMBER && results[0].number == 1);
  assert_true(*(double *)results[1].data == 3);
  free(results[1].data);
  part.count = part.nbytes = part.shape[0] = 0;
  check_fails(native, &part, NEAP_EITEM,
              "min_max of the library failed: it returned 1");
  neap_native_close(native);
}

static void a_false_and_a_null_are_failures(void **state) {
  const neap_argument arguments[] = {{.parameter = "x", .part = "item"},
                                     {.parameter = "out", .is_output = 1}};
  neap_part part = number(4), result;
  neap_native *native =
      open_function("bool reciprocal(double x, double *out)", arguments, 2);
  (void)state;
  call(native, &part, &result);
  assert_true(result.number == 0.25);
  part = number(0);
  check_fails(native, &part, NEAP_EITEM,
              "reciprocal of the library failed: it returned false");
  neap_native_close(native);

  const neap_argument others[] = {{.parameter = "x", .part = "data"},
                                  {.parameter = "out",
                                   .is_output = 1,
                                   .code = NEAP_FLOAT,
                                   .bits = 32,
                                   .ndim = -1,
                                   .shape_of = "shape"},
                                  {.parameter = "n", .part = "count"}};
  part = tensor(NEAP_FLOAT, 32, NULL, 0, 0);
  native = open_function("const float *copy_unless_empty(const float *x,"
                         "float *out, int64_t n)",
                         others, 3);
  check_fails(native, &part, NEAP_EITEM,
              "copy_unless_empty of the library failed: it returned NULL");
  neap_native_close(native);
}

/* ---- Structs ------------------------------------------------------------- */

#define POINT "typedef struct { double x, y; } point;\n"

static void structs_are_tables(void **state) {
  const neap_part fields[] = {number(3), number(4)};
  neap_part results[2];
  (void)state;
  neap_native *native = open_function(POINT "point mirror(point p)", NULL, 0);
  assert_int_equal(neap_native_field_count(native), 2);
  assert_string_equal(neap_native_field(native, 0), "x");
  assert_string_equal(neap_native_field(native, 1), "y");
  assert_int_equal(neap_native_result_count(native), 2);
  assert_string_equal(neap_native_result(native, 0), "x");
  call(native, fields, results);
  assert_true(results[0].number == 4 && results[1].number == 3);
  neap_native_close(native);
  native = open_function(POINT "double norm(point p)", NULL, 0);
  call(native, fields, results);
  assert_true(results[0].number == 5);
  neap_native_close(native);
  native = open_function(POINT "double norm_of(const point *p)", NULL, 0);
  call(native, fields, results);
  assert_true(results[0].number == 5);
  neap_native_close(native);
}

static void members_are_bound_one_by_one(void **state) {
  const neap_argument arguments[] = {{.parameter = "p.y", .part = "b"},
                                     {.parameter = "p.x", .number = 12}};
  const neap_part fields[] = {number(5)};
  neap_part result;
  (void)state;
  neap_native *native =
      open_function(POINT "double norm(point p)", arguments, 2);
  call(native, fields, &result);
  assert_true(result.number == 13);
  neap_native_close(native);
  native = open_function(POINT "double norm_of(const point *p)", arguments, 2);
  call(native, fields, &result);
  assert_true(result.number == 13);
  neap_native_close(native);
}

static void structs_of_all_classes_pass_by_value(void **state) {
  const neap_part fields[] = {number(1), number(2), number(3), number(4),
                              integer(((int64_t)1 << 60) + 1)};
  neap_part results[8];
  (void)state;
  neap_native *native = open_function(
      "struct pair { float a; int32_t b; }; struct pair swap_pair("
      "struct pair p)",
      NULL, 0);
  call(native, fields, results);
  assert_true(results[0].number == 2 && results[1].number == 1);
  neap_native_close(native);
  native = open_function(
      "typedef struct { int8_t a; uint16_t b; } tiny; tiny next_tiny(tiny t)",
      NULL, 0);
  call(native, fields, results);
  assert_true(results[0].number == 2 && results[1].number == 3);
  neap_native_close(native);
  const neap_argument arguments[] = {{.parameter = "b", .part = "b"},
                                     {.parameter = "by", .number = 10}};
  native =
      open_function(POINT "typedef struct { point from, to; int64_t id; } box;"
                          "box grow(box b, double by)",
                    arguments, 2);
  assert_int_equal(neap_native_field_count(native), 5);
  assert_string_equal(neap_native_field(native, 1), "b.from.y");
  assert_string_equal(neap_native_result(native, 2), "to.x");
  call(native, fields, results);
  assert_true(results[1].number == -8 && results[2].number == 13);
  assert_int_equal(results[4].type, NEAP_INT64);
  assert_true(results[4].integer == ((int64_t)1 << 60) + 2);
  neap_native_close(native);
}

/* libffi 3.4 writes to the list of arguments that it is given. */
static void structs_pass_by_value_again_and_again(void **state) {
  static const char declaration[] = POINT
      "typedef struct { point from, to; int64_t id; } box; box grow(box b, "
      "double by)";
  const neap_argument arguments[] = {{.parameter = "b", .part = "item"},
                                     {.parameter = "by", .number = 10}};
  (void)state;
  neap_native *native = open_function(declaration, arguments, 2);
  for (int64_t k = 0; k < 3; k++) {
    const neap_part fields[] = {number(1), number((double)k), number(3),
                                number(4), integer(k)};
    neap_part results[8];
    call(native, fields, results);
    assert_true(results[1].number == (double)k - 10);
    assert_true(results[2].number == 13);
    assert_true(results[4].number == (double)k + 1);
  }
  neap_native_close(native);
}

static void an_output_begins_as_its_number(void **state) {
  const neap_argument arguments[] = {
      {.parameter = "sum", .is_output = 1, .number = 10},
      {.parameter = "x", .part = "item"}};
  neap_part field, results[2];
  (void)state;
  neap_native *native =
      open_function("void add_to(int *sum, int x)", arguments, 2);
  for (int k = 1; k < 3; k++) {
    field = number(k);
    call(native, &field, results);
    assert_true(results[0].number == 10 + k);
  }
  neap_native_close(native);
}

static void arrays_in_structs_are_texts_and_tensors(void **state) {
  const neap_argument arguments[] = {{.parameter = "r", .part = "item"},
                                     {.parameter = "name", .text = "renamed"}};
  static const int16_t values[] = {1, 2, -3};
  neap_part fields[] = {string("old"), tensor(NEAP_INT, 16, values, 3, 0),
                        number(0.5)};
  neap_part results[3];
  neap_native *native = open_function(
      "typedef struct { char name[8]; int16_t values[3]; double weight; } "
      "record; record rename_record(record r, const char *name)",
      arguments, 2);
  (void)state;
  call(native, fields, results);
  assert_int_equal(results[0].type, NEAP_STRING);
  assert_int_equal(results[0].count, 7);
  assert_memory_equal(results[0].data, "renamed", 7);
  assert_int_equal(results[1].type, NEAP_TENSOR);
  assert_int_equal(results[1].shape[0], 3);
  assert_int_equal(((int16_t *)results[1].data)[2], -6);
  assert_true(results[2].number == 1.5);
  free(results[1].data);
  fields[0] = string("too long a name");
  check_fails(native, fields, NEAP_EINVAL,
              "cannot call rename_record of the library: 'name' is a string "
              "of 15 bytes, and 'r.name' (array) takes as many elements of "
              "that type");
  neap_native_close(native);
}

static void an_output_may_be_a_struct(void **state) {
  const neap_argument arguments[] = {{.parameter = "x", .part = "item"},
                                     {.parameter = "out", .is_output = 1}};
  neap_part part = number(2), results[2];
  neap_native *native =
      open_function(POINT "int make_point(double x, point *out)", arguments, 2);
  (void)state;
  assert_string_equal(neap_native_result(native, 1), "y");
  call(native, &part, results);
  assert_true(results[0].number == 2 && results[1].number == -2);
  part = number(-1);
  check_fails(native, &part, NEAP_EITEM,
              "make_point of the library failed: it returned -5");
  neap_native_close(native);
}

/* ---- For each element ---------------------------------------------------- */

#define CHECK_EACH(native, from, from_type, from_code, arg_type, to_type, \
                   to_code, f) \
  do { \
    const neap_part part_ = \
        tensor(from_code, 8 * sizeof(from_type), from, COUNT(from) / 2, 2); \
    neap_part result_; \
    call(native, &part_, &result_); \
    assert_int_equal(result_.type, NEAP_TENSOR); \
    assert_int_equal(result_.code, to_code); \
    assert_int_equal(result_.bits, 8 * sizeof(to_type)); \
    assert_int_equal(result_.ndim, 2); \
    for (int k_ = 0; k_ < COUNT(from); k_++) \
      assert_true(((to_type *)result_.data)[k_] == f((arg_type)from[k_])); \
    free(result_.data); \
  } while (0)

static void each_element_goes_through_the_function(void **state) {
  static double f64[1000];
  static float f32[1000];
  static int32_t i32[1000];
  static uint8_t u8[1000];
  static int64_t i64[1000];
  (void)state;
  for (int k = 0; k < 1000; k++) {
    f64[k] = k / 3.0;
    f32[k] = (float)k / 3;
    i32[k] = k * 1000003;
    u8[k] = (uint8_t)k;
    i64[k] = k * (int64_t)123456789;
  }
  neap_native *native = open_function("double half(double x)", NULL, 0);
  CHECK_EACH(native, f64, double, NEAP_FLOAT, double, double, NEAP_FLOAT,
             DIRECT(half));
  CHECK_EACH(native, f32, float, NEAP_FLOAT, double, double, NEAP_FLOAT,
             DIRECT(half));
  CHECK_EACH(native, u8, uint8_t, NEAP_UINT, double, double, NEAP_FLOAT,
             DIRECT(half));
  CHECK_EACH(native, i64, int64_t, NEAP_INT, double, double, NEAP_FLOAT,
             DIRECT(half));
  neap_native_close(native);
  native = open_function("float half_f32(float x)", NULL, 0);
  CHECK_EACH(native, f32, float, NEAP_FLOAT, float, float, NEAP_FLOAT,
             DIRECT(half_f32));
  CHECK_EACH(native, u8, uint8_t, NEAP_UINT, float, float, NEAP_FLOAT,
             DIRECT(half_f32));
  neap_native_close(native);
  native = open_function("int increase(int x)", NULL, 0);
  CHECK_EACH(native, i32, int32_t, NEAP_INT, int, int32_t, NEAP_INT,
             DIRECT(increase));
  CHECK_EACH(native, u8, uint8_t, NEAP_UINT, int, int32_t, NEAP_INT,
             DIRECT(increase));
  neap_native_close(native);
  native = open_function("uint8_t invert(uint8_t x)", NULL, 0);
  CHECK_EACH(native, u8, uint8_t, NEAP_UINT, uint8_t, uint8_t, NEAP_UINT,
             DIRECT(invert));
  neap_native_close(native);
  native = open_function("int64_t square(int64_t x)", NULL, 0);
  CHECK_EACH(native, i64, int64_t, NEAP_INT, int64_t, int64_t, NEAP_INT,
             DIRECT(square));
  CHECK_EACH(native, u8, uint8_t, NEAP_UINT, int64_t, int64_t, NEAP_INT,
             DIRECT(square));
  neap_native_close(native);
  native = open_function("bool is_even(int x)", NULL, 0);
  CHECK_EACH(native, i32, int32_t, NEAP_INT, int, bool, NEAP_BOOL,
             DIRECT(is_even));
  neap_native_close(native);
}

static void elements_keep_64_bits(void **state) {
  static const uint64_t u64[] = {UINT64_MAX, ((uint64_t)1 << 63) + 1, 3};
  const neap_argument arguments[] = {{.parameter = "a", .part = "item"},
                                     {.parameter = "b", .number = 1}};
  const neap_part part = tensor(NEAP_UINT, 64, u64, 3, 0);
  neap_part result;
  neap_native *native =
      open_function("uint64_t add_u64(uint64_t a, uint64_t b)", arguments, 2);
  (void)state;
  call(native, &part, &result);
  for (int k = 0; k < 3; k++)
    assert_true(((uint64_t *)result.data)[k] == u64[k] + 1);
  free(result.data);
  neap_native_close(native);
  native = open_function("int64_t square(int64_t x)", NULL, 0);
  check_fails(native, &part, NEAP_EINVAL,
              "cannot call square of the library: 'x' (long) cannot hold "
              "1.8446744073709552e+19, element 1 of the tensor");
  neap_native_close(native);
}

static void elements_go_beside_numbers(void **state) {
  const neap_argument arguments[] = {{.parameter = "a", .part = "a"},
                                     {.parameter = "b", .part = "b"},
                                     {.parameter = "t", .number = 0.25}};
  static float a[600], b[600];
  neap_part fields[2], result;
  neap_native *native =
      open_function("float lerp(float a, float b, float t)", arguments, 3);
  (void)state;
  for (int k = 0; k < 600; k++) {
    a[k] = (float)k;
    b[k] = (float)(k * k);
  }
  fields[0] = tensor(NEAP_FLOAT, 32, a, 600, 0);
  fields[1] = tensor(NEAP_FLOAT, 32, b, 600, 0);
  call(native, fields, &result);
  for (int k = 0; k < 600; k++)
    assert_true(((float *)result.data)[k] == DIRECT(lerp)(a[k], b[k], 0.25F));
  free(result.data);
  fields[0] = number(7);
  call(native, fields, &result);
  for (int k = 0; k < 600; k++)
    assert_true(((float *)result.data)[k] == DIRECT(lerp)(7, b[k], 0.25F));
  free(result.data);
  fields[0] = tensor(NEAP_FLOAT, 32, a, 300, 2);
  check_fails(native, fields, NEAP_EINVAL,
              "cannot call lerp of the library for each element: the tensors "
              "have different shapes");
  neap_native_close(native);
}

static void elements_that_do_not_fit_are_named(void **state) {
  static float f32[700];
  const neap_part part = tensor(NEAP_FLOAT, 32, f32, 350, 2);
  neap_native *native = open_function("int increase(int x)", NULL, 0);
  (void)state;
  f32[600] = 1.5F;
  check_fails(native, &part, NEAP_EINVAL,
              "cannot call increase of the library: 'x' (int) cannot hold "
              "1.5, element 601 of the tensor");
  neap_native_close(native);
  native = open_function("void nothing(int x)", NULL, 0);
  check_fails(native, &part, NEAP_EINVAL,
              "cannot call nothing of the library for each element of a "
              "tensor: it returns no number\nhelp: bind a pointer to \"data\" "
              "to pass all elements at once");
  neap_native_close(native);
}

/* ---- Failures, contexts, seeds ------------------------------------------- */

static void failures_have_the_text_of_the_library(void **state) {
  const neap_argument arguments[] = {{.parameter = "code", .part = "item"},
                                     {.parameter = "out", .is_output = 1}};
  const neap_stage_options options = {
      .lib = path,
      .declaration = "int status(int code, double *out)",
      .label = "disk.c",
      .arguments = arguments,
      .argument_count = 2,
      .error = "const char *status_text(int code)"};
  neap_part part = number(0), result;
  neap_native *native = open_stage(&options);
  (void)state;
  assert_string_equal(neap_native_text(native), "status of disk.c");
  call(native, &part, &result);
  assert_true(result.number == 0);
  part = number(3);
  check_fails(native, &part, NEAP_EITEM,
              "status of disk.c failed: it returned 3 (the disk is full)");
  part = number(77); /* of several lines, the first */
  check_fails(native, &part, NEAP_EITEM,
              "status of disk.c failed: it returned 77 (a line)");
  neap_native_close(native);
}

static void a_failure_may_be_what_is_negative(void **state) {
  const neap_argument arguments[] = {{.parameter = "code", .part = "item"},
                                     {.parameter = "out", .is_output = 1}};
  neap_stage_options options = {.lib = path,
                                .label = "the library",
                                .declaration =
                                    "unsigned status(int code, double *out)",
                                .arguments = arguments,
                                .argument_count = 2,
                                .fails = NEAP_FAILS_NEGATIVE};
  neap_part part = number(3), result;
  neap_native *native = open_stage(&options);
  (void)state;
  call(native, &part, &result);
  assert_true(result.number == 3);
  part = number(-3);
  check_fails(native, &part, NEAP_EITEM,
              "status of the library failed: it returned 4294967293");
  neap_native_close(native);
  options.fails = NEAP_FAILS_NEVER;
  native = open_stage(&options);
  call(native, &part, &result);
  assert_true(result.number == -3);
  neap_native_close(native);
}

static void a_void_function_makes_nil(void **state) {
  const neap_part part = number(1);
  neap_part result;
  neap_native *native = open_function("void nothing(int x)", NULL, 0);
  (void)state;
  call(native, &part, &result);
  assert_int_equal(neap_native_result_count(native), 1);
  assert_int_equal(result.type, NEAP_NIL);
  neap_native_close(native);
}

static const neap_argument start[] = {{.parameter = "start", .number = 100},
                                      {.parameter = "name", .text = "too far"}};

#define COUNTER "typedef struct counter counter; "

static void a_context_lives_as_long_as_the_stage(void **state) {
  const neap_argument arguments[] = {{.parameter = "c", .part = "context"},
                                     {.parameter = "step", .part = "item"}};
  const neap_stage_options options = {
      .lib = path,
      .declaration = COUNTER "int64_t counter_next(counter *c, int64_t step)",
      .arguments = arguments,
      .argument_count = 2,
      .init = {COUNTER "counter *counter_new(int64_t start, const char *name)",
               start, 2},
      .fini = {COUNTER "void counter_free(counter *c)", NULL, 0}};
  const neap_part part = number(5);
  neap_part result;
  (void)state;
  neap_native *native = open_stage(&options);
  assert_int_equal(DIRECT(counters_alive)(), 0);
  call(native, &part, &result);
  assert_int_equal(DIRECT(counters_alive)(), 1);
  call(native, &part, &result);
  assert_true(result.number == 110);
  neap_native *other = open_stage(&options);
  call(other, &part, &result);
  assert_true(result.number == 105);
  assert_int_equal(DIRECT(counters_alive)(), 2);
  neap_native_close(native);
  neap_native_close(other);
  assert_int_equal(DIRECT(counters_alive)(), 0);
  neap_native_close(open_stage(&options));
  assert_int_equal(DIRECT(counters_alive)(), 0);
}

static void an_error_may_ask_the_context(void **state) {
  const neap_argument arguments[] = {{.parameter = "c", .part = "context"},
                                     {.parameter = "most", .part = "item"},
                                     {.parameter = "out", .is_output = 1}};
  const neap_stage_options options = {
      .lib = path,
      .label = "the library",
      .declaration =
          COUNTER "int counter_check(counter *c, int64_t most, double *out)",
      .arguments = arguments,
      .argument_count = 3,
      .init = {COUNTER "counter *counter_new(int64_t start, const char *name)",
               start, 2},
      .fini = {COUNTER "void counter_free(counter *c)", NULL, 0},
      .error = COUNTER "const char *counter_text(const counter *c, int code)"};
  const neap_part part = number(101);
  neap_part result;
  neap_native *native = open_stage(&options);
  (void)state;
  call(native, &part, &result);
  assert_true(result.number == 101);
  check_fails(native, &part, NEAP_EITEM,
              "counter_check of the library failed: it returned 9 (too far)");
  neap_native_close(native);
}

static void an_init_that_fails_fails_the_item(void **state) {
  const neap_argument arguments[] = {{.parameter = "c", .part = "context"},
                                     {.parameter = "step", .number = 1}};
  const neap_stage_options options = {
      .lib = path,
      .label = "the library",
      .declaration = COUNTER "int64_t counter_next(counter *c, int64_t step)",
      .arguments = arguments,
      .argument_count = 2,
      .init = {COUNTER "counter *counter_fail(void)", NULL, 0},
      .fini = {COUNTER "void counter_free(counter *c)", NULL, 0}};
  const neap_part part = number(1);
  neap_native *native = open_stage(&options);
  (void)state;
  check_fails(native, &part, NEAP_EITEM,
              "cannot begin counter_next of the library: init, counter_fail, "
              "returned NULL");
  neap_native_close(native);
}

static void indexes_epochs_and_seeds_are_numbers(void **state) {
  const neap_argument places[] = {{.parameter = "a", .part = "index"},
                                  {.parameter = "b", .part = "epoch"}};
  const neap_argument seeds[] = {{.parameter = "a", .part = "seed"},
                                 {.parameter = "b", .number = 0}};
  neap_stage_options options = {.lib = path,
                                .declaration =
                                    "uint64_t add_u64(uint64_t a, uint64_t b)",
                                .arguments = places,
                                .argument_count = 2};
  const neap_part part = number(0);
  neap_part result, again;
  neap_error error;
  uint64_t seen[3];
  (void)state;
  neap_native *native = open_stage(&options);
  assert_int_equal(call_at(native, &part, &result, 3, 1000, &error), NEAP_OK);
  assert_true(result.number == 1003);
  neap_native_close(native);
  options.arguments = seeds;
  for (int k = 0; k < 3; k++) {
    options.seed = k / 2;
    native = open_stage(&options);
    assert_int_equal(call_at(native, &part, &result, 1, k % 2, &error), 0);
    assert_int_equal(call_at(native, &part, &again, 1, k % 2, &error), 0);
    assert_true(bits_of(&result) == bits_of(&again));
    seen[k] = bits_of(&result);
    neap_native_close(native);
  }
  assert_true(seen[0] != seen[1] && seen[1] != seen[2] && seen[2] != seen[0]);
}

static void constants_that_are_overwritten_are_made_anew(void **state) {
  const neap_argument arguments[] = {{.parameter = "x", .number = 3},
                                     {.parameter = "n", .number = 1},
                                     {.parameter = "factor", .number = 2}};
  const neap_part part = number(0);
  neap_part result;
  neap_native *native = open_function(
      "void scale_in_place(float *x, int64_t n, float factor)", arguments, 3);
  (void)state;
  for (int k = 0; k < 3; k++)
    call(native, &part, &result);
  neap_native_close(native);
}

static void null_is_a_pointer(void **state) {
  const neap_argument arguments[] = {{.parameter = "data", .part = "null"},
                                     {.parameter = "nbytes", .number = 0}};
  const neap_part part = number(0);
  neap_part result;
  neap_native *native = open_function(
      "uint64_t sum_bytes(const void *data, size_t nbytes)", arguments, 2);
  (void)state;
  call(native, &part, &result);
  assert_true(result.number == 0);
  neap_native_close(native);
}

/* ---- Refusals ------------------------------------------------------------ */

static void bindings_are_checked_at_once(void **state) {
  (void)state;
  check_binding("double half(double x)", (neap_argument){.parameter = "y"},
                "cannot bind 'y' of half of the library: there is no such "
                "parameter\nhelp: its parameters are x");
  check_binding("float add_f32(float a, float b)",
                (neap_argument){.parameter = "a", .part = "item"},
                "cannot bind 'b' (float) of add_f32 of the library: nothing is "
                "said of it\nhelp: bind it to a part of the item (\"item\", "
                "\"data\", \"count\", ...), to a constant, or to an output");
  check_binding("double half(double x)", (neap_argument){.part = "data"},
                "cannot bind 'x' (double) of half of the library: it is no "
                "pointer, and data are passed by one");
  check_binding("double half(double x)", (neap_argument){.part = "image.[1]"},
                "cannot bind half of the library: \"image.[1]\" is no part of "
                "an item\nhelp: parts are \"item\", \"data\", \"count\", "
                "\"nbytes\", \"shape[1]\" to \"shape[8]\", also of a field as "
                "in \"image.data\"; \"index\", \"epoch\", \"seed\", "
                "\"context\" and \"null\"");
  check_binding("double half(double x)", (neap_argument){.part = "shape"},
                "cannot bind 'x' (double) of half of the library: a shape has "
                "several sizes\nhelp: \"shape[1]\" is the first of them");
  check_binding("int increase(int x)", (neap_argument){.number = 0.5},
                "cannot bind 'x' (int) of increase of the library: the type "
                "cannot hold 0.5");
  check_binding("int increase(int x)", (neap_argument){.text = "5"},
                "cannot bind 'x' (int) of increase of the library: it takes no "
                "text: only pointers to char do");
  check_binding("int64_t text_length(char *text)",
                (neap_argument){.part = "data"},
                "cannot bind 'text' (char *) of text_length of the library: "
                "the function may write there, and the item may be shared\n"
                "help: if it only reads, declare it `const char *`; else bind "
                "it to an output that begins as a copy");
  check_binding("int64_t text_length(const char *text)",
                (neap_argument){.is_output = 1, .bits = 8},
                "cannot bind 'text' (const char *) of text_length of the "
                "library: an output is written through a pointer that is not "
                "const");
  check_binding("double half(float *x)",
                (neap_argument){.is_output = 1,
                                .code = NEAP_FLOAT,
                                .bits = 64,
                                .ndim = 1,
                                .shape = {3}},
                "cannot bind 'x' (float *) of half of the library to an "
                "output: the dtype is not that of the pointer");
  check_binding("double half(float *x)",
                (neap_argument){.is_output = 1,
                                .code = NEAP_FLOAT,
                                .bits = 32,
                                .ndim = 1,
                                .shape = {-3}},
                "cannot bind 'x' (float *) of half of the library to an "
                "output: its shape is negative or too large");
  check_binding("double half(double x)", (neap_argument){.part = "context"},
                "cannot bind 'x' (double) of half of the library: it is no "
                "pointer, and the context is one");
  check_binding("double half(void *x)", (neap_argument){.part = "context"},
                "cannot bind \"context\" of half of the library: there is no "
                "init that returns a pointer");
  check_binding("double *half(double x)", (neap_argument){.part = "item"},
                "cannot use half of the library: its result, double *, is no "
                "value\nhelp: a text that is not to be freed is a const char "
                "*; data go to an output");
}

static void libraries_and_functions_are_looked_for(void **state) {
  neap_native *native;
  neap_error error;
  char text[4 * sizeof path];
  (void)state;
  snprintf(text, sizeof text,
           "cannot find the function missing of %s: %s has no such symbol\n"
           "help: `nm -D %s` lists its symbols; a function in C++ needs "
           "extern \"C\"",
           path, path, path);
  check_refused(
      &(neap_stage_options){.lib = path, .declaration = "int missing(int x)"},
      NEAP_ESYSTEM, text);
  const neap_stage_options nowhere = {.lib = "libnowhere.so.7",
                                      .declaration = "int f(int x)"};
  assert_int_equal(neap_native_open(&nowhere, &native, &error), NEAP_ESYSTEM);
  assert_non_null(strstr(error.text,
                         "cannot load the library libnowhere.so.7: it is "
                         "neither in the loader's cache nor in /"));
  const neap_stage_options bare = {.lib = "nowhere",
                                   .declaration = "int f(int x)"};
  assert_int_equal(neap_native_open(&bare, &native, &error), NEAP_ESYSTEM);
  assert_non_null(
      strstr(error.text, "\nhelp: libraries have names as libm.so.6; "));
  check_refused(&(neap_stage_options){.lib = "/nowhere/x.so",
                                      .declaration = "int f(int x)"},
                NEAP_ESYSTEM,
                "cannot load the library /nowhere/x.so: cannot "
                "open shared object file: No such file or directory");
  check_refused(&(neap_stage_options){.lib = "libc.so.6",
                                      .declaration = "int environ(int x)"},
                NEAP_EINVAL,
                "cannot call environ of libc.so.6: it is a variable");
  check_refused(&(neap_stage_options){.lib = path}, NEAP_EINVAL,
                "cannot open a native stage: it has no declaration");
}

/* The result of a function that is called once would be no item's. */
static void init_has_no_outputs(void **state) {
  const neap_argument outputs[] = {{.parameter = "code", .number = 1},
                                   {.parameter = "out",
                                    .is_output = 1,
                                    .code = NEAP_FLOAT,
                                    .bits = 64,
                                    .ndim = 0}};
  (void)state;
  check_refused(
      &(neap_stage_options){
          .lib = path,
          .declaration = "int increase(int x)",
          .label = "the library",
          .init = {"int status(int code, double *out)", outputs, 2}},
      NEAP_EINVAL,
      "cannot bind 'out' (double *) of status of the library: it can only be "
      "bound to a constant");
}

/* ---- Crashes ------------------------------------------------------------- */

/* What is noted when a function crashes is left for the host. */
static void a_crash_leaves_its_note(void **state) {
  int32_t *now = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
                      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  static const char *const texts[] = {"int write_null(int x)",
                                      "int end_by_abort(int x)"};
  (void)state;
  assert_true(now != MAP_FAILED);
  for (int k = 0; k < 2; k++) {
    neap_native *native = open_function(texts[k], NULL, 0);
    neap_part part = number(-1), result;
    int status;
    neap_native_watch(native, now, 7 + k);
    call(native, &part, &result);
    assert_int_equal(*now, 0);
    const pid_t pid = fork();
    if (pid == 0) {
      signal(SIGSEGV, SIG_DFL);
      signal(SIGABRT, SIG_DFL);
      part = number(1);
      neap_native_call(native, &part, &result, 1, 0, NULL);
      _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(status != 0); /* a sanitizer may exit */
    assert_int_equal(*now, 7 + k);
    *now = 0;
    neap_native_close(native);
  }
  munmap(now, 4096);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(integers_of_all_widths_keep_their_bits),
      cmocka_unit_test(floats_keep_their_bits),
      cmocka_unit_test(truths_are_booleans),
      cmocka_unit_test(numbers_that_do_not_fit_fail),
      cmocka_unit_test(many_arguments_arrive_in_order),
      cmocka_unit_test(pointers_get_the_elements),
      cmocka_unit_test(bytes_are_those_of_any_tensor_and_string),
      cmocka_unit_test(texts_go_in_and_out),
      cmocka_unit_test(pointers_get_copies_of_numbers),
      cmocka_unit_test(an_output_is_the_result),
      cmocka_unit_test(an_output_may_begin_as_a_copy),
      cmocka_unit_test(outputs_are_named_as_their_parameters),
      cmocka_unit_test(a_false_and_a_null_are_failures),
      cmocka_unit_test(structs_are_tables),
      cmocka_unit_test(members_are_bound_one_by_one),
      cmocka_unit_test(structs_of_all_classes_pass_by_value),
      cmocka_unit_test(structs_pass_by_value_again_and_again),
      cmocka_unit_test(an_output_begins_as_its_number),
      cmocka_unit_test(arrays_in_structs_are_texts_and_tensors),
      cmocka_unit_test(an_output_may_be_a_struct),
      cmocka_unit_test(each_element_goes_through_the_function),
      cmocka_unit_test(elements_keep_64_bits),
      cmocka_unit_test(elements_go_beside_numbers),
      cmocka_unit_test(elements_that_do_not_fit_are_named),
      cmocka_unit_test(failures_have_the_text_of_the_library),
      cmocka_unit_test(a_failure_may_be_what_is_negative),
      cmocka_unit_test(a_void_function_makes_nil),
      cmocka_unit_test(a_context_lives_as_long_as_the_stage),
      cmocka_unit_test(an_error_may_ask_the_context),
      cmocka_unit_test(an_init_that_fails_fails_the_item),
      cmocka_unit_test(indexes_epochs_and_seeds_are_numbers),
      cmocka_unit_test(constants_that_are_overwritten_are_made_anew),
      cmocka_unit_test(null_is_a_pointer),
      cmocka_unit_test(bindings_are_checked_at_once),
      cmocka_unit_test(libraries_and_functions_are_looked_for),
      cmocka_unit_test(init_has_no_outputs),
      cmocka_unit_test(a_crash_leaves_its_note),
  };
  return cmocka_run_group_tests(tests, open_library, NULL);
}
