/* SPDX-License-Identifier: MIT */
/*
 * A deterministic mixture: each source in its own order, and at every prefix
 * in proportion to its weight, within two items.
 *
 * The sources are the leaves of a Huffman tree of their weights. A node of
 * weight W gives its lighter child, of weight w, floor(n w / W + 1/2) of its
 * first n items, and the other child the rest. So the child of item n, and its
 * number there, are found by arithmetic: any item needs as many steps as the
 * tree is deep.
 *
 * The error: rounding adds half an item at most for a child, and the child
 * inherits the share w / W of its parent's error. So the error of a source of
 * weight w is at most half the sum of w / W over itself and the nodes above it
 * except the root. In a Huffman tree a node weighs at least as much as its
 * child and its grandchild together (the grandchild was merged first, being
 * lighter than the child's sibling). So these W grow at least as fast as the
 * Fibonacci numbers, and the error is at most half of 1/1 + 1/1 + 1/2 + 1/3 +
 * 1/5 + ... = 3.36: 1.68 items. The rounding of w / W adds less than 0.3 before
 * item 2^50.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/random.h"
#include "seq/parts.h"

__extension__ typedef unsigned __int128 wide;

enum { LIGHT, HEAVY };

struct node {
  uint64_t share;   /* of the lighter child, in 2^-64; at most 2^63 */
  int32_t child[2]; /* LIGHT, HEAVY: a node, or ~source */
};

struct mix {
  neap__parts parts;
  struct node *nodes; /* count - 1 of them: children first, the root last */
};

/* -- Reading -- */

/* How many of a node's first n items its lighter child gives. */
static int64_t light_of(const struct node *node, int64_t n) {
  const wide half = (wide)1 << 63;
  return (int64_t)(((wide)(uint64_t)n * node->share + half) >> 64);
}

static int32_t find(const struct mix *self, int64_t *index) {
  int32_t at = self->parts.count > 1 ? self->parts.count - 2 : ~0;
  while (at >= 0) {
    const struct node *node = &self->nodes[at];
    const int64_t light = light_of(node, *index);
    const int which = light_of(node, *index + 1) > light ? LIGHT : HEAVY;
    *index = which == LIGHT ? light : *index - light;
    at = node->child[which];
  }
  return ~at;
}

static void resolve(const neap_seq *seq, int64_t epoch, int64_t *index,
                    int32_t *leaf, int64_t count) {
  const struct mix *self = (const struct mix *)seq;
  int32_t part[NEAP__SEQ_RUN_MAX];
  for (int64_t k = 0; k < count; k++)
    part[k] = find(self, &index[k]);
  neap__parts_resolve(&self->parts, epoch, part, index, leaf, count);
}

static void fini(neap_seq *seq) {
  free(((struct mix *)seq)->nodes);
  neap__parts_fini(seq);
}

static void pack(const neap_seq *seq, neap__bytes *out) {
  const struct mix *self = (const struct mix *)seq;
  neap__parts_pack(&self->parts, out);
  neap__bytes_put(out, self->nodes,
                  (size_t)(self->parts.count - 1) * sizeof *self->nodes);
}

/* Whether each node's children are sources, or nodes before it. */
static bool are_nodes_sound(const struct mix *self) {
  for (int32_t k = 0; k < self->parts.count - 1; k++)
    for (int which = LIGHT; which <= HEAVY; which++) {
      const int32_t child = self->nodes[k].child[which];
      if (child >= k || child < -self->parts.count) return false;
    }
  return true;
}

static int unpack(neap__cursor *in, int64_t length, neap_seq **out,
                  neap_error *error) {
  neap_seq *seq;
  const int rc = neap__parts_unpack(&neap__seq_mix, in, &seq, error);
  if (rc != NEAP_OK) return rc;
  struct mix *self = (struct mix *)seq;
  const size_t count = (size_t)self->parts.count;
  const void *nodes = neap__cursor_take(in, (count - 1) * sizeof *self->nodes);
  self->nodes = nodes == NULL ? NULL : calloc(count, sizeof *self->nodes);
  if (self->nodes != NULL) {
    memcpy(self->nodes, nodes, (count - 1) * sizeof *self->nodes);
    seq->length = length;
    *out = seq;
    if (are_nodes_sound(self)) return NEAP_OK;
  }
  *out = NULL;
  neap_seq_free(seq);
  return neap__seq_damaged(error);
}

const neap__seq_ops neap__seq_mix = {
    .deed = "mix",
    .size = sizeof(struct mix),
    .resolve = resolve,
    .each_leaf = neap__parts_each_leaf,
    .pack = pack,
    .unpack = unpack,
    .fini = fini,
};

/* -- The tree -- */

/* A subtree that has no parent yet. */
struct subtree {
  double weight;
  uint64_t order; /* among equal weights, drawn from the seed */
  int32_t child;  /* as in struct node */
};

static int by_weight(const void *a, const void *b) {
  const struct subtree *x = a, *y = b;
  if (x->weight != y->weight) return x->weight < y->weight ? -1 : 1;
  return x->order < y->order ? -1 : x->order > y->order;
}

/* Takes the lighter of the first source and the first merged one; on a tie the
   source, which keeps the tree low. */
static struct subtree lightest(const struct subtree **source,
                               const struct subtree *sources_end,
                               const struct subtree **merged,
                               const struct subtree *merged_end) {
  if (*source < sources_end &&
      (*merged == merged_end || (*source)->weight <= (*merged)->weight))
    return *(*source)++;
  return *(*merged)++;
}

/*
 * Merges the two lightest subtrees until one is left. Merged ones are in order
 * of weight, so two queues replace a heap (van Leeuwen, 1976). `list` has the
 * sorted sources, and room for as many merged ones.
 */
static void build(struct node *nodes, struct subtree *list, int32_t count) {
  const struct subtree *source = list, *merged = list + count;
  struct subtree *last = list + count;
  for (int32_t k = 0; k < count - 1; k++, last++) {
    const struct subtree a = lightest(&source, list + count, &merged, last);
    const struct subtree b = lightest(&source, list + count, &merged, last);
    const double sum = a.weight + b.weight;
    const double share = sum > 0 ? a.weight / sum : 0.5;
    nodes[k] = (struct node){(uint64_t)ldexp(share, 64), {a.child, b.child}};
    *last = (struct subtree){sum, 0, k};
  }
}

static int plant(struct mix *self, const double *weights, int64_t seed,
                 neap_error *error) {
  const int32_t count = self->parts.count;
  struct subtree *list = calloc(2 * (size_t)count, sizeof *list);
  self->nodes =
      calloc((size_t)(count > 1 ? count - 1 : 1), sizeof *self->nodes);
  if (list == NULL || self->nodes == NULL) {
    free(list);
    return neap__error_set(error, NEAP_EMEMORY, 0,
                           "cannot mix: memory is short");
  }
  double heaviest = 0; /* divides all weights, so that no sum overflows */
  for (int32_t k = 0; k < count; k++)
    heaviest = fmax(heaviest, weights[k]);
  for (int32_t k = 0; k < count; k++)
    list[k] = (struct subtree){weights[k] / heaviest,
                               neap__key(seed, 1, (int64_t)k), ~k};
  qsort(list, (size_t)count, sizeof *list, by_weight);
  build(self->nodes, list, count);
  free(list);
  return NEAP_OK;
}

/* -- The length -- */

/* The first item of a node that is item j of its child. */
static int64_t find_item(const struct node *node, int which, int64_t j) {
  int64_t low = j, high = INT64_MAX - 1;
  while (low < high) { /* the first n with more than j after item n */
    const int64_t n = low + (high - low) / 2;
    const int64_t light = light_of(node, n + 1);
    if ((which == LIGHT ? light : n + 1 - light) > j)
      high = n;
    else
      low = n + 1;
  }
  return low;
}

/* The length of a source, or of a node whose length is in `ends`. A node ends
   when the child whose turn is next has ended. */
static int64_t end_of(const struct mix *self, const int64_t *ends,
                      int32_t child) {
  if (child >= 0) return ends[child];
  const int64_t items = self->parts.sources[~child]->length;
  return items == NEAP_ENDLESS ? INT64_MAX : items;
}

static int measure(struct mix *self, neap_error *error) {
  const int32_t count = self->parts.count;
  int64_t *ends = calloc((size_t)count, sizeof *ends);
  if (ends == NULL)
    return neap__error_set(error, NEAP_EMEMORY, 0,
                           "cannot mix: memory is short");
  for (int32_t k = 0; k < count - 1; k++) {
    ends[k] = INT64_MAX;
    for (int which = LIGHT; which <= HEAVY; which++) {
      int64_t end = end_of(self, ends, self->nodes[k].child[which]);
      if (end < INT64_MAX - 1) end = find_item(&self->nodes[k], which, end);
      if (end < ends[k]) ends[k] = end;
    }
  }
  const int64_t end = end_of(self, ends, count > 1 ? count - 2 : ~0);
  self->parts.base.length = end >= INT64_MAX - 1 ? NEAP_ENDLESS : end;
  free(ends);
  return NEAP_OK;
}

static int check_weights(const double *weights, int32_t count,
                         neap_error *error) {
  for (int32_t k = 0; k < count; k++)
    if (!(weights[k] > 0) || isinf(weights[k]))
      return neap__error_set(error, NEAP_EINVAL, 0,
                             "cannot mix: weight %d is %g", k, weights[k]);
  return NEAP_OK;
}

int neap_seq_mix(neap_seq *const *sources, const double *weights, int32_t count,
                 int64_t seed, neap_seq **out, neap_error *error) {
  neap_seq *seq;
  int rc = neap__parts_new(&neap__seq_mix, sources, count, &seq, error);
  *out = NULL; /* which may be one of the sources' */
  if (rc != NEAP_OK) return rc;
  struct mix *self = (struct mix *)seq;
  if ((rc = check_weights(weights, count, error)) != NEAP_OK) goto fail;
  if ((rc = plant(self, weights, seed, error)) != NEAP_OK) goto fail;
  if ((rc = measure(self, error)) != NEAP_OK) goto fail;
  neap__parts_free_leaves(&self->parts);
  *out = seq;
  return NEAP_OK;

fail:
  neap_seq_free(seq);
  return rc;
}
