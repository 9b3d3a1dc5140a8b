/* SPDX-License-Identifier: MIT */
/*
 * Workers that hold several claims, against real processes. The worker here
 * claims as many runs as it may, and computes them when it finds no more, the
 * last one first. A run with item `at` of a program that SLEEPs waits: until
 * `detail` microseconds are over, or without these until it is cancelled.
 */
#include "host.h"

enum { CLAIMS = 8, RESTING = -1 };

/* -- The worker -- */

typedef struct many {
  neap_worker *worker;
  program program;
  tally *tally;
  int32_t held;
  neap_task tasks[CLAIMS + 1]; /* one more to claim into */
  int64_t until_ms[CLAIMS + 1];
} many;

static bool does_wait(const program *p, const neap_task *task) {
  for (int32_t k = 0; p->event == SLEEP && k < task->count; k++)
    if (is_affected(p, task->first + k)) return true;
  return false;
}

static void begin(many *m, int32_t k) {
  neap_task *task = &m->tasks[k];
  const bool waits = does_wait(&m->program, task);
  m->until_ms[k] = waits ? INT64_MAX : 0;
  if (waits && m->program.detail > 0)
    m->until_ms[k] = now_ms() + m->program.detail / 1000;
  neap_worker_wait(m->worker, task);
}

static void swap(many *m, int32_t j, int32_t k) {
  const neap_task task = m->tasks[j];
  const int64_t until_ms = m->until_ms[j];
  m->tasks[j] = m->tasks[k];
  m->until_ms[j] = m->until_ms[k];
  m->tasks[k] = task;
  m->until_ms[k] = until_ms;
}

/* Computes task k, and moves it behind those that are held. */
static void finish(many *m, int32_t k) {
  program p = m->program;
  if (p.event == SLEEP) p.event = NOTHING;
  neap_worker_resume(m->worker, &m->tasks[k]);
  compute(&p, m->tally, m->worker, &m->tasks[k]);
  swap(m, k, --m->held);
}

/* The last task that need not wait, or -1. One alone comes last. */
static int32_t find_due(const many *m) {
  const int64_t now = now_ms();
  for (int32_t k = m->held - 1; k >= 0; k--)
    if (m->until_ms[k] <= now && (!m->tasks[k].alone || m->held == 1)) return k;
  return -1;
}

static void give_up_cancelled(many *m) {
  for (int32_t k = m->held - 1; k >= 0; k--)
    if (!neap_worker_holds(m->worker, &m->tasks[k])) {
      neap_worker_publish(m->worker, &m->tasks[k], 0);
      swap(m, k, --m->held);
    }
}

static bool has_alone(const many *m) {
  for (int32_t k = 0; k < m->held; k++)
    if (m->tasks[k].alone) return true;
  return false;
}

static int claim(many *m) {
  int rc = NEAP_OK;
  while (m->held < neap_worker_concurrency(m->worker) && !has_alone(m)) {
    rc = neap_worker_try_next(m->worker, &m->tasks[m->held], NULL);
    if (rc != NEAP_OK) return rc;
    begin(m, m->held++);
  }
  return NEAP_AGAIN;
}

static int serve_many(neap_worker *worker) {
  many *m = calloc(1, sizeof *m);
  m->worker = worker;
  m->program = program_of(worker);
  m->tally = open_tally(&m->program);
  if (neap_worker_ready(worker, NULL, NULL) != NEAP_OK) _exit(95);
  while (claim(m) != NEAP_END) {
    const int32_t due = find_due(m);
    const bool is_full =
        m->held == neap_worker_concurrency(worker) || has_alone(m);
    if (due >= 0) {
      finish(m, due);
      continue;
    }
    const double seconds = m->held > 0 ? 0.01 : -1;
    const int rc = neap_worker_poll(worker, -1, !is_full, seconds);
    if (rc == NEAP_END) break;
    if (rc == NEAP_AGAIN) give_up_cancelled(m);
  }
  free(m);
  _exit(0);
}

static int many_main(void) {
  neap_worker *worker;
  if (neap_worker_attach(&worker, NULL) != NEAP_OK) _exit(94);
  return serve_many(worker);
}

/* -- The host -- */

static void set_many(host *h, int32_t workers) {
  h->options.workers = workers;
  h->options.concurrency = CLAIMS;
  h->options.buffered = 4 * CLAIMS;
  h->options.chunk = 1;
  h->options.length = 200;
}

static neap_stats stats_of(const neap_pool *pool) {
  neap_stats stats;
  neap_pool_read_stats(pool, &stats);
  return stats;
}

static void runs_come_in_order(void **state) {
  host *h = *state;
  for (int32_t workers = 1; workers <= 3; workers++) {
    set_many(h, workers);
    h->program.kind = STRINGS;
    read_all(h);
    h->options.chunk = 0;
    read_all(h);
    h->options.chunk = 7;
    read_all(h);
  }
}

static void an_item_that_waits_delays_no_other(void **state) {
  host *h = *state;
  set_many(h, 1);
  h->options.ordered = 0;
  plan(h, SLEEP, 500000, 0);
  neap_pool *pool = open_loader(h);
  neap_run run;
  const int64_t since = now_ms();
  for (int k = 1; k < 200; k++) {
    next_run(pool, &run);
    assert_true(run.first > 0);
    neap_pool_release(pool, run.slot);
  }
  assert_true(now_ms() - since < 450);
  next_run(pool, &run);
  assert_int_equal(run.first, 0);
  neap_pool_release(pool, run.slot);
  assert_end(pool);
  assert_true(stats_of(pool).busy_ns < (now_ms() - since + 50) * 1000000);
  neap_pool_close(pool);
}

/* All claims wait for ever; a seek cancels them, and the close stops them. */
static void a_seek_frees_what_waits(void **state) {
  host *h = *state;
  set_many(h, 2);
  plan(h, SLEEP, 0, 0);
  h->program.step = 1;
  h->options.length = 2 * TALLIED_MAX;
  neap_pool *pool = open_loader(h);
  neap_run run;
  assert_int_equal(neap_pool_try_next(pool, &run, NULL), NEAP_AGAIN);
  sleep_us(100000);
  h->program.step = 0;
  for (int k = 0; k < 50; k++) {
    neap_error error;
    assert_int_equal(neap_pool_seek(pool, 1, k, &error), NEAP_OK);
    assert_int_equal(neap_pool_try_next(pool, &run, NULL), NEAP_AGAIN);
    sleep_us(k % 5 * 1000);
  }
  assert_int_equal(stats_of(pool).restarts, 0);
  const int64_t since = now_ms();
  neap_pool_close(pool);
  assert_true(now_ms() - since < 90); /* nobody was killed */
}

static void a_seek_reads_what_waited_anew(void **state) {
  host *h = *state;
  set_many(h, 1);
  plan(h, SLEEP, 0, 0);
  h->program.step = 2;
  neap_pool *pool = open_loader(h);
  neap_run run;
  assert_int_equal(neap_pool_try_next(pool, &run, NULL), NEAP_AGAIN);
  sleep_us(50000);
  assert_int_equal(neap_pool_seek(pool, 1, 1, NULL), NEAP_OK);
  next_run(pool, &run); /* would wait for ever if item 0 held its claim */
  assert_int_equal(run.first, 1);
  neap_pool_release(pool, run.slot);
  neap_pool_close(pool);
}

/* -- Deaths -- */

/* The item that kills fails after its tries; its neighbours come. */
static void the_culprit_is_found(void **state) {
  host *h = *state;
  for (int32_t retries = 0; retries < 3; retries++) {
    forget(h);
    set_many(h, 2);
    h->options.retries = retries;
    plan(h, DIE, SIGABRT, 77);
    neap_pool *pool = open_loader(h);
    assert_int_equal(read_past_failures(h, pool, 0, 1 + retries), 1);
    assert_int_equal(atomic_load(&h->tally->events), 1 + retries);
    for (int k = 0; k < 200; k++) /* none but the culprit began in vain */
      if (k != 77) assert_int_equal(h->tally->computed[k], 1);
    assert_in_range(stats_of(pool).retries, retries, CLAIMS * (1 + retries));
    neap_pool_close(pool);
  }
}

static void all_that_waited_is_computed_again_once(void **state) {
  host *h = *state;
  set_many(h, 1);
  h->options.retries = 0; /* waiting is no guilt */
  h->options.length = CLAIMS;
  plan(h, SLEEP, 200000, 0);
  h->program.step = 1;
  neap_pool *pool = open_loader(h);
  neap_run run;
  assert_int_equal(neap_pool_try_next(pool, &run, NULL), NEAP_AGAIN);
  await(pid_of(pool, 0) > 0);
  sleep_us(100000);
  kill(pid_of(pool, 0), SIGKILL);
  read_in_order(h, pool, 1, 0, CLAIMS);
  assert_int_equal(stats_of(pool).retries, CLAIMS);
  for (int k = 0; k < CLAIMS; k++)
    assert_int_equal(h->tally->computed[k], 1);
  neap_pool_close(pool);
}

/* Killed each time while all wait: they fail in the end. */
static void deaths_of_no_ones_fault_end(void **state) {
  host *h = *state;
  set_many(h, 1);
  h->options.retries = 0;
  h->options.length = 2;
  plan(h, SLEEP, 0, 0);
  h->program.step = 1;
  neap_pool *pool = open_loader(h);
  neap_run run;
  for (int deaths = 0; neap_pool_try_next(pool, &run, NULL) == NEAP_AGAIN;) {
    const int32_t pid = pid_of(pool, 0);
    sleep_us(30000);
    if (pid > 0 && kill(pid, SIGKILL) == 0) deaths++;
    assert_true(deaths < 100);
  }
  assert_int_equal(run.slot, RESTING);
  assert_int_equal(run.attempts, 8);
  neap_pool_close(pool);
}

/* -- Timeouts -- */

static void waiting_does_not_count(void **state) {
  host *h = *state;
  set_many(h, 1);
  h->options.timeout_ns = 50000000;
  h->options.length = 20;
  plan(h, SLEEP, 300000, 0);
  h->program.step = 5;
  read_all(h);
}

static void too_many_claims_are_refused(void **state) {
  host *h = *state;
  neap_pool *pool;
  neap_error error;
  h->options.workers = 3;
  h->options.concurrency = NEAP_CLAIMS_MAX / 3 + 1;
  assert_int_equal(neap_pool_open(&h->options, &pool, &error), NEAP_EINVAL);
  assert_string_equal(error.text, "cannot open a pool: workers * concurrency "
                                  "must be 4096 or less");
}

int main(int argc, char **argv) {
  if (argc > 2 && strcmp(argv[1], "--worker") == 0) return many_main();
  const struct CMUnitTest tests[] = {
      test(runs_come_in_order),
      test(an_item_that_waits_delays_no_other),
      test(a_seek_frees_what_waits),
      test(a_seek_reads_what_waited_anew),
      test(the_culprit_is_found),
      test(all_that_waited_is_computed_again_once),
      test(deaths_of_no_ones_fault_end),
      test(waiting_does_not_count),
      test(too_many_claims_are_refused),
  };
  return cmocka_run_group_tests(tests, start_threads, NULL);
}
