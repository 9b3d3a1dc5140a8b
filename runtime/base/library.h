/* SPDX-License-Identifier: MIT */
/* The library's version and struct sizes, and its stay in the process. */
#ifndef NEAP_BASE_LIBRARY_H
#define NEAP_BASE_LIBRARY_H

#include <stddef.h>

/* The structs that the headers declare; the last has no name, and size 0. */
typedef struct neap__size {
  const char *name;
  size_t bytes;
} neap__size;
extern const neap__size neap__sizes[];

/* "neap 0.1.0, /usr/lib/libneap.so": the version, and the file that contains
   the library, which may be the program. */
void neap__library_describe(char *text, size_t size);
/* From here on the library is never unloaded. */
void neap__library_pin(void);

#endif
