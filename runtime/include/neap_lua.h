/* SPDX-License-Identifier: MIT */
/*
 * What only neap's Lua side calls, beside neap.h: indexes resolved ahead, in
 * types that LuaJIT loads cheaply, the writer of items, and the worker's side
 * of a pool. Not installed; the rules of neap.h hold.
 */
#ifndef NEAP_LUA_H
#define NEAP_LUA_H

#include "neap.h"

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/* cdef: begin */

/* ---- Indexes resolved ahead ---------------------------------------------- */

/* neap_seq_gather() of indexes as Lua has them: doubles that count from 1. */
int neap_seq_gather_numbers(neap_seq *source, const double *numbers,
                            int64_t count, neap_seq **out, neap_error *error);

/*
 * What the adapters of a tree know of how items follow each other: nothing; or
 * that long stretches come from one leaf at equal steps; or at steps of 1.
 */
enum { NEAP_SEQ_ANY, NEAP_SEQ_STEPS, NEAP_SEQ_UNITS };
int neap_seq_kind(const neap_seq *seq);

/*
 * Some indexes of a tree, resolved: item first + k of epoch `epoch` is item
 * place[k] of leaf number leaf[k], for k below count. Items count from 1. It
 * holds nothing while all but the tree is zero. The tree stays the caller's.
 */
typedef struct neap_window {
  neap_seq *tree;
  double first;
  double count;
  double epoch;
  double follows; /* the item after the last one resolved */
  int32_t place[32];
  int16_t leaf[32];
} neap_window;

/*
 * A stretch of items that come from one leaf at equal steps: item i of epoch
 * `epoch`, from first up to but not including stop, is item i * step + offset
 * of leaf number `leaf`. Items count from 1.
 */

typedef struct neap_stretch {
  neap_seq *tree;
  double first;
  double stop;
  double epoch;
  double step;
  double offset;
  int32_t leaf;
  int32_t shift; /* offset as an integer, where step is 1 */
  double near;   /* the item up to which i + shift fits 32 bits */
  double period; /* items after which the stretch repeats; 0: unknown */
  double next;   /* the item that a reader in order reads next */
} neap_stretch;

/*
 * Resolves an index (from 0) of a tree of fewer than 2^15 leaves, and moves the
 * window there. A window is filled only if the index follows the one before;
 * else it holds this index alone. Indexes of more than 32 bits are left out.
 * Returns: the index in its leaf, from 0; the leaf's number in *leaf.
 */
int64_t neap_seq_slide(neap_window *window, int64_t epoch, int64_t index,
                       int32_t *leaf);

/*
 * The same for trees that are not NEAP_SEQ_ANY. It finds how far the
 * stretch goes at the first read and for reads in order; for a jump it resolves
 * the index alone.
 */
int64_t neap_seq_stride(neap_stretch *stretch, int64_t epoch, int64_t index,
                        int32_t *leaf);

/* ---- Writing items ------------------------------------------------------- */

/*
 * Writes the items of a run into a slot, as neap.h lays them out ("Item
 * values"). Each item has a cell, cells[k]. The caller stores nil, booleans,
 * numbers and 64-bit integers there itself; the functions below put all else
 * behind what is already written, and set the cell.
 *
 * `cell` is an item's, or one of a table that was put. Every cell must be set:
 * a slot still holds what was written there before.
 *
 * Units:   bytes; offsets count from the start of the slot.
 * Owns:    nothing. The slot belongs to the caller, and nothing else may write
 *          there between neap_writer_begin() and neap_writer_end().
 * Threads: one at a time on a writer. Writers are independent of each other.
 * Returns: NEAP_OK; NEAP_EROOM where the value does not fit the slot, or NULL
 *          and that status in *error: then nothing was put.
 */
typedef struct neap_writer {
  neap_value *cells; /* of the run's items; NULL between runs */
  uint8_t *base;     /* the slot */
  uint64_t bytes;    /* of the slot */
  uint64_t used;     /* of the slot, from its start */
  uint64_t limit;    /* of `used`: some bytes are kept for failures */
  uint64_t item;     /* `used` when the last item ended */
} neap_writer;

/* Begins a run of `count` items. The slot is aligned to 64 bytes. */
int neap_writer_begin(neap_writer *writer, void *slot, uint64_t bytes,
                      int32_t count, neap_error *error);
/* Ends the run. Returns the bytes of the slot that are in use. */
uint64_t neap_writer_end(neap_writer *writer);

/* Ends an item. Not needed after an item that is no more than its cell. */
void neap_writer_end_item(neap_writer *writer);
/* Takes back all that was put and allocated since the last item ended. */
void neap_writer_undo_item(neap_writer *writer);

/* Memory for the data of a tensor, aligned to 64 bytes. */
void *neap_writer_allocate(neap_writer *writer, uint64_t bytes,
                           neap_error *error);
/*
 * These two do not copy data that already lies in the used part of the slot.
 * Put such a string once: readers take two that overlap for damage.
 */
int neap_writer_put_string(neap_writer *writer, neap_value *cell,
                           const char *text, uint32_t bytes, neap_error *error);
/* The tensor is contiguous; its dtype and shape are those of neap.h. */
int neap_writer_put_tensor(neap_writer *writer, neap_value *cell,
                           const neap_tensor *tensor, neap_error *error);
/*
 * Puts a table without its contents. Returns its cells: those of the list, then
 * a key and a value for each pair. `type` is NEAP_TABLE, or NEAP_FAILURE, for
 * the cell of an item: a failure, and what is put for it until the item ends,
 * may use the bytes that are kept for failures.
 */
neap_value *neap_writer_put_table(neap_writer *writer, neap_value *cell,
                                  uint32_t type, uint32_t list_count,
                                  uint32_t pair_count, neap_error *error);

/* ---- The worker's side --------------------------------------------------- */

/* For the process that neap_pool_open() starts. */
typedef struct neap_worker neap_worker;

/*
 * A run to compute, and the slot to write it to. Zero-filled before its first
 * use, then used again and again; what is below `progress` is the worker's.
 */
typedef struct neap_task {
  int64_t epoch;
  int64_t first; /* 0-based */
  int32_t count;
  int32_t slot;
  uint8_t *base;     /* the slot, aligned to a page */
  uint64_t bytes;    /* that may be written */
  int32_t *progress; /* where to write which item of the run, from 0, is being
                        computed: a timeout is measured by it */
  uint64_t ticket;
  int64_t began_ns;
  int32_t entry;
  int32_t has_slot; /* 1: the slot is this task's already */
} neap_task;

/*
 * Whether this library can work for the host that started the process: to be
 * asked before anything of the host's is read, its Lua modules too. If not, it
 * tells the host, and the error (NEAP_EWORKER) names both versions.
 */
int neap_worker_check(neap_error *error);
/* Attaches to what the host handed down; ends the process with its host. */
int neap_worker_attach(neap_worker **out, neap_error *error);
const void *neap_worker_chain(const neap_worker *worker, uint64_t *bytes);
/*
 * Holds this process to memory_bytes beyond what it has now, if the host said
 * so: of private memory (RLIMIT_DATA: heaps and private maps), slots and
 * shared tensors aside. NEAP_ESYSTEM where the system does not tell or obey.
 */
int neap_worker_limit(neap_worker *worker, neap_error *error);
/*
 * Ends this process at once with exit status NEAP_EXIT_MEMORY, for an item that
 * found no memory. The host starts another worker, which may try it again.
 */
void neap_worker_exhausted(neap_worker *worker);
/* This worker's number, 0-based; the descriptor of shared tensors, or -1. */
int32_t neap_worker_number(const neap_worker *worker);
int32_t neap_worker_heap_fd(const neap_worker *worker);
/* Tells the host that the worker can work, or (text) why it cannot. */
int neap_worker_ready(neap_worker *worker, const char *text, neap_error *error);
/* Whether this process attached; a child that the user's code forked off it
   must write into no slot. */
int neap_worker_is_ours(const neap_worker *worker);
/*
 * Ends this process at once if it is not the one that attached, but one that
 * the user's code forked off it: a slot may have another owner by now. To be
 * asked before what was computed is written.
 */
void neap_worker_confirm(const neap_worker *worker);
/* Waits for the next run; NEAP_END when the host says stop. */
int neap_worker_next(neap_worker *worker, neap_task *task, neap_error *error);
/* Hands the task's slot over; used: bytes of it that are written. */
void neap_worker_publish(neap_worker *worker, neap_task *task, uint64_t used);

/* cdef: end */

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif

#endif
