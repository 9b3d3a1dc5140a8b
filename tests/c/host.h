/* SPDX-License-Identifier: MIT */
/*
 * A host in C, for tests of the pool: opens loaders over tests/c/worker.h,
 * checks what comes out, and counts what each test leaves behind.
 */
#ifndef NEAP_TESTS_HOST_H
#define NEAP_TESTS_HOST_H

#include <dirent.h>
#include <limits.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "worker.h"

enum { DEADLINE_S = 60, SIGNALS = 64 };
/* The C library adds it to each action that is set, the same one too. */
enum { SA_RESTORER_FLAG = 0x4000000 };

/* argv of the test program as a worker; tests may say more than "". */
static const char *const worker_arguments[] = {"test", "--worker", "", NULL};

/* Waits until a condition holds; the deadline is the test's. */
#define await(condition) \
  while (!(condition)) \
  sleep_us(500)

/* -- What a test must leave as it was -- */

typedef struct footprint {
  int descriptors;
  int threads;
  int maps; /* of our shared memory */
  sigset_t mask;
  struct sigaction actions[SIGNALS];
} footprint;

typedef struct host {
  footprint before;
  program program;
  neap_pool_options options;
  tally *tally;
  char executable[PATH_MAX];
} host;

static inline int entries_of(const char *path) {
  int count = 0;
  DIR *folder = opendir(path);
  assert_non_null(folder);
  while (readdir(folder) != NULL)
    count++;
  closedir(folder);
  return count;
}

/* Lines of /proc/self/maps that name our slots or control segment. */
static inline int map_count(const char *name) {
  char line[1024];
  int count = 0;
  FILE *file = fopen("/proc/self/maps", "re");
  assert_non_null(file);
  while (fgets(line, sizeof line, file) != NULL)
    count += strstr(line, name) != NULL;
  fclose(file);
  return count;
}

static inline footprint measure_footprint(void) {
  footprint now;
  memset(&now, 0, sizeof now);
  now.descriptors = entries_of("/proc/self/fd");
  now.threads = entries_of("/proc/self/task");
  now.maps = map_count("memfd:neap-");
  sigprocmask(SIG_BLOCK, NULL, &now.mask);
  for (int s = 1; s < SIGNALS; s++)
    if (s != SIGALRM) sigaction(s, NULL, &now.actions[s]);
  return now;
}

static inline void assert_no_child(void) {
  siginfo_t info;
  const int rc = waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT);
  assert_int_equal(rc, -1);
  assert_int_equal(errno, ECHILD);
}

static inline void assert_same_signals(const footprint *a, const footprint *b) {
  for (int s = 1; s < SIGNALS; s++) {
    assert_int_equal(sigismember(&a->mask, s), sigismember(&b->mask, s));
    assert_true(a->actions[s].sa_handler == b->actions[s].sa_handler);
    assert_int_equal(a->actions[s].sa_flags & ~SA_RESTORER_FLAG,
                     b->actions[s].sa_flags & ~SA_RESTORER_FLAG);
  }
}

static inline void assert_untouched(const footprint *before) {
  /* The kernel lets go of a thread a moment after it can be joined. */
  await(entries_of("/proc/self/task") <= before->threads);
  const footprint now = measure_footprint();
  assert_int_equal(now.descriptors, before->descriptors);
  assert_true(now.threads <= before->threads);
  assert_int_equal(now.maps, before->maps);
  assert_same_signals(&now, before);
  assert_no_child();
}

/* -- Before and after each test -- */

static inline void *do_nothing(void *argument) {
  return argument;
}

/* The thread sanitizer has a thread of its own, once there are others. */
static inline int start_threads(void **state) {
  pthread_t thread;
  (void)state;
  assert_int_equal(pthread_create(&thread, NULL, do_nothing, NULL), 0);
  return pthread_join(thread, NULL);
}

static inline int set_up(void **state) {
  host *h = calloc(1, sizeof *h);
  alarm(DEADLINE_S);
  h->before = measure_footprint();
  const ssize_t length =
      readlink("/proc/self/exe", h->executable, sizeof h->executable - 1);
  assert_true(length > 0);
  h->program.tally_fd = memfd_create("tally", MFD_CLOEXEC);
  assert_int_equal(ftruncate(h->program.tally_fd, sizeof *h->tally), 0);
  h->tally = mmap(NULL, sizeof *h->tally, PROT_READ | PROT_WRITE, MAP_SHARED,
                  h->program.tally_fd, 0);
  assert_true(h->tally != MAP_FAILED);
  h->options = (neap_pool_options){
      .chain_bytes = sizeof h->program,
      .launch = {.path = h->executable, .arguments = worker_arguments},
      .length = 1000,
      .workers = 2,
      .buffered = 16,
      .retries = 2,
      .ordered = 1,
      .heap_fd = -1,
      .slot_bytes = 1 << 26,
  };
  *state = h;
  return 0;
}

static inline int tear_down(void **state) {
  host *h = *state;
  munmap(h->tally, sizeof *h->tally);
  close(h->program.tally_fd);
  assert_untouched(&h->before);
  alarm(0);
  free(h);
  return 0;
}

#define test(function) \
  cmocka_unit_test_setup_teardown(function, set_up, tear_down)

/* What is to go wrong, and at which item. */
static inline void plan(host *h, enum event event, int32_t detail, int64_t at) {
  h->program.event = event;
  h->program.detail = detail;
  h->program.at = at;
}

/* Forgets what the workers counted. */
static inline void forget(host *h) {
  memset(h->tally, 0, sizeof *h->tally);
}

/* -- Loaders -- */

static inline neap_pool *open_loader(host *h) {
  neap_pool *pool;
  neap_error error = {0};
  h->options.chain = &h->program;
  if (neap_pool_open(&h->options, &pool, &error) != NEAP_OK)
    fail_msg("%s", error.text);
  assert_non_null(pool);
  return pool;
}

static inline void next_run(neap_pool *pool, neap_run *run) {
  neap_error error = {0};
  if (neap_pool_next(pool, run, &error) != NEAP_OK)
    fail_msg("%d: %s", error.status, error.text);
}

/* Checks item k of a run, by value. */
static inline void check_item(const host *h, const neap_run *run, int32_t k) {
  neap_cell value;
  neap_error error = {0};
  const int64_t index = run->first + k;
  if (neap_run_cell(run, k, &value, &error) != NEAP_OK)
    fail_msg("item %lld: %s", (long long)index, error.text);
  if (h->program.kind == NUMBERS) {
    assert_int_equal(value.type, NEAP_NUMBER);
    assert_true(value.number == value_of(run->epoch, index));
    return;
  }
  static char wanted[16 << 20];
  const uint32_t length = length_of(&h->program, index);
  assert_int_equal(value.type, NEAP_STRING);
  assert_int_equal(value.count, length);
  const char *text = neap_cell_string(run, &value, &error);
  assert_non_null(text);
  fill_text(wanted, length, run->epoch, index);
  assert_true(memcmp(text, wanted, length) == 0);
}

static inline void check_run(const host *h, const neap_run *run) {
  assert_true(run->slot >= 0 && run->count > 0);
  for (int32_t k = 0; k < run->count; k++)
    check_item(h, run, k);
}

/* Reads the items from `from` up to `to`, in order, all well. */
static inline void read_in_order(const host *h, neap_pool *pool, int64_t epoch,
                                 int64_t from, int64_t to) {
  while (from < to) {
    neap_run run;
    next_run(pool, &run);
    assert_int_equal(run.epoch, epoch);
    assert_int_equal(run.first, from);
    check_run(h, &run);
    neap_pool_release(pool, run.slot);
    from += run.count;
  }
}

static inline void assert_end(neap_pool *pool) {
  neap_run run;
  assert_int_equal(neap_pool_next(pool, &run, NULL), NEAP_END);
  assert_int_equal(run.slot, -1);
}

/*
 * Reads from `from` to the end. Items that the program's event meets fail,
 * each alone, after that many attempts; answers how many.
 */
static inline int read_past_failures(const host *h, neap_pool *pool,
                                     int64_t from, int32_t attempts) {
  const program *p = &h->program;
  const bool is_overdue = p->event == SLEEP;
  int failures = 0;
  while (from < h->options.length) {
    neap_run run;
    next_run(pool, &run);
    assert_int_equal(run.first, from);
    assert_int_equal(is_affected(p, from), run.slot < 0);
    from += run.count;
    if (run.slot >= 0) {
      check_run(h, &run);
      for (int64_t i = run.first; i < from; i++)
        assert_false(is_affected(p, i));
      neap_pool_release(pool, run.slot);
    } else {
      assert_int_equal(run.count, 1);
      assert_int_equal(run.attempts, attempts);
      assert_int_equal(run.is_overdue, is_overdue);
      assert_true(WIFSIGNALED(run.wait_status));
      assert_int_equal(WTERMSIG(run.wait_status),
                       is_overdue ? SIGKILL : p->detail);
      failures++;
    }
  }
  assert_end(pool);
  return failures;
}

/* A pool from its start to its end. */
static inline void read_all(host *h) {
  neap_pool *pool = open_loader(h);
  read_in_order(h, pool, 1, 0, h->options.length);
  assert_end(pool);
  assert_int_equal(neap_pool_held(pool), 0);
  neap_pool_close(pool);
}

static inline int64_t now_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static inline int32_t pid_of(const neap_pool *pool, int32_t worker) {
  neap_stats stats;
  return neap_pool_read_worker(pool, worker, &stats);
}

static inline int64_t restarts_of(const neap_pool *pool) {
  neap_stats stats;
  neap_pool_read_stats(pool, &stats);
  return stats.restarts;
}

/* -- Processes -- */

/* Starts this program as a host, in a process group of its own. */
static inline pid_t start_host(const host *h, const char *habit, int *answers) {
  int ends[2];
  assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
  const pid_t child = fork();
  if (child == 0) {
    setpgid(0, 0);
    dup2(ends[1], STDOUT_FILENO);
    execl(h->executable, "test", "--host", habit, (char *)NULL);
    _exit(1);
  }
  close(ends[1]);
  *answers = ends[0];
  return child;
}

static inline bool is_alive(int32_t pid) {
  char path[64], text[256] = "";
  snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
  const int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return false;
  const ssize_t length = read(fd, text, sizeof text - 1);
  close(fd);
  const char *end = strrchr(text, ')');
  return length > 0 && end != NULL && end[2] != 'Z' && end[2] != 'X';
}

#endif
