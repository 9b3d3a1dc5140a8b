/* SPDX-License-Identifier: MIT */
/*
 * Files of memory for the tensors of chains. Each begins on a page, so that
 * neap_heap_map() maps it. They may grow, but not shrink under a worker.
 */
#include "chain/store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/descriptor.h"
#include "base/error.h"

int neap__store_new(void) {
  const int fd = neap__descriptor_raise(
      memfd_create("neap-chain", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (fd < 0 || fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_SEAL) == 0)
    return fd;
  close(fd);
  return -1;
}

int neap__store_open(neap__store *store, uint64_t nbytes, neap_error *error) {
  void *data = MAP_FAILED;
  const uint64_t mapped = nbytes > 0 ? nbytes : 1;
  *store = (neap__store){.fd = neap__store_new()};
  if (store->fd >= 0 && neap__descriptor_resize(store->fd, mapped) == 0)
    data = mmap(NULL, mapped, PROT_READ | PROT_WRITE,
                MAP_SHARED | MAP_NORESERVE, store->fd, 0);
  if (data != MAP_FAILED) {
    store->data = data;
    store->nbytes = mapped;
    return NEAP_OK;
  }
  const int reason = errno;
  neap__store_close(store);
  return neap__error_set(error, NEAP_EMEMORY, reason,
                         "cannot make a chain: no memory for %llu bytes",
                         (unsigned long long)nbytes);
}

void neap__store_close(neap__store *store) {
  if (store->data != NULL) munmap(store->data, store->nbytes);
  if (store->fd >= 0) close(store->fd);
  *store = (neap__store){.fd = -1};
}

int neap__store_append(int fd, uint64_t *end, const void *data, uint64_t nbytes,
                       uint64_t *offset) {
  const uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
  const char *from = data;
  *offset = (*end + page - 1) / page * page;
  for (uint64_t done = 0; done < nbytes;) {
    const uint64_t left = nbytes - done,
                   part = left < 1u << 30 ? left : 1u << 30;
    const ssize_t got = pwrite(fd, from + done, part, (off_t)(*offset + done));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return -1;
    done += (uint64_t)got;
  }
  *end = *offset + nbytes;
  return 0;
}

int neap__store_share(int fd) {
  char path[64];
  snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
  return neap__descriptor_raise(open(path, O_RDONLY | O_CLOEXEC));
}
