/* SPDX-License-Identifier: MIT */
/* How a failure is told: the caller's neap_error, and names of statuses. */
#include "base/error.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static void fills_status_and_text(void **state) {
  (void)state;
  neap_error error;
  memset(&error, 0xff, sizeof error);
  assert_int_equal(neap__error_set(&error, NEAP_EINVAL, 0,
                                   "cannot read item %d: %s", 7, "too far"),
                   NEAP_EINVAL);
  assert_int_equal(error.status, NEAP_EINVAL);
  assert_int_equal(error.system, 0);
  assert_string_equal(error.text, "cannot read item 7: too far");
}

static void appends_the_meaning_of_errno(void **state) {
  (void)state;
  neap_error error;
  assert_int_equal(neap__error_set(&error, NEAP_ESYSTEM, ENOENT,
                                   "cannot open %s", "/nowhere"),
                   NEAP_ESYSTEM);
  assert_int_equal(error.system, ENOENT);
  assert_string_equal(error.text,
                      "cannot open /nowhere: No such file or directory");
}

static void puts_the_meaning_of_errno_before_the_help(void **state) {
  (void)state;
  neap_error error;
  neap__error_set(&error, NEAP_ESYSTEM, ENOENT, "cannot open %s\nhelp: look",
                  "/nowhere");
  assert_string_equal(
      error.text,
      "cannot open /nowhere: No such file or directory\nhelp: look");
}

static void cuts_a_text_that_is_too_long(void **state) {
  (void)state;
  neap_error error;
  char path[2 * sizeof error.text];
  memset(path, 'x', sizeof path - 1);
  path[sizeof path - 1] = '\0';
  neap__error_set(&error, NEAP_ESYSTEM, ENOENT, "cannot open %s", path);
  assert_int_equal(strlen(error.text), sizeof error.text - 1);
  assert_memory_equal(error.text, "cannot open xxx", 15);
}

static void answers_the_status_where_nobody_listens(void **state) {
  (void)state;
  assert_int_equal(neap__error_set(NULL, NEAP_EMEMORY, ENOMEM, "cannot"),
                   NEAP_EMEMORY);
}

static void names_each_status(void **state) {
  (void)state;
  assert_string_equal(neap_status_name(NEAP_OK), "NEAP_OK");
  assert_string_equal(neap_status_name(NEAP_AGAIN), "NEAP_AGAIN");
  for (int status = NEAP_EINTERRUPTED; status <= NEAP_AGAIN; status++) {
    assert_memory_equal(neap_status_name(status), "NEAP_", 5);
  }
  assert_string_equal(neap_status_name(99), "not a status of neap");
}

/* In a child, as it aborts; what it said comes back through a pipe. */
static void aborts_where_an_assertion_fails(void **state) {
  (void)state;
  int ends[2];
  assert_int_equal(pipe(ends), 0);
  const pid_t child = fork();
  assert_true(child >= 0);
  if (child == 0) {
    const struct rlimit no_core = {0, 0};
    setrlimit(RLIMIT_CORE, &no_core);
    signal(SIGABRT, SIG_DFL);
    dup2(ends[1], STDERR_FILENO);
    NEAP_ASSERT(1 + 1 == 2);
    NEAP_ASSERT(1 + 1 == 3);
    _exit(0);
  }
  close(ends[1]);
  char said[256] = "";
  assert_true(read(ends[0], said, sizeof said - 1) > 0);
  close(ends[0]);
  int status;
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_true(WIFSIGNALED(status));
  assert_int_equal(WTERMSIG(status), SIGABRT);
  assert_non_null(strstr(said, "assertion failed: 1 + 1 == 3"));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(fills_status_and_text),
      cmocka_unit_test(appends_the_meaning_of_errno),
      cmocka_unit_test(puts_the_meaning_of_errno_before_the_help),
      cmocka_unit_test(cuts_a_text_that_is_too_long),
      cmocka_unit_test(answers_the_status_where_nobody_listens),
      cmocka_unit_test(names_each_status),
      cmocka_unit_test(aborts_where_an_assertion_fails),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
