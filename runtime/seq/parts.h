/* SPDX-License-Identifier: MIT */
/* For adapters of several sources: resolves a run of indexes by source. */
#ifndef NEAP_SEQ_PARTS_H
#define NEAP_SEQ_PARTS_H

#include "seq/seq.h"

/* The sources of an adapter; the first member of its struct. */
typedef struct neap__parts {
  neap_seq base;
  neap_seq **sources; /* count of them, owned; all NULL if freed */
  int32_t *leaves;  /* their numbers if all are leaves, else NULL; not freed */
  int64_t *lengths; /* the same of their lengths */
  int32_t count;
} neap__parts;

/*
 * neap__seq_new for an adapter whose struct begins with a neap__parts. Copies
 * the array and owns the sources.
 */
int neap__parts_new(const neap__seq_ops *ops, neap_seq *const *sources,
                    int32_t count, neap_seq **out, neap_error *error);

/*
 * Frees the sources if all are leaves: neap__parts_resolve() needs only their
 * numbers. For adapters that use their sources for nothing else.
 */
void neap__parts_free_leaves(neap__parts *parts);

int neap__parts_each_leaf(const neap_seq *seq, neap__leaf_visit *visit,
                          void *host, neap_error *error);
/* Packs the sources; and makes an adapter of them, as neap__parts_new(). Freed
   leaves stay so. */
void neap__parts_pack(const neap__parts *parts, neap__bytes *out);
int neap__parts_unpack(const neap__seq_ops *ops, neap__cursor *in,
                       neap_seq **out, neap_error *error);

/* The fini of such an adapter. */
void neap__parts_fini(neap_seq *seq);

/*
 * Resolves index[k] in source part[k] in few calls: long stretches of one
 * source as they are, others sorted by source.
 */
void neap__parts_resolve(const neap__parts *parts, int64_t epoch,
                         const int32_t *part, int64_t *index, int32_t *leaf,
                         int64_t count);

#endif
