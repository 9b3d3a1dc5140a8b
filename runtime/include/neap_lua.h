/* SPDX-License-Identifier: MIT */
/*
 * Functions that only Lua calls: lookahead of indexes, in types that LuaJIT
 * loads quickly, the writer of items, and the worker's side of a pool. Not
 * installed. The rules of neap.h apply.
 */
#ifndef NEAP_LUA_H
#define NEAP_LUA_H

#include "neap.h"

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/* cdef: begin */

/* ---- Lookahead of indexes ------------------------------------------------ */

/* neap_seq_gather() of Lua's indexes: doubles that count from 1. */
int neap_seq_gather_numbers(neap_seq *source, const double *numbers,
                            int64_t count, neap_seq **out, neap_error *error);

/*
 * What is known of the order of a tree's items: nothing; that stretches come
 * from one leaf at equal steps; or at steps of 1.
 */
enum { NEAP_SEQ_ANY, NEAP_SEQ_STEPS, NEAP_SEQ_UNITS };
int neap_seq_kind(const neap_seq *seq);

/*
 * Resolved indexes of a tree: item first + k of epoch `epoch` is item place[k]
 * of leaf number leaf[k], for k below count. Items count from 1. A window with
 * all fields zero but the tree is empty. The caller owns the tree.
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
  double near;   /* i + shift fits 32 bits up to here */
  double period; /* items after which the stretch repeats; 0: unknown */
  double next;   /* the item that a reader in order reads next */
} neap_stretch;

/*
 * Resolves an index (from 0) of a tree of fewer than 2^15 leaves, and moves the
 * window there. The window is filled if the index follows the last one that was
 * resolved; else it contains only this index. It is empty if an index does not
 * fit 32 bits.
 * Returns: the index in its leaf, from 0; the leaf's number in *leaf.
 */
int64_t neap_seq_slide(neap_window *window, int64_t epoch, int64_t index,
                       int32_t *leaf);

/*
 * The same for trees that are not NEAP_SEQ_ANY. A read in order gets the
 * stretch from its index on, the first random read of an epoch gets the one
 * from item 0, other random reads none.
 */
int64_t neap_seq_stride(neap_stretch *stretch, int64_t epoch, int64_t index,
                        int32_t *leaf);

/* ---- Operations on tensors ----------------------------------------------- */

/*
 * Tensors are contiguous. `to` has the dtype and shape that the operation
 * gives, and is apart from what is read; where element k of the result needs
 * only element k of an operand of that size, it may be this operand.
 *
 * Operands have the tensor's dtype, and sizes that are the tensor's or 1,
 * counted from the last dimension; or they are a number: a scalar of f64.
 * Results are rounded to nearest, ties to even, and saturated; NaN becomes 0 in
 * an integer. Numbers of 8 bits and f32 are computed in f32, those of 64 bits
 * in integers unless an operand is a number with a fraction, others in f64.
 *
 * Returns: NEAP_OK; NEAP_EINVAL if shapes or dtypes do not fit: `to` is as it
 * was.
 */
int neap_tensor_add(const neap_tensor *a, const neap_tensor *b, neap_tensor *to,
                    neap_error *error);
int neap_tensor_sub(const neap_tensor *a, const neap_tensor *b, neap_tensor *to,
                    neap_error *error);
int neap_tensor_mul(const neap_tensor *a, const neap_tensor *b, neap_tensor *to,
                    neap_error *error);
int neap_tensor_div(const neap_tensor *a, const neap_tensor *b, neap_tensor *to,
                    neap_error *error);
/* The result of comparisons is a bool. */
int neap_tensor_eq(const neap_tensor *a, const neap_tensor *b, neap_tensor *to,
                   neap_error *error);
int neap_tensor_lt(const neap_tensor *a, const neap_tensor *b, neap_tensor *to,
                   neap_error *error);
int neap_tensor_gt(const neap_tensor *a, const neap_tensor *b, neap_tensor *to,
                   neap_error *error);
int neap_tensor_clamp(const neap_tensor *a, const neap_tensor *low,
                      const neap_tensor *high, neap_tensor *to,
                      neap_error *error);
/* a where the condition (a bool) is true, else b. */
int neap_tensor_where(const neap_tensor *condition, const neap_tensor *a,
                      const neap_tensor *b, neap_tensor *to, neap_error *error);

/*
 * Reductions of dimension dim (from 0), which the result lacks, or of all if
 * dim is -1. Sums are i64 for integers and bool, u64 for u64, f64 for floats,
 * and exact for integers, but saturated; mean and std (of the whole population)
 * are f64, max and min of the tensor's dtype, argmax i64 and counted from 1, of
 * the first of equal ones. A NaN is the greatest and the least.
 */
int neap_tensor_sum(const neap_tensor *from, int32_t dim, neap_tensor *to,
                    neap_error *error);
int neap_tensor_mean(const neap_tensor *from, int32_t dim, neap_tensor *to,
                     neap_error *error);
int neap_tensor_std(const neap_tensor *from, int32_t dim, neap_tensor *to,
                    neap_error *error);
int neap_tensor_min(const neap_tensor *from, int32_t dim, neap_tensor *to,
                    neap_error *error);
int neap_tensor_max(const neap_tensor *from, int32_t dim, neap_tensor *to,
                    neap_error *error);
int neap_tensor_argmax(const neap_tensor *from, int32_t dim, neap_tensor *to,
                       neap_error *error);

/*
 * Copies between tensors of one shape and any strides, also negative ones; the
 * data is that of the element at index 0. The caller checks that they are apart
 * and that all elements lie in their memory.
 */
int neap_tensor_copy(const neap_tensor *from, neap_tensor *to,
                     neap_error *error);
/*
 * Rows of dimension dim (from 0) by index, from 1, or from the end if negative.
 * The caller checks the result's shape. Changes the indexes.
 */
int neap_tensor_take(const neap_tensor *from, int32_t dim, int64_t *indexes,
                     int64_t count, neap_tensor *to, neap_error *error);
/* Sets a row of `to` for each class: 1 at the class, from 1, and 0 elsewhere.
 */
int neap_tensor_one_hot(const int64_t *classes, int64_t count, neap_tensor *to,
                        neap_error *error);

/*
 * Resizes dimensions dim and dim + 1, the rows and columns of images, to the
 * sizes of `to`. The caller checks the other sizes, and that no size is 0.
 */
enum { NEAP_RESIZE_BILINEAR, NEAP_RESIZE_AREA };
int neap_tensor_resize(const neap_tensor *from, int32_t dim, int method,
                       neap_tensor *to, neap_error *error);

/* x * scale + the pixel's luma * grey + offset, for each element x. */
typedef struct neap_colour {
  float scale;
  float grey;
  float offset;
} neap_colour;

/* Of red, green and blue: the last dimension, or the first if is_planes. */
int neap_tensor_colour(const neap_tensor *from, int is_planes,
                       const neap_colour *colour, neap_tensor *to,
                       neap_error *error);

/* ---- Writing items ------------------------------------------------------- */

/*
 * Writes the items of a run into a slot, in the layout of neap.h ("Item
 * values"). The cell of item k is cells[k]. The caller stores nil, booleans,
 * numbers and 64-bit integers there; the functions below append other values
 * to the slot, and set the cell.
 *
 * `cell` is that of an item, or one of a table that was put. Set every cell: a
 * slot contains old bytes.
 *
 * Units:   bytes; offsets count from the start of the slot.
 * Owns:    nothing. Nothing else may write to the caller's slot between
 *          neap_writer_begin() and neap_writer_end().
 * Threads: one at a time on a writer. Writers are independent of each other.
 * Returns: NEAP_OK; NEAP_EROOM if the value does not fit the slot, or NULL and
 *          that status in *error: then nothing was put.
 */
typedef struct neap_writer {
  neap_value *cells; /* of the run's items; NULL between runs */
  uint8_t *base;     /* the slot */
  uint64_t bytes;    /* of the slot */
  uint64_t used;     /* of the slot, from its start */
  uint64_t limit;    /* of `used`: some bytes are reserved for failures */
  uint64_t item;     /* `used` when the last item ended */
} neap_writer;

/* Begins a run of `count` items. The slot is aligned to 64 bytes. */
int neap_writer_begin(neap_writer *writer, void *slot, uint64_t bytes,
                      int32_t count, neap_error *error);
/* Ends the run. Returns the used bytes of the slot. */
uint64_t neap_writer_end(neap_writer *writer);

/* Ends an item. Not needed after an item that is only a cell. */
void neap_writer_end_item(neap_writer *writer);
/* Undoes all that was put and allocated since the last item ended. */
void neap_writer_undo_item(neap_writer *writer);

/* Memory for the data of a tensor, aligned to 64 bytes. */
void *neap_writer_allocate(neap_writer *writer, uint64_t bytes,
                           neap_error *error);
/*
 * These two do not copy data that already lies in the used part of the slot.
 * Put such a string once: readers treat overlapping strings as damage.
 */
int neap_writer_put_string(neap_writer *writer, neap_value *cell,
                           const char *text, uint32_t bytes, neap_error *error);
/* The tensor is contiguous; its dtype and shape are those of neap.h. */
int neap_writer_put_tensor(neap_writer *writer, neap_value *cell,
                           const neap_tensor *tensor, neap_error *error);
/*
 * Puts a table without its contents. Returns its cells: those of the list, then
 * a key and a value for each pair. `type` is NEAP_TABLE, or NEAP_FAILURE for
 * the cell of an item: from then until the item ends, puts may use the bytes
 * that are reserved for failures.
 */
neap_value *neap_writer_put_table(neap_writer *writer, neap_value *cell,
                                  uint32_t type, uint32_t list_count,
                                  uint32_t pair_count, neap_error *error);

/* ---- The worker's side --------------------------------------------------- */

/* For the process that neap_pool_open() starts. */
typedef struct neap_worker neap_worker;

/*
 * A run to compute, and the slot to write it to. Zero-filled before its first
 * use, then reused; the fields below `progress` are internal.
 */
typedef struct neap_task {
  int64_t epoch;
  int64_t first; /* 0-based */
  int32_t count;
  int32_t slot;
  uint8_t *base;     /* the slot, aligned to a page */
  uint64_t bytes;    /* that may be written */
  int32_t *progress; /* write the number of the item here, from 0 in the run,
                        before it is computed: timeouts are measured by it */
  uint64_t ticket;
  int64_t began_ns;
  int32_t entry;
  int32_t has_slot; /* 1: the task owns the slot */
} neap_task;

/*
 * Whether this library can work for the host that started the process. Call it
 * before anything of the host's is read, its Lua modules too. If not, it tells
 * the host, and the error (NEAP_EWORKER) names both versions.
 */
int neap_worker_check(neap_error *error);
/* Attaches to the inherited descriptors; this process ends with its host. */
int neap_worker_attach(neap_worker **out, neap_error *error);
const void *neap_worker_chain(const neap_worker *worker, uint64_t *bytes);
/*
 * Limits this process to memory_bytes more private memory (RLIMIT_DATA: heaps
 * and private maps, not slots and shared tensors), if the host has set it.
 * NEAP_ESYSTEM if the system refuses.
 */
int neap_worker_limit(neap_worker *worker, neap_error *error);
/* The bytes of that limit; 0: none. */
uint64_t neap_worker_memory(const neap_worker *worker);
/* This worker's number, 0-based; the descriptor of shared tensors, or -1. */
int32_t neap_worker_number(const neap_worker *worker);
int32_t neap_worker_heap_fd(const neap_worker *worker);
/* Tells the host that the worker can work, or (text) why it cannot. */
int neap_worker_ready(neap_worker *worker, const char *text, neap_error *error);
/* Whether this process attached. A child that the user's code forked must not
   write to a slot. */
int neap_worker_is_ours(const neap_worker *worker);
/*
 * Ends this process at once if it is a child that the user's code forked: its
 * slot may have another owner by now. Call it before results are written.
 */
void neap_worker_confirm(const neap_worker *worker);
/* Waits for the next run; NEAP_END when the host stops the workers. */
int neap_worker_next(neap_worker *worker, neap_task *task, neap_error *error);
/* Publishes the task's slot, of which `used` bytes are written. */
void neap_worker_publish(neap_worker *worker, neap_task *task, uint64_t used);

/* cdef: end */

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif

#endif
