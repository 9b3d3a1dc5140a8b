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
  NEAP_EROOM = -11     /* an item is larger than a slot */
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
/* sizeof the struct of that name ("neap_tensor"), or 0; for checks at load. */
size_t neap_sizeof(const char *name);
/* The name of a status, "NEAP_EINVAL"; static. */
const char *neap_status_name(int status);

enum { NEAP_ENDLESS = -1 }; /* the length of an endless sequence */

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
