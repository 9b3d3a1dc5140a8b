/* SPDX-License-Identifier: MIT */
/*
 * Shared libraries. What is not found is reported with the folders or the file
 * that were searched.
 */
#include "chain/shared_library.h"

#include <dlfcn.h>
#include <link.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"

/* The folders where the loader looks for a name without a slash. */
static void list_folders(char *out, size_t room) {
  Dl_serinfo size, *list = NULL;
  void *program = dlopen(NULL, RTLD_NOW);
  out[0] = '\0';
  if (program != NULL && dlinfo(program, RTLD_DI_SERINFOSIZE, &size) == 0)
    list = malloc(size.dls_size);
  if (list != NULL) {
    *list = size;
    if (dlinfo(program, RTLD_DI_SERINFO, list) != 0) list->dls_cnt = 0;
    size_t used = 0;
    for (unsigned k = 0; k < list->dls_cnt && used < room; k++)
      used +=
          (size_t)snprintf(out + used, room - used, "%s%s", k == 0 ? "" : ", ",
                           list->dls_serpath[k].dls_name);
    free(list);
  }
  if (program != NULL) dlclose(program);
}

static int fail_open(const char *name, neap_error *error) {
  char folders[1024];
  const char *why = dlerror();
  if (why == NULL) why = "no reason is known";
  const size_t size = strlen(name); /* the reason may begin with it */
  if (strncmp(why, name, size) == 0 && why[size] == ':') why += size + 2;
  if (strchr(name, '/') != NULL || strstr(why, "No such file") == NULL)
    return neap__error_set(error, NEAP_ESYSTEM, 0,
                           "cannot load the library %s: %s", name, why);
  list_folders(folders, sizeof folders);
  const bool is_file = strstr(name, ".so") != NULL;
  return neap__error_set(
      error, NEAP_ESYSTEM, 0,
      "cannot load the library %s: it is neither in the loader's cache nor in "
      "%s\nhelp: %s%s",
      name, folders,
      is_file ? "install the package that contains it, or name its file by a "
                "path with a slash, as in ./"
              : "libraries have names as libm.so.6; `ldconfig -p` lists those "
                "that are installed",
      is_file ? name : "");
}

int neap__shared_library_open(const char *name, void **out, neap_error *error) {
  *out = NULL;
  if (name == NULL || name[0] == '\0')
    return neap__error_set(error, NEAP_EINVAL, 0,
                           "cannot load a library: it has no name");
  *out = dlopen(name, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
  return *out != NULL ? NEAP_OK : fail_open(name, error);
}

void neap__shared_library_close(void *library) {
  if (library != NULL) dlclose(library);
}

/* Whether the symbol at an address is of data, and no function. */
static bool is_data(void *address) {
  Dl_info info;
  ElfW(Sym) *symbol = NULL;
  return dladdr1(address, &info, (void **)&symbol, RTLD_DL_SYMENT) != 0 &&
         symbol != NULL && info.dli_saddr == address &&
         ELF64_ST_TYPE(symbol->st_info) == STT_OBJECT;
}

int neap__shared_library_find(void *library, const char *name,
                              const char *symbol, neap__function *out,
                              neap_error *error) {
  struct link_map *map = NULL;
  void *found = dlsym(library, symbol);
  /* POSIX lets a function's address be a void *; C does not. */
  *out = (neap__function)(uintptr_t)found;
  if (found != NULL && is_data(found))
    return neap__error_set(error, NEAP_EINVAL, 0,
                           "cannot call %s of %s: it is a variable", symbol,
                           name);
  if (found != NULL) return NEAP_OK;
  const char *path =
      dlinfo(library, RTLD_DI_LINKMAP, &map) == 0 ? map->l_name : name;
  return neap__error_set(error, NEAP_ESYSTEM, 0,
                         "cannot find the function %s of %s: %s has no such "
                         "symbol\nhelp: `nm -D %s` lists its symbols; a "
                         "function in C++ needs extern \"C\"",
                         symbol, name, path, path);
}
