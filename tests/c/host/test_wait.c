/* SPDX-License-Identifier: MIT */
/* Reads that wait for a limited time, and go on. */
#include "loader.h"

/* Items that are their index in Lua; the second takes 300 ms. */
#define SLOW_SECOND \
  "local ffi = require('ffi')\n" \
  "return require('neap').range(3):map(function(i)\n" \
  "  pcall(ffi.cdef, 'int usleep(unsigned us);')\n" \
  "  if i == 2 then ffi.C.usleep(300000) end\n" \
  "  return i\n" \
  "end):prefetch{workers = 2, chunk = 1}\n"

enum { SLOW_MS = 300 };

static neap_loader *open_waiting(scene *s, int64_t wait_ms) {
  s->options.wait_ns = wait_ms * 1000000;
  return open_text(s, SLOW_SECOND);
}

/* Reads item `index`, aside or next; checks it. Returns how often it tried. */
static int read_item(neap_loader *loader, int64_t index, bool is_aside) {
  neap_item *item;
  neap_error error = {0};
  for (int tries = 1;; tries++) {
    const int rc = is_aside ? neap_get(loader, index, &item, &error)
                            : neap_next(loader, &item, &error);
    if (rc == NEAP_AGAIN) {
      assert_null(item);
      continue;
    }
    if (rc != NEAP_OK) fail_msg("%s", error.text);
    assert_int_equal(neap_item_index(item), index);
    assert_true(number_of(item) == (double)(index + 1));
    neap_item_release(item);
    return tries;
  }
}

static void next_goes_on(void **state) {
  neap_loader *loader = open_waiting(*state, 20);
  read_item(loader, 0, false);
  assert_true(read_item(loader, 1, false) > 2);
  read_item(loader, 2, false);
  assert_over(loader);
  neap_close(loader);
}

static void get_goes_on(void **state) {
  neap_loader *loader = open_waiting(*state, 20);
  const int64_t since = now_ms();
  assert_true(read_item(loader, 1, true) > 2);
  /* Computed once, however often it was asked for. */
  assert_true(now_ms() - since < 5 * SLOW_MS);
  neap_close(loader);
}

static void other_reads_drop_a_get(void **state) {
  neap_item *item;
  neap_loader *loader = open_waiting(*state, 20);
  read_item(loader, 0, false);
  assert_int_equal(neap_get(loader, 1, &item, NULL), NEAP_AGAIN);
  read_item(loader, 2, true);
  assert_int_equal(neap_get(loader, 1, &item, NULL), NEAP_AGAIN);
  read_item(loader, 1, false);
  assert_int_equal(neap_get(loader, 1, &item, NULL), NEAP_AGAIN);
  read_item(loader, 2, false);
  assert_over(loader);
  assert_int_equal(neap_get(loader, 1, &item, NULL), NEAP_AGAIN);
  assert_over(loader);
  assert_int_equal(neap_get(loader, 1, &item, NULL), NEAP_AGAIN);
  neap_close(loader);
}

static void a_seek_leaves_a_get(void **state) {
  neap_item *item;
  neap_loader *loader = open_waiting(*state, 20);
  assert_int_equal(neap_get(loader, 1, &item, NULL), NEAP_AGAIN);
  assert_int_equal(neap_seek(loader, 2, 2, NULL), NEAP_OK);
  read_item(loader, 1, true);
  read_item(loader, 2, false);
  assert_over(loader);
  neap_close(loader);
}

static void a_seek_from_the_end_goes_back(void **state) {
  neap_item *item;
  neap_loader *loader = open_waiting(*state, 20);
  for (int64_t k = 0; k < 3; k++)
    read_item(loader, k, false);
  assert_over(loader);
  assert_int_equal(neap_get(loader, 1, &item, NULL), NEAP_AGAIN);
  assert_int_equal(neap_seek(loader, 1, 2, NULL), NEAP_OK);
  read_item(loader, 2, false);
  assert_over(loader);
  neap_close(loader);
}

static void on_alarm(int number) {
  (void)number;
}

/* Also where the handler restarts system calls. */
static void a_signal_ends_a_wait(void **state) {
  struct sigaction before,
      action = {.sa_handler = on_alarm, .sa_flags = SA_RESTART};
  neap_item *item;
  neap_loader *loader = open_waiting(*state, 60000);
  read_item(loader, 0, false);
  sigaction(SIGUSR1, &action, &before);
  timer_t timer;
  struct sigevent event = {.sigev_notify = SIGEV_SIGNAL,
                           .sigev_signo = SIGUSR1};
  const struct itimerspec soon = {.it_value = {.tv_nsec = 50000000}};
  assert_int_equal(timer_create(CLOCK_MONOTONIC, &event, &timer), 0);
  timer_settime(timer, 0, &soon, NULL);
  assert_int_equal(neap_next(loader, &item, NULL), NEAP_AGAIN);
  timer_delete(timer);
  sigaction(SIGUSR1, &before, NULL);
  assert_int_equal(read_item(loader, 1, false), 1);
  neap_close(loader);
}

static void refuses_a_negative_time(void **state) {
  scene *s = *state;
  neap_error error;
  s->options.wait_ns = -1;
  refuse_text(s, SLOW_SECOND, NEAP_EINVAL, &error);
  assert_says(&error, "wait_ns must be 0 or more");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      scene_test(next_goes_on),
      scene_test(get_goes_on),
      scene_test(other_reads_drop_a_get),
      scene_test(a_seek_leaves_a_get),
      scene_test(a_seek_from_the_end_goes_back),
      scene_test(a_signal_ends_a_wait),
      scene_test(refuses_a_negative_time),
  };
  return cmocka_run_group_tests(tests, start_threads, NULL);
}
