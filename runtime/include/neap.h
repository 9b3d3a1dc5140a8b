/* SPDX-License-Identifier: MIT */
/*
 * neap: data loading with worker processes, for C hosts and for LuaJIT.
 *
 * This header is the manual of libneap. Lua reads the same declarations: the
 * text between the two cdef marks is embedded in the library, so it is bare C.
 * What only the Lua side calls is in neap_lua.h.
 *
 * Caveats first:
 *  - A pool starts processes (never by fork of the host) and one thread, the
 *    supervisor, which blocks every signal. Nothing else runs in the host.
 *  - After a fork, the child cannot use its parent's loaders and heap: reads,
 *    seeks and allocations answer NEAP_ECLOSED there. What it releases, frees
 *    or closes is its own memory alone. Other threads must not be in a call.
 *  - What a worker wrote into shared memory is input: functions that read
 *    items check every offset and answer NEAP_EDAMAGED, never a wild read.
 *    That guards the host, not the values: a worker maps all slots for writing,
 *    so one gone wild can change or zero the items of others, and can open the
 *    shared tensors for writing through /proc. Run no code that means harm.
 *  - Indexes count from 0 here; Lua counts from 1.
 *
 * Errors, for the whole header: functions that can fail answer a status and
 * take a neap_error, the caller's, as their last argument. It is written when
 * the status is negative and left alone otherwise. Out parameters are set on
 * every path (to NULL or 0 on failure).
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

enum { NEAP_ABI = 1 };

enum {
  NEAP_OK = 0,
  NEAP_END = 1,        /* after the last item */
  NEAP_AGAIN = 2,      /* nothing ready yet */
  NEAP_EINVAL = -1,    /* an argument is wrong */
  NEAP_EMEMORY = -2,   /* memory or address space is short */
  NEAP_ESYSTEM = -3,   /* the system refused; `system` holds errno */
  NEAP_EFORMAT = -4,   /* a file is not what it should be */
  NEAP_EDAMAGED = -5,  /* a slot holds what no writer writes */
  NEAP_EWORKER = -6,   /* workers could not start, or keep dying */
  NEAP_EHELD = -7,     /* the caller holds all the slots that may be held */
  NEAP_ECLOSED = -8,   /* used after neap_pool_close(), or in a forked child */
  NEAP_EDEATH = -9,    /* workers died of an item */
  NEAP_ETIMEOUT = -10, /* an item took longer than timeout_ns */
  NEAP_EROOM = -11     /* an item is larger than a slot */
};

typedef struct neap_error {
  int32_t status;
  int32_t system; /* errno, or 0 */
  char text[2040];
} neap_error;

/* The declarations between the cdef marks, as a C string; static. */
const char *neap_cdef(void);
/* The version of neap that the library is of, "0.1.0"; static. */
const char *neap_version(void);
/* NEAP_ABI of the library that is loaded. */
int neap_abi(void);
/* sizeof the struct of that name ("neap_tensor"), or 0; for checks at load. */
size_t neap_sizeof(const char *name);
/* The name of a status, "NEAP_EINVAL"; static. */
const char *neap_status_name(int status);

enum { NEAP_ENDLESS = -1 }; /* the length of an endless sequence */

/* ---- Item values --------------------------------------------------------- */

/*
 * What an item looks like in a slot. A run of items begins with one cell per
 * item; whatever does not fit a cell lies further on, at `offset` bytes from
 * the slot's start, aligned to 16 (a tensor's data: to 64):
 *
 *   NEAP_BOOLEAN  integer is 0 or 1
 *   NEAP_NUMBER   number
 *   NEAP_INT64    integer            NEAP_UINT64  integer, its bits
 *   NEAP_STRING   offset, count bytes
 *   NEAP_TENSOR   offset of a neap_tensor_cell
 *   NEAP_TABLE    offset of a head cell {NEAP_TABLE, list count, pair count},
 *                 then the list's cells (keys 1, 2, ...), then key and value
 *                 cells of each other pair
 *   NEAP_FAILURE  as NEAP_TABLE: the item raised, and this says what
 */
enum {
  NEAP_NIL = 0,
  NEAP_BOOLEAN = 1,
  NEAP_NUMBER = 2,
  NEAP_INT64 = 3,
  NEAP_UINT64 = 4,
  NEAP_STRING = 5,
  NEAP_TENSOR = 6,
  NEAP_TABLE = 7,
  NEAP_FAILURE = 8
};

enum {
  NEAP_DEPTH_MAX = 100, /* tables within tables */
  NEAP_RUN_MAX = 1024   /* items of a run */
};

/* How a worker ended, where the host ignores SIGCHLD or waits for all its
   children: then nobody else learns it. */
enum { NEAP_STATUS_LOST = -1 };

typedef struct neap_value {
  uint32_t type;
  uint32_t count;
  union {
    double number;
    int64_t integer;
    uint64_t offset;
    uint32_t words[2]; /* little-endian */
  };
} neap_value;

typedef struct neap_tensor_cell {
  uint8_t code;
  uint8_t bits;
  uint16_t ndim;
  uint32_t reserved; /* 0 */
  uint64_t offset;   /* of the data */
  int64_t shape[8];
} neap_tensor_cell;

/*
 * Consecutive items that share a slot, as neap_pool_next() hands them out.
 * Valid: until neap_pool_release() of its slot.
 */
typedef struct neap_run {
  int64_t epoch;
  int64_t first;           /* index of its first item */
  int32_t count;           /* items */
  int32_t slot;            /* -1: no slot; its one item failed, and the last
                              three fields say how (neap_run_failure) */
  const neap_value *cells; /* count of them */
  const uint8_t *base;     /* the slot */
  uint64_t bytes;          /* of the slot, readable */
  int32_t wait_status;     /* a failure: how its last worker ended (waitpid),
                              or NEAP_STATUS_LOST */
  int32_t attempts;        /* a failure: how many workers died of it */
  int32_t is_overdue;      /* a failure: 1 if it took longer than timeout_ns */
} neap_run;

/*
 * The readers of a run. They copy a cell first and check the copy against the
 * slot, so that a worker gone wild cannot lead them astray by writing while
 * they read. Errors: NEAP_EDAMAGED, also for a k beyond a table's counts, which
 * may have changed; NEAP_EINVAL for a k that the run does not have, or a value
 * of another type.
 */
int neap_run_value(const neap_run *run, int32_t k, neap_value *out,
                   neap_error *error);
/* The counts of a NEAP_TABLE or NEAP_FAILURE. */
int neap_value_table(const neap_run *run, const neap_value *table,
                     uint32_t *list_count, uint32_t *pair_count,
                     neap_error *error);
/* Item k (0-based) of its list part. */
int neap_value_at(const neap_run *run, const neap_value *table, uint32_t k,
                  neap_value *out, neap_error *error);
/* Pair k (0-based) of the others. */
int neap_value_pair(const neap_run *run, const neap_value *table, uint32_t k,
                    neap_value *key, neap_value *out, neap_error *error);
/* The bytes of a NEAP_STRING (not terminated), or NULL. */
const char *neap_value_string(const neap_run *run, const neap_value *string,
                              neap_error *error);
/* Copies out the description of a NEAP_TENSOR; *data points into the slot. */
int neap_value_tensor(const neap_run *run, const neap_value *tensor,
                      neap_tensor_cell *out, void **data, neap_error *error);

/* ---- Pools: items computed ahead by worker processes --------------------- */

/*
 * A pool of workers over a chain that somebody else has packed, and one
 * iteration over its items. Loaders are made of these.
 */
typedef struct neap_pool neap_pool;

enum {
  NEAP_WORKERS_MAX = 512,
  NEAP_SLOT_BITS_MIN = 16, /* slot_bytes is 2^16 to 2^46 */
  NEAP_SLOT_BITS_MAX = 46,
  NEAP_EXIT_MEMORY = 112 /* exit status of a worker that found no memory */
};

/* Cores that this process may use: its affinity, and its cgroup's quota. */
int neap_cores(void);

/*
 * The program that each worker runs. Its arguments say what kind of chain it
 * reads: "neap", "--worker" and the folder of neap's Lua modules, for the neap
 * executable, a chain that Lua has packed.
 */
typedef struct neap_launch {
  const char *path;               /* NULL: look for the neap executable */
  const char *const *arguments;   /* from argv[0] to a NULL */
  const char *const *environment; /* NAME=value, to a NULL; or NULL: the host's,
                                     as it is when the worker starts */
} neap_launch;

typedef struct neap_pool_options {
  const void *chain; /* what the workers compute, as they read it */
  uint64_t chain_bytes;
  neap_launch launch;
  int64_t length;        /* items, or NEAP_ENDLESS */
  int32_t workers;       /* processes, 1 or more */
  int32_t buffered;      /* items computed ahead at most, 1 or more */
  int32_t chunk;         /* items of a run; 0: from the measured cost */
  int32_t retries;       /* of an item whose worker died */
  int32_t ordered;       /* 1: in order; 0: as completed */
  int32_t span;          /* unordered: items from the first that is asked for
                            to the last, at most; 0: any number */
  int32_t heap_fd;       /* shared tensors, or -1 */
  uint64_t slot_bytes;   /* address space of a slot */
  int64_t timeout_ns;    /* that one item may take; 0: any time */
  uint64_t memory_bytes; /* that a worker may allocate; 0: any number */
} neap_pool_options;

/*
 * Starts the workers and answers at once; what keeps them from starting is
 * told by the first read. Owns: copies the options. Iteration stands at epoch
 * 1, index 0.
 *
 * In a setuid program the environment is its caller's: neither NEAP_WORKER nor
 * PATH nor NEAP_DEBUG is read. Name the executable.
 *
 * With NEAP_DEBUG=1 in the environment, chunk is 1 and what a slot holds can
 * only be read while the caller holds it: a read after that is a SIGSEGV.
 */
int neap_pool_open(const neap_pool_options *options, neap_pool **out,
                   neap_error *error);
int64_t neap_pool_length(const neap_pool *pool);

/*
 * The next run of items, waiting until it is ready. Answers NEAP_END after
 * the last one. Owns: the caller holds the run's slot until it releases it.
 * Threads: one at a time on a pool, for all functions of this section.
 * Errors: NEAP_EHELD when the caller holds as many runs as it may,
 * NEAP_EWORKER when no worker can be started or kept.
 */
int neap_pool_next(neap_pool *pool, neap_run *run, neap_error *error);
/* A run of one item, at any index, aside from the iteration. */
int neap_pool_get(neap_pool *pool, int64_t epoch, int64_t index, neap_run *run,
                  neap_error *error);
/*
 * Explains a run without a slot: why its item did not come. The other items are
 * not affected. options: those that the pool was opened with; only the limits
 * of an item are read.
 * Returns: NEAP_EDEATH, NEAP_ETIMEOUT, or NEAP_EMEMORY for an item that found
 * no memory; NEAP_OK where the run has a slot.
 */
int neap_run_failure(const neap_run *run, const neap_pool_options *options,
                     neap_error *error);
/*
 * Holds a slot once more; each hold wants its release.
 * Returns: NEAP_OK, also for a slot of -1; NEAP_EINVAL, and does nothing, where
 * the caller does not hold the slot.
 */
int neap_pool_retain(neap_pool *pool, int32_t slot);
int neap_pool_release(neap_pool *pool, int32_t slot);
/* Runs that the caller holds, and how many it may. */
int32_t neap_pool_held(const neap_pool *pool);
int32_t neap_pool_held_max(const neap_pool *pool);

/*
 * Moves the iteration: the next run begins at index. Items already asked for
 * that lie ahead of it are kept. Errors: NEAP_EINVAL out of range.
 */
int neap_pool_seek(neap_pool *pool, int64_t epoch, int64_t index,
                   neap_error *error);
/*
 * Ends the iteration before item `length`, until the next neap_pool_seek(): for
 * who learns from an item that there are no more. Runs that begin behind it are
 * dropped; one that begins before it may still hold items behind it.
 */
void neap_pool_shorten(neap_pool *pool, int64_t length);

typedef struct neap_pool_stats {
  int64_t items; /* computed, over all workers */
  int64_t runs;
  int64_t bytes;            /* of slots filled */
  int64_t busy_ns;          /* computing, over all workers */
  int64_t idle_ns;          /* waiting for work, over all workers */
  int64_t consumer_wait_ns; /* neap_pool_next and _get waiting */
  int64_t restarts;         /* workers replaced */
  int64_t retries;          /* runs opened again after a death */
  int32_t workers;
  int32_t held;
} neap_pool_stats;

void neap_pool_read_stats(const neap_pool *pool, neap_pool_stats *out);
/* The same fields for worker number `worker`, 0-based; its pid, or 0. */
int32_t neap_pool_read_worker(const neap_pool *pool, int32_t worker,
                              neap_pool_stats *out);

/*
 * Ends the workers, those that are busy by a kill after 100 ms. Gives back all
 * but the slots that the caller still holds: their items stay valid. NULL is
 * fine.
 *
 * A pool that is closed lives until the last of these slots is released; if
 * none is held, it ends at once. As long as it lives,
 *  - neap_pool_retain, _release, _held, _held_max and _length work as before;
 *  - neap_pool_read_stats and _read_worker know of no workers any more;
 *  - neap_pool_next, _get and _seek return NEAP_ECLOSED;
 *  - neap_pool_shorten and another neap_pool_close do nothing.
 * After that the handle is invalid. neap_pool_retain and _release of slot -1 do
 * not look at it.
 */
void neap_pool_close(neap_pool *pool);

/* ---- Tensors ------------------------------------------------------------- */

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

/* Elements and bytes of a tensor; 0 dimensions are 1 element. */
int64_t neap_tensor_count(const neap_tensor *tensor);
int64_t neap_tensor_nbytes(const neap_tensor *tensor);

/*
 * Writes the strides of a contiguous tensor of that shape, and answers its
 * elements, or -1 where a size is negative or the product is above 2^53 (so
 * that Lua, too, counts exactly). ndim is 0 .. NEAP_DIMS_MAX; strides may be
 * NULL.
 */
int64_t neap_tensor_strides(int32_t ndim, const int64_t *shape,
                            int64_t *strides);

/*
 * Sets all elements to a value, as if it were stored in each: out of an
 * integer dtype's range, or a fraction for one, is NEAP_EINVAL.
 */
int neap_tensor_fill(neap_tensor *tensor, double value, neap_error *error);

/*
 * to[k] = from[k] * scale + offset for every element, between any two dtypes;
 * equal counts, memory that does not overlap. It is computed in double and
 * rounded once, but between integer dtypes, by scale 1 and offset 0, exactly.
 * Into integers it rounds to nearest, ties to even, and saturates; NaN becomes
 * 0. A bool is 0 or 1: all that is not 0 becomes 1.
 */
int neap_tensor_convert(const neap_tensor *from, neap_tensor *to, double scale,
                        double offset, neap_error *error);

/* Half precision and bfloat16, rounding to nearest even; overflow: infinity. */
double neap_f16_load(uint16_t bits);
uint16_t neap_f16_store(double value);
double neap_bf16_load(uint16_t bits);
uint16_t neap_bf16_store(double value);

/* Laid out as DLPack's DLManagedTensor (version 0). */
typedef struct neap_managed_tensor {
  neap_tensor tensor;
  void *manager; /* NULL */
  void (*deleter)(struct neap_managed_tensor *self);
} neap_managed_tensor;

/*
 * Copies a tensor into memory that is its own, for another library to take.
 *
 * Owns:    whoever holds *out calls its deleter, once, from any thread; it
 *          needs neither the tensor copied from nor a Lua state.
 * Returns: NEAP_OK; NEAP_EINVAL for no dtype of neap; NEAP_EMEMORY.
 */
int neap_tensor_dlpack(const neap_tensor *tensor, neap_managed_tensor **out,
                       neap_error *error);

/* ---- Sequences: index arithmetic ----------------------------------------- */

/*
 * A tree of adapters over leaves. It computes where item i comes from, and
 * holds no values. Immutable once made, so any thread may read it.
 *
 * Owns: a constructor takes over its sources: neap_seq_free() of the result
 * frees them too, and so does a constructor that fails.
 * Errors: NEAP_EINVAL for bad arguments, a NULL source among them, and for a
 * tree of more than 1000 adapters above one another; NEAP_EMEMORY.
 */
typedef struct neap_seq neap_seq;

/* A leaf: resolving ends here, with this leaf's number. */
int neap_seq_leaf(int64_t length, int32_t leaf, neap_seq **out,
                  neap_error *error);
/*
 * Items first, first + step, ... (count of them) of source; the step may be
 * negative, not 0. A count of NEAP_ENDLESS wants an endless source.
 */
int neap_seq_slice(neap_seq *source, int64_t first, int64_t step, int64_t count,
                   neap_seq **out, neap_error *error);
/*
 * Item i is source[indexes[i]]; indexes stays the caller's and must outlive
 * the result, unchanged: they are checked here, and never again.
 */
int neap_seq_gather(neap_seq *source, const int64_t *indexes, int64_t count,
                    neap_seq **out, neap_error *error);
/*
 * A permutation keyed by (seed, epoch), in O(1) memory. The source ends, after
 * 2^62 items at most. Of two shuffles in a tree, give each its own seed.
 */
int neap_seq_shuffle(neap_seq *source, int64_t seed, neap_seq **out,
                     neap_error *error);
/* Sources that a concat, an interleave or a mix may have. */
enum { NEAP_SEQ_SOURCES_MAX = 4096 };
/* One after another; only the last may be endless. */
int neap_seq_concat(neap_seq *const *sources, int32_t count, neap_seq **out,
                    neap_error *error);
/* One item of each in turn; those that have ended drop out. */
int neap_seq_interleave(neap_seq *const *sources, int32_t count, neap_seq **out,
                        neap_error *error);
/* The source `times` over, or NEAP_ENDLESS. */
int neap_seq_cycle(neap_seq *source, int64_t times, neap_seq **out,
                   neap_error *error);
/*
 * A deterministic mixture in the proportions of the weights (above 0): within
 * two items of them at every prefix, up to item 2^50. The seed says which of
 * equal weights goes first. It ends where a source is due that has ended.
 */
int neap_seq_mix(neap_seq *const *sources, const double *weights, int32_t count,
                 int64_t seed, neap_seq **out, neap_error *error);
/* NULL is fine. */
void neap_seq_free(neap_seq *seq);

/* The number of items, or NEAP_ENDLESS. */
int64_t neap_seq_length(const neap_seq *seq);
/*
 * Replaces each index[k] (0-based, in range: the caller checks) by the index
 * in its leaf, and leaf[k] by the leaf's number. leaf may be NULL where the
 * tree has one leaf.
 */
void neap_seq_resolve(const neap_seq *seq, int64_t epoch, int64_t *index,
                      int32_t *leaf, int64_t count);
/* The same for one index; *leaf is set if leaf is not NULL. */
int64_t neap_seq_resolve_one(const neap_seq *seq, int64_t epoch, int64_t index,
                             int32_t *leaf);

/*
 * The permutation of a shuffle of n items: position -> item, and back. Both
 * are 0 .. n - 1, and n is 2^62 at most; -1 for any other. Later versions keep
 * these orders, and what neap_random_next answers.
 */
int64_t neap_shuffle_item(int64_t n, int64_t seed, int64_t epoch, int64_t i);
int64_t neap_shuffle_position(int64_t n, int64_t seed, int64_t epoch,
                              int64_t item);

/* ---- Random numbers ------------------------------------------------------ */

/*
 * xoshiro256++ (Blackman and Vigna), seeded through SplitMix64 from three
 * numbers, so that an item's stream depends on (seed, epoch, index) alone.
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

/* ---- Shared tensors ------------------------------------------------------ */

/*
 * One memfd for all tensors that a process shares with its workers: a sparse
 * file that only grows, each block at a range of its own, so that it costs
 * one descriptor however many tensors there are. A freed block gives its
 * pages back. Threads: one at a time.
 */
typedef struct neap_heap neap_heap;

int neap_heap_open(neap_heap **out, neap_error *error);
/* Whether this process opened it: a forked child can allocate nothing. */
int neap_heap_is_ours(const neap_heap *heap);
/* Zeroed, aligned to a page, readable and writable here. */
int neap_heap_alloc(neap_heap *heap, uint64_t nbytes, void **out,
                    uint64_t *offset, neap_error *error);
void neap_heap_free(neap_heap *heap, void *block, uint64_t offset,
                    uint64_t nbytes);
/*
 * A second descriptor, for reading alone, which a worker may inherit; the
 * heap's own, close-on-exec.
 */
int neap_heap_fd(const neap_heap *heap);
/*
 * Maps a block of another process's heap, copy on write. The offset is one
 * that neap_heap_alloc answered. A block freed meanwhile reads as zeros.
 */
int neap_heap_map(int fd, uint64_t offset, uint64_t nbytes, void **out,
                  neap_error *error);
void neap_heap_unmap(void *block, uint64_t nbytes);
/*
 * Leaves a block to other processes as it is: from now on what is written here
 * goes to pages of our own, at the same addresses. Twice would undo what was
 * written since.
 */
int neap_heap_freeze(neap_heap *heap, void *block, uint64_t offset,
                     uint64_t nbytes, neap_error *error);
/*
 * Whether a frozen block may have been written since: 1 also where the system
 * does not tell.
 */
int neap_heap_is_changed(const void *block, uint64_t nbytes);
/* Blocks stay valid until each is freed; the last one takes the rest along. */
void neap_heap_close(neap_heap *heap);

/* ---- Files: IDX (MNIST's format) ----------------------------------------- */

/*
 * Reads an IDX file, plain or gzipped, in two steps: open reads the header
 * and checks it against the file; read, once, fills exactly nbytes and checks
 * that the file ends there. Every failure names the path and what was wrong.
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
#ifdef __cplusplus
}
#endif

#endif
