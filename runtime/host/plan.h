/* SPDX-License-Identifier: MIT */
/*
 * What a host and its builder send each other.
 *
 * The request is a segment like a pool's control segment, whose chain is the
 * request: so a builder of another version notices, as a worker does. The
 * answer is one message on the socket: a plan, as a memfd, with the descriptor
 * of the shared tensors if there are any; or a status and a text.
 */
#ifndef NEAP_HOST_PLAN_H
#define NEAP_HOST_PLAN_H

#include "neap_lua.h"

/* The first byte of a builder's message, besides NEAP__SAYS_WHY_NOT. */
enum { NEAP__SAYS_PLAN = 'p', NEAP__SAYS_REFUSED = 'e' };

/* The text of a refusal. */
enum { NEAP__REFUSAL_BYTES = 2039 };

typedef struct neap__refusal {
  int32_t says; /* NEAP__SAYS_REFUSED, in the first byte */
  int32_t status;
  char text[NEAP__REFUSAL_BYTES + 1];
} neap__refusal;

/* The head of a plan's memfd. Offsets are from its start. */
typedef struct neap__plan {
  uint64_t magic;
  neap_pool_options settings; /* without pointers and descriptors; of launch
                                 only is_native */
  int32_t may_end;
  uint64_t chain_offset;
  uint64_t texts_offset; /* after the chain, up to the end */
  uint64_t bytes;        /* of the whole */
} neap__plan;

#define NEAP__PLAN_MAGIC 0x6e616c702d70656eu /* "nep-plan" */

#endif
