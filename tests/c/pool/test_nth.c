/* SPDX-License-Identifier: MIT */
/*
 * libneap where the system has no more to give: each call that it makes fails
 * once, and each kind of call fails from then on. Whichever it is, what is read
 * is right up to one error that says why, nothing hangs, and nothing is left
 * behind.
 */
#include "nth.h"

#include "host.h"

/* Calls of one life of a pool at most: more is a loop that does not end. */
enum { CALLS_MAX = 2000 };

static const char *const NTH_WORKER = "NEAP_TEST_NTH";

typedef void scenario(host *h);

/* -- Failing each call in turn -- */

static void tell_the_call(void) {
  const char *name = atomic_load(&nth.failed);
  char text[256];
  const int length = snprintf(
      text, sizeof text, "while call %d of %s%s failed; the last: %s\n",
      nth.first, nth.only == NULL ? "all" : nth.only,
      nth.goes_on ? " and those after it" : "", name == NULL ? "none" : name);
  (void)!__real_write(STDERR_FILENO, text, (size_t)length);
}

static void out_of_time(int signal) {
  (void)signal;
  tell_the_call();
  _exit(1);
}

static int set_up_calls(void **state) {
  const struct sigaction action = {.sa_handler = out_of_time};
  sigaction(SIGALRM, &action, NULL);
  return set_up(state);
}

static int tear_down_calls(void **state) {
  nth_disarm();
  if (nth.first != 0) tell_the_call(); /* the test did not come to its end */
  nth_plan(NULL, 0, false);
  return tear_down(state);
}

/* One life, whose calls fail as planned; answers how many did. */
static int live_through(host *h, scenario *live) {
  const footprint before = measure_footprint();
  const int blocks = atomic_load(&nth.blocks);
  alarm(DEADLINE_S);
  forget(h);
  live(h);
  assert_int_equal(atomic_load(&nth.blocks), blocks);
  assert_untouched(&before);
  return atomic_load(&nth.failures);
}

static void fail_each(host *h, scenario *live, const char *only, bool goes_on) {
  int call = 1;
  do
    nth_plan(only, call, goes_on);
  while (live_through(h, live) > 0 && call++ < CALLS_MAX);
  if (call > CALLS_MAX) fail_msg("it makes more than %d calls", CALLS_MAX);
  nth_plan(NULL, 0, false);
}

/* -- What a life may be -- */

/* The one error: what could not be done, and the reason of the failed call. */
static void assert_clear(const neap_error *error) {
  const char *reason = strerror(atomic_load(&nth.reason));
  const bool is_told =
      strstr(error->text, reason) != NULL ||
      (atomic_load(&nth.reason) == ENOMEM && strstr(error->text, "memory"));
  if (strncmp(error->text, "cannot ", 7) != 0 || !is_told)
    fail_msg("no clear word of '%s': '%s'", reason, error->text);
  assert_true(error->status == NEAP_ESYSTEM || error->status == NEAP_EMEMORY ||
              error->status == NEAP_EWORKER);
}

/* Reads from item `from` to the end, or to an error that is clear. */
static void read_on(host *h, neap_pool *pool, int64_t from) {
  neap_run run;
  neap_error error = {0};
  int rc;
  while ((rc = neap_pool_next(pool, &run, &error)) == NEAP_OK) {
    assert_int_equal(run.first, from);
    check_run(h, &run);
    from += run.count;
    neap_pool_release(pool, run.slot);
  }
  assert_int_equal(run.slot, -1);
  if (rc == NEAP_END)
    assert_int_equal(from, h->options.length);
  else
    assert_clear(&error);
}

static void open_read_and_close(host *h) {
  neap_pool *pool = (void *)h;
  neap_error error = {0};
  h->options.chain = &h->program;
  nth_arm();
  if (neap_pool_open(&h->options, &pool, &error) == NEAP_OK) {
    read_on(h, pool, 0);
  } else {
    assert_null(pool);
    assert_clear(&error);
  }
  neap_pool_close(pool);
  nth_disarm();
}

static neap_pool *open_and_read(host *h, int64_t to) {
  neap_pool *pool = open_loader(h);
  read_in_order(h, pool, 1, 0, to);
  await(pid_of(pool, h->options.workers - 1) > 0);
  return pool;
}

static void lose_a_worker(host *h) {
  neap_pool *pool = open_and_read(h, 8);
  nth_arm();
  kill(pid_of(pool, 0), SIGKILL);
  read_on(h, pool, 8);
  neap_pool_close(pool);
  nth_disarm();
}

static void close_only(host *h) {
  neap_pool *pool = open_and_read(h, 8);
  nth_arm();
  neap_pool_close(pool);
  nth_disarm();
}

static void small(host *h) {
  h->options.length = 40;
  h->options.buffered = 4;
  h->options.chunk = 1;
  h->options.slot_bytes = 1 << 16;
}

/* -- The pool -- */

static void any_call_may_fail(void **state) {
  host *h = *state;
  small(h);
  fail_each(h, open_read_and_close, NULL, false);
}

static void each_kind_of_call_may_fail_for_good(void **state) {
  host *h = *state;
  small(h);
  nth_plan(NULL, 0, false);
  assert_int_equal(live_through(h, open_read_and_close), 0);
  int kinds = 0;
  for (; nth.names[kinds] != NULL; kinds++)
    if (strcmp(nth.names[kinds], "write") != 0) /* to the bell: cannot fail */
      fail_each(h, open_read_and_close, nth.names[kinds], true);
  assert_true(kinds > 15);
}

static void any_call_may_fail_as_a_worker_is_replaced(void **state) {
  host *h = *state;
  small(h);
  h->options.workers = 1;
  fail_each(h, lose_a_worker, NULL, false);
}

static void any_call_may_fail_as_it_is_closed(void **state) {
  host *h = *state;
  small(h);
  fail_each(h, close_only, NULL, false);
}

/* One that works on and on is killed. */
static void any_call_may_fail_as_a_busy_one_is_closed(void **state) {
  host *h = *state;
  small(h);
  plan(h, SLEEP, INT32_MAX, 10);
  fail_each(h, close_only, NULL, false);
}

/* Reads past the one item that never ends. */
static void outwait_a_hang(host *h) {
  neap_run run;
  neap_pool *pool = open_and_read(h, 10);
  nth_arm();
  next_run(pool, &run);
  nth_disarm();
  assert_int_equal(run.first, 10);
  assert_int_equal(run.is_overdue, 1);
  read_in_order(h, pool, 1, 11, h->options.length);
  neap_pool_close(pool);
}

static void an_overdue_worker_ends_without_the_right_to_kill(void **state) {
  host *h = *state;
  small(h);
  h->options.timeout_ns = 100000000;
  plan(h, SLEEP, INT32_MAX, 10);
  nth_plan("pidfd_send_signal", 1, false);
  assert_int_equal(live_through(h, outwait_a_hang), 1);
}

/* -- In the worker -- */

/* Where the host said so in the environment, its n-th call fails. */
static int worker_with_calls(void) {
  neap_worker *worker;
  neap_error error = {0};
  const char *wish = getenv(NTH_WORKER);
  nth_plan(NULL, wish == NULL ? 0 : atoi(wish), false);
  nth_arm();
  const int rc = neap_worker_attach(&worker, &error);
  nth_disarm();
  if (rc != NEAP_OK) {
    fprintf(stderr, "%s\n", error.text);
    _exit(94);
  }
  const program p = program_of(worker);
  tally *counts = open_tally(&p);
  atomic_fetch_add(&counts->events, atomic_load(&nth.failures));
  munmap(counts, sizeof *counts);
  return serve(worker);
}

/* Whether all was read; if not, an error says why. */
static bool read_or_be_told(host *h) {
  neap_run run;
  neap_error error = {0};
  int rc;
  neap_pool *pool = open_loader(h);
  while ((rc = neap_pool_next(pool, &run, &error)) == NEAP_OK)
    neap_pool_release(pool, run.slot);
  neap_pool_close(pool);
  if (rc == NEAP_END) return true;
  assert_int_equal(rc, NEAP_EWORKER);
  assert_int_equal(strncmp(error.text, "cannot start workers: ", 22), 0);
  assert_non_null(strstr(error.text, "status 94, and wrote:\ncannot "));
  return false;
}

static void any_call_of_a_worker_may_fail(void **state) {
  host *h = *state;
  small(h);
  h->program.at = INT64_MAX; /* events are the calls that failed */
  int told = 0;
  bool is_over = false;
  for (int call = 1; !is_over; call++) {
    char number[16];
    const footprint before = measure_footprint();
    alarm(DEADLINE_S);
    forget(h);
    snprintf(number, sizeof number, "%d", call);
    setenv(NTH_WORKER, number, 1);
    const bool is_well = read_or_be_told(h);
    unsetenv(NTH_WORKER);
    assert_untouched(&before);
    if (!is_well) told++;
    is_over = is_well && atomic_load(&h->tally->events) == 0;
    assert_true(call < CALLS_MAX);
  }
  assert_true(told >= 5);
}

/* -- All else that asks the system for something -- */

static void use_heap(host *h) {
  neap_heap *heap;
  neap_error error = {0};
  void *block = NULL, *map = NULL;
  uint64_t offset = 0;
  (void)h;
  nth_arm();
  int rc = neap_heap_open(&heap, &error);
  if (rc == NEAP_OK) rc = neap_heap_alloc(heap, 5000, &block, &offset, &error);
  if (rc == NEAP_OK)
    rc = neap_heap_map(neap_heap_fd(heap), offset, 5000, &map, &error);
  neap_heap_unmap(map, 5000);
  if (block != NULL) neap_heap_free(heap, block, offset, 5000);
  neap_heap_close(heap);
  nth_disarm();
  if (rc != NEAP_OK) assert_clear(&error);
}

static void a_heap_may_be_short_of_anything(void **state) {
  fail_each(*state, use_heap, NULL, false);
}

static int chain(neap_seq **out, neap_error *error) {
  static const double weights[] = {1, 2};
  static const int64_t indexes[] = {4, 2, 0};
  neap_seq *s = NULL, *pair[2] = {NULL, NULL};
  int rc = neap_seq_leaf(1000, 0, &s, error);
  if (rc == NEAP_OK) rc = neap_seq_slice(s, 1, 3, 300, &s, error);
  if (rc == NEAP_OK) rc = neap_seq_shuffle(s, 1, &s, error);
  for (int k = 0; k < 3 && rc == NEAP_OK; k++) {
    pair[0] = s;
    s = NULL;
    rc = neap_seq_leaf(100, k + 1, &pair[1], error);
    if (rc != NEAP_OK)
      neap_seq_free(pair[0]);
    else if (k == 0)
      rc = neap_seq_concat(pair, 2, &s, error);
    else if (k == 1)
      rc = neap_seq_interleave(pair, 2, &s, error);
    else
      rc = neap_seq_mix(pair, weights, 2, 1, &s, error);
  }
  if (rc == NEAP_OK) rc = neap_seq_cycle(s, 2, &s, error);
  if (rc == NEAP_OK) rc = neap_seq_gather(s, indexes, 3, &s, error);
  *out = s;
  return rc;
}

static void make_adapters(host *h) {
  neap_seq *s;
  neap_error error = {0};
  (void)h;
  nth_arm();
  const int rc = chain(&s, &error);
  if (rc == NEAP_OK)
    assert_int_equal(neap_seq_length(s), 3);
  else
    assert_null(s);
  neap_seq_free(s);
  nth_disarm();
  if (rc != NEAP_OK) assert_clear(&error);
}

static void adapters_may_be_short_of_memory(void **state) {
  fail_each(*state, make_adapters, NULL, false);
}

static void read_idx(host *h) {
  uint8_t rows[4] = {0};
  neap_idx *idx;
  neap_error error = {0};
  neap_managed_tensor *copy = NULL;
  nth_arm();
  int rc = neap_idx_open(h->program.text, &idx, &error);
  if (rc == NEAP_OK) rc = neap_idx_read(idx, rows, sizeof rows, &error);
  if (rc == NEAP_OK) {
    neap_tensor tensor = *neap_idx_tensor(idx);
    tensor.data = rows;
    rc = neap_tensor_dlpack(&tensor, &copy, &error);
  }
  neap_idx_close(idx);
  if (copy != NULL) copy->deleter(copy);
  nth_disarm();
  if (rc != NEAP_OK)
    assert_clear(&error);
  else
    assert_memory_equal(rows, "\1\2\3\4", 4);
}

static void a_file_may_not_be_read(void **state) {
  host *h = *state;
  static const uint8_t bytes[] = {0, 0, 8, 1, 0, 0, 0, 4, 1, 2, 3, 4};
  const int fd = memfd_create("idx", MFD_CLOEXEC);
  assert_int_equal(write(fd, bytes, sizeof bytes), sizeof bytes);
  snprintf(h->program.text, sizeof h->program.text, "/proc/self/fd/%d", fd);
  fail_each(h, read_idx, NULL, false);
  close(fd);
}

#define test_calls(function) \
  cmocka_unit_test_setup_teardown(function, set_up_calls, tear_down_calls)

int main(int argc, char **argv) {
  if (argc > 1 && strcmp(argv[1], "--worker") == 0) return worker_with_calls();
  const struct CMUnitTest tests[] = {
      test_calls(any_call_may_fail),
      test_calls(each_kind_of_call_may_fail_for_good),
      test_calls(any_call_may_fail_as_a_worker_is_replaced),
      test_calls(any_call_may_fail_as_it_is_closed),
      test_calls(any_call_may_fail_as_a_busy_one_is_closed),
      test_calls(an_overdue_worker_ends_without_the_right_to_kill),
      test_calls(any_call_of_a_worker_may_fail),
      test_calls(a_heap_may_be_short_of_anything),
      test_calls(adapters_may_be_short_of_memory),
      test_calls(a_file_may_not_be_read),
  };
  return cmocka_run_group_tests(tests, start_threads, NULL);
}
