/* SPDX-License-Identifier: MIT */
/* The words for items that workers could not compute. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "neap_lua.h"

/* A wait_status, as waitpid() returns it. */
#define EXITED(code) ((code) << 8)
#define KILLED(signal) (signal)

static void explains(const neap_run *run, int status, const char *text) {
  const neap_pool_options options = {.timeout_ns = 500000000,
                                     .memory_bytes = 1 << 25};
  neap_error error;
  assert_int_equal(neap_run_failure(run, &options, &error), status);
  assert_int_equal(error.status, status);
  assert_int_equal(error.system, 0);
  assert_string_equal(error.text, text);
}

static void deaths_name_the_signal_or_the_exit_status(void **state) {
  (void)state;
  neap_run run = {.slot = -1, .attempts = 3, .wait_status = KILLED(SIGKILL)};
  explains(&run, NEAP_EDEATH,
           "a worker died of this item, 3 times; the last by signal 9 "
           "(Killed)");
  run.attempts = 1;
  run.wait_status = EXITED(3);
  explains(&run, NEAP_EDEATH,
           "a worker died of this item, 1 time; the last by exit status 3");
  run.wait_status = NEAP_STATUS_LOST;
  explains(&run, NEAP_EDEATH,
           "a worker died of this item, 1 time; the last by an unknown cause: "
           "this process ignores SIGCHLD or waits for all its children");
}

static void a_timeout_names_the_limit(void **state) {
  (void)state;
  const neap_run run = {.slot = -1,
                        .attempts = 1,
                        .wait_status = KILLED(SIGKILL),
                        .is_overdue = 1};
  explains(&run, NEAP_ETIMEOUT,
           "it took longer than timeout = 0.5 seconds, and its worker was "
           "ended");
}

static void exhausted_memory_names_the_limit_if_there_is_one(void **state) {
  (void)state;
  const neap_run run = {
      .slot = -1, .attempts = 3, .wait_status = EXITED(NEAP_EXIT_MEMORY)};
  explains(&run, NEAP_EMEMORY,
           "a worker ran out of memory at this item, 3 times (memory = "
           "33554432 bytes)");
  const neap_pool_options unlimited = {0};
  neap_error error;
  neap_run_failure(&run, &unlimited, &error);
  assert_string_equal(error.text,
                      "a worker ran out of memory at this item, 3 times");
}

static void a_run_with_a_slot_has_not_failed(void **state) {
  (void)state;
  const neap_run run = {.slot = 0, .count = 1};
  const neap_pool_options options = {0};
  assert_int_equal(neap_run_failure(&run, &options, NULL), NEAP_OK);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(deaths_name_the_signal_or_the_exit_status),
      cmocka_unit_test(a_timeout_names_the_limit),
      cmocka_unit_test(exhausted_memory_names_the_limit_if_there_is_one),
      cmocka_unit_test(a_run_with_a_slot_has_not_failed),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
