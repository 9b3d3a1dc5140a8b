/* SPDX-License-Identifier: MIT */
/* What other readers need of a neap_file: its descriptor, and whether the file
   is still the same. */
#ifndef NEAP_SOURCE_FILE_H
#define NEAP_SOURCE_FILE_H

#include "neap_lua.h"

/* The descriptor; it belongs to the file. */
int neap__file_descriptor(const neap_file *file);
/* NEAP_EFORMAT if the file was written to or cut since it was opened. */
int neap__file_recheck(const neap_file *file, neap_error *error);

#endif
