/* SPDX-License-Identifier: MIT */
/* A native stage where memory is short: each allocation fails once, opening
   says so, and nothing is left behind. */
#include "neap_lua.h"

#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "nth.h"

enum { CALLS_MAX = 300 };

#define POINT "typedef struct { struct { double x; } a; double y; } point; "

static const neap_argument arguments[] = {
    {.parameter = "x", .part = "item"},
    {.parameter = "out", .is_output = 1},
};

static const neap_argument text[] = {{.parameter = "code", .number = 3}};

static int open_stage(neap_native **out, neap_error *error) {
  char path[PATH_MAX + 32] = "";
  assert_true(readlink("/proc/self/exe", path, PATH_MAX - 1) > 0);
  strcpy(strrchr(path, '/'), "/libsignatures.so");
  const neap_stage_options options = {
      .lib = path,
      .declaration = POINT "int make_point(double x, point *out)",
      .arguments = arguments,
      .argument_count = 2,
      .init = {"int counters_alive(void)", NULL, 0},
      .fini = {"const char *status_text(int code)", text, 1},
      .error = "const char *status_text(int code)"};
  return neap_native_open(&options, out, error);
}

static void each_allocation_may_fail(void **state) {
  neap_native *native;
  neap_error error = {0};
  int failures = 0;
  (void)state;
  for (int first = 1; first < CALLS_MAX; first++) {
    const int before = atomic_load(&nth.blocks);
    nth_plan("calloc", first, false);
    nth_arm();
    const int rc = open_stage(&native, &error);
    nth_disarm();
    if (rc == NEAP_OK) neap_native_close(native);
    assert_int_equal(atomic_load(&nth.blocks), before);
    if (atomic_load(&nth.failures) == 0) break;
    assert_int_equal(rc, NEAP_EMEMORY);
    assert_null(native);
    assert_non_null(strstr(error.text, "no memory"));
    failures++;
  }
  assert_true(failures > 30 && failures < CALLS_MAX - 1);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(each_allocation_may_fail),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
