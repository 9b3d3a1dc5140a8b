/* SPDX-License-Identifier: MIT */
/* Stages get their own time, and timing is put off by what it costs. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdint.h>
#include <time.h>

#include "neap_lua.h"

static void nap(int ms) {
  nanosleep(&(struct timespec){.tv_nsec = ms * 1000000}, NULL);
}

static void a_stage_gets_its_own_time(void **state) {
  (void)state;
  neap_stage stages[3] = {0};
  neap_stopwatch watch;
  neap_stopwatch_open(&watch, stages);
  neap_stopwatch_start(&watch);
  const int32_t around = neap_stopwatch_enter(&watch, 1);
  assert_int_equal(around, 0);
  nap(2);
  const int32_t outer = neap_stopwatch_enter(&watch, 2);
  assert_int_equal(outer, 1);
  nap(8);
  neap_stopwatch_leave(&watch, outer);
  neap_stopwatch_leave(&watch, around);
  neap_stopwatch_stop(&watch);
  for (int k = 0; k < 3; k++)
    assert_int_equal(stages[k].calls, 1);
  assert_true(stages[1].busy_ns >= 2000000);
  assert_true(stages[2].busy_ns >= 8000000);
  assert_true(stages[0].busy_ns + stages[1].busy_ns + stages[2].busy_ns <=
              watch.since_ns - watch.opened_ns);
}

/* As after an error: the stages inside were entered and not left. */
static void an_item_may_end_in_any_stage(void **state) {
  (void)state;
  neap_stage stages[2] = {0};
  neap_stopwatch watch;
  neap_stopwatch_open(&watch, stages);
  for (int k = 0; k < 2; k++) {
    neap_stopwatch_start(&watch);
    neap_stopwatch_enter(&watch, 1);
    neap_stopwatch_stop(&watch);
    assert_int_equal(watch.stage, 0);
  }
  assert_int_equal(stages[0].calls, 2);
  assert_int_equal(stages[1].calls, 2);
}

/* Times an item of `changes` changes that is the only one in `ns`. */
static double pause_after(neap_stopwatch *watch, int64_t ns, int changes) {
  neap_stopwatch_start(watch);
  watch->opened_ns = watch->since_ns - ns * (watch->items + 1);
  for (int k = 0; k < changes; k++)
    neap_stopwatch_leave(watch, 1);
  return neap_stopwatch_stop(watch);
}

static void timing_takes_a_small_part_of_the_time(void **state) {
  (void)state;
  neap_stage stages[2] = {0};
  neap_stopwatch watch;
  neap_stopwatch_open(&watch, stages);
  assert_true(pause_after(&watch, 10000000, 10) == 1);
  double sum = 0;
  for (int k = 0; k < 1000; k++) {
    watch.items = watch.pause = 0;
    sum += pause_after(&watch, 1000000, 10000);
  }
  assert_true(sum > 100 * 1000 && sum < 1000 * 1000);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_stage_gets_its_own_time),
      cmocka_unit_test(an_item_may_end_in_any_stage),
      cmocka_unit_test(timing_takes_a_small_part_of_the_time),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
