/* SPDX-License-Identifier: MIT */
/*
 * Reads a file of saved items (saved.h tells its layout), mapped.
 *
 * The file is untrusted: each place is checked against the file before it is
 * followed, and what a block contains is read by the readers of slots, which
 * check it. A checksum tells damage from what was saved; memory is safe without
 * it. A mapping of a file that shrinks is a SIGBUS, so a saver never writes to
 * a file that has its name, and the file is looked at again before a block is
 * read, at most once a millisecond.
 */
#include "source/saved.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "base/error.h"
#include "source/file.h"

enum { LOOK_NS = 1000000 };

struct neap_saved {
  neap_file *file; /* NULL: the bytes are the caller's */
  const char *path;
  const uint8_t *data;
  uint64_t nbytes;
  const neap__saved_head *head;
  const neap__saved_place *places;
  uint64_t place_count;
  uint8_t *checked; /* a bit for each block whose checksum was compared */
  int64_t looked_ns;
};

static int refuse(const neap_saved *saved, const char *why, neap_error *error) {
  return neap__error_set(error, NEAP_EFORMAT, 0, "cannot read %s: %s",
                         saved->path, why);
}

static int64_t now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
  return now.tv_sec * 1000000000LL + now.tv_nsec;
}

/* -- Opening -- */

static int check_head(neap_saved *saved, neap_error *error) {
  const neap__saved_head *head = (const void *)saved->data;
  if (saved->nbytes < sizeof *head ||
      memcmp(head->magic, NEAP__SAVED_MAGIC, sizeof head->magic) != 0)
    return neap__error_set(error, NEAP_EFORMAT, 0,
                           "cannot read %s: it is no file of saved items\n"
                           "help: neap.save(s, path) writes one",
                           saved->path);
  if (head->order != NEAP__SAVED_ORDER)
    return refuse(saved, "a machine of another byte order saved it", error);
  if (head->version != NEAP__SAVED_VERSION)
    return neap__error_set(error, NEAP_EFORMAT, 0,
                           "cannot read %s: its version is %u, this neap reads "
                           "%d\nhelp: save the items again",
                           saved->path, (unsigned)head->version,
                           (int)NEAP__SAVED_VERSION);
  if (head->text_bytes <= NEAP__SAVED_TEXT_MAX &&
      head->text_bytes > saved->nbytes - sizeof *head)
    return refuse(saved, "it is truncated", error);
  if (head->text_bytes > NEAP__SAVED_TEXT_MAX ||
      head->checksum != neap__saved_head_sum(head, (const char *)(head + 1)))
    return refuse(saved, "its head is damaged", error);
  saved->head = head;
  return NEAP_OK;
}

static int check_tail(neap_saved *saved, neap_error *error) {
  const uint64_t least = sizeof(neap__saved_head) + sizeof(neap__saved_tail);
  if (saved->nbytes < least || saved->nbytes % NEAP__SAVED_ALIGNMENT != 0)
    return refuse(saved, "it is truncated", error);
  const uint64_t end = saved->nbytes - sizeof(neap__saved_tail);
  const neap__saved_tail *tail = (const void *)(saved->data + end);
  if (memcmp(tail->magic, NEAP__SAVED_TAIL, sizeof tail->magic) != 0)
    return refuse(saved, "it is truncated", error);
  const uint64_t index_bytes = tail->count * sizeof(neap__saved_place);
  if (tail->checksum != neap__saved_tail_sum(tail) ||
      tail->items != saved->head->items || tail->items < 0 ||
      tail->index > end || tail->index % NEAP__SAVED_ALIGNMENT != 0 ||
      tail->count > (end - tail->index) / sizeof(neap__saved_place) ||
      (tail->count == 0) != (tail->items == 0) ||
      tail->index_checksum !=
          neap_hash(saved->data + tail->index, index_bytes, 0))
    return refuse(saved, "its index is damaged", error);
  saved->places = (const void *)(saved->data + tail->index);
  saved->place_count = tail->count;
  return NEAP_OK;
}

static int check(neap_saved *saved, neap_error *error) {
  int rc = check_head(saved, error);
  if (rc == NEAP_OK) rc = check_tail(saved, error);
  if (rc != NEAP_OK) return rc;
  saved->checked = calloc(saved->place_count / 8 + 1, 1);
  if (saved->checked != NULL) return NEAP_OK;
  return neap__error_set(error, NEAP_EMEMORY, 0, "cannot read %s: no memory",
                         saved->path);
}

/* Private and writable, so that what is done to a tensor in place stays in this
   process. Where a limit of memory forbids that, read-only. */
static int map(neap_saved *saved, neap_error *error) {
  const int fd = neap__file_descriptor(saved->file);
  if (saved->nbytes == 0) return NEAP_OK;
  void *data = mmap(NULL, saved->nbytes, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_NORESERVE, fd, 0);
  if (data == MAP_FAILED)
    data = mmap(NULL, saved->nbytes, PROT_READ, MAP_PRIVATE, fd, 0);
  if (data == MAP_FAILED)
    return neap__error_set(error, NEAP_EMEMORY, errno, "cannot map %s",
                           saved->path);
  saved->data = data;
  return NEAP_OK;
}

static neap_saved *new_saved(const char *path, neap_error *error) {
  neap_saved *saved = calloc(1, sizeof *saved);
  if (saved == NULL)
    neap__error_set(error, NEAP_EMEMORY, 0, "cannot open %s: no memory", path);
  return saved;
}

int neap_saved_open(const char *path, const neap_identity *expected,
                    neap_saved **out, neap_error *error) {
  *out = NULL;
  neap_saved *saved = new_saved(path, error);
  if (saved == NULL) return NEAP_EMEMORY;
  int rc = neap_file_open(path, expected, &saved->file, error);
  if (rc == NEAP_OK) {
    saved->path = neap_file_path(saved->file);
    saved->nbytes = (uint64_t)neap_file_bytes(saved->file);
    rc = map(saved, error);
  }
  if (rc == NEAP_OK) rc = check(saved, error);
  if (rc == NEAP_OK)
    *out = saved;
  else
    neap_saved_close(saved);
  return rc;
}

int neap_saved_open_bytes(const void *data, uint64_t nbytes, neap_saved **out,
                          neap_error *error) {
  *out = NULL;
  neap_saved *saved = new_saved("(bytes)", error);
  if (saved == NULL) return NEAP_EMEMORY;
  saved->path = "(bytes)";
  saved->data = data;
  saved->nbytes = nbytes;
  const int rc = check(saved, error);
  if (rc == NEAP_OK)
    *out = saved;
  else
    neap_saved_close(saved);
  return rc;
}

const neap_identity *neap_saved_identity(const neap_saved *saved) {
  return neap_file_identity(saved->file);
}

void neap_saved_tell(const neap_saved *saved, neap_saved_about *out) {
  const neap__saved_head *head = saved->head;
  *out = (neap_saved_about){.items = head->items,
                            .key = {head->key[0], head->key[1]},
                            .packing = head->packing,
                            .text_bytes = head->text_bytes,
                            .text = (const char *)(head + 1)};
}

void neap_saved_close(neap_saved *saved) {
  if (saved == NULL) return;
  if (saved->file != NULL && saved->data != NULL)
    munmap((void *)(uintptr_t)saved->data, saved->nbytes);
  neap_file_close(saved->file);
  free(saved->checked);
  free(saved);
}

/* -- Blocks -- */

/* The last block that begins at or before an item; the index is not empty. */
static uint64_t find_place(const neap_saved *saved, int64_t item) {
  uint64_t low = 0, high = saved->place_count;
  while (high - low > 1) {
    const uint64_t middle = low + (high - low) / 2;
    if (saved->places[middle].first <= item)
      low = middle;
    else
      high = middle;
  }
  return low;
}

/* Whether the file is still as it was, unless that was asked just now. */
static int look_again(neap_saved *saved, neap_error *error) {
  if (saved->file == NULL) return NEAP_OK;
  const int64_t now = now_ns();
  if (now - saved->looked_ns < LOOK_NS) return NEAP_OK;
  saved->looked_ns = now;
  return neap__file_recheck(saved->file, error);
}

static int damaged_block(const neap_saved *saved, uint64_t k,
                         neap_error *error) {
  const neap__saved_place *place = &saved->places[k];
  const uint64_t first = (uint64_t)place->first; /* may be any number */
  return neap__error_set(error, NEAP_EFORMAT, 0,
                         "cannot read %s: the block of items %llu to %llu is "
                         "damaged\nhelp: save the items again",
                         saved->path, (unsigned long long)(first + 1),
                         (unsigned long long)(first + place->count));
}

static bool has_checksum(neap_saved *saved, uint64_t k) {
  const neap__saved_place *place = &saved->places[k];
  const uint8_t bit = (uint8_t)(1 << k % 8);
  if ((saved->checked[k / 8] & bit) != 0) return true;
  if (neap_hash(saved->data + place->offset, place->data_bytes, 0) !=
      place->checksum)
    return false;
  saved->checked[k / 8] |= bit;
  return true;
}

int neap_saved_find(neap_saved *saved, int64_t item, neap_saved_block *out,
                    neap_error *error) {
  *out = (neap_saved_block){0};
  const int rc = look_again(saved, error);
  if (rc != NEAP_OK) return rc;
  if (item < 0 || item >= saved->head->items)
    return neap__error_set(error, NEAP_EINVAL, 0,
                           "cannot read %s: it has no item %lld", saved->path,
                           (long long)item);
  const uint64_t k = find_place(saved, item);
  const neap__saved_place place = saved->places[k];
  if (place.first < 0 || item < place.first ||
      item - place.first >= place.count || place.offset > saved->nbytes ||
      place.offset % NEAP__SAVED_ALIGNMENT != 0 ||
      place.data_bytes > saved->nbytes - place.offset ||
      place.runs > place.nbytes / sizeof(neap__saved_run) ||
      (saved->head->packing == 0 && place.nbytes != place.data_bytes) ||
      !has_checksum(saved, k))
    return damaged_block(saved, k, error);
  *out = (neap_saved_block){
      .number = (int64_t)k,
      .first = place.first,
      .count = place.count,
      .data = saved->data + place.offset,
      .data_bytes = place.data_bytes,
      .nbytes = place.nbytes,
  };
  return NEAP_OK;
}

/* -- Runs -- */

static const neap__saved_run *find_run(const neap__saved_run *runs,
                                       uint32_t count, int64_t item) {
  uint32_t low = 0, high = count;
  while (high - low > 1) {
    const uint32_t middle = low + (high - low) / 2;
    if (runs[middle].first <= item)
      low = middle;
    else
      high = middle;
  }
  return &runs[low];
}

int neap_saved_run(const neap_saved *saved, const neap_saved_block *block,
                   const void *data, int64_t item, neap_run *out,
                   neap_error *error) {
  const uint64_t k = (uint64_t)block->number;
  const uint32_t runs = saved->places[k].runs;
  *out = (neap_run){.slot = -1};
  if (runs == 0) return damaged_block(saved, k, error);
  const neap__saved_run run = *find_run(data, runs, item);
  if (run.first < 0 || item < run.first || run.count > NEAP_RUN_MAX ||
      (uint64_t)(item - run.first) >= run.count ||
      run.offset % NEAP__SAVED_ALIGNMENT != 0 || run.offset > block->nbytes ||
      run.nbytes > block->nbytes - run.offset ||
      run.count > run.nbytes / sizeof(neap_cell))
    return damaged_block(saved, k, error);
  const uint8_t *base = (const uint8_t *)data + run.offset;
  *out = (neap_run){
      .epoch = 1,
      .first = run.first,
      .count = (int32_t)run.count,
      .slot = -1,
      .cells = (const void *)base,
      .base = base,
      .bytes = run.nbytes,
  };
  return NEAP_OK;
}

int neap_saved_get(neap_saved *saved, int64_t item, neap_run *out,
                   neap_error *error) {
  neap_saved_block block;
  *out = (neap_run){.slot = -1};
  const int rc = neap_saved_find(saved, item, &block, error);
  if (rc != NEAP_OK) return rc;
  return neap_saved_run(saved, &block, block.data, item, out, error);
}
