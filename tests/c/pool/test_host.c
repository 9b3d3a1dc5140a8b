/* SPDX-License-Identifier: MIT */
/*
 * Hosts in processes of their own, that are killed, change their user, or are
 * stopped together with their workers.
 */
#include "host.h"

#include "pool/pool.h"

enum { WORKERS = 4, NOBODY = 65534, DEATH_MS_MAX = 10000 };
enum { TIMEOUT_MS = 1000 };

/* A worker that is started with this word does not attach, and stays. */
static const char *const STUCK = "stuck";

/* One that is started with this word attaches after the host has closed. */
static const char *const LATE = "late";
enum { LATE_MS = 1000 };

/* -- What a host does -- */

/* Reads until its workers wait for more, all of them. */
static void make_idle(host *h, neap_pool *pool) {
  read_in_order(h, pool, 1, 0, h->options.length);
  await(atomic_load(&h->tally->starts) == WORKERS);
}

/* Reads one item; each worker is at another one, and stays there. */
static void make_busy(host *h, neap_pool *pool) {
  read_in_order(h, pool, 1, 0, 1);
  await(atomic_load(&h->tally->events) == WORKERS);
}

static void plan_habit(host *h, const char *habit) {
  const bool is_untied = strstr(habit, "untied") != NULL;
  h->options.workers = WORKERS;
  h->options.chunk = 1;
  if (strstr(habit, "busy") != NULL) {
    plan(h, is_untied ? UNTIE : SLEEP, INT32_MAX, 1);
    h->program.step = 1;
  } else if (is_untied) {
    h->program.moment = AT_START;
    plan(h, UNTIE, 0, ANY_INDEX);
  }
}

/* Tells its workers' pids. Then it closes its pool, or is to be killed. */
static int host_of(host *h, const char *habit) {
  int32_t pids[WORKERS];
  plan_habit(h, habit);
  neap_pool *pool = open_loader(h);
  if (strstr(habit, "busy") != NULL)
    make_busy(h, pool);
  else
    make_idle(h, pool);
  for (int w = 0; w < WORKERS; w++)
    await((pids[w] = pid_of(pool, w)) > 0);
  if (strstr(habit, "nobody") != NULL && setresuid(NOBODY, NOBODY, NOBODY) != 0)
    return 2;
  if (write(STDOUT_FILENO, pids, sizeof pids) != sizeof pids) return 3;
  while (strstr(habit, "closes") == NULL)
    pause();
  neap_pool_close(pool);
  return 0;
}

/* A host whose only worker cannot be ended, or not just now. */
static int host_of_stuck(host *h, const char *word) {
  int32_t pids[WORKERS] = {0};
  h->options.workers = 1;
  const char *const arguments[] = {"test", "--worker", word, NULL};
  h->options.launch.arguments = arguments;
  h->program.moment = AT_START;
  plan(h, SLEEP, INT32_MAX, ANY_INDEX);
  neap_pool *pool = open_loader(h);
  pool->supervisor.end_ms = 300;
  await((pids[0] = pid_of(pool, 0)) > 0);
  if (setresuid(NOBODY, NOBODY, NOBODY) != 0) return 2;
  if (write(STDOUT_FILENO, pids, sizeof pids) != sizeof pids) return 3;
  neap_pool_close(pool);
  while (word == LATE)
    pause();
  return 0;
}

/* A host that an item stops, for longer than an item may take. */
static int host_of_paused(host *h) {
  plan(h, PAUSE, TIMEOUT_MS * 1000 / 4, 5);
  h->program.times = 1;
  h->options.workers = 1; /* none that is just being started */
  h->options.timeout_ns = TIMEOUT_MS * 1000000ll;
  h->options.chunk = 1;
  neap_pool *pool = open_loader(h);
  read_in_order(h, pool, 1, 0, h->options.length);
  const int64_t restarts = restarts_of(pool);
  neap_pool_close(pool);
  return restarts == 0 ? 0 : 4;
}

static int host_main(const char *habit) {
  void *state;
  set_up(&state);
  if (strcmp(habit, STUCK) == 0) return host_of_stuck(state, STUCK);
  if (strcmp(habit, LATE) == 0) return host_of_stuck(state, LATE);
  if (strcmp(habit, "paused") == 0) return host_of_paused(state);
  return host_of(state, habit);
}

/* -- Ending -- */

static void read_pids(int answers, int32_t pids[WORKERS]) {
  const size_t bytes = WORKERS * sizeof *pids;
  assert_int_equal(read(answers, pids, bytes), bytes);
  close(answers);
}

/* Waits for the ends of all; kills those that stay, and returns how many. */
static int survivors(const int32_t pids[WORKERS]) {
  int count = 0;
  const int64_t until = now_ms() + DEATH_MS_MAX;
  for (int w = 0; w < WORKERS; w++) {
    await(!is_alive(pids[w]) || now_ms() > until);
    if (!is_alive(pids[w])) continue;
    kill(pids[w], SIGKILL);
    count++;
  }
  return count;
}

static void assert_workers_die_with(const host *h, const char *habit) {
  int answers;
  int32_t pids[WORKERS];
  const pid_t child = start_host(h, habit, &answers);
  read_pids(answers, pids);
  for (int w = 0; w < WORKERS; w++)
    assert_true(is_alive(pids[w]));
  kill(child, SIGKILL);
  assert_int_equal(waitpid(child, NULL, 0), child);
  const int count = survivors(pids);
  if (count > 0) fail_msg("%s: %d workers outlived their host", habit, count);
}

static void workers_die_with_their_host(void **state) {
  assert_workers_die_with(*state, "idle");
  assert_workers_die_with(*state, "busy");
}

static void workers_that_change_their_user_die_with_it(void **state) {
  assert_workers_die_with(*state, "untied idle");
  assert_workers_die_with(*state, "untied busy");
}

static void workers_die_with_a_host_that_changes_its_user(void **state) {
  if (geteuid() != 0) skip();
  assert_workers_die_with(*state, "nobody idle");
  assert_workers_die_with(*state, "nobody busy");
  assert_workers_die_with(*state, "nobody untied busy");
}

/* Waits for the end of a host that closes its pool. */
static void assert_closes(const host *h, const char *habit,
                          int32_t pids[WORKERS]) {
  int answers, status;
  const pid_t child = start_host(h, habit, &answers);
  read_pids(answers, pids);
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_int_equal(status, 0);
}

static void a_host_that_changes_its_user_can_close(void **state) {
  const char *const habits[] = {"nobody idle closes", "nobody busy closes"};
  int32_t pids[WORKERS];
  if (geteuid() != 0) skip();
  for (int k = 0; k < 2; k++) {
    assert_closes(*state, habits[k], pids);
    assert_int_equal(survivors(pids), 0);
  }
}

static void closing_does_not_wait_for_ever(void **state) {
  int32_t pids[WORKERS];
  if (geteuid() != 0) skip();
  assert_closes(*state, STUCK, pids);
  assert_true(is_alive(pids[0]));
  kill(pids[0], SIGKILL);
}

static void workers_that_were_given_up_end(void **state) {
  int32_t pids[WORKERS];
  int answers;
  if (geteuid() != 0) skip();
  const pid_t child = start_host(*state, LATE, &answers);
  read_pids(answers, pids);
  for (int w = 1; w < WORKERS; w++)
    pids[w] = pids[0];
  const int count = survivors(pids);
  kill(child, SIGKILL);
  assert_int_equal(waitpid(child, NULL, 0), child);
  assert_int_equal(count, 0);
}

/* -- Standing still -- */

static void a_pause_is_no_timeout(void **state) {
  host *h = *state;
  int answers, status;
  const pid_t child = start_host(h, "paused", &answers);
  close(answers);
  assert_int_equal(waitpid(child, &status, WUNTRACED), child);
  assert_true(WIFSTOPPED(status));
  sleep_us(2 * TIMEOUT_MS * 1000); /* the time that must not count */
  kill(-child, SIGCONT);
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_int_equal(status, 0);
}

int main(int argc, char **argv) {
  if (argc > 2 && strcmp(argv[2], LATE) == 0 && argv[1][2] == 'w')
    sleep_us(LATE_MS * 1000);
  if (argc > 2 && strcmp(argv[2], STUCK) == 0 && argv[1][2] == 'w')
    for (;;)
      pause();
  if (argc > 1 && strcmp(argv[1], "--worker") == 0) return worker_main();
  if (argc > 2 && strcmp(argv[1], "--host") == 0) _exit(host_main(argv[2]));
  const struct CMUnitTest tests[] = {
      test(workers_die_with_their_host),
      test(workers_that_change_their_user_die_with_it),
      test(workers_die_with_a_host_that_changes_its_user),
      test(a_host_that_changes_its_user_can_close),
      test(closing_does_not_wait_for_ever),
      test(workers_that_were_given_up_end),
      test(a_pause_is_no_timeout),
  };
  return cmocka_run_group_tests(tests, start_threads, NULL);
}
