/* SPDX-License-Identifier: MIT */
/*
 * The supervisor without a pool: the test makes the consumer's moves, one
 * by one, so that a worker dies just when it shall.
 */
#include "pool/supervisor.h"

#include "host.h"

#include "base/descriptor.h"

enum { RUNS = 2, SLOTS = RUNS + 1, SLOT_BYTES = 1 << 16 };
enum { DEATHS = 5, ATTACH_MS = 1000 };

/* What a pool has, for one worker. */
typedef struct watch {
  neap__segment control;
  neap__buffer buffer;
  neap__ring ring;
  neap__supervisor supervisor;
} watch;

/* A worker that is started with this word never attaches. */
static const char *const MUTE = "mute";
/* One that is started with this stops its process group first. */
static const char *const PAUSING = "pausing";

static void open_memory(watch *w, const program *p) {
  const neap__counts counts = {
      .workers = 1,
      .entries = RUNS,
      .slots = SLOTS,
      .slot_bytes = SLOT_BYTES,
      .chain_bytes = sizeof *p,
  };
  assert_int_equal(neap__segment_open(&w->control, "neap-control",
                                      neap__ring_bytes(&counts), NULL),
                   NEAP_OK);
  assert_int_equal(neap__segment_open(&w->buffer.segment, "neap-slots",
                                      SLOTS * SLOT_BYTES, NULL),
                   NEAP_OK);
  neap__ring_format(w->control.base, &counts);
  assert_int_equal(
      neap__ring_attach(&w->ring, w->control.base, w->control.bytes, NULL),
      NEAP_OK);
  memcpy(w->control.base + w->ring.control->chain_offset, p, sizeof *p);
}

static void open_watch(watch *w, const host *h, const char *word,
                       int32_t attach_ms) {
  neap__supervisor *s = &w->supervisor;
  *w = (watch){.buffer = {.slot_bytes = SLOT_BYTES}};
  open_memory(w, &h->program);
  neap__supervisor_init(s);
  s->ring = &w->ring;
  s->buffer = &w->buffer;
  s->attach_ms = attach_ms;
  s->end_ms = NEAP__END_MS_MAX;
  const char *const arguments[] = {"test", "--worker", word, NULL};
  const neap_launch launch = {.path = h->executable, .arguments = arguments};
  assert_int_equal(neap__launcher_open(&s->launcher, &launch, NULL), NEAP_OK);
  s->inherit[NEAP__FD_CONTROL] =
      neap__descriptor_copy(w->control.fd, NEAP__FD_COUNT);
  s->inherit[NEAP__FD_SLOTS] =
      neap__descriptor_copy(w->buffer.segment.fd, NEAP__FD_COUNT);
  s->inherit[NEAP__FD_STDERR] =
      neap__descriptor_copy(STDERR_FILENO, NEAP__FD_COUNT);
  assert_int_equal(s->crew.ops->start(&s->crew, NULL), NEAP_OK);
}

/* Before anything is asserted: a failure must not leave the thread behind. */
static void close_watch(watch *w) {
  neap__supervisor *s = &w->supervisor;
  s->crew.ops->stop(&s->crew);
  neap__supervisor_fini(s);
  neap__segment_close(&w->control);
  neap__segment_close(&w->buffer.segment);
}

static bool has_failed(watch *w) {
  return atomic_load(&w->supervisor.has_failed) != 0;
}

static void open_entry(watch *w, int number) {
  neap__ring_open(&w->ring, (uint32_t)number % RUNS, (uint64_t)number + 1, 1,
                  number, 1);
  neap__ring_wake_workers(&w->ring, 1);
}

static bool is_claimed(const watch *w, int number) {
  return neap__ring_look(&w->ring, (uint32_t)number % RUNS).state ==
         NEAP__CLAIMED;
}

/*
 * Each worker dies when its run has just been cancelled, and another is open:
 * so it holds no claim though there is work, but it has begun a run.
 */
static void deaths_at_cancelled_runs_are_not_in_vain(void **state) {
  host *h = *state;
  watch w;
  plan(h, SLEEP, INT32_MAX, ANY_INDEX);
  open_watch(&w, h, "", NEAP__ATTACH_MS_MAX);
  open_entry(&w, 0);
  for (int k = 0; k < DEATHS; k++) {
    await(atomic_load(&h->tally->events) > k || has_failed(&w));
    if (has_failed(&w)) break;
    neap__ring_cancel(&w.ring, (uint32_t)k % RUNS);
    open_entry(&w, k + 1);
    kill(atomic_load(&w.supervisor.pids[0]), SIGTERM);
  }
  await(atomic_load(&h->tally->events) > DEATHS || has_failed(&w));
  const bool is_at_work = is_claimed(&w, DEATHS);
  close_watch(&w);
  assert_string_equal(w.supervisor.failure.text, "");
  assert_true(is_at_work);
  assert_int_equal(atomic_load(&w.supervisor.restarts), DEATHS);
}

static void a_worker_that_never_attaches_is_told(void **state) {
  host *h = *state;
  watch w;
  char wanted[PATH_MAX + 64];
  const int64_t since = now_ms();
  open_watch(&w, h, MUTE, ATTACH_MS);
  await(has_failed(&w));
  const int64_t after_ms = now_ms() - since;
  close_watch(&w);
  snprintf(wanted, sizeof wanted,
           "cannot start workers: %s did not report within 1 s", h->executable);
  assert_string_equal(w.supervisor.failure.text, wanted);
  assert_true(after_ms >= ATTACH_MS);
  assert_int_equal(atomic_load(&w.supervisor.restarts), 0);
}

/* A host that its worker stops before it attaches, for longer than that may
   take. */
static int paused_main(void) {
  void *state;
  watch w;
  set_up(&state);
  open_watch(&w, state, PAUSING, ATTACH_MS);
  open_entry(&w, 0);
  await(has_failed(&w) || neap__ring_look(&w.ring, 0).state == NEAP__DONE);
  close_watch(&w);
  return has_failed(&w) ? 1 : 0;
}

static void a_pause_is_no_time_to_attach(void **state) {
  int answers, status;
  const pid_t child = start_host(*state, PAUSING, &answers);
  close(answers);
  assert_int_equal(waitpid(child, &status, WUNTRACED), child);
  assert_true(WIFSTOPPED(status));
  sleep_us(2 * ATTACH_MS * 1000); /* the time that must not count */
  kill(-child, SIGCONT);
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_int_equal(status, 0);
}

/* Says nothing, until the host closes its socket. */
static int mute_main(void) {
  char word[64];
  while (read(NEAP__FD_SOCKET, word, sizeof word) > 0)
    continue;
  return 0;
}

int main(int argc, char **argv) {
  if (argc > 2 && strcmp(argv[2], MUTE) == 0) return mute_main();
  if (argc > 2 && strcmp(argv[1], "--host") == 0) _exit(paused_main());
  if (argc > 2 && strcmp(argv[2], PAUSING) == 0) {
    kill(0, SIGSTOP);
    sleep_us(ATTACH_MS * 1000 / 4);
  }
  if (argc > 2 && strcmp(argv[1], "--worker") == 0) return worker_main();
  const struct CMUnitTest tests[] = {
      test(deaths_at_cancelled_runs_are_not_in_vain),
      test(a_worker_that_never_attaches_is_told),
      test(a_pause_is_no_time_to_attach),
  };
  return cmocka_run_group_tests(tests, start_threads, NULL);
}
