/* SPDX-License-Identifier: MIT */
/*
 * What a native stage costs, without Lua: native_calls WORK COUNT. Prints
 * nanoseconds an item, of the tests' own library of functions:
 *   number   a double through `double half(double)`
 *   bytes    a string through `uint64_t sum_bytes(const void *, size_t)`
 *   kernel   4 KiB of floats through `int scale(const float *, float *, ...)`;
 *            kernel64: 64 KiB
 *   element  512 doubles, each through `double half(double)`
 */
#include "neap_lua.h"

#include <limits.h>
#include <string.h>

#include "limit.h"

enum { FLOATS = 16384, DOUBLES = 512, TURNS = 10 };

static char path[PATH_MAX + 32];
/* Laid out alike in both programs. */
static _Alignas(4096) struct {
  float from[FLOATS], between[528], to[FLOATS];
} kernel;
static double doubles[DOUBLES], halves[DOUBLES];

typedef struct work {
  const char *name, *declaration;
  neap_argument arguments[4];
  int32_t argument_count;
  neap_part field;
  void *result;
} work;

#define OUTPUT \
  .is_output = 1, .code = NEAP_FLOAT, .bits = 32, .ndim = -1, \
  .shape_of = "shape"

#define KERNEL(elements) \
  "int scale(const float *x, float *out, int64_t n, float factor)", \
      {{.parameter = "x", .part = "data"}, \
       {.parameter = "out", OUTPUT}, \
       {.parameter = "n", .part = "count"}, \
       {.parameter = "factor", .number = 1.5}}, \
      4, \
      {.type = NEAP_TENSOR, \
       .code = NEAP_FLOAT, \
       .bits = 32, \
       .ndim = 1, \
       .data = kernel.from, \
       .count = elements, \
       .nbytes = (elements)*4, \
       .shape = {elements}}, \
      kernel.to

static const work works[] = {
    {"number",
     "double half(double x)",
     {{.part = "item"}},
     1,
     {.type = NEAP_NUMBER, .number = 3},
     NULL},
    {"bytes",
     "uint64_t sum_bytes(const void *data, size_t nbytes)",
     {{.parameter = "data", .part = "data"},
      {.parameter = "nbytes", .part = "nbytes"}},
     2,
     {.type = NEAP_STRING, .data = kernel.to, .count = 0, .nbytes = 0},
     NULL},
    {"kernel", KERNEL(FLOATS / 16)},
    {"kernel64", KERNEL(FLOATS)},
    {"element",
     "double half(double x)",
     {{.part = "item"}},
     1,
     {.type = NEAP_TENSOR,
      .code = NEAP_FLOAT,
      .bits = 64,
      .ndim = 1,
      .data = doubles,
      .count = DOUBLES,
      .nbytes = sizeof doubles,
      .shape = {DOUBLES}},
     halves},
};

static void need(int rc, const neap_error *error) {
  if (rc == NEAP_OK) return;
  fprintf(stderr, "native_calls: %s\n", error->text);
  exit(1);
}

static double run(neap_native *native, const work *w, long count) {
  neap_error error;
  neap_part result;
  need(neap_native_plan(native, &w->field, &result, &error), &error);
  if (w->result != NULL) result.data = w->result;
  const double since = limit_now_s();
  for (long k = 0; k < count; k++)
    need(neap_native_call(native, &w->field, &result, 1, k, &error), &error);
  return (limit_now_s() - since) / (double)count * 1e9;
}

int main(int argc, char **argv) {
  const long count = limit_argument(argc, argv, 2, 2, "WORK COUNT");
  limit_need(readlink("/proc/self/exe", path, PATH_MAX - 1) > 0, "readlink");
  strcpy(strrchr(path, '/'), "/../tests/libsignatures.so");
  for (int k = 0; k < FLOATS; k++)
    kernel.from[k] = (float)k;
  for (size_t k = 0; k < sizeof works / sizeof works[0]; k++) {
    const work *w = &works[k];
    const neap_stage_options options = {.lib = path,
                                        .declaration = w->declaration,
                                        .arguments = w->arguments,
                                        .argument_count = w->argument_count};
    neap_native *native;
    neap_error error;
    double least = 1e9;
    if (strcmp(w->name, argv[1]) != 0) continue;
    need(neap_native_open(&options, &native, &error), &error);
    for (int turn = 0; turn < TURNS; turn++) {
      const double ns = run(native, w, count / TURNS + 1);
      least = ns < least ? ns : least;
    }
    neap_native_close(native);
    printf("%.3f\n", least);
    return 0;
  }
  fprintf(stderr, "native_calls: unknown work %s\n", argv[1]);
  return 2;
}
