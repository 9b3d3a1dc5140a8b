/* SPDX-License-Identifier: MIT */
/* What adapters of several sources share: a run of indexes, sorted by source.
 */
#ifndef NEAP_SEQ_PARTS_H
#define NEAP_SEQ_PARTS_H

#include "seq/seq.h"

/* The sources of an adapter; the first member of its struct. */
typedef struct neap__parts {
  neap_seq base;
  neap_seq **sources; /* count of them, owned; or NULL each */
  int32_t *leaves; /* their numbers if all are leaves, else NULL; not freed */
  int32_t count;
} neap__parts;

/*
 * As neap__seq_new for an adapter whose struct begins with a neap__parts:
 * copies the array, and takes over what it points to.
 */
int neap__parts_new(const neap__seq_ops *ops, neap_seq *const *sources,
                    int32_t count, neap_seq **out, neap_error *error);

/*
 * Frees the sources if all are leaves: neap__parts_resolve() needs their
 * numbers only. For adapters that ask their sources nothing else.
 */
void neap__parts_free_leaves(neap__parts *parts);

/* The fini of such an adapter. */
void neap__parts_fini(neap_seq *seq);

/*
 * Resolves index[k] in source part[k], asking each source as few times as
 * possible: runs of one source as they stand, mixed ones sorted.
 */
void neap__parts_resolve(const neap__parts *parts, int64_t epoch,
                         const int32_t *part, int64_t *index, int32_t *leaf,
                         int64_t count);

#endif
