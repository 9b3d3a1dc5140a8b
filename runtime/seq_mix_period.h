/* SPDX-License-Identifier: MIT */
/* Mixtures whose weights have a small common measure: one period, laid out. */
#ifndef NEAP_RUNTIME_SEQ_MIX_PERIOD_H
#define NEAP_RUNTIME_SEQ_MIX_PERIOD_H

#include <stdint.h>

typedef struct neap__period neap__period;

/*
 * A period over `count` sources whose weights, all above 0, are whole multiples
 * of their sum's 1024th part or of a larger one; else, or if memory is short,
 * NULL. The seed tells who goes first among equals. Freed by free().
 */
neap__period *neap__period_new(const double *weights, int32_t count,
                               int64_t seed);

/* Replaces an item's index by that in its source; answers the source. */
int32_t neap__period_find(const neap__period *period, int64_t *index);

/* Where item j of a source stands; INT64_MAX: beyond 64 bits. */
int64_t neap__period_position(const neap__period *period, int32_t source,
                              int64_t j);

#endif
