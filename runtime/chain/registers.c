/* SPDX-License-Identifier: MIT */
/*
 * Calls of functions whose arguments all travel in registers. ffi_call() takes
 * some 20 ns; where a stage does little, that is most of its time.
 *
 * System V's ABI for x86-64 and ARM's for AArch64 give the first integers and
 * pointers to one list of registers, and the first floats to another, each in
 * order. A function does not see registers that it does not read. So a function
 * type that fills both lists calls functions of all such types. A narrow
 * integer is the low part of its register; only signed ones of 8 and 16 bits
 * would have to be extended, and are left to libffi.
 */
#include "chain/registers.h"

#include <string.h>

#define INTEGERS uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t
#define FLOATS double, double, double, double, double, double, double, double
#define LOAD_INTEGERS \
  load(r->integers[0]), load(r->integers[1]), load(r->integers[2]), \
      load(r->integers[3]), load(r->integers[4]), load(r->integers[5])
#define LOAD_FLOATS \
  load_float(r->floats[0]), load_float(r->floats[1]), \
      load_float(r->floats[2]), load_float(r->floats[3]), \
      load_float(r->floats[4]), load_float(r->floats[5]), \
      load_float(r->floats[6]), load_float(r->floats[7])

static inline uint64_t load(const void *cell) {
  uint64_t word;
  memcpy(&word, cell, sizeof word);
  return word;
}

/* The bits, of a double or of a float in the low half. */
static inline double load_float(const void *cell) {
  double bits;
  memcpy(&bits, cell, sizeof bits);
  return bits;
}

#define CALLER(name, type, of, ...) \
  static void name(const neap__registers *r, void (*function)(void), \
                   void *result) { \
    const type value = ((type(*) of)function)(__VA_ARGS__); \
    memcpy(result, &value, sizeof value); \
  }
CALLER(integers_to_integer, uint64_t, (INTEGERS), LOAD_INTEGERS)
CALLER(integers_to_float, double, (INTEGERS), LOAD_INTEGERS)
CALLER(floats_to_integer, uint64_t, (FLOATS), LOAD_FLOATS)
CALLER(floats_to_float, double, (FLOATS), LOAD_FLOATS)
CALLER(both_to_integer, uint64_t, (INTEGERS, FLOATS), LOAD_INTEGERS,
       LOAD_FLOATS)
CALLER(both_to_float, double, (INTEGERS, FLOATS), LOAD_INTEGERS, LOAD_FLOATS)

static bool is_float(const neap__ctype *type) {
  return type->kind == NEAP__FLOATING;
}

static bool is_plain(const neap__ctype *type) {
  const bool is_narrow = type->kind == NEAP__SIGNED && type->size < sizeof(int);
  return type->kind != NEAP__STRUCT && !is_narrow;
}

static bool is_known_machine(void) {
#if defined(__x86_64__) || defined(__aarch64__)
  return true;
#else
  return false;
#endif
}

void neap__registers_assign(neap__registers *out,
                            const neap__declaration *declaration,
                            void *const *values) {
  static const uint64_t unused;
  int integers = 0, floats = 0;
  const bool to_float = is_float(declaration->result);
  bool is_fine =
      is_known_machine() && declaration->result->kind != NEAP__STRUCT;
  for (int k = 0; k < NEAP__INTEGER_REGISTERS; k++)
    out->integers[k] = &unused;
  for (int k = 0; k < NEAP__FLOAT_REGISTERS; k++)
    out->floats[k] = &unused;
  for (int k = 0; is_fine && k < declaration->parameter_count; k++) {
    const neap__ctype *type = declaration->parameters[k].type;
    is_fine =
        is_plain(type) && (is_float(type) ? floats < NEAP__FLOAT_REGISTERS
                                          : integers < NEAP__INTEGER_REGISTERS);
    if (!is_fine) break;
    if (is_float(type))
      out->floats[floats++] = values[k];
    else
      out->integers[integers++] = values[k];
  }
  if (!is_fine)
    out->call = NULL;
  else if (floats == 0)
    out->call = to_float ? integers_to_float : integers_to_integer;
  else if (integers == 0)
    out->call = to_float ? floats_to_float : floats_to_integer;
  else
    out->call = to_float ? both_to_float : both_to_integer;
}
