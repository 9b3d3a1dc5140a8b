/* SPDX-License-Identifier: MIT */
/* What a native stage makes of an item: the list of its results. */
#ifndef NEAP_CHAIN_RESULTS_H
#define NEAP_CHAIN_RESULTS_H

#include "chain/binding.h"

/* Each adds results to the list. The function's own value: */
int neap__results_of_function(neap__bound *bound, neap_error *error);
/* what it places where an argument points: a number, ... */
int neap__results_of_cell(neap__bound *bound, const char *name,
                          const neap__ctype *type, const void *cell,
                          neap_error *error);
/* ... the members of a struct, ... */
int neap__results_of_struct(neap__bound *bound, const neap__place *pointer,
                            neap_error *error);
/* ... or the elements of a tensor. */
int neap__results_of_tensor(neap__bound *bound, const neap__place *pointer,
                            const neap_argument *argument, neap_error *error);

/* Whether a pointer may point at elements of that dtype. */
bool neap__pointer_takes(const neap__ctype *pointer, int code, int bits);

#endif
