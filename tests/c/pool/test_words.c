/* SPDX-License-Identifier: MIT */
/*
 * What workers write to stderr: all of it arrives at the host's, the end of
 * it in the error when they do not start, and nobody waits for a host's
 * stderr that takes nothing.
 */
#include "host.h"

enum { TEXT_MAX = 1 << 20 };

/* -- A stderr of our own -- */

typedef struct ear {
  int saved; /* the real stderr */
  int ours;  /* what arrives, or -1 */
} ear;

/* Lets stderr be a pipe that we read. */
static ear prick(void) {
  int ends[2];
  assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
  const ear e = {fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 10), ends[0]};
  dup2(ends[1], STDERR_FILENO);
  close(ends[1]);
  return e;
}

static void restore(const ear *e) {
  dup2(e->saved, STDERR_FILENO);
  close(e->saved);
}

/* All that has been written; nobody writes any more. */
static char *hear_out(ear *e) {
  static char text[TEXT_MAX];
  size_t used = 0;
  restore(e);
  for (;;) {
    const ssize_t n = read(e->ours, text + used, sizeof text - 1 - used);
    if (n <= 0) break;
    used += (size_t)n;
  }
  close(e->ours);
  text[used] = '\0';
  return text;
}

static int count_of(const char *text, const char *word) {
  int count = 0;
  while ((text = strstr(text, word)) != NULL) {
    count++;
    text += strlen(word);
  }
  return count;
}

static void speak(host *h, enum moment moment, const char *text, int times) {
  h->program.event = SPEAK;
  h->program.moment = moment;
  h->program.at = moment == AT_ITEM ? 0 : ANY_INDEX;
  h->program.detail = times;
  snprintf(h->program.text, sizeof h->program.text, "%s", text);
}

/* The text of the error that ends the pool. */
static void read_error(host *h, neap_error *error) {
  neap_run run;
  neap_pool *pool = open_loader(h);
  int rc;
  while ((rc = neap_pool_next(pool, &run, error)) == NEAP_OK)
    neap_pool_release(pool, run.slot);
  assert_int_equal(rc, NEAP_EWORKER);
  neap_pool_close(pool);
}

static void an_error_tells_the_last_words(void **state) {
  host *h = *state;
  neap_error error;
  speak(h, AT_START, "no such library: libx.so\n", 1);
  h->program.event = EXIT;
  h->program.detail = 127;
  ear e = prick();
  read_error(h, &error);
  const char *heard = hear_out(&e);
  assert_non_null(strstr(error.text, "the last ended with exit status 127, "
                                     "and wrote:\nno such library: libx.so"));
  assert_in_range(count_of(heard, "libx.so\n"), 3, 8);
}

static void long_words_are_cut_in_front(void **state) {
  host *h = *state;
  neap_error error;
  const enum moment moments[] = {AT_START, WHEN_READY};
  for (int k = 0; k < 2; k++) {
    speak(h, moments[k], "", 0);
    h->program.event = EXIT;
    memset(h->program.text, 'x', sizeof h->program.text - 5);
    strcpy(h->program.text + sizeof h->program.text - 5, "end\n");
    h->program.detail = 3;
    ear e = prick();
    read_error(h, &error);
    hear_out(&e);
    assert_non_null(strstr(error.text, "exit status 3, and wrote:\nxxx"));
    assert_string_equal(error.text + strlen(error.text) - 4, "xend");
  }
}

/* More than a pipe holds, at start and in an item. */
static void words_arrive_whole(void **state) {
  host *h = *state;
  const enum moment moments[] = {AT_START, WHEN_READY, AT_ITEM};
  h->options.workers = 1;
  h->program.times = 1;
  for (int k = 0; k < 3; k++) {
    speak(h, moments[k], "so it begins\n", 4000);
    ear e = prick();
    read_all(h);
    const char *heard = hear_out(&e);
    assert_int_equal(count_of(heard, "so it begins\n"), 4000);
    assert_int_equal(strlen(heard), 4000 * strlen(h->program.text));
    forget(h);
  }
}

/* A worker's later words go straight to the host's stderr. */
static void later_words_arrive(void **state) {
  host *h = *state;
  speak(h, AT_ITEM, "again\n", 2);
  h->program.at = 1;
  h->program.step = 1;
  ear e = prick();
  read_all(h);
  assert_int_equal(count_of(hear_out(&e), "again\n"),
                   2 * ((int)h->options.length - 1));
}

typedef struct drain {
  int from;
  _Atomic size_t bytes;
} drain;

static void *drain_out(void *argument) {
  drain *d = argument;
  char text[4096];
  ssize_t n;
  while ((n = read(d->from, text, sizeof text)) > 0)
    atomic_fetch_add(&d->bytes, (size_t)n);
  return NULL;
}

static int busy_worker(const neap_pool *pool) {
  neap_stats first, second;
  neap_pool_read_worker(pool, 0, &first);
  const int pid = neap_pool_read_worker(pool, 1, &second);
  return first.runs > second.runs ? pid_of(pool, 0) : pid;
}

/*
 * A full stderr stops who writes to it, and nobody else: a worker that dies
 * meanwhile is replaced, and all is there once it is read.
 */
static void a_stuck_stderr_stops_nobody_else(void **state) {
  host *h = *state;
  pthread_t reader;
  h->options.chunk = 4;
  ear e = prick();
  fcntl(STDERR_FILENO, F_SETPIPE_SZ, 4096);
  speak(h, AT_START, "one of two says a lot at its start\n", 4000);
  h->program.times = 1;
  neap_pool *pool = open_loader(h);
  read_in_order(h, pool, 1, 0, 500); /* by the other one */
  kill(busy_worker(pool), SIGKILL);
  read_in_order(h, pool, 1, 500, 1000); /* by its successor */
  drain d = {.from = e.ours};
  assert_int_equal(pthread_create(&reader, NULL, drain_out, &d), 0);
  await(atomic_load(&d.bytes) == 4000 * strlen(h->program.text));
  neap_pool_close(pool);
  restore(&e);
  pthread_join(reader, NULL);
  close(e.ours);
}

static void a_host_without_stderr_has_workers(void **state) {
  host *h = *state;
  neap_error error;
  speak(h, AT_START, "nobody hears it\n", 5000);
  const int saved = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 10);
  close(STDERR_FILENO);
  read_all(h);
  h->program.event = EXIT;
  read_error(h, &error);
  dup2(saved, STDERR_FILENO);
  close(saved);
  assert_non_null(strstr(error.text, "and wrote:\nnobody hears it"));
}

int main(int argc, char **argv) {
  if (argc > 2 && strcmp(argv[1], "--worker") == 0) return worker_main();
  const struct CMUnitTest tests[] = {
      test(an_error_tells_the_last_words),
      test(long_words_are_cut_in_front),
      test(words_arrive_whole),
      test(later_words_arrive),
      test(a_stuck_stderr_stops_nobody_else),
      test(a_host_without_stderr_has_workers),
  };
  return cmocka_run_group_tests(tests, start_threads, NULL);
}
