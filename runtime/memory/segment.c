/* SPDX-License-Identifier: MIT */
/*
 * Shared memory without a name: a memfd, its mapping, and its seals.
 *
 * A segment is sparse: pages exist once they are written. It has no name in the
 * file system, so a crash leaves nothing behind.
 *
 * Seals keep workers from changing its size and from adding seals, which would
 * keep others from mapping it. A worker can punch holes, which read as zeroes:
 * the seals against holes would forbid writing too.
 */
#include "memory/segment.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/descriptor.h"
#include "base/error.h"

static int map_whole(neap__segment *segment, neap_error *error) {
  void *base = mmap(NULL, segment->bytes, PROT_READ | PROT_WRITE,
                    MAP_SHARED | MAP_NORESERVE, segment->fd, 0);
  if (base == MAP_FAILED)
    return neap__error_set(error, NEAP_EMEMORY, errno,
                           "cannot reserve %llu bytes of address space",
                           (unsigned long long)segment->bytes);
  /* A core dump would take minutes for these addresses. */
  (void)madvise(base, segment->bytes, MADV_DONTDUMP);
  segment->base = base;
  return NEAP_OK;
}

int neap__segment_open(neap__segment *segment, const char *label,
                       uint64_t bytes, neap_error *error) {
  int rc;
  *segment = (neap__segment){.fd = -1, .bytes = bytes};
  segment->fd = neap__descriptor_raise(
      memfd_create(label, MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (segment->fd < 0) {
    rc = neap__error_set(error, NEAP_ESYSTEM, errno,
                         "cannot create shared memory");
    goto fail;
  }
  if (neap__descriptor_resize(segment->fd, bytes) != 0 ||
      fcntl(segment->fd, F_ADD_SEALS,
            F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0) {
    rc = neap__error_set(error, NEAP_EMEMORY, errno,
                         "cannot size shared memory to %llu bytes",
                         (unsigned long long)bytes);
    goto fail;
  }
  if ((rc = map_whole(segment, error)) != NEAP_OK) goto fail;
  return NEAP_OK;

fail:
  neap__segment_close(segment);
  return rc;
}

int neap__segment_attach(neap__segment *segment, int fd, neap_error *error) {
  struct stat about;
  *segment = (neap__segment){.fd = fd};
  if (fstat(fd, &about) != 0)
    return neap__error_set(error, NEAP_ESYSTEM, errno,
                           "cannot attach to the host's memory");
  segment->bytes = (uint64_t)about.st_size;
  return map_whole(segment, error);
}

void neap__segment_close(neap__segment *segment) {
  if (segment->base != NULL) munmap(segment->base, segment->bytes);
  if (segment->fd >= 0) close(segment->fd);
  *segment = (neap__segment){.fd = -1};
}

uint64_t neap__buffer_trim(neap__buffer *buffer, uint32_t slot, uint64_t kept) {
  const uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
  kept = (kept + page - 1) / page * page;
  if (kept < buffer->slot_bytes)
    (void)fallocate(buffer->segment.fd,
                    FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                    (off_t)(slot * buffer->slot_bytes + kept),
                    (off_t)(buffer->slot_bytes - kept));
  return kept;
}
