/* SPDX-License-Identifier: MIT */
/*
 * The shared heap: blocks of one memfd, for tensors that workers map.
 *
 * The file is sparse and only grows. Each extent is mapped as a whole, so an
 * allocation is an addition, and neighbouring blocks need one kernel mapping.
 * No range is used twice: a worker that still maps a freed block reads zeros,
 * never another tensor. Freeing a block frees its pages and addresses.
 *
 * A heap may be closed before its blocks are freed, since a closing Lua state
 * runs finalizers in any order: the last free then destroys the heap. A forked
 * child inherits the mappings, and would allocate the same ranges as its
 * parent. So it cannot allocate, and a free there only unmaps.
 */
#include "neap_lua.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/descriptor.h"
#include "base/error.h"

enum { EXTENT = 64 << 20 }; /* bytes that the file grows by, at least */

static const uint64_t nbytes_max = (uint64_t)1 << 46; /* of a file */

struct neap_heap {
  int fd;        /* reads and writes; -1: none yet */
  int shared_fd; /* the same file, read-only */
  pid_t pid;     /* the process that opened it */
  bool is_closed;
  uint64_t page;
  uint64_t block_count;
  uint64_t file_bytes;
  char *next; /* what is left of the newest extent */
  uint64_t left;
};

static void destroy(neap_heap *heap) {
  if (heap->left > 0) munmap(heap->next, heap->left);
  if (heap->shared_fd >= 0) close(heap->shared_fd);
  if (heap->fd >= 0) close(heap->fd);
  free(heap);
}

int neap_heap_open(neap_heap **out, neap_error *error) {
  int rc;
  char path[64];
  *out = NULL;
  neap_heap *heap = calloc(1, sizeof *heap);
  if (heap == NULL)
    return neap__error_set(error, NEAP_EMEMORY, 0,
                           "cannot open the shared heap: no memory");
  heap->pid = getpid();
  heap->page = (uint64_t)sysconf(_SC_PAGESIZE);
  heap->shared_fd = -1;
  heap->fd = neap__descriptor_raise(
      memfd_create("neap-heap", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (heap->fd < 0 ||
      fcntl(heap->fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_SEAL) != 0) {
    rc = neap__error_set(error, NEAP_ESYSTEM, errno,
                         "cannot open the shared heap");
    goto fail;
  }
  snprintf(path, sizeof path, "/proc/self/fd/%d", heap->fd);
  heap->shared_fd = neap__descriptor_raise(open(path, O_RDONLY | O_CLOEXEC));
  if (heap->shared_fd < 0) {
    rc =
        neap__error_set(error, NEAP_ESYSTEM, errno,
                        "cannot open the shared heap for reading, by %s", path);
    goto fail;
  }
  *out = heap;
  return NEAP_OK;

fail:
  destroy(heap);
  return rc;
}

/* Drops the rest of the last extent, which has no pages yet. */
static int grow(neap_heap *heap, uint64_t nbytes, neap_error *error) {
  const uint64_t extent = nbytes > EXTENT ? nbytes : EXTENT;
  void *base = MAP_FAILED;
  if (neap__descriptor_resize(heap->fd, heap->file_bytes + extent) == 0)
    base = mmap(NULL, extent, PROT_READ | PROT_WRITE,
                MAP_SHARED | MAP_NORESERVE, heap->fd, (off_t)heap->file_bytes);
  if (base == MAP_FAILED)
    return neap__error_set(error, NEAP_EMEMORY, errno,
                           "cannot allocate %llu bytes in the shared heap",
                           (unsigned long long)nbytes);
  if (heap->left > 0) munmap(heap->next, heap->left);
  heap->file_bytes += extent;
  heap->next = base;
  heap->left = extent;
  return NEAP_OK;
}

int neap_heap_is_ours(const neap_heap *heap) {
  return heap->pid == getpid();
}

static uint64_t whole_pages(const neap_heap *heap, uint64_t nbytes) {
  const uint64_t pages = (nbytes + heap->page - 1) / heap->page;
  return (pages > 0 ? pages : 1) * heap->page;
}

int neap_heap_alloc(neap_heap *heap, uint64_t nbytes, void **out,
                    uint64_t *offset, neap_error *error) {
  *out = NULL;
  *offset = 0;
  if (!neap_heap_is_ours(heap))
    return neap__error_set(error, NEAP_ECLOSED, 0,
                           "cannot allocate in the shared heap: this process "
                           "was forked off the one whose heap it is");
  if (nbytes > nbytes_max || heap->file_bytes > nbytes_max)
    return neap__error_set(error, NEAP_EMEMORY, 0,
                           "cannot allocate %llu bytes in the shared heap: "
                           "it holds %llu at most",
                           (unsigned long long)nbytes,
                           (unsigned long long)nbytes_max);
  const uint64_t whole = whole_pages(heap, nbytes);
  if (whole > heap->left) {
    const int rc = grow(heap, whole, error);
    if (rc != NEAP_OK) return rc;
  }
  *out = heap->next;
  *offset = heap->file_bytes - heap->left;
  heap->next += whole;
  heap->left -= whole;
  heap->block_count++;
  return NEAP_OK;
}

void neap_heap_free(neap_heap *heap, void *block, uint64_t offset,
                    uint64_t nbytes) {
  if (block == NULL) return;
  const uint64_t whole = whole_pages(heap, nbytes);
  NEAP_ASSERT(heap->block_count > 0);
  NEAP_ASSERT(offset % heap->page == 0 && offset + whole <= heap->file_bytes);
  if (neap_heap_is_ours(heap))
    (void)fallocate(heap->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                    (off_t)offset, (off_t)whole);
  munmap(block, whole);
  heap->block_count--;
  if (heap->is_closed && heap->block_count == 0) destroy(heap);
}

int neap_heap_fd(const neap_heap *heap) {
  return heap->shared_fd;
}

int neap_heap_map(int fd, uint64_t offset, uint64_t nbytes, void **out,
                  neap_error *error) {
  struct stat about;
  *out = NULL;
  if (fstat(fd, &about) != 0)
    return neap__error_set(error, NEAP_ESYSTEM, errno,
                           "cannot map a shared tensor");
  const uint64_t size = (uint64_t)about.st_size;
  if (nbytes == 0 || offset > size || nbytes > size - offset)
    return neap__error_set(error, NEAP_EINVAL, 0,
                           "cannot map a shared tensor: bytes %llu + %llu are "
                           "not within the %llu of the heap",
                           (unsigned long long)offset,
                           (unsigned long long)nbytes,
                           (unsigned long long)size);
  void *base = mmap(NULL, nbytes, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_NORESERVE, fd, (off_t)offset);
  if (base == MAP_FAILED)
    return neap__error_set(error, errno == EINVAL ? NEAP_EINVAL : NEAP_EMEMORY,
                           errno, "cannot map a shared tensor of %llu bytes",
                           (unsigned long long)nbytes);
  *out = base;
  return NEAP_OK;
}

void neap_heap_unmap(void *block, uint64_t nbytes) {
  if (block != NULL) munmap(block, nbytes);
}

int neap_heap_freeze(neap_heap *heap, void *block, uint64_t offset,
                     uint64_t nbytes, neap_error *error) {
  const uint64_t whole = whole_pages(heap, nbytes);
  NEAP_ASSERT(offset % heap->page == 0 && offset + whole <= heap->file_bytes);
  if (mmap(block, whole, PROT_READ | PROT_WRITE,
           MAP_PRIVATE | MAP_FIXED | MAP_NORESERVE, heap->fd,
           (off_t)offset) == MAP_FAILED)
    return neap__error_set(error, NEAP_EMEMORY, errno,
                           "cannot share a tensor of %llu bytes",
                           (unsigned long long)nbytes);
  return NEAP_OK;
}

/* Of /proc/self/pagemap: a word for each page. */
#define PAGE_PRESENT ((uint64_t)1 << 63)
#define PAGE_SWAPPED ((uint64_t)1 << 62)
#define PAGE_OF_FILE ((uint64_t)1 << 61)

/* A page of the file was only read; a private page was written. */
static bool is_own(uint64_t word) {
  return (word & PAGE_SWAPPED) != 0 ||
         ((word & PAGE_PRESENT) != 0 && (word & PAGE_OF_FILE) == 0);
}

int neap_heap_is_changed(const void *block, uint64_t nbytes) {
  enum { WORDS = 512 };
  uint64_t words[WORDS];
  const uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
  uint64_t at = (uint64_t)(uintptr_t)block / page;
  const uint64_t end = at + (nbytes + page - 1) / page;
  const int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
  bool is_changed = fd < 0;
  while (!is_changed && at < end) {
    const uint64_t count = end - at < WORDS ? end - at : WORDS;
    const ssize_t got =
        pread(fd, words, count * sizeof *words, (off_t)(at * sizeof *words));
    is_changed = got != (ssize_t)(count * sizeof *words);
    for (uint64_t k = 0; !is_changed && k < count; k++)
      is_changed = is_own(words[k]);
    at += count;
  }
  if (fd >= 0) close(fd);
  return is_changed;
}

void neap_heap_close(neap_heap *heap) {
  if (heap == NULL) return;
  heap->is_closed = true;
  if (heap->block_count == 0) destroy(heap);
}
