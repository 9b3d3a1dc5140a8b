/* SPDX-License-Identifier: MIT */
/* Tells the process that opened an object from its forked children. */
#include "base/origin.h"

#include <sys/mman.h>

static size_t page_bytes(void) {
  return (size_t)sysconf(_SC_PAGESIZE);
}

void neap__origin_open(neap__origin *origin) {
  void *page = mmap(NULL, page_bytes(), PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  *origin = (neap__origin){.pid = getpid()};
  if (page == MAP_FAILED) return;
  if (madvise(page, page_bytes(), MADV_WIPEONFORK) != 0) {
    munmap(page, page_bytes());
    return;
  }
  origin->page = page;
  *origin->page = 1;
}

void neap__origin_close(neap__origin *origin) {
  if (origin->page != NULL)
    munmap((void *)(uintptr_t)origin->page, page_bytes());
  *origin = (neap__origin){0};
}
