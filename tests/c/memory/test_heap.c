/* SPDX-License-Identifier: MIT */
/* The shared heap: what host and worker see, and what is given back. */
#include "neap_lua.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { BLOCK = 100000, LARGE = 100 << 20 };

static int descriptor_count(void) {
  int count = 0;
  DIR *folder = opendir("/proc/self/fd");
  while (readdir(folder) != NULL)
    count++;
  closedir(folder);
  return count;
}

static int64_t pages_in_use(const neap_heap *heap) {
  struct stat about;
  assert_int_equal(fstat(neap_heap_fd(heap), &about), 0);
  return about.st_blocks / 8;
}

static int setup(void **state) {
  neap_heap *heap;
  neap_error error;
  if (neap_heap_open(&heap, &error) != NEAP_OK) return -1;
  *state = heap;
  return 0;
}

static int teardown(void **state) {
  neap_heap_close(*state);
  return 0;
}

static char *alloc(neap_heap *heap, uint64_t nbytes, uint64_t *offset) {
  void *block;
  neap_error error;
  if (neap_heap_alloc(heap, nbytes, &block, offset, &error) != NEAP_OK)
    fail_msg("%s", error.text);
  return block;
}

static void blocks_are_zero_and_apart(void **state) {
  uint64_t a_offset, b_offset;
  char *a = alloc(*state, BLOCK, &a_offset);
  char *b = alloc(*state, 0, &b_offset);
  for (int k = 0; k < BLOCK; k++)
    assert_int_equal(a[k], 0);
  memset(a, 1, BLOCK);
  assert_int_equal(*b, 0);
  assert_int_equal((uintptr_t)a % 4096, 0);
  assert_true(b_offset >= a_offset + BLOCK);
  neap_heap_free(*state, a, a_offset, BLOCK);
  neap_heap_free(*state, b, b_offset, 0);
}

static void a_frozen_block_is_written_here_alone(void **state) {
  uint64_t offset;
  void *map;
  char *block = alloc(*state, BLOCK, &offset);
  uint64_t next_offset;
  char *next = alloc(*state, BLOCK, &next_offset);
  strcpy(block, "before");
  assert_int_equal(neap_heap_freeze(*state, block, offset, BLOCK, NULL), 0);
  assert_int_equal(neap_heap_is_changed(block, BLOCK), 0);
  assert_string_equal(block, "before");
  assert_int_equal(neap_heap_is_changed(block, BLOCK), 0);
  assert_int_equal(
      neap_heap_map(neap_heap_fd(*state), offset, BLOCK, &map, NULL), NEAP_OK);
  block[BLOCK - 1] = 7;
  strcpy(next, "next");
  assert_int_equal(neap_heap_is_changed(block, BLOCK), 1);
  assert_string_equal(map, "before");
  assert_int_equal(((char *)map)[BLOCK - 1], 0);
  neap_heap_unmap(map, BLOCK);
  assert_int_equal(
      neap_heap_map(neap_heap_fd(*state), next_offset, BLOCK, &map, NULL), 0);
  assert_string_equal(map, "next"); /* is not frozen */
  neap_heap_unmap(map, BLOCK);
  neap_heap_free(*state, block, offset, BLOCK);
  neap_heap_free(*state, next, next_offset, BLOCK);
}

static void a_map_shows_a_block(void **state) {
  uint64_t offset;
  void *map;
  char *block = alloc(*state, BLOCK, &offset);
  strcpy(block + 90000, "hello");
  assert_int_equal(
      neap_heap_map(neap_heap_fd(*state), offset, BLOCK, &map, NULL), NEAP_OK);
  assert_string_equal((char *)map + 90000, "hello");
  strcpy((char *)map + 90000, "mine"); /* copied on write */
  assert_string_equal(block + 90000, "hello");
  neap_heap_unmap(map, BLOCK);
  neap_heap_free(*state, block, offset, BLOCK);
}

static void the_descriptor_cannot_write(void **state) {
  const int fd = neap_heap_fd(*state);
  uint64_t offset;
  char *block = alloc(*state, BLOCK, &offset);
  assert_int_equal(pwrite(fd, "x", 1, 0), -1);
  assert_ptr_equal(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0),
                   MAP_FAILED);
  assert_int_equal(ftruncate(fd, 0), -1);
  assert_int_equal(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
  assert_int_equal(fcntl(fd, F_GET_SEALS), F_SEAL_SHRINK | F_SEAL_SEAL);
  neap_heap_free(*state, block, offset, BLOCK);
}

static void a_freed_block_gives_its_pages_back(void **state) {
  uint64_t offset, next_offset;
  char *block = alloc(*state, BLOCK, &offset);
  memset(block, 1, BLOCK);
  assert_true(pages_in_use(*state) >= BLOCK / 4096);
  neap_heap_free(*state, block, offset, BLOCK);
  assert_int_equal(pages_in_use(*state), 0);
  block = alloc(*state, BLOCK, &next_offset);
  assert_true(next_offset >= offset + BLOCK); /* never used twice */
  neap_heap_free(*state, block, next_offset, BLOCK);
}

static void grows_past_an_extent(void **state) {
  uint64_t offset[3];
  char *small = alloc(*state, BLOCK, &offset[0]);
  char *large = alloc(*state, LARGE, &offset[1]);
  char *after = alloc(*state, BLOCK, &offset[2]);
  small[BLOCK - 1] = large[LARGE - 1] = after[BLOCK - 1] = 1;
  assert_true(offset[1] >= offset[0] + BLOCK);
  assert_true(offset[2] >= offset[1] + LARGE);
  neap_heap_free(*state, large, offset[1], LARGE);
  assert_int_equal(small[BLOCK - 1], 1);
  assert_int_equal(after[BLOCK - 1], 1);
  neap_heap_free(*state, small, offset[0], BLOCK);
  neap_heap_free(*state, after, offset[2], BLOCK);
}

static void refuses_what_cannot_be(void **state) {
  neap_error error;
  uint64_t offset;
  void *block = state;
  assert_int_equal(neap_heap_alloc(*state, UINT64_MAX, &block, &offset, &error),
                   NEAP_EMEMORY);
  assert_null(block);
  assert_non_null(strstr(error.text, "cannot allocate 18446744073709551615 "));
}

static void refuses_maps_outside_the_heap(void **state) {
  const int fd = neap_heap_fd(*state);
  neap_error error;
  uint64_t offset;
  void *map = state;
  char *block = alloc(*state, BLOCK, &offset);
  assert_int_equal(neap_heap_map(fd, 64 << 20, 1, &map, &error), NEAP_EINVAL);
  assert_null(map);
  assert_non_null(strstr(error.text, "bytes 67108864 + 1 are not within the "
                                     "67108864 of the heap"));
  assert_int_equal(neap_heap_map(fd, 4096, UINT64_MAX, &map, NULL),
                   NEAP_EINVAL);
  assert_int_equal(neap_heap_map(fd, UINT64_MAX, 2, &map, NULL), NEAP_EINVAL);
  assert_int_equal(neap_heap_map(fd, 0, 0, &map, NULL), NEAP_EINVAL);
  assert_int_equal(neap_heap_map(fd, 1, 2, &map, NULL), NEAP_EINVAL);
  assert_int_equal(neap_heap_map(-1, 0, 4096, &map, &error), NEAP_ESYSTEM);
  assert_int_equal(error.system, EBADF);
  neap_heap_free(*state, block, offset, BLOCK);
}

static void blocks_outlive_close(void **state) {
  (void)state;
  const int before = descriptor_count();
  neap_heap *heap;
  uint64_t offset[2];
  assert_int_equal(neap_heap_open(&heap, NULL), NEAP_OK);
  char *a = alloc(heap, BLOCK, &offset[0]);
  char *b = alloc(heap, BLOCK, &offset[1]);
  neap_heap_close(heap);
  neap_heap_free(heap, a, offset[0], BLOCK);
  b[BLOCK - 1] = 1;
  assert_int_equal(descriptor_count(), before + 2);
  neap_heap_free(heap, b, offset[1], BLOCK);
  assert_int_equal(descriptor_count(), before);
  neap_heap_close(NULL);
}

/* A finaliser that runs in a child must leave the parent's pages alone. */
static void a_forked_child_frees_nothing(void **state) {
  uint64_t offset;
  int status;
  char *block = alloc(*state, BLOCK, &offset);
  strcpy(block, "parent");
  const pid_t child = fork();
  if (child == 0) {
    neap_heap_free(*state, block, offset, BLOCK);
    _exit(0);
  }
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_int_equal(status, 0);
  assert_string_equal(block, "parent");
  neap_heap_free(*state, block, offset, BLOCK);
}

/* It would give out what the parent gives out next. */
static void a_forked_child_allocates_nothing(void **state) {
  uint64_t offset;
  int status;
  assert_true(neap_heap_is_ours(*state));
  const pid_t child = fork();
  if (child == 0) {
    neap_error error = {0};
    void *block = state;
    if (neap_heap_is_ours(*state)) _exit(1);
    if (neap_heap_alloc(*state, BLOCK, &block, &offset, &error) != NEAP_ECLOSED)
      _exit(2);
    if (block != NULL || strstr(error.text, "was forked off") == NULL) _exit(3);
    _exit(0);
  }
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_int_equal(status, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(blocks_are_zero_and_apart),
      TEST(a_frozen_block_is_written_here_alone),
      TEST(a_map_shows_a_block),
      TEST(the_descriptor_cannot_write),
      TEST(a_freed_block_gives_its_pages_back),
      TEST(grows_past_an_extent),
      TEST(refuses_what_cannot_be),
      TEST(refuses_maps_outside_the_heap),
      TEST(a_forked_child_frees_nothing),
      TEST(a_forked_child_allocates_nothing),
      cmocka_unit_test(blocks_outlive_close),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
