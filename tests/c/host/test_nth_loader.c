/* SPDX-License-Identifier: MIT */
/*
 * A loader where the system has no more to give: each call that libneap makes
 * fails once, and each kind of call fails from then on. What is read is right
 * up to one error that says why, nothing hangs, and nothing is left behind.
 */
#include "nth.h"

#include "loader.h"

/* Calls of one life of a loader at most: more is a loop that does not end. */
enum { CALLS_MAX = 2000, ITEMS = 12 };

#define TWELVE \
  "local neap = require('neap')\n" \
  "return neap.range(12):prefetch{workers = 1}\n"

/* What is opened: a file, or the same numbers in a native chain. */
enum source { FILE_OF_LUA, ON_PROCESSES, ON_THREADS };

static enum source source;

/* -- One life -- */

static void tell_the_call(void) {
  const char *name = atomic_load(&nth.failed);
  char text[256];
  const int length = snprintf(
      text, sizeof text, "while call %d of %s%s failed; the last: %s\n",
      nth.first, nth.only == NULL ? "all" : nth.only,
      nth.goes_on ? " and those after it" : "", name == NULL ? "none" : name);
  (void)!__real_write(STDERR_FILENO, text, (size_t)length);
}

static void out_of_time(int signal_number) {
  (void)signal_number;
  tell_the_call();
  _exit(1);
}

/* The one error: what could not be done, and the reason of the failed call. */
static void assert_clear(const neap_error *error) {
  const char *reason = strerror(atomic_load(&nth.reason));
  const bool is_told =
      strstr(error->text, reason) != NULL ||
      (atomic_load(&nth.reason) == ENOMEM && strstr(error->text, "memory")) ||
      strstr(error->text, "sent a damaged answer") != NULL;
  if (strncmp(error->text, "cannot ", 7) == 0 && is_told) return;
  tell_the_call();
  fail_msg("no clear word of '%s': '%s'", reason, error->text);
}

static void read_on(neap_loader *loader, bool has_fd) {
  neap_item *item;
  neap_error error = {0};
  int64_t next = 0;
  int rc;
  while ((rc = has_fd && next % 2 == 0
                   ? neap_try_next(loader, &item, &error)
                   : neap_next(loader, &item, &error)) >= 0) {
    if (rc == NEAP_END) break;
    if (rc == NEAP_AGAIN) continue;
    assert_int_equal(neap_item_index(item), next);
    assert_true(number_of(item) == (double)++next);
    neap_item_release(item);
  }
  if (rc < 0) neap_item_release(item); /* which may be one that failed */
  if (rc == NEAP_END)
    assert_int_equal(next, ITEMS);
  else
    assert_clear(&error);
}

static int open_file(const scene *s, neap_loader **loader, neap_error *error) {
  char path[PATH_MAX];
  snprintf(path, sizeof path, "%s/loader.lua", s->folder);
  return neap_open(path, &s->options, loader, error);
}

static int open_chain(const scene *s, neap_loader **loader, neap_error *error) {
  neap_chain *chain;
  neap_seq *tree;
  const neap_stage_options stage = {.lib = "libm.so.6",
                                    .declaration = "double fabs(double)",
                                    .where = "a.c:1"};
  *loader = NULL;
  int rc = neap_chain_range(1, 1, ITEMS, &chain, error);
  if (rc == NEAP_OK) rc = neap_chain_map(chain, &stage, &chain, error);
  if (rc != NEAP_OK) return rc;
  rc = neap_seq_leaf(ITEMS, 0, &tree, error);
  if (rc != NEAP_OK) {
    neap_chain_free(chain);
    return rc;
  }
  rc = neap_chain_arrange(tree, &chain, 1, &chain, error);
  if (rc != NEAP_OK) return rc;
  return neap_chain_prefetch(chain, &s->options, loader, error);
}

static void live(scene *s) {
  neap_loader *loader;
  neap_error error = {0};
  int fd;
  nth_arm();
  const int rc = source == FILE_OF_LUA ? open_file(s, &loader, &error)
                                       : open_chain(s, &loader, &error);
  if (rc != NEAP_OK) {
    assert_null(loader);
    assert_clear(&error);
  } else {
    const bool has_fd = neap_fd(loader, &fd, &error) == NEAP_OK;
    if (!has_fd) assert_clear(&error);
    read_on(loader, has_fd);
  }
  neap_close(loader);
  nth_disarm();
}

/* -- Failing each call in turn -- */

/* Returns how many calls failed. */
static int live_through(scene *s) {
  const footprint before = measure_footprint();
  const int blocks = atomic_load(&nth.blocks);
  alarm(DEADLINE_S);
  live(s);
  if (atomic_load(&nth.blocks) != blocks) tell_the_call();
  assert_int_equal(atomic_load(&nth.blocks), blocks);
  assert_untouched(&before);
  return atomic_load(&nth.failures);
}

static void fail_each(scene *s, const char *only, bool goes_on) {
  int call = 1;
  do
    nth_plan(only, call, goes_on);
  while (live_through(s) > 0 && call++ < CALLS_MAX);
  assert_true(call <= CALLS_MAX);
  nth_plan(NULL, 0, false);
}

/* The executable beside the tests: where it is looked for is not the matter. */
static const char *executable(void) {
  static char path[PATH_MAX];
  const ssize_t length = readlink("/proc/self/exe", path, sizeof path - 32);
  assert_true(length > 0);
  path[length] = '\0';
  strcpy(strrchr(path, '/'), "/../bin/neap");
  return path;
}

static int begin_calls(void **state) {
  const struct sigaction action = {.sa_handler = out_of_time};
  sigaction(SIGALRM, &action, NULL);
  const int rc = begin(state);
  scene *s = *state;
  s->options.executable = executable();
  s->options.workers = source == ON_PROCESSES ? 1 : NEAP_UNSET;
  s->options.threads = source == ON_THREADS ? 1 : NEAP_UNSET;
  write_file(*state, "loader.lua", TWELVE);
  nth_plan(NULL, 0, false);
  live(*state); /* what is kept for the next loader is there now */
  return rc;
}

static int begin_processes(void **state) {
  source = ON_PROCESSES;
  return begin_calls(state);
}

static int begin_threads(void **state) {
  source = ON_THREADS;
  return begin_calls(state);
}

static int finish_calls(void **state) {
  nth_disarm();
  nth_plan(NULL, 0, false);
  return finish(state);
}

static void survives_the_failure_of_any_call(void **state) {
  fail_each(*state, NULL, false);
}

/* Kinds that fail for good: the calls of all kinds are known by now. */
static void survives_calls_that_fail_for_good(void **state) {
  for (int k = 0; k < NTH_NAMES_MAX && nth.names[k] != NULL; k++) {
    const char *name = nth.names[k];
    const bool is_interrupted = strcmp(name, "read") == 0 ||
                                strcmp(name, "write") == 0 ||
                                strcmp(name, "futex") == 0;
    if (is_interrupted) continue; /* EINTR each time is no system */
    nth_plan(name, 1, true);
    live_through(*state);
  }
  nth_plan(NULL, 0, false);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(survives_the_failure_of_any_call,
                                      begin_calls, finish_calls),
      cmocka_unit_test_setup_teardown(survives_calls_that_fail_for_good,
                                      begin_calls, finish_calls),
      cmocka_unit_test_setup_teardown(survives_the_failure_of_any_call,
                                      begin_processes, finish_calls),
      cmocka_unit_test_setup_teardown(survives_calls_that_fail_for_good,
                                      begin_processes, finish_calls),
      cmocka_unit_test_setup_teardown(survives_the_failure_of_any_call,
                                      begin_threads, finish_calls),
      cmocka_unit_test_setup_teardown(survives_calls_that_fail_for_good,
                                      begin_threads, finish_calls),
  };
  return cmocka_run_group_tests(tests, start_threads, NULL);
}
