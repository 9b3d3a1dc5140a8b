/* SPDX-License-Identifier: MIT */
/*
 * The limits of native stages: limit_native WORK COUNT. Prints nanoseconds an
 * item, of functions of the tests' own library, which C calls:
 *   direct   a double through `double half(double)`
 *   libffi   the same by ffi_call()
 *   kernel   4 KiB of floats through `int scale(...)`, a loop; kernel64: 64 KiB
 *   element  512 doubles, a loop that calls half()
 */
#include <dlfcn.h>
#include <ffi.h>
#include <limits.h>
#include <string.h>

#include "limit.h"

enum { FLOATS = 16384, DOUBLES = 512, TURNS = 10 };

/* Laid out alike in both programs. */
static _Alignas(4096) struct {
  float from[FLOATS], between[528], to[FLOATS];
} kernel;
static double doubles[DOUBLES], halves[DOUBLES];

static double (*volatile half)(double);
static int (*volatile scale)(const float *, float *, int64_t, float);
static ffi_cif cif;

static void call_direct(void) {
  doubles[0] = half(doubles[0]);
}

static void call_libffi(void) {
  void *values[] = {&doubles[0]};
  ffi_call(&cif, FFI_FN(half), &halves[0], values);
}

static void call_kernel(void) {
  limit_need(scale(kernel.from, kernel.to, FLOATS / 16, 1.5F) == 0, "scale");
}

static void call_kernel64(void) {
  limit_need(scale(kernel.from, kernel.to, FLOATS, 1.5F) == 0, "scale");
}

static void call_elements(void) {
  double (*const f)(double) = half;
  for (int k = 0; k < DOUBLES; k++)
    halves[k] = f(doubles[k]);
}

static void *find(void *library, const char *name) {
  void *function = dlsym(library, name);
  limit_need(function != NULL, name);
  return function;
}

static void find_functions(void) {
  char path[PATH_MAX + 32] = "";
  limit_need(readlink("/proc/self/exe", path, PATH_MAX - 1) > 0, "readlink");
  strcpy(strrchr(path, '/'), "/../tests/libsignatures.so");
  void *library = dlopen(path, RTLD_NOW);
  limit_need(library != NULL, path);
  half = (double (*)(double))(uintptr_t)find(library, "half");
  scale = (int (*)(const float *, float *, int64_t, float))(uintptr_t)find(
      library, "scale");
}

static double run(void (*work)(void), long count) {
  const double since = limit_now_s();
  for (long k = 0; k < count; k++)
    work();
  return (limit_now_s() - since) / (double)count * 1e9;
}

int main(int argc, char **argv) {
  static const struct {
    const char *name;
    void (*run)(void);
  } works[] = {{"direct", call_direct},
               {"libffi", call_libffi},
               {"kernel", call_kernel},
               {"kernel64", call_kernel64},
               {"element", call_elements}};
  static ffi_type *types[] = {&ffi_type_double};
  const long count = limit_argument(argc, argv, 2, 2, "WORK COUNT");
  find_functions();
  for (int k = 0; k < FLOATS; k++)
    kernel.from[k] = (float)k;
  limit_need(ffi_prep_cif(&cif, FFI_DEFAULT_ABI, 1, &ffi_type_double, types) ==
                 FFI_OK,
             "libffi");
  for (size_t k = 0; k < sizeof works / sizeof works[0]; k++) {
    double least = 1e9;
    if (strcmp(works[k].name, argv[1]) != 0) continue;
    for (int turn = 0; turn < TURNS; turn++) {
      const double ns = run(works[k].run, count / TURNS + 1);
      least = ns < least ? ns : least;
    }
    printf("%.3f\n", least);
    return 0;
  }
  fprintf(stderr, "limit_native: unknown work %s\n", argv[1]);
  return 2;
}
