/* SPDX-License-Identifier: MIT */
/* Items of sources in an order that a tree of indexes says. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "chain/chain.h"
#include "chain/pack.h"
#include "seq/seq.h"

struct arrange {
  neap_chain base;
  neap_seq *tree;
};

struct own {
  int64_t index[NEAP__BLOCK_ROWS];
  int32_t leaf[NEAP__BLOCK_ROWS];
};

/* ---- Reading ---- */

/* Columns from row k on. */
static void move_columns(neap__column *columns, int32_t count, int32_t k) {
  for (int32_t v = 0; v < count; v++) {
    if (columns[v].to != NULL)
      columns[v].to += k * columns[v].step;
    else
      columns[v].rows += k;
  }
}

static int32_t stretch_at(const int32_t *leaf, int32_t start, int32_t count) {
  int32_t end = start + 1;
  while (end < count && leaf[end] == leaf[start])
    end++;
  return end - start;
}

/* Reads stretches of one source after another. The columns are moved. */
static int32_t read_stretches(neap__stage *stage, neap__work *work,
                              const struct own *own, int32_t count,
                              neap__column *columns) {
  const int32_t values = stage->chain->layout.value_count;
  const int32_t item = work->item;
  int32_t done = 0;
  while (done < count) {
    const int32_t stretch = stretch_at(own->leaf, done, count);
    work->item = item + done * work->step;
    const int32_t good =
        neap__stage_read(&stage->sources[own->leaf[done]], work,
                         own->index + done, stretch, columns);
    move_columns(columns, values, stretch);
    done += good;
    if (good < stretch) break;
  }
  work->item = item;
  return done;
}

/* The memory of a source is its own until it is read again: so rows of sources
   that compute are collected in this stage's. */
static int32_t read_several(neap__stage *stage, neap__work *work,
                            const struct own *own, int32_t count,
                            neap__column *columns) {
  const int32_t values = stage->chain->layout.value_count;
  neap__column *moved = stage->taken; /* as many as it has sources' values */
  for (int32_t v = 0; v < values; v++) {
    moved[v] = columns[v];
    if (stage->chain->is_stable || columns[v].to != NULL) continue;
    moved[v].to =
        neap__stage_place(stage, v, count, &columns[v], &moved[v].step);
    if (moved[v].to == NULL) {
      neap__work_no_memory(work, stage, 0);
      return 0;
    }
  }
  return read_stretches(stage, work, own, count, moved);
}

static int32_t read(neap__stage *stage, neap__work *work, const int64_t *index,
                    int32_t count, neap__column *columns) {
  const struct arrange *self = (const struct arrange *)stage->chain;
  struct own *own = stage->own;
  const bool has_one = self->base.source_count == 1;
  memcpy(own->index, index, (size_t)count * sizeof *index);
  neap_seq_resolve(self->tree, work->epoch, own->index,
                   has_one ? NULL : own->leaf, count);
  if (!has_one) return read_several(stage, work, own, count, columns);
  return neap__stage_read(&stage->sources[0], work, own->index, count, columns);
}

static int64_t rows(const neap_chain *chain, int64_t epoch, int64_t index,
                    int32_t value) {
  const struct arrange *self = (const struct arrange *)chain;
  int32_t leaf;
  const int64_t at = neap_seq_resolve_one(self->tree, epoch, index, &leaf);
  const neap_chain *source = chain->sources[leaf];
  return source->ops->rows(source, epoch, at, value);
}

/* ---- As a node ---- */

static void pack(const neap_chain *chain, neap__packer *out) {
  neap__seq_pack(((const struct arrange *)chain)->tree, &out->bytes);
}

static int unpack(neap__unpacker *in, neap_chain *const *sources, int32_t count,
                  neap_chain **out, neap_error *error) {
  neap_seq *tree = NULL;
  const int rc = neap__seq_unpack(&in->cursor, &tree, error);
  if (rc == NEAP_OK)
    return neap_chain_arrange(tree, sources, count, out, error);
  for (int32_t k = 0; k < count; k++)
    neap_chain_free(sources[k]);
  return rc;
}

static void fini(neap_chain *chain) {
  neap_seq_free(((struct arrange *)chain)->tree);
}

const neap__chain_ops neap__chain_arrange = {
    .deed = "arrange",
    .name = "arrange",
    .size = sizeof(struct arrange),
    .own_bytes = sizeof(struct own),
    .read = read,
    .rows = rows,
    .pack = pack,
    .unpack = unpack,
    .fini = fini,
};

/* Checks the leaves of a tree against the sources. */
static int check_leaf(void *host, int32_t leaf, int64_t length,
                      neap_error *error) {
  const neap_chain *chain = host;
  if (leaf < 0 || leaf >= chain->source_count)
    return neap__error_set(error, NEAP_EINVAL, 0,
                           "cannot arrange: the tree has a leaf %d, and there "
                           "are %d sources, from 0 on",
                           (int)leaf, (int)chain->source_count);
  const int64_t has = chain->sources[leaf]->length;
  if (has == NEAP_ENDLESS || (length != NEAP_ENDLESS && length <= has))
    return NEAP_OK;
  return neap__error_set(error, NEAP_EINVAL, 0,
                         "cannot arrange: leaf %d of the tree has %" PRId64
                         " items, its source %" PRId64,
                         (int)leaf, length, has);
}

static int check_alike(const neap_chain *chain, neap_error *error) {
  char first[400], other[400];
  for (int32_t k = 1; k < chain->source_count; k++) {
    const neap__layout *a = &chain->sources[0]->layout;
    const neap__layout *b = &chain->sources[k]->layout;
    if (neap__layout_is_same(a, b)) continue;
    return neap__error_set(
        error, NEAP_EINVAL, 0,
        "cannot arrange: items of source 0 are %s, those of source %d %s",
        neap__layout_text(a, first, sizeof first), (int)k,
        neap__layout_text(b, other, sizeof other));
  }
  return NEAP_OK;
}

int neap_chain_arrange(neap_seq *tree, neap_chain *const *sources,
                       int32_t count, neap_chain **out, neap_error *error) {
  neap_chain *chain;
  int rc = neap__chain_new(&neap__chain_arrange, sources, count, &chain, error);
  if (rc != NEAP_OK) {
    neap_seq_free(tree);
    *out = NULL; /* which may be one of the sources' */
    return rc;
  }
  ((struct arrange *)chain)->tree = tree;
  if (tree == NULL || count < 1) {
    rc = neap__error_set(error, NEAP_EINVAL, 0, "cannot arrange: %s",
                         tree == NULL ? "the tree is NULL" : "no source");
    goto fail;
  }
  if ((rc = neap__seq_each_leaf(tree, check_leaf, chain, error)) != NEAP_OK)
    goto fail;
  if ((rc = check_alike(chain, error)) != NEAP_OK) goto fail;
  rc = neap__layout_copy(&chain->layout, &sources[0]->layout, error);
  if (rc != NEAP_OK) goto fail;
  chain->length = neap_seq_length(tree);
  chain->is_stable = true;
  for (int32_t k = 0; k < count; k++)
    chain->is_stable &= sources[k]->is_stable;
  chain->has_tails = sources[0]->has_tails;
  *out = chain;
  return NEAP_OK;

fail:
  neap_chain_free(chain);
  *out = NULL;
  return rc;
}
