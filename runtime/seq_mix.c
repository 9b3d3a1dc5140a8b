/* SPDX-License-Identifier: MIT */
/*
 * A deterministic mixture: each source in its own order, and of each as much
 * as its weight says, at every prefix.
 *
 * A binary tree over the sources shares out positions. A node whose left side
 * has the share p of its weight sends floor(m p + phase) of its first m items
 * to the left: so item m finds its side, and its number there, by arithmetic
 * alone, and the whole mixture can be read from anywhere in O(log sources).
 *
 * How far a source can be off: a node errs by at most d = max(phase, 1 - phase)
 * items, and passes the share p on of what the node above it errs. Down to a
 * source of weight w that adds up to d (1 + the sum of w / W over the nodes of
 * weight W between it and the root). With d = 1/2 that is one item at most, if
 * the sum is 1 at most: up to PLANNED_MAX sources, a tree of that kind is
 * looked for; there nearly always is one. Else, unless a source is very light,
 * seq_mix_fair.c keeps to one item by more work; and if one is, halving the
 * weights as evenly as possible keeps the sum near 1 (an error of 1.41 items is
 * the largest seen). What is left below an error of one item is the range from
 * which the seed draws the phases.
 */
#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

#include "error.h"
#include "random.h"
#include "seq_mix_fair.h"
#include "seq_parts.h"

__extension__ typedef unsigned __int128 wide;

struct node {
  uint64_t share;   /* of its items that go left, in 2^-64 */
  uint64_t phase;   /* in 2^-64 */
  int32_t child[2]; /* left, right: a node, or ~source */
};

struct mix {
  neap__parts parts;
  struct node *nodes; /* count - 1 of them, the root first; or NULL, and ... */
  neap__fair *fair;   /* ... this */
};

/* -- Reading -- */

static int64_t left_of(const struct node *node, int64_t m) {
  const wide product = (wide)(uint64_t)m * node->share + node->phase;
  return (int64_t)(uint64_t)(product >> 64);
}

static int32_t find(const struct mix *self, int64_t *index) {
  int32_t at = self->parts.count > 1 ? 0 : ~0;
  while (at >= 0) {
    const struct node *node = &self->nodes[at];
    const int64_t left = left_of(node, *index);
    const int is_right = left_of(node, *index + 1) == left;
    *index = is_right ? *index - left : left;
    at = node->child[is_right];
  }
  return ~at;
}

static void resolve(const neap_seq *seq, int64_t epoch, int64_t *index,
                    int32_t *leaf, int64_t count) {
  const struct mix *self = (const struct mix *)seq;
  int32_t part[NEAP__SEQ_RUN_MAX];
  if (self->fair != NULL)
    neap__fair_find(self->fair, index, part, count);
  else
    for (int64_t k = 0; k < count; k++)
      part[k] = find(self, &index[k]);
  neap__parts_resolve(&self->parts, epoch, part, index, leaf, count);
}

static void fini(neap_seq *seq) {
  free(((struct mix *)seq)->nodes);
  free(((struct mix *)seq)->fair);
  neap__parts_fini(seq);
}

static const neap__seq_ops ops = {
    .deed = "mix",
    .size = sizeof(struct mix),
    .resolve = resolve,
    .fini = fini,
};

/* -- The tree -- */

struct weighed {
  double weight;
  int32_t rank; /* among equals */
  int32_t source;
};

static int by_weight(const void *a, const void *b) {
  const struct weighed *x = a, *y = b;
  if (x->weight != y->weight) return x->weight < y->weight ? 1 : -1;
  return x->rank - y->rank;
}

/*
 * Lists the sources by weight. A place in the tree says whether a source may
 * come first, so it is the seed that ranks those of one weight.
 */
static void weigh(struct weighed *list, const double *weights, int32_t count,
                  int64_t seed) {
  neap_random random;
  double heaviest = 0; /* so that no sum is too large */
  neap_random_init(&random, seed, 1, 1);
  for (int32_t k = 0; k < count; k++)
    heaviest = fmax(heaviest, weights[k]);
  for (int32_t k = 0; k < count; k++) {
    const int32_t other = (int32_t)neap_random_integer(&random, 0, k);
    list[k] = list[other];
    list[other] = (struct weighed){weights[k] / heaviest, 0, k};
  }
  for (int32_t k = 0; k < count; k++)
    list[k].rank = k;
  qsort(list, (size_t)count, sizeof *list, by_weight);
}

static double sum_of(const struct weighed *list, int32_t count) {
  double sum = 0;
  for (int32_t k = count - 1; k >= 0; k--)
    sum += list[k].weight;
  return sum;
}

/*
 * Parts a list, heaviest first, into two of about the same weight: each goes
 * to the side that is lighter so far. Keeps both sorted; answers the left's
 * count.
 */
static int32_t halve(struct weighed *list, int32_t count,
                     struct weighed *right) {
  double left_sum = 0, right_sum = 0;
  int32_t left = 0, others = 0;
  for (int32_t k = 0; k < count; k++) {
    if (left_sum <= right_sum) {
      left_sum += list[k].weight;
      list[left++] = list[k];
    } else {
      right_sum += list[k].weight;
      right[others++] = list[k];
    }
  }
  for (int32_t k = 0; k < others; k++)
    list[left + k] = right[k];
  return left;
}

/* 1 + the sum of w / W up to which a source is off by one item at most. */
#define ERR_MAX (2 + 1e-9)

/* What the tree is built with; err is the largest 1 + sum of w / W so far. */
struct builder {
  struct node *nodes;
  struct weighed *scratch;
  int32_t used;
  double err;
};

static void set_share(struct node *node, double left, double right) {
  const double share = left / (left + right);
  node->share = (uint64_t)fmin(ldexp(share, 64), 0x1.fffffffffffffp63);
}

static int32_t build(struct builder *b, struct weighed *list, int32_t count,
                     double above) {
  if (count == 1) {
    const double err = 1 + list->weight * above;
    if (err > b->err) b->err = err;
    return ~list->source;
  }
  const int32_t at = b->used++;
  const int32_t left = halve(list, count, b->scratch);
  const double left_sum = sum_of(list, left);
  const double right_sum = sum_of(list + left, count - left);
  const double inner = at == 0 ? 0 : above + 1 / (left_sum + right_sum);
  set_share(&b->nodes[at], left_sum, right_sum);
  b->nodes[at].child[0] = build(b, list, left, inner);
  b->nodes[at].child[1] = build(b, list + left, count - left, inner);
  return at;
}

/* -- The best tree of a few -- */

/* Sources for which all trees are tried, and how many steps that may take. */
enum { PLANNED_MAX = 8, STEPS_MAX = 20000 };

struct planner {
  struct builder *builder;
  const struct weighed *list;
  double weight[1 << PLANNED_MAX];   /* of each set of sources */
  double heaviest[1 << PLANNED_MAX]; /* its largest */
  int steps;
};

static void weigh_sets(struct planner *p, int32_t count) {
  for (uint32_t set = 1; set < 1u << count; set++) {
    const double one = p->list[__builtin_ctz(set)].weight;
    const uint32_t others = set & (set - 1);
    p->weight[set] = p->weight[others] + one;
    p->heaviest[set] = fmax(p->heaviest[others], one);
  }
}

static bool is_one(uint32_t set) {
  return (set & (set - 1)) == 0;
}

/* The sum of 1 / W for what lies under one side of a node. */
static double above_side(const struct planner *p, uint32_t side, double above) {
  return is_one(side) ? above : above + 1 / p->weight[side];
}

/* Looks for a tree over a set in which no w / W adds up to more than 1. */
static bool plan(struct planner *p, uint32_t set, double above, int32_t *root) {
  if (is_one(set)) {
    const struct weighed *only = &p->list[__builtin_ctz(set)];
    p->builder->err = fmax(p->builder->err, 1 + only->weight * above);
    *root = ~only->source;
    return true;
  }
  const int32_t at = p->builder->used;
  const uint32_t first = set & (0 - set), others = set ^ first;
  for (uint32_t more = others; more > 0;) {
    more = (more - 1) & others;
    const uint32_t side[2] = {first | more, set ^ (first | more)};
    struct node *node = &p->builder->nodes[at];
    double inner[2];
    bool fits = p->steps++ < STEPS_MAX;
    for (int k = 0; k < 2; k++) {
      inner[k] = above_side(p, side[k], above);
      fits = fits && p->heaviest[side[k]] * inner[k] <= 1;
    }
    p->builder->used = at + 1;
    if (fits && plan(p, side[0], inner[0], &node->child[0]) &&
        plan(p, side[1], inner[1], &node->child[1])) {
      set_share(node, p->weight[side[0]], p->weight[side[1]]);
      *root = at;
      return true;
    }
  }
  p->builder->used = at;
  return false;
}

static bool build_planned(struct builder *b, const struct weighed *list,
                          int32_t count) {
  int32_t root;
  if (count < 2 || count > PLANNED_MAX) return false;
  struct planner *p = calloc(1, sizeof *p);
  if (p == NULL) return false;
  p->builder = b;
  p->list = list;
  weigh_sets(p, count);
  const bool found = plan(p, (1u << count) - 1, 0, &root);
  free(p);
  if (!found) b->err = 1;
  return found;
}

/* Phases around a half, as far from it as the error allows. */
static void set_phases(const struct builder *b, int64_t seed) {
  neap_random random;
  const double d = fmin(1, fmax(0.5, 1 / b->err));
  neap_random_init(&random, seed, 1, 0);
  for (int32_t k = 0; k < b->used; k++) {
    const double phase = 1 - d + (2 * d - 1) * neap_random_uniform(&random);
    b->nodes[k].phase = (uint64_t)fmin(ldexp(phase, 64), 0x1.fffffffffffffp63);
  }
}

static int plant(struct mix *self, const double *weights, int64_t seed,
                 neap_error *error) {
  const int32_t count = self->parts.count;
  const size_t nodes = count > 1 ? (size_t)count - 1 : 1;
  struct weighed *list = calloc(2 * (size_t)count, sizeof *list);
  self->nodes = calloc(nodes, sizeof *self->nodes);
  if (list == NULL || self->nodes == NULL) {
    free(list);
    return neap__error_set(error, NEAP_EMEMORY, 0,
                           "cannot mix: memory is short");
  }
  weigh(list, weights, count, seed);
  struct builder b = {self->nodes, list + count, 0, 1};
  if (!build_planned(&b, list, count)) build(&b, list, count, 0);
  set_phases(&b, seed);
  free(list);
  if (b.err > ERR_MAX) self->fair = neap__fair_new(weights, count, seed);
  if (self->fair != NULL) {
    free(self->nodes);
    self->nodes = NULL;
  }
  return NEAP_OK;
}

/* -- The length -- */

/* The first item of a node that is item j of its side. */
static int64_t find_item(const struct node *node, int is_right, int64_t j) {
  int64_t low = j, high = INT64_MAX - 1;
  while (low < high) { /* the first m with more than j after item m */
    const int64_t m = low + (high - low) / 2;
    const int64_t left = left_of(node, m + 1);
    if ((is_right ? m + 1 - left : left) > j)
      high = m;
    else
      low = m + 1;
  }
  return low;
}

/* Where in the mixture item j of a source stands. */
static int64_t find_position(const struct mix *self, int32_t source,
                             int64_t j) {
  if (self->fair != NULL) return neap__fair_position(self->fair, source, j);
  int32_t at = ~source;
  while (at != 0 && self->parts.count > 1) {
    int32_t up = 0;
    while (self->nodes[up].child[0] != at && self->nodes[up].child[1] != at)
      up++;
    j = find_item(&self->nodes[up], self->nodes[up].child[1] == at, j);
    at = up;
  }
  return j;
}

/* It ends where a source that has ended is due. */
static void measure(struct mix *self) {
  int64_t length = INT64_MAX;
  for (int32_t k = 0; k < self->parts.count; k++) {
    const int64_t items = self->parts.sources[k]->length;
    if (items == NEAP_ENDLESS) continue;
    const int64_t end = find_position(self, k, items);
    if (end < length) length = end;
  }
  self->parts.base.length = length >= INT64_MAX - 1 ? NEAP_ENDLESS : length;
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
  *out = NULL;
  neap_seq *seq;
  int rc = neap__parts_new(&ops, sources, count, &seq, error);
  if (rc != NEAP_OK) return rc;
  struct mix *self = (struct mix *)seq;
  if ((rc = check_weights(weights, count, error)) != NEAP_OK) goto fail;
  if ((rc = plant(self, weights, seed, error)) != NEAP_OK) goto fail;
  measure(self);
  *out = seq;
  return NEAP_OK;

fail:
  neap_seq_free(seq);
  return rc;
}
