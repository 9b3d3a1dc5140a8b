/* SPDX-License-Identifier: MIT */
/* What the library says of itself. */
#ifndef NEAP_BASE_LIBRARY_H
#define NEAP_BASE_LIBRARY_H

#include <stddef.h>

/* "neap 0.1.0, /usr/lib/libneap.so": the version, and the file that holds it,
   which is the program where it is linked in. */
void neap__library_describe(char *text, size_t size);

#endif
