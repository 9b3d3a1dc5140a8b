/* SPDX-License-Identifier: MIT */
/* Shared libraries and their functions, by the names that the user gave. */
#ifndef NEAP_CHAIN_SHARED_LIBRARY_H
#define NEAP_CHAIN_SHARED_LIBRARY_H

#include "neap.h"

typedef void (*neap__function)(void);

/*
 * name: a path, or a soname as dlopen() takes it. A library that is opened
 * twice is loaded once. It stays loaded after its close: threads that it
 * started may still run.
 */
int neap__shared_library_open(const char *name, void **out, neap_error *error);
void neap__shared_library_close(void *library);

int neap__shared_library_find(void *library, const char *name,
                              const char *symbol, neap__function *out,
                              neap_error *error);

#endif
