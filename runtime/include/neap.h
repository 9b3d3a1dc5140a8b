/* SPDX-License-Identifier: MIT */
/*
 * neap: data loading with worker processes, for C hosts and for LuaJIT.
 *
 *     neap_loader *loader;
 *     neap_item *item;
 *     neap_error error;
 *     if (neap_open("digits.lua", NULL, &loader, &error) != NEAP_OK) ...
 *     while ((rc = neap_next(loader, &item, &error)) == NEAP_OK) {
 *       neap_value value, field;
 *       neap_view image;
 *       neap_item_value(item, &value, &error);
 *       neap_value_field(&value, "image", &field, &error);
 *       neap_value_tensor(&field, &image, &error);
 *       train(image.tensor.data, image.shape[0]);
 *       neap_item_release(item);
 *     }
 *     neap_close(loader);
 *
 * This header is the manual of libneap; docs/guide/embed.md is the guide. Lua
 * reads the same declarations: the text between the two cdef marks is embedded
 * in the library, so it is bare C. The level below, which Lua uses, is in
 * neap_lua.h.
 *
 * Caveats first:
 *  - A loader starts processes (never by fork of the host) and one thread, the
 *    supervisor, which blocks every signal; neap_fd() starts a second one.
 *    Nothing else runs in the host, but the threads that it asks for by
 *    options.threads: all Lua runs in other processes. The host's signal
 *    dispositions stay as they are.
 *  - A forked child cannot use its parent's loaders: reads, seeks and
 *    allocations return NEAP_ECLOSED. The child may release, free and close;
 *    that affects only its own memory. No other thread may be in a call while
 *    the host forks.
 *  - Shared memory that a worker wrote is untrusted input: functions that read
 *    items check every offset and return NEAP_EDAMAGED.
 *    This protects the host, not the values. A worker maps all slots for
 *    writing, so a broken one can change or zero the items of others, and can
 *    open the shared tensors for writing through /proc. Run no hostile code:
 *    neither as a loader file.
 *  - Indexes count from 0 here; Lua counts from 1, and so do texts that Lua
 *    wrote. Epochs count from 1 everywhere.
 *
 * Errors, for the whole header: a function that can fail returns a status and
 * takes the caller's neap_error, which may be NULL, as its last argument. It
 * writes the error only if the status is negative. It sets out parameters on
 * every path (to NULL or 0 on failure; neap_next() says when it does not).
 */
#ifndef NEAP_H
#define NEAP_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/* cdef: begin */

/* ---- The library --------------------------------------------------------- */

/* The version of this interface, and the N of libneap.so.N. */
enum { NEAP_ABI = 0 };

enum {
  NEAP_OK = 0,
  NEAP_END = 1,           /* after the last item */
  NEAP_AGAIN = 2,         /* nothing ready yet */
  NEAP_EINVAL = -1,       /* an argument is wrong */
  NEAP_EMEMORY = -2,      /* memory or address space is short */
  NEAP_ESYSTEM = -3,      /* the system refused; `system` holds errno */
  NEAP_EFORMAT = -4,      /* a file is not in its format */
  NEAP_EDAMAGED = -5,     /* shared memory contains what no writer writes */
  NEAP_EWORKER = -6,      /* workers could not start, or keep dying */
  NEAP_EHELD = -7,        /* the caller holds all the slots that may be held */
  NEAP_ECLOSED = -8,      /* used after its close, or in a forked child */
  NEAP_EDEATH = -9,       /* workers died of an item */
  NEAP_ETIMEOUT = -10,    /* longer than timeout_ns, or build_timeout_ns */
  NEAP_EROOM = -11,       /* an item is larger than a slot */
  NEAP_EITEM = -12,       /* an item failed: a function of the chain raised */
  NEAP_EBUILD = -13,      /* a loader file failed, or describes no loader */
  NEAP_EINTERRUPTED = -14 /* neap_interrupt() was called */
};

typedef struct neap_error {
  int32_t status;
  int32_t system; /* errno, or 0 */
  char text[2040];
} neap_error;

/* The declarations between the cdef marks, as a C string; static. */
const char *neap_cdef(void);
/* The library's version, "0.1.0"; static. */
const char *neap_version(void);
/* NEAP_ABI of the loaded library. */
int neap_abi(void);

/*
 * Makes the read that waits, or else the next one, return NEAP_EINTERRUPTED,
 * once; the iteration may go on afterwards. A handler of SIGINT calls it, on
 * the thread that reads, installed without SA_RESTART.
 *
 * Threads: any, and signal handlers.
 */
void neap_interrupt(void);
/* Takes it back: returns 1 if no read has returned for it yet, else 0. */
int neap_interrupt_take(void);
/* sizeof the struct of that name ("neap_tensor"), or 0; for checks at load. */
size_t neap_sizeof(const char *name);
/* The name of a status, "NEAP_EINVAL"; static. */
const char *neap_status_name(int status);

enum { NEAP_ENDLESS = -1 }; /* the length of an endless sequence */

/* ---- Tensors: layout ----------------------------------------------------- */

enum { NEAP_DIMS_MAX = 8 };

/* The codes of DLPack's DLDataTypeCode. */
enum {
  NEAP_INT = 0,
  NEAP_UINT = 1,
  NEAP_FLOAT = 2,
  NEAP_BFLOAT = 4,
  NEAP_BOOL = 6
};

/*
 * Laid out as DLPack's DLTensor (github.com/dmlc/dlpack). All tensors of neap
 * are contiguous, in C order, on the CPU, with data aligned to 64 bytes unless
 * they are a view into another; strides are in elements.
 */
typedef struct neap_tensor {
  void *data;
  int32_t device_type; /* 1: kDLCPU */
  int32_t device_id;
  int32_t ndim;
  uint8_t code;
  uint8_t bits;
  uint16_t lanes; /* 1 */
  int64_t *shape;
  int64_t *strides;
  uint64_t byte_offset;
} neap_tensor;

/* A tensor with the memory of its shape and strides. Do not copy it: `tensor`
   points to the other two. */
typedef struct neap_view {
  neap_tensor tensor;
  int64_t shape[8];
  int64_t strides[8];
} neap_view;

/* Laid out as DLPack's DLManagedTensor (version 0). */
typedef struct neap_managed_tensor {
  neap_tensor tensor;
  void *manager; /* NULL */
  void (*deleter)(struct neap_managed_tensor *self);
} neap_managed_tensor;

/* ---- Loaders ------------------------------------------------------------- */

/*
 * A loader: a file in Lua that describes a sequence, opened with parameters.
 *
 * The file runs in a process of its own, the builder, which ends when it has
 * told what the workers need. The workers compute items ahead. A loader is one
 * iteration over the items of one epoch at a time; neap_get() reads aside.
 *
 * Threads: one at a time on a loader for the functions of this section. Items
 * are independent of that: see there.
 * Handles: a loader that was closed, and an item that was released, are
 * refused with an error, not followed.
 */
typedef struct neap_loader neap_loader;
typedef struct neap_item neap_item;

/* A parameter of the loader file, as on the command line: {"batch", "64"}. */
typedef struct neap_parameter {
  const char *name;
  const char *text; /* of a list: "1,2,3" */
} neap_parameter;

enum { NEAP_UNSET = -2147483647 - 1 }; /* an option: what the file says */

/*
 * What the host wants. neap_options_init() sets it so that the file decides;
 * the host sets what it wants otherwise. An option set here goes before the
 * file's.
 */
typedef struct neap_options {
  int32_t abi;                      /* by neap_options_init */
  uint32_t bytes;                   /* by neap_options_init */
  const neap_parameter *parameters; /* parameter_count of them */
  int32_t parameter_count;

  int32_t workers;  /* processes; 0 is 1; negative: cores to leave free */
  int32_t threads;  /* in place of workers, of neap_chain_prefetch() alone; 0 or
                       unset: processes */
  int32_t buffered; /* items computed ahead at most */
  int32_t concurrency; /* items that a worker has in work at once, while they
                          wait for sockets and timers; 0: 1 */
  int32_t chunk;   /* consecutive items of a run; 0: from the measured cost */
  int32_t retries; /* of an item whose worker died */
  int32_t ordered; /* 1: in order; 0: as completed */
  int64_t timeout_ns;       /* that one item may take; 0: any time */
  int64_t slot_bytes;       /* address space of a slot */
  int64_t memory_bytes;     /* that a worker may allocate; 0: any number */
  int64_t build_timeout_ns; /* that the file may take; 0: any time. Unset: 60 s
                             */

  int64_t wait_ns; /* that neap_next() and neap_get() may wait: then, and when a
                      signal handler ran meanwhile, they return NEAP_AGAIN, and
                      the same call again goes on. 0 or unset: any time */

  const char *executable; /* neap. NULL: NEAP_WORKER of the environment, beside
                             the library, or on PATH */
  const char *const *environment; /* of the processes: NAME=value, to a NULL;
                                     or NULL: the host's */
} neap_options;

/*
 * Hosts write neap_options_init(&options): the macro below passes the NEAP_ABI
 * and the size that the host was compiled with, which neap_open() compares with
 * its own.
 */
void neap_options_init(neap_options *options, int32_t abi, size_t bytes);

/*
 * Opens a loader file. Waits until the file has run, not for the workers: if
 * they cannot start, the first read returns the error.
 *
 * The path is relative to the host's folder. The file may `require` modules
 * beside it. What it prints goes to the host's stderr. Its stdin is empty.
 *
 * options: NULL, or set by neap_options_init() first. Nothing of it is used
 *          after the call.
 * Owns:    the caller closes *out. The iteration begins at epoch 1, index 0.
 * Errors:  NEAP_EBUILD, with the file and line where there are any, if the file
 *          cannot be read or compiled, raises, ends the builder, or returns no
 *          loader; NEAP_EINVAL for an unknown parameter or a value that does
 *          not fit it, and for options out of range; NEAP_ETIMEOUT after
 *          build_timeout_ns; NEAP_EWORKER if there is no neap executable, or
 *          one of another version; NEAP_EMEMORY, NEAP_ESYSTEM.
 */
int neap_open(const char *path, const neap_options *options, neap_loader **out,
              neap_error *error);

/*
 * Ends the workers, and kills those still busy after 100 ms. Items that the
 * host holds stay valid until they are released. NULL is fine, and so is a
 * loader that was closed before.
 */
void neap_close(neap_loader *loader);

/*
 * Hands out the next item, waiting until it is ready.
 *
 * Owns:    the caller holds *item until neap_item_release().
 * Returns: NEAP_OK; NEAP_END after the last item of the epoch, until the next
 *          neap_seek(); NEAP_AGAIN once options.wait_ns is over; NEAP_EITEM,
 *          NEAP_EDEATH, NEAP_ETIMEOUT, NEAP_EMEMORY, NEAP_EROOM or
 *          NEAP_EDAMAGED if this item failed: then *item is set
 *          too (neap_item_error() tells more; release it), and the next call
 *          hands out the item after it. With any other error *item is NULL:
 *          NEAP_EHELD if the host holds too many items, NEAP_EWORKER if workers
 *          cannot start or keep dying, NEAP_EINTERRUPTED (neap_interrupt()),
 *          NEAP_ECLOSED, NEAP_ESYSTEM.
 */
int neap_next(neap_loader *loader, neap_item **item, neap_error *error);

/* The same without waiting. NEAP_AGAIN: no item is ready, and *item is NULL. */
int neap_try_next(neap_loader *loader, neap_item **item, neap_error *error);

/*
 * Hands out item `index` of the epoch that is read, waiting until it is ready.
 * The iteration does not move, and the workers go on computing for it.
 * Owns and returns: as neap_next; NEAP_EINVAL out of range.
 */
int neap_get(neap_loader *loader, int64_t index, neap_item **item,
             neap_error *error);

/*
 * Moves the iteration: neap_next() goes on at that item. An index that equals
 * the length is the end. What was computed ahead from there on is kept.
 * Errors: NEAP_EINVAL out of range; epochs are 1 and above.
 */
int neap_seek(neap_loader *loader, int64_t epoch, int64_t index,
              neap_error *error);

/*
 * Where the iteration stands: the epoch, and the index after the item handed
 * out last. Seeking there later, in another process too, goes on with the same
 * items, if the options have ordered = 1. Length: items of an epoch, or
 * NEAP_ENDLESS if the sequence has no end, or an unknown one.
 * Of a closed loader these are NEAP_ECLOSED.
 */
int64_t neap_epoch(const neap_loader *loader);
int64_t neap_position(const neap_loader *loader);
int64_t neap_length(const neap_loader *loader);

/*
 * A descriptor for poll, epoll, libuv: readable (level-triggered) while
 * neap_try_next() would return anything but NEAP_AGAIN. Now and then it is
 * readable in vain: so read with neap_try_next() until it returns NEAP_AGAIN,
 * then wait. The first call starts a thread; hosts that do not call it do not
 * pay for it.
 * Owns: the loader. The host neither reads nor closes it, and stops polling it
 *       before neap_close().
 */
int neap_fd(neap_loader *loader, int *fd, neap_error *error);

/*
 * The parameters in force, those that the file sets included, by name. Passed
 * to neap_open(), they give the same loader again. Valid: until neap_close().
 */
const neap_parameter *neap_parameters(const neap_loader *loader,
                                      int32_t *count);

/* Counters of a loader, or of one worker. */
typedef struct neap_stats {
  int64_t items; /* computed, over all workers */
  int64_t runs;
  int64_t bytes;            /* of slots filled */
  int64_t busy_ns;          /* computing, over all workers */
  int64_t idle_ns;          /* waiting for work, over all workers */
  int64_t consumer_wait_ns; /* neap_next and neap_get waiting */
  int64_t restarts;         /* workers replaced */
  int64_t retries;          /* runs opened again after a death */
  int32_t workers;
  int32_t held;     /* slots that the host holds; a slot has one item or more */
  int32_t held_max; /* that it may hold */
  int32_t pid;      /* of the worker; 0: none runs; a thread's: the host's */
  int32_t slots;    /* of the loader; 0 for a worker */
  uint64_t slot_bytes; /* address space of each */
  int64_t consumer_ns; /* since the first read, without the time from the end of
                          an iteration to the next read */
  int64_t first_ns;    /* of these until the first item came */
  int64_t left_out;    /* bad items that a skip has left out */
} neap_stats;

int neap_read_stats(const neap_loader *loader, neap_stats *out,
                    neap_error *error);
/* Of worker number `worker`, 0 .. workers - 1. */
int neap_read_worker(const neap_loader *loader, int32_t worker, neap_stats *out,
                     neap_error *error);

/* ---- Items --------------------------------------------------------------- */

/*
 * An item is read in place, in the slot that a worker filled.
 *
 * Valid:   an item, the values in it, strings and tensors' data: until the item
 *          is released, also after neap_close(). Write nothing: other items may
 *          lie in the same slot.
 * Threads: any, several at a time on one item too. But nothing may read an item
 *          while it is released.
 * Memory:  the host may hold neap_stats.held_max slots; then reads return
 *          NEAP_EHELD. Small items share a slot.
 */
int64_t neap_item_epoch(const neap_item *item);
int64_t neap_item_index(const neap_item *item);

/*
 * Gives the item back. In any order, from any thread, also after neap_close().
 * NULL is fine. Returns: NEAP_OK; NEAP_EINVAL if it was released before, and
 * then does nothing.
 */
int neap_item_release(neap_item *item);

/* Why an item failed. Texts are NULL if unknown; valid as long as the item. */
typedef struct neap_failure {
  int32_t status;          /* that of neap_next() */
  int32_t worker;          /* that reported it, 0-based; or -1 */
  const char *kind;        /* a word, as in Lua: "item", "death", "timeout" */
  const char *message;     /* what was raised */
  const char *stage;       /* that failed: "map at train.lua:12" */
  const char *outer_stage; /* above it, through which the error passed */
  const char *traceback;
  int64_t index;       /* of the item in that stage, 0-based; or -1 */
  int64_t outer_index; /* in the outer stage; or -1 */
  const char *help;    /* what to do about it */
} neap_failure;

/* Returns NEAP_OK, or the status with which the item failed; NEAP_EINVAL for an
   item that was released. Sets *out in each case. */
int neap_item_error(const neap_item *item, neap_failure *out);

/* ---- Values -------------------------------------------------------------- */

/* What a value of an item may be. */
enum {
  NEAP_NIL = 0,
  NEAP_BOOLEAN = 1,
  NEAP_NUMBER = 2, /* a double */
  NEAP_INT64 = 3,
  NEAP_UINT64 = 4,
  NEAP_STRING = 5, /* any bytes */
  NEAP_TENSOR = 6,
  NEAP_TABLE = 7 /* a list (keys 1, 2, ... in Lua) and pairs, either or both */
};

/* A value of an item. The fields are internal; copies are fine. */
typedef struct neap_value {
  const neap_item *item;
  uint64_t cell[2];
} neap_value;

/*
 * Errors of this section: NEAP_EINVAL for a value of another type (the text
 * tells both), and for an item that was released; NEAP_EDAMAGED.
 */

/* The value of an item. NEAP_EINVAL for one that failed. */
int neap_item_value(const neap_item *item, neap_value *out, neap_error *error);

/* NEAP_NIL .. NEAP_TABLE; its name, "tensor", static. */
int neap_value_type(const neap_value *value);
const char *neap_type_name(int type);

int neap_value_boolean(const neap_value *value, int *out, neap_error *error);
/* Any number as a double; an integer beyond 2^53 is rounded. */
int neap_value_number(const neap_value *value, double *out, neap_error *error);
/* Any number that is whole and in range, exact; else NEAP_EINVAL. */
int neap_value_integer(const neap_value *value, int64_t *out,
                       neap_error *error);
int neap_value_unsigned(const neap_value *value, uint64_t *out,
                        neap_error *error);
/* The bytes in place; they are not terminated. */
int neap_value_string(const neap_value *value, const char **text, size_t *bytes,
                      neap_error *error);

/* The items of a table's list, and its other pairs; either may be NULL. */
int neap_value_count(const neap_value *table, uint32_t *list_count,
                     uint32_t *pair_count, neap_error *error);
/* Item k of the list, 0-based; NEAP_EINVAL beyond it. */
int neap_value_at(const neap_value *table, uint32_t k, neap_value *out,
                  neap_error *error);
/* The field of that name; NEAP_EINVAL if there is none, and the text lists
   those that there are. */
int neap_value_field(const neap_value *table, const char *name, neap_value *out,
                     neap_error *error);
/* Pair k of the pairs, 0-based, in any order. */
int neap_value_pair(const neap_value *table, uint32_t k, neap_value *key,
                    neap_value *out, neap_error *error);

/* Describes a tensor; its data lie in the slot: no copy, read only. */
int neap_value_tensor(const neap_value *value, neap_view *out,
                      neap_error *error);

/*
 * Lends a tensor of an item to another library (numpy, torch, jax), without a
 * copy: the slot is held until the deleter is called.
 *
 * value: a tensor of that item.
 * Owns:  the owner of *out calls its deleter, once, from any thread, also after
 *        neap_item_release() and neap_close().
 */
int neap_item_dlpack(const neap_item *item, const neap_value *value,
                     neap_managed_tensor **out, neap_error *error);

/* ---- Tensors: operations ------------------------------------------------- */

/* Elements and bytes of a tensor; without dimensions it has 1 element. */
int64_t neap_tensor_count(const neap_tensor *tensor);
int64_t neap_tensor_nbytes(const neap_tensor *tensor);

/*
 * Writes the strides of a contiguous tensor of that shape. Returns its number
 * of elements, or -1 if a size is negative or the product of those above 0 is
 * above 2^53, which Lua cannot count. ndim is 0 .. NEAP_DIMS_MAX; strides may
 * be NULL.
 */
int64_t neap_tensor_strides(int32_t ndim, const int64_t *shape,
                            int64_t *strides);

/*
 * Sets all elements to a value. NEAP_EINVAL if an integer dtype cannot hold it:
 * out of range, or a fraction.
 */
int neap_tensor_fill(neap_tensor *tensor, double value, neap_error *error);

/*
 * to[k] = from[k] * scale + offset for every element, between any two dtypes.
 * The counts are equal, and the memory does not overlap. The result is computed
 * in double and rounded once; between integer dtypes, with scale 1 and offset
 * 0, it is exact. Integers are rounded to nearest, ties to even, and saturated;
 * NaN becomes 0. A bool is 1 for all values but 0.
 */
int neap_tensor_convert(const neap_tensor *from, neap_tensor *to, double scale,
                        double offset, neap_error *error);

/* Half precision and bfloat16. Rounds to nearest, ties to even, or infinity. */
double neap_f16_load(uint16_t bits);
uint16_t neap_f16_store(double value);
double neap_bf16_load(uint16_t bits);
uint16_t neap_bf16_store(double value);

/*
 * Copies a tensor, for another library to own.
 *
 * Owns:    the owner of *out calls its deleter, once, from any thread; it needs
 *          neither the original tensor nor a Lua state.
 * Returns: NEAP_OK; NEAP_EINVAL for no dtype of neap; NEAP_EMEMORY.
 */
int neap_tensor_dlpack(const neap_tensor *tensor, neap_managed_tensor **out,
                       neap_error *error);

/* ---- Sequences: index arithmetic ----------------------------------------- */

/*
 * A tree of adapters over leaves. It computes the leaf and index of item i, and
 * contains no values. It is immutable, so any thread may read it.
 *
 * Owns: a constructor takes its sources: neap_seq_free() of the result frees
 * them too, and so does a constructor that fails.
 * Errors: NEAP_EINVAL for bad arguments, a NULL source among them, and for a
 * tree deeper than 1000; NEAP_EMEMORY.
 */
typedef struct neap_seq neap_seq;

/* A leaf, with its number. */
int neap_seq_leaf(int64_t length, int32_t leaf, neap_seq **out,
                  neap_error *error);
/*
 * Items first, first + step, ... (count of them) of source; the step may be
 * negative, not 0. A count of NEAP_ENDLESS needs an endless source.
 */
int neap_seq_slice(neap_seq *source, int64_t first, int64_t step, int64_t count,
                   neap_seq **out, neap_error *error);
/*
 * Item i is source[indexes[i]]. The caller owns the indexes, and keeps them
 * unchanged for as long as the result lives: they are checked only here.
 */
int neap_seq_gather(neap_seq *source, const int64_t *indexes, int64_t count,
                    neap_seq **out, neap_error *error);
/*
 * A permutation keyed by (seed, epoch), in O(1) memory. The source has at most
 * 2^62 items. Give each shuffle of a tree its own seed.
 */
int neap_seq_shuffle(neap_seq *source, int64_t seed, neap_seq **out,
                     neap_error *error);
/* Sources that a concat, an interleave or a mix may have. */
enum { NEAP_SEQ_SOURCES_MAX = 4096 };
/* One after another; only the last may be endless. */
int neap_seq_concat(neap_seq *const *sources, int32_t count, neap_seq **out,
                    neap_error *error);
/* One item of each in turn; a source that has ended drops out. */
int neap_seq_interleave(neap_seq *const *sources, int32_t count, neap_seq **out,
                        neap_error *error);
/* The source `times` over, or NEAP_ENDLESS. */
int neap_seq_cycle(neap_seq *source, int64_t times, neap_seq **out,
                   neap_error *error);
/*
 * A deterministic mixture in the proportions of the weights (above 0): within
 * two items of them at every prefix, up to item 2^50. The seed orders sources
 * of equal weight. The mixture ends when the next source in turn has ended.
 */
int neap_seq_mix(neap_seq *const *sources, const double *weights, int32_t count,
                 int64_t seed, neap_seq **out, neap_error *error);
/* NULL is fine. */
void neap_seq_free(neap_seq *seq);

/* The number of items, or NEAP_ENDLESS. */
int64_t neap_seq_length(const neap_seq *seq);
/*
 * Replaces each index[k] (0-based, in range: the caller checks) by the index
 * in its leaf, and leaf[k] by the leaf's number. leaf may be NULL.
 */
void neap_seq_resolve(const neap_seq *seq, int64_t epoch, int64_t *index,
                      int32_t *leaf, int64_t count);
/* The same for one index; *leaf is set if leaf is not NULL. */
int64_t neap_seq_resolve_one(const neap_seq *seq, int64_t epoch, int64_t index,
                             int32_t *leaf);

/*
 * The permutation of a shuffle of n items: position -> item, and back. Both
 * are 0 .. n - 1, and n is at most 2^62; else -1. Later versions keep these
 * orders, and the numbers of neap_random_next.
 */
int64_t neap_shuffle_item(int64_t n, int64_t seed, int64_t epoch, int64_t i);
int64_t neap_shuffle_position(int64_t n, int64_t seed, int64_t epoch,
                              int64_t item);

/* ---- Native stages: C functions in a chain ------------------------------- */

/*
 * A stage that calls a C function of a shared library for each item (through
 * libffi). The function is named by its C declaration, which may begin with the
 * structs, enums and typedefs that it uses:
 *
 *     unsigned long crc32(unsigned long crc, const uint8_t *buf, unsigned len)
 *
 * Its types are the integers and floating-point numbers of C, _Bool, pointers,
 * and structs of these by value. Variable arguments, pointers to functions,
 * unions and long double are refused.
 *
 * Each parameter is bound to a part of the item, to a constant, or to an output
 * that the function fills. The only parameter of a function is bound to "item"
 * unless told. What the stage makes of an item is
 *   - with one output: that; with several: a table, by parameter;
 *   - else the function's own value: a number, a boolean, the text of a
 *     const char *, a table for a struct, nil for void. A number that is an
 *     integer beyond 2^53 is a 64-bit integer.
 * An item fails if the function returns a pointer that is NULL and, with
 * outputs, an integer that is not 0 (see NEAP_FAILS_...) or a bool that is
 * false.
 *
 * A number that does not fit the parameter's type fails the item: one with a
 * fraction, for an integer, or out of range. So does a tensor whose dtype is
 * not that of the pointer; pointers to void, to bytes (char, uint8_t, ...) and
 * to structs take any, uint16_t * takes f16 and bf16. A pointer that is not
 * const is never given the item's own elements, which others may share.
 */
typedef struct neap_argument {
  const char *parameter; /* its name; its number, "1", if it has none; a member
                            of a struct, or of what a pointer points at:
                            "point.x"; NULL: a function's only parameter */
  /*
   * A part of the item, or NULL:
   *   "item"      a number or boolean; of a tensor: each element in turn, and
   *               the result is a tensor of that shape, of the result's type.
   *               A pointer gets the address of a copy of the number, or, if it
   *               is const, the elements or bytes. A struct gets the fields of
   *               a table that are named as its members.
   *   "data"      the elements of a tensor; the bytes of a string, with a 0
   *               behind them. The pointer is const.
   *   "count"     elements, or bytes of a string;   "nbytes"  bytes
   *   "shape[2]"  the size of a dimension, from 1
   *   "index"     of the item in this stage, from 0;   "epoch"
   *   "seed"      a number that depends on the stage's seed, the epoch and the
   *               index: 64 random bits, of which a narrower integer gets the
   *               low ones, and a double 53
   *   "context"   what init returned in this worker
   *   "null"      a pointer that is NULL
   * The first four may be those of a field: "image.data"; "image" is
   * "image.item". A pointer gets the address of a copy of the last ones, too.
   */
  const char *part;
  const char *text;  /* or a constant: a string, for a const char *; ... */
  double number;     /* ... or this number, where part and text are not set; a
                        pointer gets the address of a copy, made for each item */
  int32_t is_output; /* 1: a tensor to fill, all of it, of the dtype and shape
                        below: it begins with old bytes; with a part ("data",
                        "image.data") one that begins as a copy of that, and has
                        its dtype and shape; if bits is 0 and there is no part,
                        what the pointer points at: a number, which begins as
                        `number`, or a struct, which is a table */
  uint8_t code;
  uint8_t bits;
  uint16_t reserved;    /* 0 */
  int32_t ndim;         /* -1: the shape is that of a tensor of the item, ... */
  const char *shape_of; /* ... "shape" or "image.shape" */
  int64_t shape[8];
} neap_argument;

/* A function of the stage's library with constant arguments. */
typedef struct neap_call {
  const char *declaration; /* NULL: none */
  const neap_argument *arguments;
  int32_t argument_count;
} neap_call;

/* When an integer that a function with outputs returns is a failure: LZ4, zstd
   and others return the number of bytes, which is negative in a failure. */
enum {
  NEAP_FAILS_NOT_ZERO = 0,
  NEAP_FAILS_NEGATIVE = 1, /* also of an unsigned type */
  NEAP_FAILS_NEVER = 2
};

typedef struct neap_stage_options {
  const char *lib;         /* a path, or a soname as dlopen() takes it */
  const char *label;       /* what messages call it; NULL: that */
  const char *declaration; /* of the function */
  const neap_argument *arguments;
  int32_t argument_count;
  neap_call init;    /* once in each worker, before its first item. It returns a
                        pointer, the context; or a status, or nothing */
  neap_call fini;    /* when the worker ends; a pointer that is not bound gets
                        the context */
  const char *error; /* the declaration of a function that returns the text of a
                        failure: an integer parameter is the status, a pointer
                        the context; or NULL */
  int32_t fails;     /* NEAP_FAILS_NOT_ZERO, ... */
  int64_t seed;      /* of "seed" */
  const char *where; /* for messages: "train.lua:12"; or NULL */
} neap_stage_options;

/* ---- Native chains ------------------------------------------------------- */

/*
 * A chain without Lua: sources, index trees, native stages and batches, which
 * libneap evaluates alone, whole batches at a time. Its workers are processes
 * that map no LuaJIT, or threads of the host.
 *
 *     neap_chain_idx("train-images", &chain, &error);
 *     neap_chain_convert(chain, NEAP_FLOAT, 32, scale, 0, &chain, &error);
 *     neap_chain_batch(chain, 64, 1, &chain, &error);
 *     neap_chain_prefetch(chain, &options, &loader, &error);
 *
 * It is immutable. What an item is (its dtype and shape, its fields) is known
 * when it is made: so a stage that does not fit is refused there. Nothing is
 * computed before neap_chain_prefetch().
 *
 * Owns:    a constructor takes its sources, as those of neap_seq do: also if it
 *          fails.
 * Threads: any may read a chain.
 * Errors:  NEAP_EINVAL, NEAP_EMEMORY; NEAP_ESYSTEM and NEAP_EFORMAT for files
 *          and libraries.
 */
typedef struct neap_chain neap_chain;

/* The numbers first, first + step, ... (count of them, or NEAP_ENDLESS). */
int neap_chain_range(double first, double step, int64_t count, neap_chain **out,
                     neap_error *error);
/*
 * The rows of a tensor, or its elements as numbers if it has one dimension. The
 * caller keeps its data, unchanged, for as long as the chain or its loader
 * lives; worker processes get a copy.
 */
int neap_chain_tensor(const neap_tensor *tensor, neap_chain **out,
                      neap_error *error);
/* The same of an IDX file, which is read here, plain or gzipped; ... */
int neap_chain_idx(const char *path, neap_chain **out, neap_error *error);
/* ... of NumPy's file of one array, in C order; rows are read as needed; ... */
int neap_chain_npy(const char *path, neap_chain **out, neap_error *error);
/* ... and of a file of rows of that shape from `offset` on. */
int neap_chain_raw(const char *path, int64_t offset, int32_t code, int32_t bits,
                   int32_t ndim, const int64_t *shape, neap_chain **out,
                   neap_error *error);
/*
 * Item i is item j of source number n, where the tree leads to index j of leaf
 * n. All sources have items of one kind. The tree is taken as well; indexes of
 * a gather in it are the caller's, as those of neap_chain_tensor().
 */
int neap_chain_arrange(neap_seq *tree, neap_chain *const *sources,
                       int32_t count, neap_chain **out, neap_error *error);
/* A table of one item of each: a list, or with names fields. The shortest
   source counts. */
int neap_chain_zip(neap_chain *const *sources, const char *const *names,
                   int32_t count, neap_chain **out, neap_error *error);
/* Each item through a native stage. The library is loaded here. */
int neap_chain_map(neap_chain *source, const neap_stage_options *stage,
                   neap_chain **out, neap_error *error);
/* Each item, a tensor, converted as by neap_tensor_convert(). */
int neap_chain_convert(neap_chain *source, int32_t code, int32_t bits,
                       double scale, double offset, neap_chain **out,
                       neap_error *error);
/*
 * `size` items stacked: tensors get a dimension in front, numbers become f64,
 * booleans bool, and fields are stacked each. A 64-bit integer beyond 2^53
 * fails its batch. The last batch may have fewer items, or is dropped: only
 * then the chain may be batched or mapped once more.
 */
int neap_chain_batch(neap_chain *source, int64_t size, int32_t drops_last,
                     neap_chain **out, neap_error *error);
/* Items, or NEAP_ENDLESS. */
int64_t neap_chain_length(const neap_chain *chain);
/* NULL is fine. */
void neap_chain_free(neap_chain *chain);

/*
 * Opens a loader of the chain's items, as neap_open() does of a file's.
 * options->threads: n > 0 computes on n threads of the host, which block all
 * signals. A stage that crashes then ends the host, one that never returns
 * keeps neap_close() waiting, and timeout_ns and memory_bytes are refused.
 * Owns: takes the chain, also if it fails.
 */
int neap_chain_prefetch(neap_chain *chain, const neap_options *options,
                        neap_loader **out, neap_error *error);

/* ---- Random numbers ------------------------------------------------------ */

/*
 * xoshiro256++ (Blackman and Vigna), seeded by SplitMix64 from three numbers:
 * an item's stream depends only on (seed, epoch, index).
 * Threads: one at a time on a state.
 */
typedef struct neap_random {
  uint64_t state[4];
  double spare; /* the second of a pair of normals, while has_spare is 1 */
  uint64_t has_spare;
} neap_random;

void neap_random_init(neap_random *random, int64_t seed, int64_t epoch,
                      int64_t index);
uint64_t neap_random_next(neap_random *random);
/* In [0, 1), 53 bits. */
double neap_random_uniform(neap_random *random);
/* In [first, last], unbiased (Lemire); first <= last, the span below 2^63. */
int64_t neap_random_integer(neap_random *random, int64_t first, int64_t last);
/* Mean 0, standard deviation 1. */
double neap_random_normal(neap_random *random);

/* ---- Files: IDX (MNIST's format) ----------------------------------------- */

/*
 * Reads an IDX file, plain or gzipped. Open reads the header and checks it
 * against the file's size. Read, which is called once, reads exactly nbytes and
 * checks that the file ends there. Every error names the path and the cause.
 */
typedef struct neap_idx neap_idx;

int neap_idx_open(const char *path, neap_idx **out, neap_error *error);
/* ndim, shape, code and bits of its elements; data is NULL; valid until close.
 */
const neap_tensor *neap_idx_tensor(const neap_idx *idx);
/* Elements in native byte order. */
int neap_idx_read(neap_idx *idx, void *data, uint64_t nbytes,
                  neap_error *error);
void neap_idx_close(neap_idx *idx);

/* cdef: end */

#pragma GCC visibility pop

#define neap_options_init(options) \
  neap_options_init((options), NEAP_ABI, sizeof(neap_options))

#ifdef __cplusplus
}
#endif

#endif
