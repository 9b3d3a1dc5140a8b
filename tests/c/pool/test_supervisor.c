/* SPDX-License-Identifier: MIT */
/*
 * The supervisor, against real processes: workers that die, at each step of
 * the protocol and from outside; that cannot start, stand still, or write
 * over what they share with the host.
 */
#include "host.h"

#include <sys/prctl.h>
#include <sys/resource.h>

#include "pool/supervisor.h"

static const char *const NOBODY = "/bin/true";
enum { FEW = 64 }; /* descriptors */

/* -- Workers that cannot start -- */

/* Reads until the first error, and checks its text. */
static void assert_fails(host *h, const char *text) {
  neap_run run;
  neap_error error = {0};
  neap_pool *pool = open_loader(h);
  int rc;
  while ((rc = neap_pool_next(pool, &run, &error)) == NEAP_OK)
    neap_pool_release(pool, run.slot);
  if (rc != NEAP_EWORKER || strstr(error.text, text) == NULL)
    fail_msg("wanted '%s', got %d '%s'", text, rc, error.text);
  assert_int_equal(run.slot, -1);
  assert_int_equal(neap_pool_next(pool, &run, &error), NEAP_EWORKER);
  assert_int_equal(neap_pool_get(pool, 1, 5, &run, &error), NEAP_EWORKER);
  assert_non_null(strstr(error.text, text));
  neap_pool_close(pool);
}

static void workers_that_die_at_start_are_told(void **state) {
  host *h = *state;
  h->program.moment = AT_START;
  plan(h, EXIT, 7, ANY_INDEX);
  assert_fails(h, "the last ended with exit status 7");
  assert_in_range(atomic_load(&h->tally->starts), 3, 6);
  plan(h, DIE, SIGKILL, ANY_INDEX);
  assert_fails(h, "the last was ended by signal 9 (Killed)");
  plan(h, EXIT, NEAP_EXIT_MEMORY, ANY_INDEX);
  assert_fails(h, "the last found no memory\nhelp: raise memory, or use fewer");
  plan(h, DIE, SIGKILL, ANY_INDEX);
  h->options.workers = 1;
  h->program.detail = SIGTERM;
  forget(h);
  assert_fails(h, "3 in a row");
  assert_int_equal(atomic_load(&h->tally->starts), 3);
}

static void two_deaths_at_start_are_forgiven(void **state) {
  host *h = *state;
  h->options.workers = 1;
  h->program.moment = AT_START;
  plan(h, EXIT, 7, ANY_INDEX);
  h->program.times = 2;
  read_all(h);
  assert_int_equal(atomic_load(&h->tally->starts), 3);
}

/* They start well, and die before they do anything. */
static void workers_that_die_when_ready_are_told(void **state) {
  host *h = *state;
  h->program.moment = WHEN_READY;
  plan(h, EXIT, 9, ANY_INDEX);
  assert_fails(h, "the last ended with exit status 9");
}

static void workers_tell_why_they_cannot_work(void **state) {
  host *h = *state;
  h->program.event = REFUSE;
  snprintf(h->program.text, sizeof h->program.text, "the module is missing");
  assert_fails(h, "the module is missing");
  h->options.workers = 8;
  assert_fails(h, "the module is missing");
}

static void programs_that_are_no_worker_are_told(void **state) {
  host *h = *state;
  h->options.launch.path = NOBODY;
  assert_fails(h, "the last ended with exit status 0");
  h->options.launch.path = "/tmp";
  assert_fails(h, "cannot start workers: /tmp");
}

/* -- Workers that die of an item -- */

static void an_item_that_kills_once_is_computed_again(void **state) {
  host *h = *state;
  const int32_t chunks[] = {1, 0, 7};
  for (int k = 0; k < 3; k++) {
    forget(h);
    h->options.chunk = chunks[k];
    h->options.buffered = 100;
    plan(h, DIE, SIGKILL, 333);
    h->program.times = 1;
    neap_stats stats;
    neap_pool *pool = open_loader(h);
    read_in_order(h, pool, 1, 0, 1000);
    assert_end(pool);
    await(restarts_of(pool) > 0);
    neap_pool_read_stats(pool, &stats);
    assert_int_equal(stats.restarts, 1);
    assert_int_equal(stats.retries, 1);
    assert_int_equal(atomic_load(&h->tally->computed[333]), 2);
    neap_pool_close(pool);
  }
}

static void an_item_that_kills_always_fails_alone(void **state) {
  host *h = *state;
  const int32_t chunks[] = {1, 0, 7, 16};
  const int64_t places[] = {0, 3, 6, 99};
  h->options.length = 100;
  h->options.buffered = 32;
  for (int k = 0; k < 16; k++) {
    forget(h);
    h->options.chunk = chunks[k % 4];
    h->options.retries = k % 3;
    h->program.kind = k % 2 ? NUMBERS : STRINGS;
    plan(h, DIE, SIGABRT, places[k / 4]);
    neap_pool *pool = open_loader(h);
    assert_int_equal(read_past_failures(h, pool, 0, 1 + k % 3), 1);
    assert_int_equal(atomic_load(&h->tally->events), 1 + k % 3);
    neap_pool_close(pool);
  }
}

static void many_items_of_a_run_may_fail(void **state) {
  host *h = *state;
  h->options.length = 64;
  h->options.chunk = 16;
  h->options.buffered = 64;
  h->options.retries = 1;
  plan(h, DIE, SIGKILL, 15);
  h->program.step = 3;
  neap_pool *pool = open_loader(h);
  assert_int_equal(read_past_failures(h, pool, 0, 2), 17);
  neap_pool_close(pool);
}

static void each_item_may_fail(void **state) {
  host *h = *state;
  h->options.length = 20;
  h->options.chunk = 7;
  h->options.retries = 0;
  plan(h, DIE, SIGKILL, ANY_INDEX);
  neap_pool *pool = open_loader(h);
  assert_int_equal(read_past_failures(h, pool, 0, 1), 20);
  neap_pool_close(pool);
}

static void a_failure_comes_unordered_too(void **state) {
  host *h = *state;
  h->options.ordered = 0;
  h->options.length = 200;
  h->options.chunk = 5;
  plan(h, DIE, SIGKILL, 42);
  int64_t sum = 0;
  int failures = 0;
  neap_pool *pool = open_loader(h);
  for (int left = 200; left > 0;) {
    neap_run run;
    next_run(pool, &run);
    if (run.slot >= 0) {
      check_run(h, &run);
    } else {
      assert_int_equal(run.first, 42);
      failures++;
    }
    for (int32_t k = 0; k < run.count; k++)
      sum += run.first + k;
    left -= run.count;
    neap_pool_release(pool, run.slot);
  }
  assert_end(pool);
  assert_int_equal(failures, 1);
  assert_int_equal(sum, 199 * 100);
  neap_pool_close(pool);
}

static void a_single_item_may_fail(void **state) {
  host *h = *state;
  plan(h, EXIT, 3, 500);
  neap_run run;
  neap_pool *pool = open_loader(h);
  for (int k = 0; k < 3; k++) {
    assert_int_equal(neap_pool_get(pool, 1, 500, &run, NULL), NEAP_OK);
    assert_int_equal(run.slot, -1);
    assert_int_equal(run.first, 500);
    assert_int_equal(run.count, 1);
    assert_int_equal(run.attempts, 3);
    assert_true(WIFEXITED(run.wait_status));
    assert_int_equal(WEXITSTATUS(run.wait_status), 3);
    assert_int_equal(neap_pool_get(pool, 1, 499, &run, NULL), NEAP_OK);
    check_run(h, &run);
    neap_pool_release(pool, run.slot);
  }
  read_in_order(h, pool, 1, 0, 400);
  neap_pool_close(pool);
}

/* Jumps around an item that kills: past it, onto it, and back. */
static void jumps_and_failures_go_together(void **state) {
  host *h = *state;
  h->options.chunk = 8;
  h->options.buffered = 32;
  h->options.retries = 0;
  h->options.length = 64;
  plan(h, DIE, SIGKILL, 12);
  neap_pool *pool = open_loader(h);
  for (int64_t from = 0; from < 30; from++) {
    read_in_order(h, pool, 1, 0, 8);
    assert_int_equal(neap_pool_seek(pool, 1, from, NULL), NEAP_OK);
    for (int64_t at = from; at < 40;) {
      neap_run run;
      next_run(pool, &run);
      assert_int_equal(run.first, at);
      assert_true((run.slot < 0) == (at == 12));
      if (run.slot >= 0) check_run(h, &run);
      at += run.count;
      neap_pool_release(pool, run.slot);
    }
    assert_int_equal(neap_pool_seek(pool, 1, 0, NULL), NEAP_OK);
  }
  neap_pool_close(pool);
}

/* -- Workers that are killed from outside -- */

typedef struct killer {
  const neap_pool *pool;
  uint32_t workers;
  int signal;
  int64_t pause_us;
  atomic_int kills;
  atomic_bool is_over;
} killer;

static void *harass(void *argument) {
  killer *k = argument;
  for (uint64_t n = 1; !atomic_load(&k->is_over); n++) {
    const int32_t pid = pid_of(k->pool, (int32_t)(mix(n) % k->workers));
    if (pid > 0 && kill(pid, k->signal) == 0) atomic_fetch_add(&k->kills, 1);
    sleep_us((int64_t)(mix(n) >> 40) % (2 * k->pause_us));
    if (pid > 0 && k->signal == SIGSTOP) kill(pid, SIGCONT);
  }
  return NULL;
}

/* Signals go on while all items are read, so retries must not run out. */
static neap_stats storm(host *h, int signal, int64_t pause_us, int at_least) {
  pthread_t thread;
  neap_stats stats;
  h->options.retries = 1000;
  const int64_t since = now_ms();
  neap_pool *pool = open_loader(h);
  read_in_order(h, pool, 1, 0, 1);
  const int64_t start_us = 2000 * (now_ms() - since);
  if (pause_us < start_us) pause_us = start_us; /* let some of them live */
  killer fiend = {pool, (uint32_t)h->options.workers, signal, pause_us, 0,
                  false};
  assert_int_equal(pthread_create(&thread, NULL, harass, &fiend), 0);
  for (int64_t epoch = 2; atomic_load(&fiend.kills) < at_least; epoch++) {
    assert_int_equal(neap_pool_seek(pool, epoch, 0, NULL), NEAP_OK);
    read_in_order(h, pool, epoch, 0, h->options.length);
    assert_end(pool);
  }
  atomic_store(&fiend.is_over, true);
  pthread_join(thread, NULL);
  neap_pool_read_stats(pool, &stats);
  neap_pool_close(pool);
  return stats;
}

static void no_item_is_lost_in_a_storm(void **state) {
  host *h = *state;
  h->options.workers = 4;
  h->options.buffered = 64;
  h->options.length = 1000;
  h->program.item_us = 200;
  for (int k = 0; k < 3; k++) {
    h->program.kind = (enum kind)k;
    h->options.chunk = k;
    assert_in_range(storm(h, SIGKILL, 20000, 8).restarts, 4, 10000);
  }
}

static void stopped_workers_go_on(void **state) {
  host *h = *state;
  h->options.workers = 3;
  h->program.item_us = 200;
  assert_int_equal(storm(h, SIGSTOP, 5000, 20).restarts, 0);
}

/* -- Each step of the protocol -- */

#ifdef NEAP_FAULTS

/* Reads an item, and remembers the longest time that one took. */
static void read_timed(host *h, neap_pool *pool, int64_t epoch, int64_t at,
                       int64_t *longest_ms) {
  const int64_t since = now_ms();
  read_in_order(h, pool, epoch, at, at + 1);
  if (now_ms() - since > *longest_ms) *longest_ms = now_ms() - since;
}

/*
 * The worker that is to die is made to pass each place: by jumps away from
 * slow items that it has claimed; by waiting for the consumer; and by letting
 * the consumer wait. Answers the longest time that an item took.
 */
static int64_t read_in_three_ways(host *h, neap_pool *pool) {
  int64_t longest_ms = 0;
  for (int64_t k = 0; k < 12; k++) {
    assert_int_equal(neap_pool_seek(pool, 2, 150, NULL), NEAP_OK);
    read_timed(h, pool, 2, 150, &longest_ms);
    assert_int_equal(neap_pool_seek(pool, 3 + k, 0, NULL), NEAP_OK);
  }
  assert_int_equal(neap_pool_seek(pool, 1, 0, NULL), NEAP_OK);
  for (int64_t at = 0; at < 200; at++) {
    read_timed(h, pool, 1, at, &longest_ms);
    if (at < 30) sleep_us(2000);
  }
  assert_end(pool);
  return longest_ms;
}

/* -1 if no worker came to pass the place n times. */
static int64_t read_with_a_fault(host *h, const char *place, int n) {
  char folder[] = "/tmp/neap-fault-XXXXXX";
  char file[64], fault[128];
  assert_non_null(mkdtemp(folder));
  snprintf(file, sizeof file, "%s/happened", folder);
  snprintf(fault, sizeof fault, "%s:%d:%s", place, n, file);
  setenv("NEAP_FAULT", fault, 1);
  neap_pool *pool = open_loader(h);
  const int64_t longest_ms = read_in_three_ways(h, pool);
  neap_pool_close(pool);
  unsetenv("NEAP_FAULT");
  const int has_happened = unlink(file) == 0;
  rmdir(folder);
  return has_happened ? longest_ms : -1;
}

/* A wake-up that is lost delays an item until the consumer looks of itself, and
   does so each time; a machine that is busy does not. */
static void die_at(host *h, const char *place, int n) {
  int64_t longest_ms = 0;
  for (int attempt = 0; attempt < 3; attempt++) {
    longest_ms = read_with_a_fault(h, place, n);
    if (0 <= longest_ms && longest_ms < NEAP__SLEEP_MS_MAX) return;
  }
  fail_msg("%s:%d: %s", place, n,
           longest_ms < 0 ? "was not passed" : "nobody woke the consumer");
}

static void a_death_at_any_step_loses_nothing(void **state) {
  host *h = *state;
  static const struct {
    const char *place;
    int passages;
  } steps[] = {
      {"attached", 1},  {"ready", 1},   {"acquire", 3},   {"acquired", 3},
      {"claim", 3},     {"claimed", 3}, {"filled", 3},    {"publish", 3},
      {"cancelled", 1}, {"kept", 1},    {"published", 3}, {"wake", 3},
      {"woken", 3},     {"tired", 3},   {"rest", 3},      {"awake", 3},
      {"rested", 3},
  };
  h->options.length = 200;
  h->options.buffered = 8;
  h->options.chunk = 1;
  plan(h, SLEEP, 300, 100);
  h->program.step = 1;
  /* A worker's death must not wake the consumer by the way. */
  sigset_t deaths, before;
  sigemptyset(&deaths);
  sigaddset(&deaths, SIGCHLD);
  sigprocmask(SIG_BLOCK, &deaths, &before);
  for (size_t k = 0; k < sizeof steps / sizeof *steps; k++)
    for (int n = 1; n <= steps[k].passages; n++)
      die_at(h, steps[k].place, n);
  sigprocmask(SIG_SETMASK, &before, NULL);
}

#endif

/* -- What a worker inherits -- */

static void workers_have_no_other_descriptor(void **state) {
  host *h = *state;
  int fds[500];
  read_all(h);
  assert_int_equal(atomic_load(&h->tally->descriptors), 5);
  for (int k = 0; k < 500; k++)
    assert_true((fds[k] = dup(STDERR_FILENO)) >= 0);
  forget(h);
  read_all(h);
  assert_int_equal(atomic_load(&h->tally->descriptors), 5);
  h->options.heap_fd = fds[250];
  forget(h);
  read_all(h);
  assert_int_equal(atomic_load(&h->tally->descriptors), 6);
  for (int k = 0; k < 500; k++)
    close(fds[k]);
}

/* Descriptors run out at each place in turn, until they suffice. */
static void a_shortage_of_descriptors_is_told(void **state) {
  host *h = *state;
  struct rlimit limit;
  neap_error error;
  int failures = 0;
  h->options.workers = 3;
  h->options.chain = &h->program;
  h->options.heap_fd = STDERR_FILENO;
  assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
  for (rlim_t most = 8;; most++) {
    neap_pool *pool;
    neap_run run;
    const struct rlimit tight = {most, limit.rlim_max};
    setrlimit(RLIMIT_NOFILE, &tight);
    int rc = neap_pool_open(&h->options, &pool, &error);
    if (rc == NEAP_OK) {
      while ((rc = neap_pool_next(pool, &run, &error)) == NEAP_OK)
        neap_pool_release(pool, run.slot);
      neap_pool_close(pool);
    }
    setrlimit(RLIMIT_NOFILE, &limit);
    assert_int_equal(map_count("memfd:neap-"), 0);
    if (rc == NEAP_END) break;
    failures++;
    assert_true(rc < 0);
    assert_int_equal(error.system, EMFILE);
    assert_non_null(strstr(error.text, "cannot"));
  }
  assert_in_range(failures, 5, 40);
}

typedef struct hoard {
  struct rlimit limit; /* before */
  int fds[FEW];
  int count;
} hoard;

/* Takes all descriptors that there are, under a limit that is set for it. */
static void take_descriptors(hoard *all) {
  if (all->count == 0) {
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &all->limit), 0);
    const struct rlimit tight = {FEW, all->limit.rlim_max};
    setrlimit(RLIMIT_NOFILE, &tight);
  }
  while ((all->fds[all->count] = dup(STDERR_FILENO)) >= 0)
    all->count++;
}

static void give_descriptors(const hoard *all) {
  setrlimit(RLIMIT_NOFILE, &all->limit);
  for (int k = 0; k < all->count; k++)
    close(all->fds[k]);
}

static void kill_worker(const neap_pool *pool, int32_t worker) {
  kill(pid_of(pool, worker), SIGKILL);
  await(pid_of(pool, worker) == 0);
}

static void a_restart_that_fails_is_tried_again(void **state) {
  host *h = *state;
  hoard all = {.count = 0};
  h->options.chunk = 1;
  neap_pool *pool = open_loader(h);
  read_in_order(h, pool, 1, 0, 100);
  await(pid_of(pool, 0) > 0 && pid_of(pool, 1) > 0);
  take_descriptors(&all);
  kill_worker(pool, 0);
  read_in_order(h, pool, 1, 100, 1000);
  const int64_t restarts = restarts_of(pool);
  give_descriptors(&all);
  assert_int_equal(restarts, 0);
  await(pid_of(pool, 0) > 0);
  await(restarts_of(pool) == 1);
  neap_pool_close(pool);
}

static void restarts_that_all_fail_are_told(void **state) {
  host *h = *state;
  hoard all = {.count = 0};
  neap_run run;
  neap_error error = {0};
  int rc;
  neap_pool *pool = open_loader(h);
  read_in_order(h, pool, 1, 0, 1);
  await(pid_of(pool, 0) > 0 && pid_of(pool, 1) > 0);
  for (int32_t w = 0; w < 2; w++) {
    take_descriptors(&all); /* those of the dead, too */
    kill_worker(pool, w);
  }
  while ((rc = neap_pool_next(pool, &run, &error)) == NEAP_OK)
    neap_pool_release(pool, run.slot);
  give_descriptors(&all);
  assert_int_equal(rc, NEAP_ESYSTEM);
  assert_int_equal(error.system, EMFILE);
  neap_pool_close(pool);
}

/* -- Hosts with habits of their own -- */

static void a_host_may_ignore_its_children(void **state) {
  host *h = *state;
  struct sigaction before;
  const struct sigaction ignore = {.sa_handler = SIG_IGN};
  sigaction(SIGCHLD, &ignore, &before);
  h->options.retries = 1000;
  h->options.chunk = 1;
  plan(h, DIE, SIGKILL, 77);
  h->program.step = 1;
  h->program.times = 100;
  read_all(h);
  sigaction(SIGCHLD, &before, NULL);
}

/* Before Linux 6.15, how a worker ended is lost then, and a death may have been
   a kill. */
static void deaths_of_ignored_children_count(void **state) {
  host *h = *state;
  neap_run run;
  struct sigaction before;
  const struct sigaction ignore = {.sa_handler = SIG_IGN};
  sigaction(SIGCHLD, &ignore, &before);
  h->options.workers = 1;
  h->program.moment = AT_START;
  plan(h, DIE, SIGKILL, ANY_INDEX);
  h->program.times = NEAP__VAIN_DEATHS_MAX + 2;
  read_all(h);
  h->program.moment = AT_ITEM;
  plan(h, EXIT, 3, 0);
  h->program.times = 0;
  neap_pool *pool = open_loader(h);
  next_run(pool, &run);
  assert_int_equal(run.slot, -1);
  assert_true(run.wait_status == NEAP_STATUS_LOST || run.wait_status == 3 << 8);
  neap_pool_close(pool);
  h->options.launch.path = NOBODY;
  assert_fails(h, "the last ended with ");
  sigaction(SIGCHLD, &before, NULL);
}

static void a_host_may_reap_all_children(void **state) {
  host *h = *state;
  plan(h, DIE, SIGKILL, 20);
  h->program.step = 1;
  h->program.times = 100;
  h->options.chunk = 1;
  h->options.length = 500;
  h->options.retries = 1000;
  neap_pool *pool = open_loader(h);
  for (int64_t at = 0; at < 500; at++) {
    read_in_order(h, pool, 1, at, at + 1);
    while (waitpid(-1, NULL, WNOHANG) > 0)
      continue;
  }
  neap_pool_close(pool);
}

static void workers_have_plain_signals(void **state) {
  host *h = *state;
  sigset_t blocked, before;
  struct sigaction action;
  const struct sigaction ignore = {.sa_handler = SIG_IGN};
  sigemptyset(&blocked);
  sigaddset(&blocked, SIGTERM);
  sigprocmask(SIG_BLOCK, &blocked, &before);
  sigaction(SIGINT, &ignore, &action);
  neap_pool *pool = open_loader(h);
  read_in_order(h, pool, 1, 0, 1);
  const int signals[] = {SIGTERM, SIGINT};
  for (int k = 0; k < 2; k++) {
    int32_t pid;
    await((pid = pid_of(pool, 0)) > 0);
    kill(pid, signals[k]);
    await(restarts_of(pool) > k);
  }
  neap_pool_close(pool);
  sigaction(SIGINT, &action, NULL);
  sigprocmask(SIG_SETMASK, &before, NULL);
}

/* -- Closing -- */

static void idle_workers_end_at_once(void **state) {
  host *h = *state;
  h->options.workers = 16;
  neap_pool *pool = open_loader(h);
  read_in_order(h, pool, 1, 0, 1000);
  assert_end(pool);
  await(atomic_load(&h->tally->starts) == 16);
  sleep_us(20000);
  const int64_t since = now_ms();
  neap_pool_close(pool);
  assert_in_range(now_ms() - since, 0, 1000);
}

static void busy_workers_are_killed(void **state) {
  host *h = *state;
  h->options.workers = 4;
  plan(h, SLEEP, 30000000, 1);
  h->program.step = 1;
  neap_pool *pool = open_loader(h);
  read_in_order(h, pool, 1, 0, 1);
  await(atomic_load(&h->tally->events) == 4);
  const int64_t since = now_ms();
  neap_pool_close(pool);
  assert_in_range(now_ms() - since, 0, 2000);
}

static void stopped_workers_are_killed(void **state) {
  host *h = *state;
  neap_pool *pool = open_loader(h);
  int32_t pid;
  read_in_order(h, pool, 1, 0, 100);
  await((pid = pid_of(pool, 0)) > 0); /* 0 would be all of us */
  kill(pid, SIGSTOP);
  const int64_t since = now_ms();
  neap_pool_close(pool);
  assert_in_range(now_ms() - since, 0, 2000);
}

static int64_t cpu_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Its word that it has attached comes while the host waits for its end. */
static void closing_waits_asleep(void **state) {
  host *h = *state;
  h->program.moment = AT_START;
  plan(h, SLEEP, INT32_MAX, ANY_INDEX);
  const int64_t before = cpu_ms();
  for (int round = 0; round < 3; round++)
    neap_pool_close(open_loader(h));
  assert_in_range(cpu_ms() - before, 0, NEAP__STOP_MS_MAX);
}

static void closing_is_safe_while_workers_start(void **state) {
  host *h = *state;
  h->options.workers = 6;
  for (int k = 0; k < 20; k++) {
    neap_pool *pool = open_loader(h);
    sleep_us(k * 300);
    neap_pool_close(pool);
  }
}

/* -- Workers gone wild -- */

/* Whatever it is, it is an end: no crash, no wait for ever. */
static void read_to_some_end(host *h, enum target target) {
  neap_run run;
  neap_error error = {0};
  int rc;
  int64_t items = 0;
  neap_pool *pool = open_loader(h);
  while ((rc = neap_pool_next(pool, &run, &error)) == NEAP_OK) {
    neap_cell value;
    for (int32_t k = 0; k < run.count && run.slot >= 0; k++)
      (void)neap_run_cell(&run, k, &value, NULL);
    items += run.count;
    neap_pool_release(pool, run.slot);
  }
  neap_stats stats;
  neap_pool_read_stats(pool, &stats);
  if (rc != NEAP_END && rc != NEAP_EDAMAGED && rc != NEAP_EWORKER)
    fail_msg("target %d: status %d: %s", (int)target, rc, error.text);
  if (rc == NEAP_END) assert_int_equal(items, h->options.length);
  if (target == ENTRIES || target >= TARGET_COUNT)
    assert_int_equal(rc, NEAP_EDAMAGED);
  (void)neap_pool_get(pool, 1, 5, &run, NULL);
  neap_pool_release(pool, run.slot);
  (void)neap_pool_seek(pool, 2, 0, NULL);
  neap_pool_close(pool);
}

static void read_while_scribbling(host *h, int32_t times) {
  h->options.length = 300;
  h->options.buffered = 8;
  h->program.times = times;
  h->program.step = 10;
  h->program.item_us = 100;
  for (int target = 0; target < TARGET_COUNT; target++)
    for (int round = 0; round < 2; round++) {
      forget(h);
      h->options.chunk = round;
      h->options.ordered = round;
      plan(h, SCRIBBLE, target, 50);
      read_to_some_end(h, (enum target)target);
    }
}

static void one_scribble_is_survived(void **state) {
  read_while_scribbling(*state, 1);
}

static void many_scribbles_are_survived(void **state) {
  read_while_scribbling(*state, 4);
}

/* A time limit is no help: it is for items that a worker is at. */
static void a_claim_that_is_nobodys_is_damage(void **state) {
  host *h = *state;
  h->options.length = 300;
  h->options.buffered = 8;
  h->options.chunk = 1;
  h->options.timeout_ns = 100000000;
  h->program.times = 1;
  for (int target = NOBODYS; target <= ANOTHERS; target++) {
    forget(h);
    h->options.ordered = target == NOBODYS;
    plan(h, SCRIBBLE, target, 50);
    read_to_some_end(h, (enum target)target);
  }
}

static void do_without(int signal) {
  (void)signal;
}

/* As a profiler's, or those of a game's clock: each ends a sleep. */
static void signals_do_not_hide_damage(void **state) {
  host *h = *state;
  timer_t timer;
  struct sigaction before;
  const struct sigaction action = {.sa_handler = do_without};
  struct sigevent event = {.sigev_notify = SIGEV_SIGNAL};
  event.sigev_signo = SIGUSR1;
  const struct timespec period = {0, 100000000};
  const struct itimerspec times = {period, period};
  sigaction(SIGUSR1, &action, &before);
  assert_int_equal(timer_create(CLOCK_MONOTONIC, &event, &timer), 0);
  assert_int_equal(timer_settime(timer, 0, &times, NULL), 0);
  h->options.chunk = 1;
  h->program.times = 1;
  plan(h, SCRIBBLE, NOBODYS, 50);
  read_to_some_end(h, NOBODYS);
  timer_delete(timer);
  sigaction(SIGUSR1, &before, NULL);
}

int main(int argc, char **argv) {
  if (argc > 1 && strcmp(argv[1], "--worker") == 0) return worker_main();
  const struct CMUnitTest tests[] = {
      test(workers_that_die_at_start_are_told),
      test(two_deaths_at_start_are_forgiven),
      test(workers_that_die_when_ready_are_told),
      test(workers_tell_why_they_cannot_work),
      test(programs_that_are_no_worker_are_told),
      test(an_item_that_kills_once_is_computed_again),
      test(an_item_that_kills_always_fails_alone),
      test(many_items_of_a_run_may_fail),
      test(each_item_may_fail),
      test(a_failure_comes_unordered_too),
      test(a_single_item_may_fail),
      test(jumps_and_failures_go_together),
      test(no_item_is_lost_in_a_storm),
      test(stopped_workers_go_on),
#ifdef NEAP_FAULTS
      test(a_death_at_any_step_loses_nothing),
#endif
      test(workers_have_no_other_descriptor),
      test(a_shortage_of_descriptors_is_told),
      test(a_restart_that_fails_is_tried_again),
      test(restarts_that_all_fail_are_told),
      test(a_host_may_ignore_its_children),
      test(deaths_of_ignored_children_count),
      test(a_host_may_reap_all_children),
      test(workers_have_plain_signals),
      test(idle_workers_end_at_once),
      test(busy_workers_are_killed),
      test(stopped_workers_are_killed),
      test(closing_waits_asleep),
      test(closing_is_safe_while_workers_start),
      test(one_scribble_is_survived),
      test(many_scribbles_are_survived),
      test(a_claim_that_is_nobodys_is_damage),
      test(signals_do_not_hide_damage),
  };
  return cmocka_run_group_tests(tests, start_threads, NULL);
}
