/* SPDX-License-Identifier: MIT */
/* What a host wants of a loader. */
#ifndef NEAP_HOST_OPTIONS_H
#define NEAP_HOST_OPTIONS_H

#include "neap_lua.h"

/* Checks what the builder does not: the ABI, and pointers. */
int neap__options_check(const char *path, const neap_options *options,
                        neap_error *error);
/* Sets a pool's settings, where no loader file does: also defaults. */
int neap__options_settings(const neap_options *options,
                           neap_pool_options *settings, neap_error *error);

#endif
