/* SPDX-License-Identifier: MIT */
/*
 * Writes a file of saved items (saved.h tells its layout).
 *
 * The file is PATH.partial until it is whole. A saver that is killed leaves
 * blocks there, each with a checksum; the next saver of the same items keeps
 * those that are whole, up to the first that is not. A lock on the file keeps a
 * second saver out. Its name is changed last, after its bytes are on the disk.
 */
#include "source/saved.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/descriptor.h"
#include "base/error.h"

enum {
  BLOCK_BYTES = 256 << 10,   /* from here on a block is written */
  BLOCK_NS_MAX = 1000000000, /* a younger block may be lost by a kill */
  WRITE_MAX = 1 << 30
};

typedef struct buffer {
  uint8_t *data;
  uint64_t used, capacity;
} buffer;

struct neap_saver {
  int fd;
  char *path, *partial;
  neap__saved_head head;
  char text[NEAP__SAVED_TEXT_MAX];
  int64_t items;      /* in blocks and in the block that is built */
  uint64_t end;       /* of the file */
  uint64_t bytes_max; /* of the file */
  buffer places;      /* of the blocks */
  buffer runs;        /* of the block that is built: places, ... */
  buffer bytes;       /* ... bytes, ... */
  buffer whole;       /* ... and both */
  int64_t block_ns;   /* when it was begun */
};

static int no_memory(neap_error *error, const char *path) {
  return neap__error_set(error, NEAP_EMEMORY, 0, "cannot save %s: no memory",
                         path);
}

static int64_t now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1000000000LL + now.tv_nsec;
}

/* -- Memory -- */

/* Returns room for more bytes behind those that are used, or NULL. */
static void *extend(buffer *b, uint64_t nbytes) {
  if (nbytes > b->capacity - b->used) {
    uint64_t capacity = b->capacity < 4096 ? 4096 : b->capacity;
    while (nbytes > capacity - b->used)
      capacity *= 2;
    uint8_t *data = realloc(b->data, capacity);
    if (data == NULL) return NULL;
    b->data = data;
    b->capacity = capacity;
  }
  void *at = b->data + b->used;
  b->used += nbytes;
  return at;
}

static bool append(buffer *b, const void *data, uint64_t nbytes) {
  void *at = extend(b, nbytes);
  if (at != NULL && nbytes > 0) memcpy(at, data, nbytes);
  return at != NULL;
}

/* -- Writing -- */

static int fail_write(const neap_saver *saver, int system, neap_error *error) {
  const int rc = neap__error_set(error, NEAP_ESYSTEM, system, "cannot write %s",
                                 saver->partial);
  if (error == NULL) return rc;
  const size_t used = strlen(error->text);
  snprintf(error->text + used, sizeof error->text - used,
           "\nhelp: save again when there is room: it goes on after what is in "
           "the .partial file; or delete that");
  return rc;
}

/* Beyond RLIMIT_FSIZE, a write would end the process by SIGXFSZ. */
static int check_room(const neap_saver *saver, uint64_t end,
                      neap_error *error) {
  struct rlimit limit;
  if (end > saver->bytes_max)
    return neap__error_set(error, NEAP_EINVAL, 0,
                           "cannot save %s: it takes more than the %llu bytes "
                           "that are allowed\nhelp: raise the option bytes",
                           saver->path, (unsigned long long)saver->bytes_max);
  if (getrlimit(RLIMIT_FSIZE, &limit) == 0 && end > limit.rlim_cur)
    return fail_write(saver, EFBIG, error);
  return NEAP_OK;
}

static int write_at(neap_saver *saver, const void *data, uint64_t nbytes,
                    uint64_t offset, neap_error *error) {
  const int rc = check_room(saver, offset + nbytes, error);
  if (rc != NEAP_OK) return rc;
  for (uint64_t done = 0; done < nbytes;) {
    const uint64_t left = nbytes - done;
    const ssize_t put =
        pwrite(saver->fd, (const char *)data + done,
               left < WRITE_MAX ? left : WRITE_MAX, (off_t)(offset + done));
    if (put < 0 && errno == EINTR) continue;
    if (put <= 0) return fail_write(saver, put < 0 ? errno : ENOSPC, error);
    done += (uint64_t)put;
  }
  return NEAP_OK;
}

/* -- Going on with what an earlier saver left -- */

/* Whether nbytes could be read; a file that is shorter has no more blocks. */
static bool read_at(const neap_saver *saver, void *to, uint64_t nbytes,
                    uint64_t offset) {
  for (uint64_t done = 0; done < nbytes;) {
    const uint64_t left = nbytes - done;
    const ssize_t got =
        pread(saver->fd, (char *)to + done, left < WRITE_MAX ? left : WRITE_MAX,
              (off_t)(offset + done));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return false;
    done += (uint64_t)got;
  }
  return true;
}

static bool has_same_head(neap_saver *saver) {
  neap__saved_head head;
  char text[NEAP__SAVED_TEXT_MAX];
  return (saver->head.key[0] | saver->head.key[1]) != 0 &&
         read_at(saver, &head, sizeof head, 0) &&
         memcmp(&head, &saver->head, sizeof head) == 0 &&
         read_at(saver, text, head.text_bytes, sizeof head) &&
         memcmp(text, saver->text, head.text_bytes) == 0;
}

/* Whether a whole block stands at the end of what is known; adds it. */
static bool keep_block(neap_saver *saver, uint64_t file_bytes) {
  neap__saved_block block;
  const neap__saved_place *place = &block.place;
  if (!read_at(saver, &block, sizeof block, saver->end) ||
      block.magic != NEAP__SAVED_BLOCK ||
      block.checksum != neap__saved_block_sum(&block) ||
      place->first != saver->items || place->count < 1 ||
      place->count > saver->head.items - saver->items ||
      place->offset != saver->end + sizeof block ||
      place->offset > file_bytes ||
      place->data_bytes > file_bytes - place->offset)
    return false;
  saver->bytes.used = 0;
  void *data = extend(&saver->bytes, place->data_bytes);
  const bool is_whole =
      data != NULL && read_at(saver, data, place->data_bytes, place->offset) &&
      neap_hash(data, place->data_bytes, 0) == place->checksum &&
      append(&saver->places, place, sizeof *place);
  saver->bytes.used = 0;
  if (!is_whole) return false;
  saver->items += place->count;
  saver->end = neap__saved_round(place->offset + place->data_bytes);
  return true;
}

static int begin_file(neap_saver *saver, neap_error *error) {
  struct stat about;
  if (fstat(saver->fd, &about) != 0) return fail_write(saver, errno, error);
  saver->end = saver->head.blocks;
  if (has_same_head(saver)) {
    while (keep_block(saver, (uint64_t)about.st_size))
      continue;
    if (ftruncate(saver->fd, (off_t)saver->end) == 0) return NEAP_OK;
    return fail_write(saver, errno, error);
  }
  if (ftruncate(saver->fd, 0) != 0) return fail_write(saver, errno, error);
  const int rc = write_at(saver, &saver->head, sizeof saver->head, 0, error);
  if (rc != NEAP_OK) return rc;
  return write_at(saver, saver->text, saver->head.text_bytes,
                  sizeof saver->head, error);
}

/* -- Opening -- */

/* Opens the file that has the name when the lock is taken. */
static int lock_file(neap_saver *saver, bool waits, neap_error *error) {
  for (;;) {
    struct stat held, named;
    saver->fd = neap__descriptor_raise(
        open(saver->partial, O_RDWR | O_CREAT | O_CLOEXEC, 0666));
    if (saver->fd < 0)
      return neap__error_set(error, NEAP_ESYSTEM, errno, "cannot open %s",
                             saver->partial);
    while (flock(saver->fd, LOCK_EX | (waits ? 0 : LOCK_NB)) != 0) {
      if (errno == EINTR && waits) continue;
      if (errno == EWOULDBLOCK)
        return neap__error_set(error, NEAP_ESYSTEM, 0,
                               "cannot save %s: another process is saving it",
                               saver->path);
      return neap__error_set(error, NEAP_ESYSTEM, errno, "cannot lock %s",
                             saver->partial);
    }
    if (fstat(saver->fd, &held) == 0 && stat(saver->partial, &named) == 0 &&
        held.st_ino == named.st_ino && held.st_dev == named.st_dev)
      return NEAP_OK;
    close(saver->fd); /* the other saver has finished and renamed it */
    saver->fd = -1;
  }
}

static void describe(neap_saver *saver, const neap_saver_options *options) {
  size_t text_bytes = strlen(options->text);
  if (text_bytes > sizeof saver->text) text_bytes = sizeof saver->text;
  memcpy(saver->text, options->text, text_bytes);
  saver->bytes_max = options->bytes_max == 0 ? INT64_MAX : options->bytes_max;
  saver->head = (neap__saved_head){
      .version = NEAP__SAVED_VERSION,
      .order = NEAP__SAVED_ORDER,
      .key = {options->key[0], options->key[1]},
      .items = options->items,
      .packing = options->packing,
      .text_bytes = (uint32_t)text_bytes,
      .blocks = neap__saved_round(sizeof saver->head + text_bytes),
  };
  memcpy(saver->head.magic, NEAP__SAVED_MAGIC, sizeof saver->head.magic);
  saver->head.checksum = neap__saved_head_sum(&saver->head, saver->text);
}

int neap_saver_open(const neap_saver_options *options, neap_saver **out,
                    neap_error *error) {
  int rc;
  *out = NULL;
  neap_saver *saver = calloc(1, sizeof *saver);
  if (saver == NULL) return no_memory(error, options->path);
  saver->fd = -1;
  saver->path = strdup(options->path);
  if (saver->path == NULL ||
      asprintf(&saver->partial, "%s.partial", options->path) < 0) {
    saver->partial = NULL;
    rc = no_memory(error, options->path);
    goto fail;
  }
  describe(saver, options);
  if ((rc = lock_file(saver, options->waits != 0, error)) != NEAP_OK) goto fail;
  if (options->waits != 0 && access(saver->path, F_OK) == 0) {
    unlink(saver->partial);
    rc = NEAP_END;
    goto fail;
  }
  if ((rc = begin_file(saver, error)) != NEAP_OK) goto fail;
  *out = saver;
  return NEAP_OK;

fail:
  neap_saver_close(saver);
  return rc;
}

int64_t neap_saver_items(const neap_saver *saver) {
  return saver->items;
}

/* -- Blocks -- */

int32_t neap_run_good(const neap_run *run) {
  neap_cell cell;
  for (int32_t k = 0; k < run->count; k++)
    if (run->slot < 0 || neap_run_cell(run, k, &cell, NULL) != NEAP_OK ||
        cell.type == NEAP_FAILURE)
      return k;
  return run->count;
}

int neap_saver_add(neap_saver *saver, const neap_run *run, int32_t count,
                   neap_error *error) {
  const neap__saved_run place = {
      .first = saver->items,
      .count = (uint64_t)count,
      .offset = saver->bytes.used,
      .nbytes = run->bytes,
  };
  static const uint8_t zeros[NEAP__SAVED_ALIGNMENT];
  const uint64_t gap = neap__saved_round(run->bytes) - run->bytes;
  if (saver->runs.used == 0) saver->block_ns = now_ns();
  if (!append(&saver->runs, &place, sizeof place) ||
      !append(&saver->bytes, run->base, run->bytes) ||
      !append(&saver->bytes, zeros, gap))
    return no_memory(error, saver->path);
  saver->items += count;
  return NEAP_OK;
}

int neap_saver_is_due(const neap_saver *saver) {
  return saver->bytes.used >= BLOCK_BYTES ||
         saver->runs.used >= NEAP__SAVED_RUNS_MAX * sizeof(neap__saved_run) ||
         (saver->runs.used > 0 && now_ns() - saver->block_ns > BLOCK_NS_MAX);
}

const void *neap_saver_block(neap_saver *saver, uint64_t *nbytes) {
  const uint64_t count = saver->runs.used / sizeof(neap__saved_run);
  const uint64_t start = neap__saved_round(saver->runs.used);
  neap__saved_run *runs = (void *)saver->runs.data;
  *nbytes = 0;
  if (count == 0) return NULL;
  saver->whole.used = 0;
  uint8_t *whole = extend(&saver->whole, start + saver->bytes.used);
  if (whole == NULL) return NULL;
  memset(whole, 0, start);
  memcpy(whole, runs, saver->runs.used);
  neap__saved_run *places = (void *)whole;
  for (uint64_t k = 0; k < count; k++)
    places[k].offset += start;
  memcpy(whole + start, saver->bytes.data, saver->bytes.used);
  *nbytes = start + saver->bytes.used;
  return whole;
}

int neap_saver_write(neap_saver *saver, const void *packed, uint64_t nbytes,
                     neap_error *error) {
  const neap__saved_run *runs = (const void *)saver->runs.data;
  neap__saved_block block = {
      .magic = NEAP__SAVED_BLOCK,
      .place = {.first = runs[0].first,
                .count = (uint32_t)(saver->items - runs[0].first),
                .runs = (uint32_t)(saver->runs.used / sizeof *runs),
                .offset = saver->end + sizeof block,
                .data_bytes = nbytes,
                .nbytes = saver->whole.used,
                .checksum = neap_hash(packed, nbytes, 0)},
  };
  block.checksum = neap__saved_block_sum(&block);
  int rc = write_at(saver, packed, nbytes, block.place.offset, error);
  if (rc == NEAP_OK)
    rc = write_at(saver, &block, sizeof block, saver->end, error);
  if (rc != NEAP_OK) return rc;
  if (!append(&saver->places, &block.place, sizeof block.place))
    return no_memory(error, saver->path);
  saver->end = neap__saved_round(block.place.offset + nbytes);
  saver->runs.used = saver->bytes.used = 0;
  return NEAP_OK;
}

/* -- The end -- */

static int write_index(neap_saver *saver, neap_error *error) {
  const buffer *places = &saver->places;
  neap__saved_tail tail = {
      .index = saver->end,
      .count = places->used / sizeof(neap__saved_place),
      .items = saver->items,
      .index_checksum = neap_hash(places->data, places->used, 0),
  };
  memcpy(tail.magic, NEAP__SAVED_TAIL, sizeof tail.magic);
  tail.checksum = neap__saved_tail_sum(&tail);
  const uint64_t end = neap__saved_round(saver->end + places->used);
  int rc = write_at(saver, places->data, places->used, saver->end, error);
  if (rc == NEAP_OK) rc = write_at(saver, &tail, sizeof tail, end, error);
  if (rc == NEAP_OK && ftruncate(saver->fd, (off_t)(end + sizeof tail)) != 0)
    rc = fail_write(saver, errno, error);
  return rc;
}

/* So that the new name outlives a power cut. */
static void sync_folder(const char *path) {
  char copy[PATH_MAX];
  if (snprintf(copy, sizeof copy, "%s", path) >= (int)sizeof copy) return;
  const int fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return;
  fsync(fd);
  close(fd);
}

int neap_saver_finish(neap_saver *saver, neap_error *error) {
  if (saver->items != saver->head.items || saver->runs.used > 0)
    return neap__error_set(
        error, NEAP_EINVAL, 0, "cannot finish %s: it has %lld of %lld items",
        saver->path, (long long)saver->items, (long long)saver->head.items);
  const int rc = write_index(saver, error);
  if (rc != NEAP_OK) return rc;
  if (fsync(saver->fd) != 0) return fail_write(saver, errno, error);
  if (rename(saver->partial, saver->path) != 0)
    return neap__error_set(error, NEAP_ESYSTEM, errno, "cannot rename %s to %s",
                           saver->partial, saver->path);
  sync_folder(saver->path);
  return NEAP_OK;
}

void neap_saver_close(neap_saver *saver) {
  if (saver == NULL) return;
  if (saver->fd >= 0) close(saver->fd);
  free(saver->places.data);
  free(saver->runs.data);
  free(saver->bytes.data);
  free(saver->whole.data);
  free(saver->path);
  free(saver->partial);
  free(saver);
}
