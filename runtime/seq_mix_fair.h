/* SPDX-License-Identifier: MIT */
/* Who is next in a mixture of many sources, within one item at every prefix. */
#ifndef NEAP_RUNTIME_SEQ_MIX_FAIR_H
#define NEAP_RUNTIME_SEQ_MIX_FAIR_H

#include <stdint.h>

typedef struct neap__fair neap__fair;

/*
 * For `count` sources of these weights, all above 0. NULL where there are so
 * many, or one so light, that reading from the middle would take too long, or
 * if memory is short. The seed tells who goes first among equals. Freed by
 * free(). Reading changes nothing and takes O(count / lightest share).
 */
neap__fair *neap__fair_new(const double *weights, int32_t count, int64_t seed);

/*
 * Replaces items' indexes by those in their sources, and sets these. Takes up
 * to 100 KiB of stack.
 */
void neap__fair_find(const neap__fair *fair, int64_t *index, int32_t *source,
                     int64_t count);

/* Where item j of a source stands; INT64_MAX: beyond 64 bits. */
int64_t neap__fair_position(const neap__fair *fair, int32_t source, int64_t j);

#endif
