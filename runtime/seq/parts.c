/* SPDX-License-Identifier: MIT */
/* For adapters of several sources: resolves a run of indexes by source. */
#include "seq/parts.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"

/* Mean length of stretches of one source below which sorting pays. */
enum { STRETCH_MIN = 8 };

/* Notes the sources' numbers if all are leaves. */
static void note_leaves(neap__parts *parts, int32_t *leaves) {
  for (int32_t k = 0; k < parts->count; k++)
    if (parts->sources[k]->depth != 1) return;
  parts->leaves = leaves;
  for (int32_t k = 0; k < parts->count; k++)
    leaves[k] = parts->sources[k]->leaf;
}

int neap__parts_new(const neap__seq_ops *ops, neap_seq *const *sources,
                    int32_t count, neap_seq **out, neap_error *error) {
  *out = NULL;
  neap_seq *seq;
  if (count < 1 || count > NEAP_SEQ_SOURCES_MAX) {
    for (int32_t k = 0; k < count; k++)
      neap_seq_free(sources[k]);
    return neap__error_set(error, NEAP_EINVAL, 0,
                           "cannot %s: there are %d sources, not 1..%d",
                           ops->deed, count, NEAP_SEQ_SOURCES_MAX);
  }
  const int rc = neap__seq_new(ops, sources, count, &seq, error);
  if (rc != NEAP_OK) return rc;
  neap__parts *parts = (neap__parts *)seq;
  parts->sources =
      calloc((size_t)count, sizeof *parts->sources + sizeof *parts->leaves);
  if (parts->sources == NULL) {
    for (int32_t k = 0; k < count; k++)
      neap_seq_free(sources[k]);
    neap_seq_free(seq);
    return neap__error_set(error, NEAP_EMEMORY, 0, "cannot %s: memory is short",
                           ops->deed);
  }
  memcpy(parts->sources, sources, (size_t)count * sizeof *sources);
  parts->count = count;
  note_leaves(parts, (int32_t *)(void *)(parts->sources + count));
  *out = seq;
  return NEAP_OK;
}

void neap__parts_free_leaves(neap__parts *parts) {
  if (parts->leaves == NULL) return;
  for (int32_t k = 0; k < parts->count; k++) {
    neap_seq_free(parts->sources[k]);
    parts->sources[k] = NULL;
  }
}

void neap__parts_fini(neap_seq *seq) {
  neap__parts *parts = (neap__parts *)seq;
  for (int32_t k = 0; k < parts->count; k++)
    neap_seq_free(parts->sources[k]);
  free(parts->sources);
}

static int64_t stretch_at(const int32_t *part, int64_t start, int64_t count) {
  int64_t end = start + 1;
  while (end < count && part[end] == part[start])
    end++;
  return end - start;
}

static void resolve_stretches(const neap__parts *parts, int64_t epoch,
                              const int32_t *part, int64_t *index,
                              int32_t *leaf, int64_t count) {
  for (int64_t k = 0; k < count;) {
    const int64_t stretch = stretch_at(part, k, count);
    neap__seq_resolve(parts->sources[part[k]], epoch, index + k,
                      leaf == NULL ? NULL : leaf + k, stretch);
    k += stretch;
  }
}

/* Copies the indexes of one source out, resolves them, and copies them back. */
static void resolve_one_part(const neap__parts *parts, int64_t epoch,
                             const int32_t *part, int32_t which, int64_t *index,
                             int32_t *leaf, int64_t count) {
  int64_t own_index[NEAP__SEQ_RUN_MAX];
  int32_t own_leaf[NEAP__SEQ_RUN_MAX];
  int64_t own = 0;
  for (int64_t k = 0; k < count; k++)
    if (part[k] == which) own_index[own++] = index[k];
  if (own == 0) return;
  neap__seq_resolve(parts->sources[which], epoch, own_index,
                    leaf == NULL ? NULL : own_leaf, own);
  own = 0;
  for (int64_t k = 0; k < count; k++) {
    if (part[k] != which) continue;
    if (leaf != NULL) leaf[k] = own_leaf[own];
    index[k] = own_index[own++];
  }
}

/* If all sources are leaves, only their numbers are needed. */
static void resolve_leaves(const neap__parts *parts, const int32_t *part,
                           int32_t *leaf, int64_t count) {
  if (leaf == NULL) return;
  for (int64_t k = 0; k < count; k++)
    leaf[k] = parts->leaves[part[k]];
}

void neap__parts_resolve(const neap__parts *parts, int64_t epoch,
                         const int32_t *part, int64_t *index, int32_t *leaf,
                         int64_t count) {
  if (parts->leaves != NULL) {
    resolve_leaves(parts, part, leaf, count);
    return;
  }
  int64_t stretches = 0;
  for (int64_t k = 0; k < count; k += stretch_at(part, k, count))
    stretches++;
  if (count / stretches >= STRETCH_MIN || parts->count > STRETCH_MIN) {
    resolve_stretches(parts, epoch, part, index, leaf, count);
    return;
  }
  for (int32_t which = 0; which < parts->count; which++)
    resolve_one_part(parts, epoch, part, which, index, leaf, count);
}
