/* SPDX-License-Identifier: MIT */
/* Reads of files in threads: what arrives, what fails, what is given up. */
#include "neap_lua.h"

#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { WAIT_MS = 10000 };

static char path[] = "/tmp/neap-reads-XXXXXX";
static neap_error error;

static int write_file(void **state) {
  (void)state;
  const int fd = mkstemp(path);
  if (fd < 0) return -1;
  for (int k = 0; k < 1000; k++)
    if (write(fd, "0123456789", 10) != 10) return -1;
  return close(fd);
}

static int remove_file(void **state) {
  (void)state;
  return unlink(path);
}

static void await(const neap_read *read) {
  struct pollfd poll_fd = {.fd = neap_read_fd(read), .events = POLLIN};
  assert_int_equal(poll(&poll_fd, 1, WAIT_MS), 1);
}

static neap_reads *open_reads(int32_t threads_max) {
  neap_reads *reads;
  assert_int_equal(neap_reads_open(threads_max, &reads, &error), NEAP_OK);
  return reads;
}

static neap_read *start(neap_reads *reads, const char *from, int64_t offset,
                        int64_t nbytes) {
  neap_read *read;
  assert_int_equal(neap_read_start(reads, from, offset, nbytes, &read, &error),
                   NEAP_OK);
  return read;
}

static void parts_and_wholes_arrive(void **state) {
  (void)state;
  const void *data;
  int64_t nbytes;
  neap_reads *reads = open_reads(2);
  neap_read *part = start(reads, path, 13, 4);
  neap_read *whole = start(reads, path, 0, -1);
  neap_read *none = start(reads, path, 10000, -1);
  await(whole);
  await(part);
  await(none);
  assert_int_equal(neap_read_data(part, &data, &nbytes, &error), NEAP_OK);
  assert_int_equal(nbytes, 4);
  assert_memory_equal(data, "3456", 4);
  assert_int_equal(neap_read_data(whole, &data, &nbytes, &error), NEAP_OK);
  assert_int_equal(nbytes, 10000);
  assert_memory_equal((const char *)data + 9990, "0123456789", 10);
  assert_int_equal(neap_read_data(none, &data, &nbytes, &error), NEAP_OK);
  assert_int_equal(nbytes, 0);
  neap_read_free(part);
  neap_read_free(whole);
  neap_reads_close(reads);
  neap_read_free(none); /* it may outlive the reads */
}

static void assert_fails(const char *from, int64_t offset, int64_t nbytes,
                         int status, const char *text) {
  const void *data;
  int64_t count;
  neap_reads *reads = open_reads(1);
  neap_read *read = start(reads, from, offset, nbytes);
  await(read);
  assert_int_equal(neap_read_data(read, &data, &count, &error), status);
  assert_non_null(strstr(error.text, from));
  if (strstr(error.text, text) == NULL) fail_msg("%s", error.text);
  assert_null(data);
  neap_read_free(read);
  neap_reads_close(reads);
}

static void failures_name_the_path(void **state) {
  (void)state;
  assert_fails("/nowhere/at/all", 0, 1, NEAP_ESYSTEM, "No such file");
  assert_fails("/tmp", 0, 1, NEAP_ESYSTEM, "Is a directory");
  assert_fails(path, 9999, 2, NEAP_EFORMAT, "has 10000 bytes, not 9999 + 2");
  assert_fails(path, INT64_MAX, 2, NEAP_EFORMAT, "has 10000 bytes, not");
  neap_reads *reads;
  assert_int_equal(neap_reads_open(0, &reads, &error), NEAP_EINVAL);
}

static void a_caller_may_read_alone(void **state) {
  (void)state;
  const void *data;
  int64_t nbytes;
  neap_read *read = start(NULL, path, 5, 3);
  assert_int_equal(neap_read_fd(read), -1);
  assert_int_equal(neap_read_data(read, &data, &nbytes, &error), NEAP_OK);
  assert_memory_equal(data, "567", 3);
  neap_read_free(read);
  read = start(NULL, "/nowhere", 5, 3);
  assert_int_equal(neap_read_data(read, &data, &nbytes, &error), NEAP_ESYSTEM);
  neap_read_free(read);
}

static void many_reads_share_few_threads(void **state) {
  (void)state;
  enum { COUNT = 500 };
  neap_read *list[COUNT];
  const void *data;
  int64_t nbytes;
  neap_reads *reads = open_reads(4);
  for (int k = 0; k < COUNT; k++)
    list[k] = start(reads, path, k, 10);
  for (int k = 0; k < COUNT; k++) {
    await(list[k]);
    assert_int_equal(neap_read_data(list[k], &data, &nbytes, &error), NEAP_OK);
    assert_int_equal(*(const char *)data, '0' + k % 10);
    neap_read_free(list[k]);
  }
  neap_reads_close(reads);
}

static void reads_are_given_up_in_any_state(void **state) {
  (void)state;
  for (int round = 0; round < 200; round++) {
    neap_read *list[20];
    neap_reads *reads = open_reads(3);
    for (int k = 0; k < 20; k++)
      list[k] = start(reads, path, k, -1);
    if (round % 2 == 0) neap_reads_close(reads);
    for (int k = 0; k < 20; k++)
      neap_read_free(list[(k * 7 + round) % 20]);
    if (round % 2 != 0) neap_reads_close(reads);
  }
  neap_read_free(NULL);
  neap_reads_close(NULL);
}

static void a_forked_child_is_refused(void **state) {
  (void)state;
  neap_reads *reads = open_reads(1);
  neap_read *read = start(reads, path, 0, -1);
  const pid_t child = fork();
  if (child == 0) {
    neap_read *other;
    const int rc = neap_read_start(reads, path, 0, -1, &other, &error);
    neap_read_free(read);
    neap_reads_close(reads);
    _exit(rc == NEAP_ECLOSED ? 0 : 1);
  }
  int status;
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_int_equal(status, 0);
  await(read);
  neap_read_free(read);
  neap_reads_close(reads);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(parts_and_wholes_arrive),
      cmocka_unit_test(failures_name_the_path),
      cmocka_unit_test(a_caller_may_read_alone),
      cmocka_unit_test(many_reads_share_few_threads),
      cmocka_unit_test(reads_are_given_up_in_any_state),
      cmocka_unit_test(a_forked_child_is_refused),
  };
  return cmocka_run_group_tests(tests, write_file, remove_file);
}
