/* SPDX-License-Identifier: MIT */
/* Adapters of sequences: index arithmetic behind a table of operations. */
#ifndef NEAP_SEQ_SEQ_H
#define NEAP_SEQ_SEQ_H

#include "base/bytes.h"
#include "neap.h"

/* The depth of a tree: resolve and free recurse. */
#define NEAP__SEQ_DEPTH_MAX 1000

/*
 * The most indexes in one call of an adapter: they stay in the L1 cache from
 * adapter to adapter, and an array of them fits on each one's stack.
 */
#define NEAP__SEQ_RUN_MAX 256

typedef struct neap__span {
  int64_t index;
  int64_t step;
  int64_t count;
  int64_t period; /* items after which it repeats; 0: unknown */
  int32_t leaf;
} neap__span;

/* What is called for a leaf; any status but NEAP_OK ends the visits. */
typedef int neap__leaf_visit(void *host, int32_t leaf, int64_t length,
                             neap_error *error);

typedef struct neap__seq_ops {
  /* What the adapter does, for messages: "cannot <deed>: ...". */
  const char *deed;
  /* Bytes of the adapter's struct; a neap_seq is its first member. */
  size_t size;
  /*
   * Replaces each index[k] by the index in its leaf and, unless leaf is NULL,
   * sets leaf[k] to the leaf's number, by calls of its sources. All indexes are
   * in range, 1 <= count <= NEAP__SEQ_RUN_MAX. Called at any time from any
   * thread: changes nothing else, and does not block.
   */
  void (*resolve)(const neap_seq *self, int64_t epoch, int64_t *index,
                  int32_t *leaf, int64_t count);
  /*
   * Finds how far from span->index on the items come from one leaf at equal
   * steps: sets index to the one in the leaf, and step, count (1 or more),
   * period and leaf. NULL: unknown, each index is resolved alone. If it may
   * change steps of 1, the constructor lowers the kind from NEAP_SEQ_UNITS.
   */
  void (*stride)(const neap_seq *self, int64_t epoch, neap__span *span);
  /* Calls neap__seq_each_leaf() for the sources; a leaf visits itself. */
  int (*each_leaf)(const neap_seq *self, neap__leaf_visit *visit, void *host,
                   neap_error *error);
  /* Writes the sources, by neap__seq_pack(), and what else the adapter keeps;
     the length is written already. */
  void (*pack)(const neap_seq *self, neap__bytes *out);
  /* Makes the adapter that pack wrote. The bytes may be damaged. */
  int (*unpack)(neap__cursor *in, int64_t length, neap_seq **out,
                neap_error *error);
  /* Frees the sources; called once, last, perhaps on a half-built self. */
  void (*fini)(neap_seq *self);
} neap__seq_ops;

struct neap_seq {
  const neap__seq_ops *ops;
  int64_t length; /* or NEAP_ENDLESS */
  int16_t depth;  /* 1: a leaf */
  int16_t kind;   /* NEAP_SEQ_ANY ... of the tree below, this included */
  int32_t leaf;   /* a leaf's number */
};

/* All adapters. Packed trees have their numbers: add new ones at the end. */
#define NEAP__SEQ_ADAPTERS(each) \
  each(leaf) each(slice) each(gather) each(shuffle) each(concat) \
      each(interleave) each(cycle) each(mix)

#define NEAP__SEQ_DECLARE(name) extern const neap__seq_ops neap__seq_##name;
NEAP__SEQ_ADAPTERS(NEAP__SEQ_DECLARE)

/*
 * A tree as bytes, and back. A gather's indexes are in the bytes, which must
 * outlive the tree; if the bytes are local, their address is.
 */
void neap__seq_pack(const neap_seq *seq, neap__bytes *out);
int neap__seq_unpack(neap__cursor *in, neap_seq **out, neap_error *error);
int neap__seq_damaged(neap_error *error);

/*
 * Makes a zeroed adapter of ops->size bytes over `count` sources. The caller
 * stores them in it and sets its length. On failure the sources are freed.
 */
int neap__seq_new(const neap__seq_ops *ops, neap_seq *const *sources, int count,
                  neap_seq **out, neap_error *error);

/* The kind of an adapter of these ops over these sources. */
int neap__seq_kind(const neap__seq_ops *ops, neap_seq *const *sources,
                   int count);

/* Whether seq[index] exists. */
static inline int neap__seq_holds(const neap_seq *seq, int64_t index) {
  return index >= 0 && (index < seq->length || seq->length == NEAP_ENDLESS);
}

/* NEAP_EINVAL: an adapter's item `position` would be source[index]. */
int neap__seq_out_of_range(const neap__seq_ops *ops, const neap_seq *source,
                           int64_t position, int64_t index, neap_error *error);

static inline void neap__seq_resolve(const neap_seq *seq, int64_t epoch,
                                     int64_t *index, int32_t *leaf,
                                     int64_t count) {
  seq->ops->resolve(seq, epoch, index, leaf, count);
}

void neap__seq_stride(const neap_seq *seq, int64_t epoch, neap__span *span);

static inline int neap__seq_each_leaf(const neap_seq *seq,
                                      neap__leaf_visit *visit, void *host,
                                      neap_error *error) {
  return seq->ops->each_leaf(seq, visit, host, error);
}

#endif
