/* SPDX-License-Identifier: MIT */
/*
 * The library's version and struct sizes, so that the FFI, which declares the
 * structs again, can check that both agree. neap_cdef(), neap_version() and
 * neap__sizes are in build/gen/cdef.c, which the build makes from the headers
 * and lua/neap/base/version.lua.
 */
#include "base/library.h"

#include <dlfcn.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "neap.h"

int neap_abi(void) {
  return NEAP_ABI;
}

size_t neap_sizeof(const char *name) {
  const neap__size *size = neap__sizes;
  while (size->name != NULL && strcmp(name, size->name) != 0)
    size++;
  return size->bytes;
}

void neap__library_pin(void) {
  Dl_info info;
  if (dladdr((void *)(uintptr_t)neap__library_pin, &info) != 0)
    (void)dlopen(info.dli_fname, RTLD_LAZY | RTLD_NOLOAD | RTLD_NODELETE);
}

void neap__library_describe(char *text, size_t size) {
  char path[PATH_MAX];
  Dl_info info;
  const bool is_found =
      dladdr((void *)(uintptr_t)neap__library_describe, &info) != 0 &&
      strchr(info.dli_fname, '/') != NULL &&
      realpath(info.dli_fname, path) != NULL;
  if (!is_found && realpath("/proc/self/exe", path) == NULL)
    snprintf(path, sizeof path, "a file that is not found");
  snprintf(text, size, "neap %s, %s", neap_version(), path);
}
