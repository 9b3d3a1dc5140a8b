/* SPDX-License-Identifier: MIT */
/* What libFuzzer calls, and what it lends; it has no header for C of its own.
 */
#ifndef NEAP_TESTS_FUZZ_H
#define NEAP_TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t size_max,
                               unsigned seed);
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t size_max);

/* Ends the process in the way that libFuzzer keeps the input of. */
#define FUZZ_CHECK(condition) \
  do { \
    if (!(condition)) { \
      fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition); \
      abort(); \
    } \
  } while (0)

/*
 * What stands behind `name` among the arguments, or NULL. libFuzzer passes over
 * arguments that begin with two hyphens.
 */
static inline const char *fuzz_option(int argc, char **argv, const char *name) {
  for (int k = 1; k < argc; k++)
    if (strncmp(argv[k], name, strlen(name)) == 0)
      return argv[k] + strlen(name);
  return NULL;
}

#endif
