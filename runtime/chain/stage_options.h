/* SPDX-License-Identifier: MIT */
/* The options of a native stage as bytes, which a chain keeps and packs. */
#ifndef NEAP_CHAIN_STAGE_OPTIONS_H
#define NEAP_CHAIN_STAGE_OPTIONS_H

#include "base/bytes.h"

/* What is read of such bytes: its texts lie in them. */
typedef struct neap__stage_copy {
  neap_stage_options options;
  neap_argument *arguments[3]; /* the function's, init's and fini's; owned */
} neap__stage_copy;

/* The path of a library is made absolute. */
void neap__stage_options_put(const neap_stage_options *options,
                             neap__bytes *out);
/* NEAP_EDAMAGED, or NEAP_EMEMORY. */
int neap__stage_options_take(neap__cursor *in, neap__stage_copy *out,
                             neap_error *error);
void neap__stage_copy_fini(neap__stage_copy *copy);

#endif
