/* SPDX-License-Identifier: MIT */
/*
 * The level below neap.h, which the Lua side uses: lookahead of indexes in
 * types that LuaJIT loads quickly, the layout of items in a slot with its
 * readers and its writer, pools, the worker's side of a pool, and shared
 * tensors. Not installed. The rules of neap.h apply.
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

/* The same tree once more. A gather's indexes are the caller's still. */
int neap_seq_copy(const neap_seq *seq, neap_seq **out, neap_error *error);

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

/* ---- Items in a slot ----------------------------------------------------- */

/*
 * The layout of items in a slot. A run of items begins with one cell per item.
 * A value that does not fit in a cell lies at `offset` bytes from the slot's
 * start, aligned to 16 (a tensor's data: to 64):
 *
 *   NEAP_BOOLEAN  integer is 0 or 1
 *   NEAP_NUMBER   number
 *   NEAP_INT64    integer            NEAP_UINT64  integer, its bits
 *   NEAP_STRING   offset, count bytes
 *   NEAP_TENSOR   offset of a neap_tensor_cell
 *   NEAP_TABLE    offset of a head cell {NEAP_TABLE, list count, pair count},
 *                 then the list's cells (keys 1, 2, ...), then a key cell and
 *                 a value cell for each other pair
 *   NEAP_FAILURE  as NEAP_TABLE: the item raised this error
 */
enum { NEAP_FAILURE = 8 };

enum {
  NEAP_DEPTH_MAX = 100, /* tables within tables */
  NEAP_RUN_MAX = 1024   /* items of a run */
};

/* The wait status of a worker, if the host ignores SIGCHLD or waits for all its
   children, and Linux is older than 6.15: then it is unknown. */
enum { NEAP_STATUS_LOST = -1 };

typedef struct neap_cell {
  uint32_t type;
  uint32_t count;
  union {
    double number;
    int64_t integer;
    uint64_t offset;
    uint32_t words[2]; /* little-endian */
  };
} neap_cell;

typedef struct neap_tensor_cell {
  uint8_t code;
  uint8_t bits;
  uint16_t ndim;
  uint32_t reserved; /* 0 */
  uint64_t offset;   /* of the data */
  int64_t shape[8];
} neap_tensor_cell;

/*
 * Consecutive items in one slot, as neap_pool_next() returns them.
 * Valid: until neap_pool_release() of the slot.
 */
typedef struct neap_run {
  int64_t epoch;
  int64_t first;          /* index of its first item */
  int32_t count;          /* items */
  int32_t slot;           /* -1: none; the run's one item failed, and the last
                             three fields tell why (neap_run_failure) */
  const neap_cell *cells; /* count of them */
  const uint8_t *base;    /* the slot */
  uint64_t bytes;         /* of the slot, readable */
  int32_t wait_status;    /* a failure: of its last worker, as from waitpid,
                             or NEAP_STATUS_LOST */
  int32_t attempts;       /* a failure: how many workers died at it */
  int32_t is_overdue;     /* a failure: 1 if it took longer than timeout_ns */
  const char *note;       /* a failure: the native stage that its last worker
                             was calling, or ""; valid until the next read */
} neap_run;

/*
 * The readers of a run. They copy a cell and check the copy against the slot,
 * so a broken worker may write while they read. Errors: NEAP_EDAMAGED, also for
 * a k beyond a table's counts, since these may have changed; NEAP_EINVAL for a
 * k that the run does not have, or a value of another type.
 */
int neap_run_cell(const neap_run *run, int32_t k, neap_cell *out,
                  neap_error *error);
/* The counts of a NEAP_TABLE or NEAP_FAILURE. */
int neap_cell_table(const neap_run *run, const neap_cell *table,
                    uint32_t *list_count, uint32_t *pair_count,
                    neap_error *error);
/* Item k (0-based) of its list part. */
int neap_cell_at(const neap_run *run, const neap_cell *table, uint32_t k,
                 neap_cell *out, neap_error *error);
/* Pair k (0-based) of its other pairs. */
int neap_cell_pair(const neap_run *run, const neap_cell *table, uint32_t k,
                   neap_cell *key, neap_cell *out, neap_error *error);
/* The bytes of a NEAP_STRING (not terminated), or NULL. */
const char *neap_cell_string(const neap_run *run, const neap_cell *string,
                             neap_error *error);
/* Copies the description of a NEAP_TENSOR; *data points into the slot. */
int neap_cell_tensor(const neap_run *run, const neap_cell *tensor,
                     neap_tensor_cell *out, void **data, neap_error *error);

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

/* ---- Images -------------------------------------------------------------- */

/* What is done with an image of another shape than the result's. */
enum { NEAP_FIT_CROP, NEAP_FIT_PAD, NEAP_FIT_STRETCH };

/* Decoded pixels, and what becomes of them. */
typedef struct neap_image {
  const uint8_t *pixels; /* rows without gaps, of bytes */
  int64_t height;
  int64_t width;
  int32_t channels;    /* of the pixels: 1, 3 or 4 */
  int32_t orientation; /* of the pixels, as EXIF counts: 1 to 8 */
  int32_t fit;         /* NEAP_FIT_ */
  int32_t is_planar;   /* the result is {channels, height, width} */
  float region[4];     /* what is wanted of the upright image, in parts of its
                          size: top, left, height, width; all: 0, 0, 1, 1 */
  float scale[4];      /* a result is a sample times scale plus offset */
  float offset[4];
  float pad; /* the sample around an image that does not fill the result */
} neap_image;

/*
 * Fills a tensor of shape {height, width, channels} or {channels, height,
 * width} with the image: upright, resized (bilinear, antialiased where it
 * shrinks), scaled and converted. The tensor has the image's channels, or 1
 * for the brightness of 3; it is contiguous. Bytes are rounded and saturate.
 *
 * Returns: NEAP_OK; NEAP_EINVAL if the two do not fit; NEAP_EMEMORY.
 */
int neap_image_fit(const neap_image *image, const neap_tensor *to,
                   neap_error *error);
/*
 * Turns `count` pixels of four bytes, CMYK as Adobe inverts it, into pixels of
 * three, in place.
 */
void neap_image_from_cmyk(uint8_t *pixels, int64_t count);

/* ---- Writing items ------------------------------------------------------- */

/*
 * Writes the items of a run into a slot, in the layout of "Items in a
 * slot". The cell of item k is cells[k]. The caller stores nil, booleans,
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
  neap_cell *cells; /* of the run's items; NULL between runs */
  uint8_t *base;    /* the slot */
  uint64_t bytes;   /* of the slot */
  uint64_t used;    /* of the slot, from its start */
  uint64_t limit;   /* of `used`: some bytes are reserved for failures */
  uint64_t item;    /* `used` when the last item ended */
  uint64_t undone;  /* `used` at most before it was undone, or 0 */
  double allocated; /* bytes of tensors since the last item ended: allocated, */
  double delivered; /* put, */
  double in_place;  /* and put without a copy */
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
int neap_writer_put_string(neap_writer *writer, neap_cell *cell,
                           const char *text, uint32_t bytes, neap_error *error);
/* The tensor is contiguous; its dtype and shape are those of neap.h. */
int neap_writer_put_tensor(neap_writer *writer, neap_cell *cell,
                           const neap_tensor *tensor, neap_error *error);
/*
 * Puts a table without its contents. Returns its cells: those of the list, then
 * a key and a value for each pair. `type` is NEAP_TABLE, or NEAP_FAILURE for
 * the cell of an item: from then until the item ends, puts may use the bytes
 * that are reserved for failures.
 */
neap_cell *neap_writer_put_table(neap_writer *writer, neap_cell *cell,
                                 uint32_t type, uint32_t list_count,
                                 uint32_t pair_count, neap_error *error);

/* ---- Native stages and chains, below neap.h ------------------------------ */

/* A native stage, ready to be called. */
typedef struct neap_native neap_native;

/* A value that a native stage reads, or makes. */
typedef struct neap_part {
  int32_t type; /* NEAP_NIL ... NEAP_TENSOR */
  uint8_t code; /* a tensor: its dtype */
  uint8_t bits;
  uint16_t ndim;
  union {
    double number;   /* also 0 or 1 of a boolean */
    int64_t integer; /* 64-bit integers */
  };
  void *data;     /* elements, contiguous; the bytes of a string, then a 0 */
  int64_t count;  /* elements, or bytes */
  int64_t nbytes; /* bytes of either */
  int64_t shape[8];
} neap_part;

/*
 * Parses the declarations, loads the library, and prepares the calls. Calls
 * nothing of the library.
 * Threads: any number may open; one at a time on a stage.
 */
int neap_native_open(const neap_stage_options *options, neap_native **out,
                     neap_error *error);
/* Calls fini if init was called. NULL is fine. */
void neap_native_close(neap_native *native);
/* "crc32 of libz.so.1"; valid until close. */
const char *neap_native_text(const neap_native *native);
/*
 * The fields whose parts the stage reads, in the order that `fields` below has:
 * "" is the item itself.
 */
int32_t neap_native_field_count(const neap_native *native);
const char *neap_native_field(const neap_native *native, int32_t k);
/*
 * The names of the results, in the order that `results` below has: of several
 * outputs or of a struct's fields ("a.x": a field of the field a); "" is the
 * result itself.
 */
int32_t neap_native_result_count(const neap_native *native);
const char *neap_native_result(const neap_native *native, int32_t k);
/*
 * Types and shapes of the results for such fields: of a tensor or a string,
 * `data` is not read. A chain whose items do not change asks once. A result
 * that is planned as a NEAP_INT64 or NEAP_UINT64 is a NEAP_NUMBER up to 2^53; a
 * text that is missing in a struct is NEAP_NIL.
 * Returns: NEAP_OK; NEAP_EINVAL if such an item does not fit.
 */
int neap_native_plan(const neap_native *native, const neap_part *fields,
                     neap_part *results, neap_error *error);
/*
 * Calls the function for an item. The results are those of a plan for such
 * fields; the caller has set `data` of those that are tensors to memory of
 * nbytes, aligned to 64 bytes. The index counts from 0. A string in the results
 * is valid until the next call. Returns: NEAP_OK; NEAP_EINVAL if the item does
 * not fit; NEAP_EITEM if the function failed.
 */
int neap_native_call(neap_native *native, const neap_part *fields,
                     neap_part *results, int64_t epoch, int64_t index,
                     neap_error *error);
/*
 * Where the stage notes that it is being called: *now is `number` then, and 0
 * afterwards. Of a worker: what the host says of its death.
 */
void neap_native_watch(neap_native *native, int32_t *now, int32_t number);

/*
 * Consecutive native stages: a stage reads what the one before it made of the
 * item, which lies in memory of the pipe. So a pipe is one call for each item.
 */
typedef struct neap_pipe neap_pipe;
/*
 * Whether a stage may follow another one in a pipe (1; or 0): what it reads is
 * among what the other makes, and the shapes of what it makes do not depend on
 * the length of a string.
 */
int neap_pipe_fits(const neap_native *before, const neap_native *after);
/*
 * Each stage fits the one before it, and none comes twice. They outlive the
 * pipe.
 * Errors: NEAP_EMEMORY.
 * Threads: one at a time on a pipe, and on its stages.
 */
int neap_pipe_open(neap_native *const *stages, int32_t count, neap_pipe **out,
                   neap_error *error);
/* NULL is fine. */
void neap_pipe_close(neap_pipe *pipe);
/* What the first stage reads, to be written by the caller, and what the last
   one made, in the orders of neap_native_field() and neap_native_result(). No
   number has the bits that LuaJIT takes for another value. */
neap_part *neap_pipe_fields(neap_pipe *pipe);
neap_part *neap_pipe_results(neap_pipe *pipe);
/* Makes a field a contiguous tensor. */
void neap_pipe_put(neap_pipe *pipe, int32_t k, const neap_tensor *tensor);
/*
 * Calls the stages for an item, unless the results have tensors: then it
 * returns NEAP_AGAIN. The caller sets `data` of these, as of
 * neap_native_call(), and calls neap_pipe_finish().
 */
int neap_pipe_run(neap_pipe *pipe, int64_t epoch, int64_t index,
                  neap_error *error);
int neap_pipe_finish(neap_pipe *pipe, int64_t epoch, int64_t index,
                     neap_error *error);
/* The stage, from 0, that the last failure is of. */
int32_t neap_pipe_failed(const neap_pipe *pipe);

/* A chain's leaf whose data lie in shared memory at neap_heap_alloc()'s offset.
   `length` rows of the tensor. */
int neap_chain_block(const neap_tensor *tensor, uint64_t offset,
                     neap_chain **out, neap_error *error);
/* Rows at equal distances in a file: what neap_chain_raw() and _npy() make. */
typedef struct neap_file_rows {
  const char *path;
  const struct neap_identity *expected; /* that the file has; or NULL: any */
  int64_t offset;                       /* of the first row */
  int64_t stride;                       /* bytes from row to row */
  int64_t length;                       /* rows */
  int32_t is_swapped; /* 1: elements are in the other order of bytes */
  int32_t code;
  int32_t bits;
  int32_t ndim; /* of a row; 0: rows are numbers */
  int64_t shape[8];
} neap_file_rows;

int neap_chain_file_rows(const neap_file_rows *rows, neap_chain **out,
                         neap_error *error);
/* Names the stage of the chain's last constructor in messages:
   "map (train.lua:12)". */
void neap_chain_name(neap_chain *chain, const char *stage);
/* Its number among the stages that are timed, from 1; 0: it is not. */
void neap_chain_number(neap_chain *chain, int32_t number);
/* Whether an item has 64-bit integers outside of tensors: what they are stacked
   to depends on how large they are. */
int neap_chain_is_wide(const neap_chain *chain);
/*
 * Each item, a tensor, with numbers: "add", "sub", "mul", "div", "eq", "lt",
 * "gt" with the first, "clamp" with both. See neap_tensor_add().
 */
int neap_chain_operate(neap_chain *source, const char *operation, double x,
                       double y, neap_chain **out, neap_error *error);
/*
 * The chain as bytes, for worker processes; free() them. Tensors that lie
 * elsewhere are copied to a heap, whose descriptor is *heap_fd then; it is -1
 * if there are none, and the caller closes it.
 */
int neap_chain_pack(const neap_chain *chain, void **bytes, uint64_t *nbytes,
                    int *heap_fd, neap_error *error);
/* The bytes are aligned to 64, and outlive the chain. */
int neap_chain_unpack(const void *bytes, uint64_t nbytes, int heap_fd,
                      neap_chain **out, neap_error *error);

/*
 * What one thread needs to evaluate a chain: its stages opened, their contexts,
 * and memory for what is between them. Threads: one at a time on a reader.
 */
typedef struct neap_chain_reader neap_chain_reader;
/* worker: its number in failures, from 0; or -1. The chain outlives the reader.
 */
int neap_chain_reader_open(const neap_chain *chain, int32_t worker,
                           neap_chain_reader **out, neap_error *error);
/* NULL is fine. */
void neap_chain_reader_close(neap_chain_reader *reader);
/* Its native stages, from 0; NULL beyond them. */
neap_native *neap_chain_reader_native(const neap_chain_reader *reader,
                                      int32_t k);
/*
 * Computes items first .. first + count - 1 (from 0) of an epoch, and writes
 * them: cell k of the writer's run is item first + k. An item that fails is a
 * NEAP_FAILURE. *progress is the number of the item, as that of a neap_task; or
 * NULL.
 * Returns: NEAP_OK; NEAP_EROOM if not even a failure fits.
 */
int neap_chain_fill(neap_chain_reader *reader, int64_t epoch, int64_t first,
                    int32_t count, neap_writer *writer, int32_t *progress,
                    neap_error *error);

/*
 * The values of a chain's items, tables within tables included, depth first.
 * The path of one: "image", "a.b", "2" in a list; "" is an item that is one.
 */
int32_t neap_chain_value_count(const neap_chain *chain);
void neap_chain_value_path(const neap_chain *chain, int32_t k, char *path,
                           size_t size);
/* What the values of an item are, but for their contents. Only the last of
   batches differs from the others. */
void neap_chain_plan(const neap_chain *chain, int64_t epoch, int64_t index,
                     neap_part *values);
/*
 * Computes one item (from 0). The values are planned; `data` of a tensor is
 * memory for it, aligned to 64, or NULL: then it is set, and valid until the
 * next read, as that of a string always is.
 * Returns: NEAP_OK; or why the item failed: see below for where.
 */
int neap_chain_read(neap_chain_reader *reader, int64_t epoch, int64_t index,
                    neap_part *values, neap_error *error);
/* The stage that failed last, and its item (from 0). */
const char *neap_chain_failed_stage(const neap_chain_reader *reader,
                                    int64_t *index);

/* ---- Pools: items computed ahead by worker processes --------------------- */

/*
 * Workers that compute a packed chain, and one iteration over its items.
 */
typedef struct neap_pool neap_pool;

enum {
  NEAP_WORKERS_MAX = 512,
  NEAP_SLOT_BITS_MIN = 16, /* slot_bytes is 2^16 to 2^46 */
  NEAP_SLOT_BITS_MAX = 46,
  NEAP_SLOT_BITS = 30,       /* of slots whose size is not given */
  NEAP_SLOT_BITS_LEAST = 22, /* of these where address space is short */
  NEAP_EXIT_MEMORY = 112     /* exit status of a worker that found no memory */
};

/* Cores that this process may use, by its affinity and its cgroup's quota. */
int neap_cores(void);

/*
 * The program that each worker runs. Its arguments select the kind of chain:
 * the neap executable reads a chain that Lua packed if they are "neap",
 * "--worker" and the folder of neap's Lua modules.
 */
typedef struct neap_launch {
  const char *path;               /* NULL: look for the neap executable */
  const char *const *arguments;   /* from argv[0] to a NULL */
  const char *const *environment; /* NAME=value, to a NULL; or NULL: the host's,
                                     as it is when the worker starts */
  int32_t is_native; /* 1: neap-native, beside that executable, which
                        reads what neap_chain_pack() wrote; it has no
                        arguments */
} neap_launch;

/* Whether neap-native is there for neap_launch.is_native. */
int neap_has_native(const char *path);

typedef struct neap_pool_options {
  const void *chain; /* packed: what the workers compute */
  uint64_t chain_bytes;
  neap_launch launch;
  int64_t length;        /* items, or NEAP_ENDLESS */
  int32_t workers;       /* processes, 1 or more */
  int32_t buffered;      /* items computed ahead at most, 1 or more */
  int32_t chunk;         /* items of a run; 0: from the measured cost */
  int32_t retries;       /* of an item whose worker died */
  int32_t ordered;       /* 1: in order; 0: as completed */
  int32_t span;          /* unordered: most items from the oldest one not yet
                            delivered to the newest; 0: any number */
  int32_t heap_fd;       /* shared tensors, or -1 */
  int32_t stages;        /* whose time each worker reports; 0: none */
  uint64_t slot_bytes;   /* address space of a slot; 0: 2^NEAP_SLOT_BITS, or
                            less, to 2^NEAP_SLOT_BITS_LEAST, where address space
                            is short: then half of what is free stays free */
  int64_t timeout_ns;    /* that one item may take; 0: any time */
  uint64_t memory_bytes; /* that a worker may allocate; 0: any number */
  int64_t wait_ns;       /* that a read may wait, as of neap_options; 0: any */
  int32_t concurrency;   /* runs that a worker may have in work; 0: 1 */
  const neap_chain *threads; /* not NULL: the workers are threads that compute
                                this chain, which outlives the pool's workers;
                                nothing is launched */
} neap_pool_options;

/*
 * Starts the workers without waiting for them: if they cannot start, the first
 * read returns the error. Owns: copies the options. The iteration begins at
 * epoch 1, index 0.
 *
 * A setuid program must name the executable: it does not trust its environment,
 * so NEAP_WORKER, PATH and NEAP_DEBUG are not read.
 *
 * With NEAP_DEBUG=1 in the environment, chunk is 1, and a read of a slot that
 * the caller does not hold is a SIGSEGV.
 */
int neap_pool_open(const neap_pool_options *options, neap_pool **out,
                   neap_error *error);
int64_t neap_pool_length(const neap_pool *pool);

/*
 * Waits for the next run of items. Returns NEAP_END after the last one. Owns:
 * the caller holds the run's slot until it releases it.
 * Threads: one at a time on a pool, for all functions of this section.
 * Errors: NEAP_EHELD if the caller holds as many slots as it may,
 * NEAP_EWORKER if workers cannot start, or keep dying.
 */
int neap_pool_next(neap_pool *pool, neap_run *run, neap_error *error);
/* The same without waiting: NEAP_AGAIN if no run is ready. */
int neap_pool_try_next(neap_pool *pool, neap_run *run, neap_error *error);
/* A run of one item, at any index. The iteration does not move. */
int neap_pool_get(neap_pool *pool, int64_t epoch, int64_t index, neap_run *run,
                  neap_error *error);
/*
 * Tells why the item of a run without a slot failed. Other items are not
 * affected. options: those of the pool; only the limits of an item are read.
 * Returns: NEAP_EDEATH, NEAP_ETIMEOUT, or NEAP_EMEMORY for an item that ran
 * out of memory; NEAP_OK if the run has a slot.
 */
int neap_run_failure(const neap_run *run, const neap_pool_options *options,
                     neap_error *error);
/*
 * Adds a reference to a held slot, which needs one more release.
 * Returns: NEAP_OK, also for slot -1; NEAP_EINVAL, and does nothing, if the
 * caller does not hold the slot.
 */
int neap_pool_retain(neap_pool *pool, int32_t slot);
int neap_pool_release(neap_pool *pool, int32_t slot);
/* Slots that the caller holds, and how many it may hold. */
int32_t neap_pool_held(const neap_pool *pool);
int32_t neap_pool_held_max(const neap_pool *pool);

/*
 * Moves the iteration: the next run begins at index. An ordered pool keeps what
 * it has already asked for from there on. Errors: NEAP_EINVAL out of range.
 */
int neap_pool_seek(neap_pool *pool, int64_t epoch, int64_t index,
                   neap_error *error);
/*
 * Ends the iteration before item `length`, until the next neap_pool_seek(): for
 * a sequence whose length only its items tell. Drops the runs that begin at or
 * after item `length`; a run that begins before it may contain later items.
 */
void neap_pool_shorten(neap_pool *pool, int64_t length);

void neap_pool_read_stats(const neap_pool *pool, neap_stats *out);
/* The same fields for worker number `worker`, 0-based; its pid, or 0. */
int32_t neap_pool_read_worker(const neap_pool *pool, int32_t worker,
                              neap_stats *out);

/*
 * Ends the workers, and kills those still busy after 100 ms. Frees all but the
 * slots that the caller holds: their items stay valid. NULL is fine.
 *
 * A closed pool lives until the last of these slots is released; if none is
 * held, it ends at once. As long as it lives,
 *  - neap_pool_retain, _release, _held, _held_max and _length work as before;
 *  - neap_pool_read_stats and _read_worker return no workers;
 *  - neap_pool_next, _try_next, _get and _seek return NEAP_ECLOSED;
 *  - neap_pool_shorten and another neap_pool_close do nothing.
 * Then the handle is invalid, but neap_pool_retain and _release of slot -1 do
 * not use it.
 */
void neap_pool_close(neap_pool *pool);

/* ---- Files --------------------------------------------------------------- */

/*
 * A regular file that is read by position, and what tells it from another one.
 * Reading never maps the file: one that shrinks gives an error, not SIGBUS.
 *
 * Owns:    the caller closes it.
 * Threads: any number may read at the same time, in forked children too.
 * Returns: NEAP_OK; NEAP_ESYSTEM; NEAP_EFORMAT for a file that is not what it
 *          was; NEAP_EMEMORY. Errors name the path.
 */
typedef struct neap_file neap_file;

typedef struct neap_identity {
  int64_t nbytes;
  int64_t mtime_ns;
  uint64_t inode;
  uint64_t device;
} neap_identity;

/*
 * Opens a file. It must have the identity `expected` unless that is NULL. The
 * path is kept for messages.
 */
int neap_file_open(const char *path, const neap_identity *expected,
                   neap_file **out, neap_error *error);
/* As it was opened; valid until close. */
const neap_identity *neap_file_identity(const neap_file *file);
/* The size as it was opened. */
int64_t neap_file_bytes(const neap_file *file);
/* The path that it was opened by; valid until close. */
const char *neap_file_path(const neap_file *file);
/* Reads exactly nbytes from offset on. */
int neap_file_read(const neap_file *file, int64_t offset, void *to,
                   int64_t nbytes, neap_error *error);
/* NULL is fine. */
void neap_file_close(neap_file *file);

/*
 * Reads of whole files, or parts of them, in threads of this process.
 *
 * Owns:    the caller closes the reads, and frees each read; neither waits.
 *          The threads end when they have done what they are at.
 * Threads: one at a time on a read, any number on the reads.
 */
typedef struct neap_reads neap_reads;
typedef struct neap_read neap_read;

/* No thread starts before there is something to read. */
int neap_reads_open(int32_t threads_max, neap_reads **out, neap_error *error);
/*
 * Begins to read a regular file from offset on: exactly nbytes, or to its end
 * if nbytes is -1. What keeps it from being read is told by neap_read_data().
 * Without reads (NULL) the caller reads, and the read is done.
 */
int neap_read_start(neap_reads *reads, const char *path, int64_t offset,
                    int64_t nbytes, neap_read **out, neap_error *error);
/* The read's descriptor, readable once it is done; -1 for one without reads. */
int neap_read_fd(const neap_read *read);
/*
 * The bytes that were read; valid until the read is freed.
 * Returns: NEAP_OK; NEAP_AGAIN if it is not done; NEAP_ESYSTEM, NEAP_EFORMAT,
 *          NEAP_EMEMORY, which name the path.
 */
int neap_read_data(neap_read *read, const void **data, int64_t *nbytes,
                   neap_error *error);
/* A read that is not done is given up. NULL is fine; so is a forked child. */
void neap_read_free(neap_read *read);
void neap_reads_close(neap_reads *reads);

/* ---- Files of records ---------------------------------------------------- */

/*
 * One pass over the text of a file, plain or gzipped, that finds where records
 * begin: lines, or records of RFC 4180, where a quoted field may contain line
 * ends. The caller keeps the file open. The pass stops whenever the caller's
 * array is full.
 */
typedef struct neap_scan neap_scan;

typedef struct neap_scan_rules {
  int32_t quote;       /* a byte; -1: nothing is quoted */
  int32_t delimiter;   /* a byte; after it a quote begins a quoted field */
  int32_t skips_blank; /* lines without anything are no records, nor is a byte
                          order mark at the start of one */
} neap_scan_rules;

int neap_scan_open(const neap_file *file, const neap_scan_rules *rules,
                   neap_scan **out, neap_error *error);
/* Bytes for an element of `starts`: 4 if the text is below 4 GiB, or 8. */
int32_t neap_scan_width(const neap_scan *scan);
/*
 * Elements that `starts` should have for the whole text, or, after NEAP_AGAIN,
 * that it must have for the pass to go on.
 */
int64_t neap_scan_room(const neap_scan *scan);
/*
 * Writes where records begin, in bytes of the text, and after the last one the
 * size of the text.
 *
 * Returns: NEAP_OK at the end; NEAP_AGAIN if `starts` is full: call it again
 *          with a copy that has more room; NEAP_EFORMAT for damaged gzip data
 *          and for a quote that is not closed; NEAP_ESYSTEM; NEAP_EMEMORY.
 */
int neap_scan_run(neap_scan *scan, void *starts, int64_t room,
                  neap_error *error);
/* What was found so far: records, bytes of text, entry points of gzip data. */
int64_t neap_scan_count(const neap_scan *scan);
int64_t neap_scan_bytes(const neap_scan *scan);
int64_t neap_scan_points(const neap_scan *scan);
/*
 * Copies the entry points, for neap_gzip_open(): 4 numbers each, and a window
 * of NEAP_GZIP_WINDOW bytes each.
 */
void neap_scan_copy_points(const neap_scan *scan, int64_t *points,
                           uint8_t *windows);
/* NULL is fine. */
void neap_scan_close(neap_scan *scan);

/* ---- Gzipped files, by position ------------------------------------------ */

enum { NEAP_GZIP_WINDOW = 32768 };

/*
 * Reads the text of a gzipped file by position. It unpacks from the entry point
 * before the position on, or goes on from where it stands.
 *
 * Owns:    the caller keeps points and windows until close.
 * Threads: one at a time on a reader.
 */
typedef struct neap_gzip neap_gzip;

int neap_gzip_open(const char *path, const neap_identity *expected,
                   const int64_t *points, const uint8_t *windows, int64_t count,
                   neap_gzip **out, neap_error *error);
/* Reads exactly nbytes of the text, from offset on. */
int neap_gzip_read(neap_gzip *gzip, int64_t offset, void *to, int64_t nbytes,
                   neap_error *error);
/* NULL is fine. */
void neap_gzip_close(neap_gzip *gzip);

/* ---- CSV ----------------------------------------------------------------- */

/* A field: its bytes, without the quotes around it. */
typedef struct neap_csv_text {
  const uint8_t *start;
  int64_t nbytes;
  int32_t is_quoted;
  int32_t has_pairs; /* of quotes, each of which stands for one */
} neap_csv_text;

enum { NEAP_CSV_TEXT = 255 }; /* the code of a column of neap_csv_text */

/*
 * A column: its dtype as in neap_tensor, where its elements go, one for each
 * row, and what stands for a missing one. Without has_missing that is NaN, or
 * an error in a column of integers or booleans.
 */
typedef struct neap_csv_column {
  const char *name;
  void *data;
  double missing;
  int32_t has_missing;
  int32_t code;
  int32_t bits;
} neap_csv_column;

typedef struct neap_csv {
  const char *path; /* for messages */
  neap_csv_column *columns;
  const int32_t *column_of; /* of each field: number of its column, or -1 */
  int32_t field_count;      /* of each record */
  int32_t delimiter;
  int32_t quote; /* -1: none */
} neap_csv;

/*
 * Parses `rows` whole records in memory. `first`: the number of the first one,
 * from 1, for messages. Blank lines between them are skipped.
 *
 * Threads: any number at a time, on columns of their own.
 * Returns: NEAP_OK; NEAP_EFORMAT, whose text names row and column.
 */
int neap_csv_parse(const neap_csv *csv, const uint8_t *text, int64_t nbytes,
                   int64_t first, int64_t rows, neap_error *error);
/*
 * Takes a record apart; *count fields, of which `room` are written at most.
 * Of `csv` only path, delimiter and quote are used.
 */
int neap_csv_split(const neap_csv *csv, const uint8_t *text, int64_t nbytes,
                   int64_t row, neap_csv_text *fields, int32_t room,
                   int32_t *count, neap_error *error);

/* ---- Folders ------------------------------------------------------------- */

/*
 * The files under a folder, in the order of the bytes of their paths, as one
 * block of text. What begins with a dot is left out. A symbolic link counts as
 * what it leads to; one that leads back to a folder above it is an error.
 */
typedef struct neap_listing neap_listing;

/*
 * Lists a folder. `patterns`: for paths below the folder, each ending in NUL;
 * pattern_count 0: all files. In a pattern * and ? stand for any characters but
 * a slash, [a-z] and [!a-z] for one of a set, and a component ** for any
 * number of folders.
 */
int neap_listing_open(const char *folder, const char *patterns,
                      int32_t pattern_count, neap_listing **out,
                      neap_error *error);
/* Files; bytes of their paths below the folder, one after another. */
int64_t neap_listing_count(const neap_listing *listing);
int64_t neap_listing_bytes(const neap_listing *listing);
/*
 * Copies the paths; where each begins, and after the last one the bytes of all;
 * and for each the number (from 1) of the folder right below `folder` that it
 * is in, or 0.
 */
void neap_listing_copy(const neap_listing *listing, char *paths,
                       int64_t *starts, int32_t *groups);
/* The folders right below `folder`: how many, and the name of one, from 0. */
int32_t neap_listing_group_count(const neap_listing *listing);
const char *neap_listing_group(const neap_listing *listing, int32_t k);
/* NULL is fine. */
void neap_listing_close(neap_listing *listing);
/* ---- Where the time goes ------------------------------------------------- */

/*
 * What is known of a stage: calls, and nanoseconds without those of the stages
 * below it. Of a monitor: all its reads, and their time. Stage 0 is what
 * surrounds the chain, and its calls are the items that were timed.
 */
typedef struct neap_stage {
  int64_t calls;
  int64_t busy_ns;
} neap_stage;

/*
 * Times the stages of a chain, for some of its items. Threads: one at a time.
 */
typedef struct neap_stopwatch {
  neap_stage *stages;
  int64_t opened_ns;
  int64_t began_ns; /* the item */
  int64_t since_ns; /* the last change */
  int64_t timed_items;
  int64_t timed_ns; /* that these took */
  int64_t items;    /* up to the last one that was timed */
  int64_t pause;    /* from there to the next one */
  uint64_t random;
  int32_t stage;   /* that runs now */
  int32_t changes; /* since the item began */
} neap_stopwatch;

/* The caller owns the stages, zero-filled. */
void neap_stopwatch_open(neap_stopwatch *watch, neap_stage *stages);
/*
 * An item begins, or ends. Stop returns which one is to be timed next: 1 for
 * the next one, and so on. It chooses such that timing costs less than one part
 * in a hundred of the time since the opening.
 */
void neap_stopwatch_start(neap_stopwatch *watch);
double neap_stopwatch_stop(neap_stopwatch *watch);
/* A stage begins; returns the one that ran until now. */
int32_t neap_stopwatch_enter(neap_stopwatch *watch, int32_t stage);
/* It ends, and `stage` runs on. */
void neap_stopwatch_leave(neap_stopwatch *watch, int32_t stage);
/* The stage was called `more` times besides: for a block of items. Stage 0: so
   many items are timed at once; before stop. */
void neap_stopwatch_count(neap_stopwatch *watch, int32_t stage, int32_t more);

/*
 * Times the stages of a chain without Lua from now on. The caller owns these,
 * `count` of them and zero-filled: stage 0, and those of neap_chain_number().
 */
void neap_chain_reader_time(neap_chain_reader *reader, neap_stage *stages,
                            int32_t count);

/* Adds up what all workers of a pool report of a stage. 0 if there is none. */
void neap_pool_read_stage(const neap_pool *pool, int32_t stage,
                          neap_stage *out);

/* ---- Warnings ------------------------------------------------------------ */

/*
 * What the workers of a pool warn of: each once, whichever worker it is.
 */
enum { NEAP_WARN_RANDOM, NEAP_WARN_TABLE, NEAP_WARN_TENSOR, NEAP_WARNINGS };
enum { NEAP_WARNING_BYTES = 512 }; /* of a text, its end included */

/*
 * Takes a warning that the host has not taken yet. Returns 1, or 0 if there is
 * none. `text` has room for NEAP_WARNING_BYTES.
 */
int neap_pool_take_warning(neap_pool *pool, char *text);
/* ---- Tar files ----------------------------------------------------------- */

enum { NEAP_TAR_BLOCK = 512 };

typedef struct neap_tar_header {
  int64_t size;   /* bytes that follow, without those up to a whole block */
  int32_t kind;   /* '0': a regular file */
  char name[260]; /* terminated */
} neap_tar_header;

/*
 * Reads the header in a block. Returns NEAP_END for a block of zeros, which
 * ends a tar file; NEAP_EFORMAT if its checksum or size is wrong.
 */
int neap_tar_read(const void *block, neap_tar_header *out);

/* ---- Saved items --------------------------------------------------------- */

/* XXH64 of some bytes: a checksum, not a protection. */
uint64_t neap_hash(const void *data, uint64_t nbytes, uint64_t seed);

/*
 * A file of saved items: runs as they lay in slots, in blocks with checksums,
 * and an index at the end. docs/internals/saved.md tells its layout.
 *
 * A saver writes PATH.partial, and renames it to PATH when it is whole. It
 * keeps the whole blocks of a PATH.partial that an earlier saver of the same
 * items (the same options) left behind, and goes on after them.
 *
 * Owns:    the caller closes it, whole or not.
 * Threads: one at a time; one saver of a path at a time, of all processes.
 * Returns: NEAP_OK; NEAP_ESYSTEM, for a full disk too; NEAP_EMEMORY.
 */
typedef struct neap_saver neap_saver;

typedef struct neap_saver_options {
  const char *path;
  const char *text; /* of the chain, for people */
  uint64_t key[2];  /* what tells the items from others; 0: they are not kept */
  int64_t items;
  int32_t packing;    /* of the blocks, known to the caller; 0: none */
  int32_t waits;      /* 1: wait for another saver of the path; 0: fail */
  uint64_t bytes_max; /* of the file; 0: any number */
} neap_saver_options;

/* NEAP_END, and *out is NULL, if options->waits and the path is there. */
int neap_saver_open(const neap_saver_options *options, neap_saver **out,
                    neap_error *error);
/* Items that are saved, in order from the first. */
int64_t neap_saver_items(const neap_saver *saver);
/* Items of a run before the first that failed. */
int32_t neap_run_good(const neap_run *run);
/* Adds the first `count` items of a run to the block. */
int neap_saver_add(neap_saver *saver, const neap_run *run, int32_t count,
                   neap_error *error);
/* Whether the block is large or old enough to be written. */
int neap_saver_is_due(const neap_saver *saver);
/* The block, for packing; valid until the next call. */
const void *neap_saver_block(neap_saver *saver, uint64_t *nbytes);
/* Writes the block as it is, or as the caller packed it. */
int neap_saver_write(neap_saver *saver, const void *packed, uint64_t nbytes,
                     neap_error *error);
/* Writes the index, and gives the file its name. All items must be saved. */
int neap_saver_finish(neap_saver *saver, neap_error *error);
/* NULL is fine. */
void neap_saver_close(neap_saver *saver);

/*
 * Reads such a file, mapped. A block's checksum is compared when the block is
 * first read here. Damage gives NEAP_EFORMAT; so does a file that was written
 * to since it was opened, as far as can be told before it is read.
 *
 * Owns:    the caller closes it, when nothing refers to the mapping.
 * Threads: one at a time.
 */
typedef struct neap_saved neap_saved;

typedef struct neap_saved_about {
  int64_t items;
  uint64_t key[2];
  int32_t packing;
  uint32_t text_bytes;
  const char *text; /* valid until close */
} neap_saved_about;

/* Items first .. first + count - 1. */
typedef struct neap_saved_block {
  int64_t number; /* of the block */
  int64_t first;
  int64_t count;
  const uint8_t *data; /* as it is stored; valid until close */
  uint64_t data_bytes;
  uint64_t nbytes; /* unpacked */
} neap_saved_block;

/* The file has the identity `expected` unless that is NULL. */
int neap_saved_open(const char *path, const neap_identity *expected,
                    neap_saved **out, neap_error *error);
/* The same of a file's bytes, which the caller keeps; aligned to 64. */
int neap_saved_open_bytes(const void *data, uint64_t nbytes, neap_saved **out,
                          neap_error *error);
const neap_identity *neap_saved_identity(const neap_saved *saved);
void neap_saved_tell(const neap_saved *saved, neap_saved_about *out);
/* The block of an item, from 0. */
int neap_saved_find(neap_saved *saved, int64_t item, neap_saved_block *out,
                    neap_error *error);
/*
 * The run of an item in the data of its block, unpacked, which must outlive the
 * run. The run has no slot to release.
 */
int neap_saved_run(const neap_saved *saved, const neap_saved_block *block,
                   const void *data, int64_t item, neap_run *out,
                   neap_error *error);
/* Both in one call, of a file whose blocks are not packed. */
int neap_saved_get(neap_saved *saved, int64_t item, neap_run *out,
                   neap_error *error);
void neap_saved_close(neap_saved *saved);

/*
 * A folder of snapshots: files KEY.neap, where KEY has 32 hexadecimal digits.
 * Other files there are left alone.
 */
int neap_snapshots_make(const char *folder, neap_error *error);
/* Notes that a snapshot was used now. */
void neap_snapshots_touch(const char *path);
/* Removes those used longest ago, but `kept`, until they and what is left of
   killed saves have no more than bytes_max. */
int neap_snapshots_evict(const char *folder, const char *kept,
                         uint64_t bytes_max, neap_error *error);

/* ---- The worker's side --------------------------------------------------- */

/* For the process that neap_pool_open() starts. */
typedef struct neap_worker neap_worker;

/*
 * A run to compute, and the slot to write it to. Zero-filled before its first
 * use, then reused; the fields from `ticket` to `has_slot` are internal.
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
  uint64_t undone;   /* bytes that were written, though not used; or 0 */
  uint64_t ticket;
  int64_t began_ns;
  int32_t entry;
  int32_t has_slot; /* 1: the task owns the slot */
  int32_t alone; /* 1: compute it while no other run is in work: a worker died
                    of it, or of what was in work besides */
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
/*
 * Private memory for tensors that no item delivers: NEAP_SCRATCH_BYTES of
 * addresses, aligned to a page, that neap_worker_limit() does not count. NULL
 * if the system has not given them.
 */
enum { NEAP_SCRATCH_BYTES = 64 << 20 };
void *neap_worker_scratch(const neap_worker *worker);
/* What this worker reports of the chain's stages: neap_pool_options.stages. */
neap_stage *neap_worker_stages(const neap_worker *worker);
int32_t neap_worker_stage_count(const neap_worker *worker);
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
/* Warns the host, unless a worker of this pool has done so already. */
void neap_worker_warn(neap_worker *worker, uint32_t which, const char *text);
/*
 * From now on the host says of this worker's death if it called that stage, up
 * to NEAP_NOTES of them.
 */
enum { NEAP_NOTES = 32, NEAP_NOTE_BYTES = 96 };
void neap_worker_note(neap_worker *worker, neap_native *native);
/* Waits for the next run; NEAP_END when the host stops the workers. */
int neap_worker_next(neap_worker *worker, neap_task *task, neap_error *error);
/* Publishes the task's slot, of which `used` bytes are written. */
void neap_worker_publish(neap_worker *worker, neap_task *task, uint64_t used);

/*
 * For a worker that has several runs in work, each in a task of its own. It may
 * hold neap_pool_options.concurrency tasks.
 */
enum { NEAP_CLAIMS_MAX = 4096 }; /* workers * concurrency */
int32_t neap_worker_concurrency(const neap_worker *worker);
/* As neap_worker_next, without waiting: NEAP_AGAIN if there is no run. */
int neap_worker_try_next(neap_worker *worker, neap_task *task,
                         neap_error *error);
/*
 * Between the two the task waits: the time does not count to its timeout, and
 * if the worker dies, not of this task. neap_worker_resume also says that a
 * task begins later than it was claimed.
 */
void neap_worker_wait(neap_worker *worker, neap_task *task);
void neap_worker_resume(neap_worker *worker, neap_task *task);
/*
 * Sleeps until `fd` is readable, or the host has a run (if wants_work), has
 * cancelled one of this worker's, or stops it, or `seconds` are over (negative:
 * any time).
 * Returns: NEAP_OK; NEAP_END when the host stops the workers; NEAP_AGAIN if
 * runs were cancelled since the last call: ask neap_worker_holds for each task.
 */
int neap_worker_poll(neap_worker *worker, int fd, int wants_work,
                     double seconds);
/* Whether a claimed task is still wanted. */
int neap_worker_holds(const neap_worker *worker, const neap_task *task);

/* ---- The builder's side -------------------------------------------------- */

/* For the process that neap_open() starts, which runs a loader file. */
typedef struct neap_builder neap_builder;

/*
 * Attaches to the inherited descriptors; this process ends with its host, and
 * heads a process group. From here on its stdout is its stderr, and its stdin
 * is empty.
 */
int neap_builder_attach(neap_builder **out, neap_error *error);
/*
 * What the host asks for: texts that each end with a zero. The path; the number
 * of options, then a name and a value of each; the number of parameters, then a
 * name and a text of each.
 */
const char *neap_builder_request(const neap_builder *builder, uint64_t *bytes);
/*
 * Sends what the host's pool needs, and ends this process at once, so that
 * nothing frees the shared tensors. The settings are those of neap_pool_open(),
 * their heap_fd included. In a child that the user's code forked, it only ends
 * the child.
 * may_end: 1 if a failure of kind "end" ends the iteration.
 * texts:   the arguments of a worker, then the parameters: the number of them,
 *          and a name and a text of each; each text ends with a zero.
 * Returns: the status of what failed.
 */
int neap_builder_answer(neap_builder *builder,
                        const neap_pool_options *settings, int may_end,
                        const char *texts, uint64_t text_bytes,
                        neap_error *error);
/* Tells the host why there is no loader, and ends this process at once. */
void neap_builder_refuse(neap_builder *builder, int status, const char *text);

/* ---- Shared tensors ------------------------------------------------------ */

/*
 * One memfd for all tensors that a process shares with its workers, so that
 * they need one descriptor. It is a sparse file that only grows; no two blocks
 * use the same range. Freeing a block frees its pages. Threads: one at a time.
 */
typedef struct neap_heap neap_heap;

int neap_heap_open(neap_heap **out, neap_error *error);
/* Whether this process opened it; a forked child cannot allocate. */
int neap_heap_is_ours(const neap_heap *heap);
/* Zeroed, aligned to a page, readable and writable here. */
int neap_heap_alloc(neap_heap *heap, uint64_t nbytes, void **out,
                    uint64_t *offset, neap_error *error);
void neap_heap_free(neap_heap *heap, void *block, uint64_t offset,
                    uint64_t nbytes);
/*
 * A second, read-only descriptor, for workers to inherit. It is close-on-exec
 * and belongs to the heap.
 */
int neap_heap_fd(const neap_heap *heap);
/*
 * Maps a block of another process's heap, copy on write. The offset is that of
 * neap_heap_alloc. A block that is freed meanwhile reads as zeros.
 */
int neap_heap_map(int fd, uint64_t offset, uint64_t nbytes, void **out,
                  neap_error *error);
void neap_heap_unmap(void *block, uint64_t nbytes);
/*
 * Freezes a block for other processes: later writes of this process go to
 * private pages at the same addresses. Freezing it again discards these writes.
 */
int neap_heap_freeze(neap_heap *heap, void *block, uint64_t offset,
                     uint64_t nbytes, neap_error *error);
/*
 * Whether a frozen block may have been written since; 1 also if the system
 * does not tell.
 */
int neap_heap_is_changed(const void *block, uint64_t nbytes);
/* Blocks stay valid until they are freed; the last free ends the heap. */
void neap_heap_close(neap_heap *heap);

/* cdef: end */

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif

#endif
