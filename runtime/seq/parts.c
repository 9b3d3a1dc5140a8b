/* SPDX-License-Identifier: MIT */
/* For adapters of several sources: resolves a run of indexes by source. */
#include "seq/parts.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"

/* Mean length of stretches of one source below which sorting pays. */
enum { STRETCH_MIN = 8 };

/* Notes the sources' numbers if all are leaves. */
static void note_leaves(neap__parts *parts) {
  for (int32_t k = 0; k < parts->count; k++)
    if (parts->sources[k]->depth != 1) return;
  parts->lengths = (int64_t *)(void *)(parts->sources + parts->count);
  parts->leaves = (int32_t *)(void *)(parts->lengths + parts->count);
  for (int32_t k = 0; k < parts->count; k++) {
    parts->leaves[k] = parts->sources[k]->leaf;
    parts->lengths[k] = parts->sources[k]->length;
  }
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
      calloc((size_t)count, sizeof *parts->sources + sizeof *parts->leaves +
                                sizeof *parts->lengths);
  if (parts->sources == NULL) {
    for (int32_t k = 0; k < count; k++)
      neap_seq_free(sources[k]);
    neap_seq_free(seq);
    return neap__error_set(error, NEAP_EMEMORY, 0, "cannot %s: memory is short",
                           ops->deed);
  }
  memcpy(parts->sources, sources, (size_t)count * sizeof *sources);
  parts->count = count;
  note_leaves(parts);
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

int neap__parts_each_leaf(const neap_seq *seq, neap__leaf_visit *visit,
                          void *host, neap_error *error) {
  const neap__parts *parts = (const neap__parts *)seq;
  int rc = NEAP_OK;
  for (int32_t k = 0; k < parts->count && rc == NEAP_OK; k++)
    rc = parts->leaves != NULL
             ? visit(host, parts->leaves[k], parts->lengths[k], error)
             : neap__seq_each_leaf(parts->sources[k], visit, host, error);
  return rc;
}

void neap__parts_pack(const neap__parts *parts, neap__bytes *out) {
  const bool is_freed = parts->sources[0] == NULL;
  neap__bytes_put_integer(out, parts->count);
  neap__bytes_put_integer(out, is_freed);
  for (int32_t k = 0; k < parts->count; k++)
    if (is_freed) {
      neap__bytes_put_integer(out, parts->lengths[k]);
      neap__bytes_put_integer(out, parts->leaves[k]);
    } else {
      neap__seq_pack(parts->sources[k], out);
    }
}

static int unpack_leaf(neap__cursor *in, neap_seq **out, neap_error *error) {
  const int64_t length = neap__cursor_integer(in);
  const int64_t leaf = neap__cursor_within(in, INT32_MIN, INT32_MAX);
  return neap_seq_leaf(length, (int32_t)leaf, out, error);
}

int neap__parts_unpack(const neap__seq_ops *ops, neap__cursor *in,
                       neap_seq **out, neap_error *error) {
  int rc = NEAP_OK;
  int32_t made = 0;
  *out = NULL;
  const int32_t count =
      (int32_t)neap__cursor_within(in, 1, NEAP_SEQ_SOURCES_MAX);
  const bool is_freed = neap__cursor_within(in, 0, 1) != 0;
  neap_seq **sources = calloc((size_t)count, sizeof *sources);
  if (sources == NULL) return neap__seq_damaged(error);
  while (rc == NEAP_OK && made < count) {
    rc = is_freed ? unpack_leaf(in, &sources[made], error)
                  : neap__seq_unpack(in, &sources[made], error);
    made += rc == NEAP_OK;
  }
  if (rc == NEAP_OK) {
    rc = neap__parts_new(ops, sources, count, out, error);
    if (rc == NEAP_OK && is_freed) neap__parts_free_leaves((neap__parts *)*out);
  } else {
    for (int32_t k = 0; k < made; k++)
      neap_seq_free(sources[k]);
  }
  free(sources);
  return rc;
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
