/* SPDX-License-Identifier: MIT */
/*
 * Chains: nodes behind a table of operations, and their evaluation by blocks.
 *
 * A node is immutable. To be read it is opened as a stage, which has the memory
 * of one thread: a reader has a stage for each node. Items are computed by
 * blocks of rows, so that a stage's loop is in C and what is between stages
 * stays in the cache. For each value of the items the caller gives memory, such
 * as rows of a batch in a slot, or the stage answers where each row lies.
 */
#ifndef NEAP_CHAIN_CHAIN_H
#define NEAP_CHAIN_CHAIN_H

#include "base/bytes.h"
#include "chain/layout.h"

/* Nodes above each other: reads recurse. */
enum { NEAP__CHAIN_DEPTH_MAX = 200 };
/* Sources of a node. */
enum { NEAP__CHAIN_SOURCES_MAX = 4096 };
/* A block: rows at most, and about so many bytes. */
enum { NEAP__BLOCK_ROWS = 256, NEAP__BLOCK_BYTES = 256 << 10 };

typedef struct neap__stage neap__stage;

/* A packed chain that is written: bytes, and tensors in a file of memory. */
typedef struct neap__packer {
  neap__bytes bytes;
  int fd;          /* -1: none */
  int own_fd;      /* the same, if it was opened for this; else -1 */
  uint64_t end;    /* of what is in it */
  bool has_blocks; /* tensors that lie in another such file: there is no fd */
} neap__packer;

typedef struct neap__unpacker {
  neap__cursor cursor;
  int fd;
} neap__unpacker;

/* Where the rows of a value go, or lie. */
typedef struct neap__column {
  uint8_t *to;  /* the caller's memory; NULL: the stage's, or a source's */
  int64_t step; /* bytes from row to row in it */
  const uint8_t **rows; /* of NEAP__BLOCK_ROWS; set where `to` is NULL. They are
                           valid until the stage is read again */
} neap__column;

/* What a reader computes now, and how it failed. */
typedef struct neap__work {
  int64_t epoch;
  int32_t *progress; /* the item that is computed; or NULL */
  int32_t item;      /* that of row 0 of a block */
  int32_t step;      /* items from row to row: 1, or 0 within a batch */
  neap_error error;  /* the last failure: why, */
  int64_t index;     /* of which item (from 0), */
  const char *stage; /* and of which stage */

  neap_stopwatch *watch; /* of a block that is timed; else NULL */
  int32_t watched;       /* stages that it has */
} neap__work;

typedef struct neap__chain_ops {
  const char *deed; /* "cannot <deed>: ..." */
  const char *name; /* of the stage: "batch" */
  size_t size;      /* of the node's struct; a neap_chain is its first member */
  size_t own_bytes; /* of what a stage keeps: stage->own, zeroed */
  bool takes_rows;  /* a stage has taken[v].rows for its sources' values */
  /* Prepares a stage, whose sources are open. NULL: nothing to do. */
  int (*open)(neap__stage *stage, neap_error *error);
  /* Called once, perhaps after an open that failed. NULL: nothing to do. */
  void (*close)(neap__stage *stage);
  /*
   * Computes rows of the items `index` (from 0, in range): a column for each
   * value. Returns how many are good: `count`, or the row that failed, which
   * neap__work_fail() was told of; the rows after it are not computed.
   */
  int32_t (*read)(neap__stage *stage, neap__work *work, const int64_t *index,
                  int32_t count, neap__column *columns);
  /* The rows of an item's value that has_tails; else NULL. */
  int64_t (*rows)(const neap_chain *chain, int64_t epoch, int64_t index,
                  int32_t value);
  /* Writes what the node keeps, without its sources; and makes it of that. It
     takes the sources. */
  void (*pack)(const neap_chain *chain, neap__packer *out);
  int (*unpack)(neap__unpacker *in, neap_chain *const *sources, int32_t count,
                neap_chain **out, neap_error *error);
  /* Frees what the node keeps; once, perhaps half-built. NULL: nothing. */
  void (*fini)(neap_chain *chain);
} neap__chain_ops;

struct neap_chain {
  const neap__chain_ops *ops;
  int64_t length; /* or NEAP_ENDLESS */
  neap__layout layout;
  neap_chain **sources; /* source_count of them, owned */
  int32_t source_count;
  int16_t depth;
  bool is_stable; /* its rows lie in memory that outlives any read */
  bool has_tails; /* one of its values has */
  char *stage;    /* its name in messages */
  int32_t number; /* among the stages that are timed; 0: none */
};

/*
 * Makes a zeroed node of ops->size bytes, which owns the sources. The caller
 * sets length, layout and what the node keeps. On failure the sources are
 * freed.
 */
int neap__chain_new(const neap__chain_ops *ops, neap_chain *const *sources,
                    int32_t count, neap_chain **out, neap_error *error);
/* Refuses a source with tails: "cannot <deed>: ...". */
int neap__chain_check_tails(const neap_chain *chain, neap_error *error);
int neap__chain_no_memory(const neap__chain_ops *ops, neap_error *error);

/* ---- Stages: a reader's ---- */

struct neap__stage {
  const neap_chain *chain;
  neap__stage *sources; /* source_count of them */
  neap__column *taken; /* columns of the sources' values, for the stage's use */
  int32_t block;       /* the most rows of a read */
  uint8_t **scratch; /* of each value: memory for a block, made at first use */
  void *own;
  bool is_open; /* the node's `open` was called */
};

int neap__stage_open(neap__stage *stage, const neap_chain *chain, int32_t block,
                     neap_error *error);
void neap__stage_close(neap__stage *stage);
/* The rows of a block that starts at this node. */
int32_t neap__stage_block(const neap_chain *chain);

int32_t neap__stage_read_timed(neap__stage *stage, neap__work *work,
                               const int64_t *index, int32_t count,
                               neap__column *columns);

static inline int32_t neap__stage_read(neap__stage *stage, neap__work *work,
                                       const int64_t *index, int32_t count,
                                       neap__column *columns) {
  if (work->watch != NULL)
    return neap__stage_read_timed(stage, work, index, count, columns);
  return stage->chain->ops->read(stage, work, index, count, columns);
}

/*
 * Where `count` rows of value v are to be written: to + k * step. If the caller
 * gave no memory, it is the stage's, and column->rows are set. NULL: memory is
 * short.
 */
uint8_t *neap__stage_place(neap__stage *stage, int32_t v, int32_t count,
                           neap__column *column, int64_t *step);

/* Notes which item is computed, for row k of a block. */
static inline void neap__work_at(const neap__work *work, int32_t k) {
  if (work->progress != NULL)
    *(volatile int32_t *)work->progress = work->item + k * work->step;
}

/* The native stage of a map's stage. */
neap_native *neap__map_native(const neap__stage *stage);

/* Notes why an item of a stage failed; work->error is set already. */
void neap__work_fail(neap__work *work, const neap__stage *stage, int64_t index);
/* The same where memory is short. */
void neap__work_no_memory(neap__work *work, const neap__stage *stage,
                          int64_t index);

/* ---- All nodes; packed chains have their numbers: add new ones at the end --
 */

#define NEAP__CHAIN_NODES(each) \
  each(range) each(tensor) each(arrange) each(zip) each(convert) each(batch) \
      each(map) each(file) each(operate)

#define NEAP__CHAIN_DECLARE(name) \
  extern const neap__chain_ops neap__chain_##name;
NEAP__CHAIN_NODES(NEAP__CHAIN_DECLARE)

#endif
