/* SPDX-License-Identifier: MIT */
/*
 * Items that take too long: each becomes an error, by itself; nothing else is
 * ended by a timeout.
 */
#include "host.h"

enum { TIMEOUT_MS = 500, FOREVER_US = 100000000 };

/* Item `at`, and each `step`-th after it, never ends. */
static void hang(host *h, int64_t at, int32_t step) {
  h->options.timeout_ns = TIMEOUT_MS * 1000000ll;
  h->program.step = step;
  plan(h, SLEEP, FOREVER_US, at);
}

static void an_overdue_item_fails_alone(void **state) {
  host *h = *state;
  hang(h, 40, 0);
  neap_pool *pool = open_loader(h);
  const int64_t since = now_ms();
  assert_int_equal(read_past_failures(h, pool, 0, 1), 1);
  assert_true(now_ms() - since >= TIMEOUT_MS);
  await(restarts_of(pool) == 1);
  assert_int_equal(atomic_load(&h->tally->computed[40]), 1);
  neap_pool_close(pool);
}

static void overdue_items_fail_in_the_midst_of_runs(void **state) {
  host *h = *state;
  h->options.chunk = 8;
  h->options.buffered = 64;
  h->options.length = 200;
  hang(h, 3, 67);
  neap_pool *pool = open_loader(h);
  assert_int_equal(read_past_failures(h, pool, 0, 1), 3);
  await(restarts_of(pool) == 3);
  neap_pool_close(pool);
}

static void an_overdue_item_read_alone_fails(void **state) {
  host *h = *state;
  neap_run run;
  hang(h, 5, 0);
  neap_pool *pool = open_loader(h);
  assert_int_equal(neap_pool_get(pool, 1, 5, &run, NULL), NEAP_OK);
  assert_int_equal(run.slot, -1);
  assert_int_equal(run.is_overdue, 1);
  assert_int_equal(read_past_failures(h, pool, 0, 1), 1);
  neap_pool_close(pool);
}

/* A run that hangs is cancelled while it is being computed. */
static void a_cancelled_hang_is_ended(void **state) {
  host *h = *state;
  h->options.workers = 1;
  h->options.buffered = 4;
  h->options.chunk = 1;
  hang(h, 10, 0);
  neap_pool *pool = open_loader(h);
  read_in_order(h, pool, 1, 0, 10);
  await(atomic_load(&h->tally->computed[10]) > 0);
  assert_int_equal(neap_pool_seek(pool, 1, 20, NULL), NEAP_OK);
  read_in_order(h, pool, 1, 20, h->options.length);
  await(restarts_of(pool) == 1);
  neap_pool_close(pool);
}

/* Starts may take their time, that of a successor too. */
static void slow_starts_are_not_overdue(void **state) {
  host *h = *state;
  h->options.workers = 1;
  h->options.chunk = 1;
  h->options.timeout_ns = TIMEOUT_MS * 1000000ll;
  h->program.moment = AT_START;
  plan(h, SLEEP, 2 * TIMEOUT_MS * 1000, ANY_INDEX);
  neap_pool *pool = open_loader(h);
  read_in_order(h, pool, 1, 0, 100);
  kill(pid_of(pool, 0), SIGKILL);
  read_in_order(h, pool, 1, 100, h->options.length);
  await(restarts_of(pool) == 1);
  neap_pool_close(pool);
}

/* Items well within the time, and workers that have nothing to do. */
static void nobody_else_is_ended(void **state) {
  host *h = *state;
  h->options.chunk = 16;
  h->options.timeout_ns = 2000000000;
  h->options.length = 3000;
  h->program.item_us = 1000; /* a run takes 16 ms, all of them 1.5 s */
  neap_pool *pool = open_loader(h);
  read_in_order(h, pool, 1, 0, h->options.length);
  sleep_us(300000);
  assert_int_equal(neap_pool_seek(pool, 2, 0, NULL), NEAP_OK);
  read_in_order(h, pool, 2, 0, h->options.length);
  assert_int_equal(restarts_of(pool), 0);
  neap_pool_close(pool);
}

/* Deaths are tried again under a timeout as they are without. */
static void deaths_are_still_deaths(void **state) {
  host *h = *state;
  neap_run run;
  h->options.timeout_ns = 10000000000;
  h->options.retries = 1;
  plan(h, DIE, SIGABRT, 0);
  neap_pool *pool = open_loader(h);
  next_run(pool, &run);
  assert_int_equal(run.slot, -1);
  assert_int_equal(run.is_overdue, 0);
  assert_int_equal(run.attempts, 2);
  read_in_order(h, pool, 1, 1, h->options.length);
  neap_pool_close(pool);
}

static void a_negative_time_is_refused(void **state) {
  host *h = *state;
  neap_pool *pool;
  neap_error error;
  h->options.timeout_ns = -1;
  assert_int_equal(neap_pool_open(&h->options, &pool, &error), NEAP_EINVAL);
  assert_string_equal(error.text,
                      "cannot open a pool: timeout_ns must be 0 or more");
}

int main(int argc, char **argv) {
  if (argc > 2 && strcmp(argv[1], "--worker") == 0) return worker_main();
  const struct CMUnitTest tests[] = {
      test(an_overdue_item_fails_alone),
      test(overdue_items_fail_in_the_midst_of_runs),
      test(an_overdue_item_read_alone_fails),
      test(a_cancelled_hang_is_ended),
      test(slow_starts_are_not_overdue),
      test(nobody_else_is_ended),
      test(deaths_are_still_deaths),
      test(a_negative_time_is_refused),
  };
  return cmocka_run_group_tests(tests, start_threads, NULL);
}
