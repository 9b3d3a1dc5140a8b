/* SPDX-License-Identifier: MIT */
/*
 * neap: data loading with worker processes, for C hosts and for LuaJIT.
 *
 * This header is the manual of libneap. Lua reads the same declarations: the
 * text between the two cdef marks is embedded in the library, so it is bare C.
 * The functions that only Lua calls are in neap_lua.h.
 *
 * Caveats first:
 *  - A pool starts processes (never by fork of the host) and one thread, the
 *    supervisor, which blocks every signal. Nothing else runs in the host.
 *  - A forked child cannot use its parent's loaders and heap: reads, seeks and
 *    allocations return NEAP_ECLOSED. The child may release, free and close;
 *    that affects only its own memory. No other thread may be in a call while
 *    the host forks.
 *  - Shared memory that a worker wrote is untrusted input: functions that read
 *    items check every offset and return NEAP_EDAMAGED.
 *    This protects the host, not the values. A worker maps all slots for
 *    writing, so a broken one can change or zero the items of others, and can
 *    open the shared tensors for writing through /proc. Run no hostile code.
 *  - Indexes count from 0 here; Lua counts from 1.
 *
 * Errors, for the whole header: a function that can fail returns a status and
 * takes the caller's neap_error, which may be NULL, as its last argument. It
 * writes the error only if the status is negative. It sets out parameters on
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
  NEAP_EFORMAT = -4,   /* a file is not in its format */
  NEAP_EDAMAGED = -5,  /* shared memory contains what no writer writes */
  NEAP_EWORKER = -6,   /* workers could not start, or keep dying */
  NEAP_EHELD = -7,     /* the caller holds all the slots that may be held */
  NEAP_ECLOSED = -8,   /* used after neap_pool_close(), or in a forked child */
  NEAP_EDEATH = -9,    /* workers died of an item */
  NEAP_ETIMEOUT = -10, /* an item took longer than timeout_ns */
  NEAP_EROOM = -11,    /* an item is larger than a slot */
  NEAP_EINTERRUPTED = -12 /* neap_interrupt() was called */
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

/* ---- Item values --------------------------------------------------------- */

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

/* The wait status of a worker, if the host ignores SIGCHLD or waits for all
   its children: then it is unknown. */
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
 * Consecutive items in one slot, as neap_pool_next() returns them.
 * Valid: until neap_pool_release() of the slot.
 */
typedef struct neap_run {
  int64_t epoch;
  int64_t first;           /* index of its first item */
  int32_t count;           /* items */
  int32_t slot;            /* -1: none; the run's one item failed, and the last
                              three fields tell why (neap_run_failure) */
  const neap_value *cells; /* count of them */
  const uint8_t *base;     /* the slot */
  uint64_t bytes;          /* of the slot, readable */
  int32_t wait_status;     /* a failure: of its last worker, as from waitpid,
                              or NEAP_STATUS_LOST */
  int32_t attempts;        /* a failure: how many workers died at it */
  int32_t is_overdue;      /* a failure: 1 if it took longer than timeout_ns */
} neap_run;

/*
 * The readers of a run. They copy a cell and check the copy against the slot,
 * so a broken worker may write while they read. Errors: NEAP_EDAMAGED, also for
 * a k beyond a table's counts, since these may have changed; NEAP_EINVAL for a
 * k that the run does not have, or a value of another type.
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
/* Pair k (0-based) of its other pairs. */
int neap_value_pair(const neap_run *run, const neap_value *table, uint32_t k,
                    neap_value *key, neap_value *out, neap_error *error);
/* The bytes of a NEAP_STRING (not terminated), or NULL. */
const char *neap_value_string(const neap_run *run, const neap_value *string,
                              neap_error *error);
/* Copies the description of a NEAP_TENSOR; *data points into the slot. */
int neap_value_tensor(const neap_run *run, const neap_value *tensor,
                      neap_tensor_cell *out, void **data, neap_error *error);

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
} neap_launch;

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

typedef struct neap_pool_stats {
  int64_t items; /* computed, over all workers */
  int64_t runs;
  int64_t bytes;            /* of slots filled */
  int64_t busy_ns;          /* computing, over all workers */
  int64_t idle_ns;          /* waiting for work, over all workers */
  int64_t consumer_wait_ns; /* neap_pool_next and _get waiting */
  int64_t consumer_ns;      /* since the first read, without the time from the
                               end of an iteration to the next read */
  int64_t first_ns;         /* of these until the first run came */
  int64_t restarts;         /* workers replaced */
  int64_t retries;          /* runs opened again after a death */
  int32_t workers;
  int32_t held;
  int32_t slots;       /* of the pool; 0 for a worker */
  uint64_t slot_bytes; /* address space of each */
} neap_pool_stats;

void neap_pool_read_stats(const neap_pool *pool, neap_pool_stats *out);
/* The same fields for worker number `worker`, 0-based; its pid, or 0. */
int32_t neap_pool_read_worker(const neap_pool *pool, int32_t worker,
                              neap_pool_stats *out);

/*
 * Ends the workers, and kills those still busy after 100 ms. Frees all but the
 * slots that the caller holds: their items stay valid. NULL is fine.
 *
 * A closed pool lives until the last of these slots is released; if none is
 * held, it ends at once. As long as it lives,
 *  - neap_pool_retain, _release, _held, _held_max and _length work as before;
 *  - neap_pool_read_stats and _read_worker return no workers;
 *  - neap_pool_next, _get and _seek return NEAP_ECLOSED;
 *  - neap_pool_shorten and another neap_pool_close do nothing.
 * Then the handle is invalid, but neap_pool_retain and _release of slot -1 do
 * not use it.
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

/* Laid out as DLPack's DLManagedTensor (version 0). */
typedef struct neap_managed_tensor {
  neap_tensor tensor;
  void *manager; /* NULL */
  void (*deleter)(struct neap_managed_tensor *self);
} neap_managed_tensor;

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
#ifdef __cplusplus
}
#endif

#endif
