/* SPDX-License-Identifier: MIT */
/*
 * What the library says of itself, so that whoever declares its structs anew
 * (the FFI) can see that both mean the same. neap_cdef() and
 * neap_version() stand in build/gen/cdef.c, made from neap.h and
 * lua/neap/base/version.lua.
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

#define SIZE_OF(name) #name, sizeof(name)

static const struct {
  const char *name;
  size_t bytes;
} sizes[] = {
    {SIZE_OF(neap_error)},        {SIZE_OF(neap_tensor)},
    {SIZE_OF(neap_random)},       {SIZE_OF(neap_value)},
    {SIZE_OF(neap_tensor_cell)},  {SIZE_OF(neap_run)},
    {SIZE_OF(neap_pool_options)}, {SIZE_OF(neap_pool_stats)},
    {SIZE_OF(neap_task)},         {SIZE_OF(neap_window)},
    {SIZE_OF(neap_stretch)},
};

int neap_abi(void) {
  return NEAP_ABI;
}

size_t neap_sizeof(const char *name) {
  for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
    if (strcmp(name, sizes[i].name) == 0) return sizes[i].bytes;
  }
  return 0;
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
