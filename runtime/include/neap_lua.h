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
  uint64_t undone;   /* `used` at most before it was undone, or 0 */
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
 * use, then reused; the fields below `undone` are internal.
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
