/* SPDX-License-Identifier: MIT */
/*
 * The pool, against real processes: order and completeness, jumps, what a
 * caller may hold, and what is left when it is closed.
 */
#include "host.h"

/* -- Order -- */

static void read_unordered(host *h) {
  static bool seen[TALLIED_MAX];
  memset(seen, 0, sizeof seen);
  neap_pool *pool = open_loader(h);
  for (int64_t left = h->options.length; left > 0;) {
    neap_run run;
    next_run(pool, &run);
    check_run(h, &run);
    for (int64_t i = run.first; i < run.first + run.count; i++) {
      assert_false(seen[i]);
      seen[i] = true;
    }
    neap_pool_release(pool, run.slot);
    left -= run.count;
  }
  assert_end(pool);
  neap_pool_close(pool);
}

static void read_both_ways(host *h) {
  h->options.ordered = 1;
  read_all(h);
  h->options.ordered = 0;
  read_unordered(h);
}

static void items_arrive_once_and_in_order(void **state) {
  host *h = *state;
  const int32_t buffers[] = {1, 2, 16, 100, 1000};
  const int32_t chunks[] = {1, 0, 7};
  for (int k = 0; k < 5 * 3; k++) {
    h->options.workers = 1 + k % 8;
    h->options.buffered = buffers[k % 5];
    h->options.chunk = chunks[k % 3];
    h->options.length = 50 * k + 250 * (k % 2);
    read_both_ways(h);
  }
}

static void each_number_of_workers_will_do(void **state) {
  host *h = *state;
  for (int32_t workers = 1; workers <= 8; workers++) {
    h->options.workers = workers;
    h->options.buffered = workers * 3;
    h->program.kind = workers % 2 ? STRINGS : NUMBERS;
    read_both_ways(h);
  }
}

static void runs_are_as_long_as_the_chunk(void **state) {
  host *h = *state;
  h->options.chunk = 7;
  h->options.length = 100;
  neap_pool *pool = open_loader(h);
  for (int64_t first = 0; first < 100; first += 7) {
    neap_run run;
    next_run(pool, &run);
    assert_int_equal(run.first, first);
    assert_int_equal(run.count, first < 98 ? 7 : 2);
    neap_pool_release(pool, run.slot);
  }
  neap_pool_close(pool);
}

static void runs_of_cheap_items_grow(void **state) {
  host *h = *state;
  h->options.buffered = 1000;
  h->options.length = 100000;
  neap_pool *pool = open_loader(h);
  int32_t longest = 0;
  for (int64_t read = 0; read < h->options.length;) {
    neap_run run;
    next_run(pool, &run);
    check_run(h, &run);
    if (run.count > longest) longest = run.count;
    read += run.count;
    neap_pool_release(pool, run.slot);
  }
  assert_true(longest > 10);
  neap_pool_close(pool);
}

static void slow_items_travel_alone(void **state) {
  host *h = *state;
  h->options.buffered = 64;
  h->options.length = 40;
  h->program.item_us = 2000;
  neap_pool *pool = open_loader(h);
  for (int k = 0; k < 40; k++) {
    neap_run run;
    next_run(pool, &run);
    assert_int_equal(run.count, 1);
    neap_pool_release(pool, run.slot);
  }
  neap_pool_close(pool);
}

static void nothing_ends_at_once(void **state) {
  host *h = *state;
  h->options.length = 0;
  neap_pool *pool = open_loader(h);
  assert_int_equal(neap_pool_length(pool), 0);
  assert_end(pool);
  assert_end(pool);
  neap_pool_close(pool);
}

static void no_more_is_computed_than_may_be(void **state) {
  host *h = *state;
  h->options.buffered = 5;
  h->options.chunk = 1;
  h->program.item_us = 200;
  neap_pool *pool = open_loader(h);
  read_in_order(h, pool, 1, 0, 10);
  await(atomic_load(&h->tally->computed[14]) == 1);
  sleep_us(20000);
  for (int i = 0; i < 15; i++)
    assert_int_equal(atomic_load(&h->tally->computed[i]), 1);
  assert_int_equal(atomic_load(&h->tally->computed[15]), 0);
  neap_pool_close(pool);
}

/* A slow item is in nobody's way but the consumer's. */
static void a_slow_item_delays_only_its_reader(void **state) {
  host *h = *state;
  h->options.ordered = 0;
  h->options.length = 100;
  h->options.chunk = 1;
  plan(h, SLEEP, 300000, 3);
  neap_pool *pool = open_loader(h);
  for (int k = 0; k < 100; k++) {
    neap_run run;
    next_run(pool, &run);
    check_run(h, &run);
    assert_true((run.first == 3) == (k == 99));
    neap_pool_release(pool, run.slot);
  }
  neap_pool_close(pool);
}

/* -- Single items -- */

static void get(const host *h, neap_pool *pool, int64_t epoch, int64_t index) {
  neap_run run;
  neap_error error = {0};
  if (neap_pool_get(pool, epoch, index, &run, &error) != NEAP_OK)
    fail_msg("%s", error.text);
  assert_int_equal(run.epoch, epoch);
  assert_int_equal(run.first, index);
  assert_int_equal(run.count, 1);
  check_run(h, &run);
  neap_pool_release(pool, run.slot);
}

static void single_items_come_from_anywhere(void **state) {
  host *h = *state;
  h->program.kind = STRINGS;
  neap_pool *pool = open_loader(h);
  get(h, pool, 1, 999);
  get(h, pool, 5, 0);
  for (int64_t k = 0; k < 300; k++)
    get(h, pool, k % 3, (int64_t)mix((uint64_t)k) & 511);
  neap_pool_close(pool);
}

static void single_items_leave_the_iteration_alone(void **state) {
  host *h = *state;
  h->options.chunk = 3;
  neap_pool *pool = open_loader(h);
  for (int64_t k = 0; k < 1000; k += 3) {
    read_in_order(h, pool, 1, k, k + 1);
    get(h, pool, 1 + k % 2, 999 - k);
  }
  assert_end(pool);
  neap_pool_close(pool);
}

static void single_items_out_of_range_are_refused(void **state) {
  host *h = *state;
  neap_run run;
  neap_error error = {0};
  neap_pool *pool = open_loader(h);
  const int64_t wrong[] = {-1, 1000, INT64_MAX, INT64_MIN};
  for (int k = 0; k < 4; k++) {
    assert_int_equal(neap_pool_get(pool, 1, wrong[k], &run, &error),
                     NEAP_EINVAL);
    assert_non_null(strstr(error.text, "out of range"));
    assert_int_equal(run.slot, -1);
  }
  get(h, pool, 1, 999);
  neap_pool_close(pool);
}

/* -- Jumps -- */

static void seek(neap_pool *pool, int64_t epoch, int64_t index) {
  neap_error error = {0};
  if (neap_pool_seek(pool, epoch, index, &error) != NEAP_OK)
    fail_msg("%s", error.text);
}

static void iteration_goes_on_wherever_it_is_put(void **state) {
  host *h = *state;
  const int32_t chunks[] = {1, 0, 7};
  for (int k = 0; k < 3; k++) {
    h->options.chunk = chunks[k];
    h->options.buffered = 40;
    neap_pool *pool = open_loader(h);
    for (uint64_t jump = 0; jump < 400; jump++) {
      const uint64_t random = mix(jump);
      const int64_t epoch = 1 + (random % 8 == 0);
      const int64_t index = (int64_t)(random >> 8) % 970;
      seek(pool, epoch, index);
      neap_run run;
      int64_t at = index;
      for (uint64_t more = random >> 32 & 3; more > 0; more--) {
        next_run(pool, &run);
        assert_int_equal(run.epoch, epoch);
        assert_int_equal(run.first, at);
        check_run(h, &run);
        at += run.count;
        neap_pool_release(pool, run.slot);
      }
    }
    seek(pool, 3, 0);
    read_in_order(h, pool, 3, 0, 1000);
    assert_end(pool);
    neap_pool_close(pool);
  }
}

/* Small steps ahead, within what was asked for, into the midst of runs. */
static void a_step_ahead_keeps_what_was_asked_for(void **state) {
  host *h = *state;
  h->options.chunk = 4;
  h->options.buffered = 32;
  neap_pool *pool = open_loader(h);
  for (int64_t at = 0; at + 9 < 1000;) {
    neap_run run;
    next_run(pool, &run);
    assert_int_equal(run.first, at);
    check_run(h, &run);
    at += run.count;
    neap_pool_release(pool, run.slot);
    at += (int64_t)mix((uint64_t)at) & 7;
    seek(pool, 1, at);
  }
  neap_pool_close(pool);
  for (int i = 0; i < 1000; i++)
    assert_true(atomic_load(&h->tally->computed[i]) <= 1);
}

static void a_step_back_within_a_run_is_a_step_too(void **state) {
  host *h = *state;
  h->options.chunk = 8;
  h->options.buffered = 32;
  neap_pool *pool = open_loader(h);
  read_in_order(h, pool, 1, 0, 8);
  seek(pool, 1, 14);
  seek(pool, 1, 9);
  read_in_order(h, pool, 1, 9, 40);
  neap_pool_close(pool);
}

/* Each item before the end comes once, and behind it the rest of a run alone.
 */
static void an_iteration_is_shortened(void **state) {
  host *h = *state;
  h->options.length = NEAP_ENDLESS;
  h->program.item_us = 100;
  for (int k = 0; k < 4; k++) {
    int seen[64] = {0};
    neap_run run;
    h->options.ordered = k % 2;
    h->options.chunk = k < 2 ? 1 : 7;
    neap_pool *pool = open_loader(h);
    next_run(pool, &run);
    do {
      check_run(h, &run);
      assert_in_range(run.first, 0, 49);
      for (int64_t i = run.first; i < run.first + run.count; i++)
        seen[i]++;
      neap_pool_release(pool, run.slot);
      neap_pool_shorten(pool, run.first < 40 ? 50 : 60); /* the least counts */
    } while (neap_pool_next(pool, &run, NULL) == NEAP_OK);
    for (int i = 0; i < 50; i++)
      assert_int_equal(seen[i], 1);
    assert_end(pool);
    seek(pool, 2, 40);
    next_run(pool, &run);
    check_run(h, &run);
    neap_pool_release(pool, run.slot);
    if (h->options.ordered) read_in_order(h, pool, 2, 40 + run.count, 200);
    neap_pool_close(pool);
  }
}

/* One to an item that has been asked for, too. */
static void a_jump_ends_what_was_shortened(void **state) {
  host *h = *state;
  h->options.chunk = 1;
  neap_pool *pool = open_loader(h);
  read_in_order(h, pool, 1, 0, 4);
  neap_pool_shorten(pool, 8);
  seek(pool, 1, 6);
  read_in_order(h, pool, 1, 6, 100);
  neap_pool_close(pool);
}

static void jumps_out_of_range_are_refused(void **state) {
  host *h = *state;
  neap_error error = {0};
  neap_pool *pool = open_loader(h);
  assert_int_equal(neap_pool_seek(pool, 1, -1, &error), NEAP_EINVAL);
  assert_int_equal(neap_pool_seek(pool, 1, 1001, &error), NEAP_EINVAL);
  assert_non_null(strstr(error.text, "index 1001 is out of range"));
  read_in_order(h, pool, 1, 0, 16);
  seek(pool, 1, 1000);
  assert_end(pool);
  seek(pool, 2, 999);
  read_in_order(h, pool, 2, 999, 1000);
  neap_pool_close(pool);
}

static void an_unordered_iteration_jumps_too(void **state) {
  host *h = *state;
  h->options.ordered = 0;
  h->options.length = 60;
  neap_pool *pool = open_loader(h);
  for (int64_t epoch = 1; epoch <= 5; epoch++) {
    int64_t sum = 0;
    seek(pool, epoch, 10);
    for (int left = epoch == 5 ? 50 : 25; left > 0;) {
      neap_run run;
      next_run(pool, &run);
      assert_int_equal(run.epoch, epoch);
      check_run(h, &run);
      for (int32_t k = 0; k < run.count; k++)
        sum += run.first + k;
      left -= run.count;
      neap_pool_release(pool, run.slot);
    }
    if (epoch == 5) assert_int_equal(sum, (10 + 59) * 50 / 2);
  }
  neap_pool_close(pool);
}

static void an_unordered_iteration_keeps_to_its_span(void **state) {
  enum { LENGTH = 400, SPAN = 10 };
  host *h = *state;
  h->options.ordered = 0;
  h->options.length = LENGTH;
  h->options.buffered = 8;
  h->options.chunk = 2;
  h->options.span = SPAN;
  plan(h, SLEEP, 50000, 3);
  neap_pool *pool = open_loader(h);
  for (int64_t start = 0; start <= 100; start += 50) {
    bool is_delivered[LENGTH] = {false};
    int64_t oldest = start;
    seek(pool, 1, start);
    for (int64_t left = LENGTH - start; left > 0;) {
      neap_run run;
      next_run(pool, &run);
      check_run(h, &run);
      assert_true(run.first + run.count - oldest <= SPAN);
      for (int32_t k = 0; k < run.count; k++) {
        assert_false(is_delivered[run.first + k]);
        is_delivered[run.first + k] = true;
      }
      left -= run.count;
      while (oldest < LENGTH && is_delivered[oldest])
        oldest++;
      neap_pool_release(pool, run.slot);
    }
    assert_end(pool);
  }
  neap_pool_close(pool);
}

static void an_endless_sequence_goes_on(void **state) {
  host *h = *state;
  h->options.length = NEAP_ENDLESS;
  neap_pool *pool = open_loader(h);
  assert_int_equal(neap_pool_length(pool), NEAP_ENDLESS);
  read_in_order(h, pool, 1, 0, 5000);
  seek(pool, 1, (int64_t)1 << 60);
  neap_run run;
  next_run(pool, &run);
  assert_int_equal(run.first, (int64_t)1 << 60);
  check_run(h, &run);
  neap_pool_release(pool, run.slot);
  get(h, pool, 1, (int64_t)1 << 61);
  neap_pool_close(pool);
}

/* Cancelled work wears nothing out: slots and entries come back. */
static void many_jumps_from_work_under_way_do_no_harm(void **state) {
  host *h = *state;
  h->options.chunk = 1;
  h->options.workers = 4;
  h->program.item_us = 200;
  neap_pool *pool = open_loader(h);
  for (int64_t k = 0; k < 500; k++) {
    seek(pool, k, 500);
    if (k % 5 == 0)
      read_in_order(h, pool, k, 500, 502);
    else
      get(h, pool, k, 7);
  }
  seek(pool, 1, 0);
  read_in_order(h, pool, 1, 0, 300);
  neap_pool_close(pool);
}

/* -- Holding -- */

static void held_items_have_a_limit(void **state) {
  host *h = *state;
  h->options.chunk = 1;
  h->program.kind = STRINGS;
  neap_run runs[64];
  neap_run run;
  neap_error error = {0};
  neap_pool *pool = open_loader(h);
  const int32_t most = neap_pool_held_max(pool);
  assert_in_range(most, 16, 64);
  for (int32_t k = 0; k < most; k++)
    next_run(pool, &runs[k]);
  assert_int_equal(neap_pool_held(pool), most);
  assert_int_equal(neap_pool_next(pool, &run, &error), NEAP_EHELD);
  assert_non_null(strstr(error.text, "release some"));
  assert_int_equal(run.slot, -1);
  assert_int_equal(neap_pool_get(pool, 1, 5, &run, &error), NEAP_EHELD);
  for (int32_t k = 0; k < most; k++) {
    assert_int_equal(runs[k].first, k);
    check_run(h, &runs[k]);
  }
  neap_pool_release(pool, runs[most / 2].slot);
  next_run(pool, &runs[most / 2]);
  assert_int_equal(runs[most / 2].first, most);
  assert_int_equal(neap_pool_next(pool, &run, &error), NEAP_EHELD);
  for (int32_t k = 0; k < most; k++) {
    check_run(h, &runs[k]);
    neap_pool_release(pool, runs[k].slot);
  }
  read_in_order(h, pool, 1, most + 1, 1000);
  neap_pool_close(pool);
}

static void a_slot_is_held_until_its_last_release(void **state) {
  host *h = *state;
  h->options.chunk = 1;
  h->program.kind = STRINGS;
  neap_run run;
  neap_pool *pool = open_loader(h);
  read_in_order(h, pool, 1, 0, 20);
  next_run(pool, &run);
  for (int k = 0; k < 10; k++)
    neap_pool_retain(pool, run.slot);
  assert_int_equal(neap_pool_held(pool), 1);
  for (int64_t k = 0; k < 10; k++) {
    neap_pool_release(pool, run.slot);
    read_in_order(h, pool, 1, 21 + k * 50, 71 + k * 50);
    check_run(h, &run);
    assert_int_equal(neap_pool_held(pool), 1);
  }
  neap_pool_release(pool, run.slot);
  assert_int_equal(neap_pool_held(pool), 0);
  neap_pool_close(pool);
}

static void a_slot_that_is_not_held_is_refused(void **state) {
  host *h = *state;
  h->options.chunk = 1;
  neap_run run;
  neap_pool *pool = open_loader(h);
  next_run(pool, &run);
  for (int32_t slot = -2; slot < 100; slot++) {
    const int wanted = slot < 0 ? NEAP_OK : NEAP_EINVAL;
    if (slot == run.slot) continue;
    assert_int_equal(neap_pool_retain(pool, slot), wanted);
    assert_int_equal(neap_pool_release(pool, slot), wanted);
  }
  assert_int_equal(neap_pool_release(pool, INT32_MAX), NEAP_EINVAL);
  assert_int_equal(neap_pool_held(pool), 1);
  assert_int_equal(neap_pool_retain(pool, run.slot), NEAP_OK);
  assert_int_equal(neap_pool_release(pool, run.slot), NEAP_OK);
  assert_int_equal(neap_pool_release(pool, run.slot), NEAP_OK);
  assert_int_equal(neap_pool_release(pool, run.slot), NEAP_EINVAL);
  assert_int_equal(neap_pool_retain(pool, run.slot), NEAP_EINVAL);
  assert_int_equal(neap_pool_held(pool), 0);
  neap_pool_close(pool);
}

static void a_read_is_interrupted_once(void **state) {
  const host *h = *state;
  neap_run run;
  neap_error error = {0};
  neap_pool *pool = open_loader(*state);
  read_in_order(h, pool, 1, 0, 16);
  neap_interrupt();
  assert_int_equal(neap_pool_next(pool, &run, &error), NEAP_EINTERRUPTED);
  assert_string_equal(error.text, "interrupted!");
  assert_int_equal(run.slot, -1);
  next_run(pool, &run); /* where the iteration was */
  assert_int_equal(run.first, 16);
  neap_pool_release(pool, run.slot);
  neap_interrupt();
  assert_int_equal(neap_pool_get(pool, 1, 3, &run, NULL), NEAP_EINTERRUPTED);
  get(h, pool, 1, 3);
  neap_interrupt();
  assert_int_equal(neap_interrupt_take(), 1);
  assert_int_equal(neap_interrupt_take(), 0);
  get(h, pool, 1, 4);
  neap_pool_close(pool);
}

static void held_items_outlive_their_pool(void **state) {
  host *h = *state;
  h->program.kind = STRINGS;
  h->options.chunk = 5;
  neap_run runs[3];
  neap_run run;
  neap_error error = {0};
  neap_stats stats;
  neap_pool *pool = open_loader(h);
  for (int k = 0; k < 3; k++)
    next_run(pool, &runs[k]);
  neap_pool_retain(pool, runs[0].slot);
  neap_pool_close(pool);
  assert_no_child();
  assert_int_equal(map_count("memfd:neap-control"), 0);
  assert_int_equal(map_count("memfd:neap-slots"), 1);
  neap_pool_close(pool);
  assert_int_equal(neap_pool_next(pool, &run, &error), NEAP_ECLOSED);
  assert_non_null(strstr(error.text, "closed"));
  assert_int_equal(neap_pool_get(pool, 1, 1, &run, NULL), NEAP_ECLOSED);
  assert_int_equal(neap_pool_seek(pool, 1, 1, NULL), NEAP_ECLOSED);
  neap_pool_read_stats(pool, &stats);
  assert_int_equal(stats.held, 3);
  assert_int_equal(stats.workers, 0);
  assert_int_equal(pid_of(pool, 0), 0);
  neap_pool_shorten(pool, 1);
  assert_int_equal(neap_pool_length(pool), h->options.length);
  assert_int_equal(neap_pool_held(pool), 3);
  assert_true(neap_pool_held_max(pool) > 3);
  assert_int_equal(neap_pool_release(pool, runs[2].slot + 1000), NEAP_EINVAL);
  for (int k = 2; k >= 0; k--) {
    check_run(h, &runs[k]);
    neap_pool_release(pool, runs[k].slot);
    assert_int_equal(map_count("memfd:neap-slots"), 1);
  }
  check_run(h, &runs[0]);
  neap_pool_release(pool, runs[0].slot);
  assert_int_equal(map_count("memfd:neap-slots"), 0);
  assert_int_equal(neap_pool_retain(pool, -1), NEAP_OK); /* looks at no pool */
  assert_int_equal(neap_pool_release(pool, -1), NEAP_OK);
}

/* -- Sizes -- */

/* A descriptor of a segment of the one pool that is open. */
static int descriptor_of(const char *segment) {
  char path[64], name[64];
  for (int fd = 3; fd < 256; fd++) {
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    const ssize_t length = readlink(path, name, sizeof name - 1);
    name[length < 0 ? 0 : length] = '\0';
    if (strstr(name, segment) != NULL) return fd;
  }
  fail_msg("no descriptor of %s", segment);
  return -1;
}

/* Bytes of memory behind its slots. */
static int64_t bytes_in_slots(void) {
  struct stat about;
  assert_int_equal(fstat(descriptor_of("memfd:neap-slots"), &about), 0);
  return (int64_t)about.st_blocks * 512;
}

static void items_may_have_any_size(void **state) {
  host *h = *state;
  h->program.kind = BLOBS;
  h->options.length = 500;
  const int32_t chunks[] = {1, 0, 7};
  for (int k = 0; k < 3; k++) {
    h->options.chunk = chunks[k];
    read_both_ways(h);
  }
}

/* By one worker: of several, one that rests has taken a slot, and with it the
   pages that the slot has. */
static void memory_falls_after_a_large_item(void **state) {
  host *h = *state;
  h->options.workers = 1;
  h->program.kind = PILES;
  h->program.at = 5;
  h->options.chunk = 1;
  h->options.length = 3000;
  neap_pool *pool = open_loader(h);
  read_in_order(h, pool, 1, 0, 6);
  assert_true(bytes_in_slots() > 16 << 20);
  read_in_order(h, pool, 1, 6, 3000);
  assert_in_range(bytes_in_slots(), 1, 16 << 20);
  neap_pool_close(pool);
}

/* Pages that nobody ever read: of a run that was cancelled, and of a worker
   that died at its work. */
static void memory_falls_after_a_cancelled_item(void **state) {
  host *h = *state;
  h->program.kind = PILES;
  h->program.at = 13;
  h->program.item_us = 20000;
  h->options.chunk = 8;
  h->options.workers = 1;
  h->options.length = 300;
  for (int is_killed = 0; is_killed < 2; is_killed++) {
    forget(h);
    neap_pool *pool = open_loader(h);
    read_in_order(h, pool, 1, 0, 8); /* and the next ones are asked for */
    await(atomic_load(&h->tally->computed[14]) > 0);
    assert_true(bytes_in_slots() > 16 << 20);
    if (is_killed) kill(pid_of(pool, 0), SIGKILL);
    assert_int_equal(neap_pool_seek(pool, 1, 200, NULL), NEAP_OK);
    read_in_order(h, pool, 1, 200, 300);
    assert_in_range(bytes_in_slots(), 1, 4 << 20);
    neap_pool_close(pool);
  }
}

/* Slots that few need any more: each was as large once, and none comes again.
 */
static void memory_of_idle_slots_falls(void **state) {
  host *h = *state;
  neap_run held[20];
  h->program.kind = HEAPS;
  h->program.at = 20;
  h->options.chunk = 1;
  h->options.buffered = 2;
  h->options.length = 1000;
  neap_pool *pool = open_loader(h);
  for (int k = 0; k < 20; k++)
    next_run(pool, &held[k]);
  assert_true(bytes_in_slots() > 80 << 20);
  for (int k = 0; k < 20; k++) {
    check_run(h, &held[k]);
    neap_pool_release(pool, held[k].slot);
  }
  read_in_order(h, pool, 1, 20, 1000);
  assert_in_range(bytes_in_slots(), 1, 24 << 20);
  neap_pool_close(pool);
}

static void closing_frees_the_slots_that_are_not_held(void **state) {
  host *h = *state;
  neap_run held[20];
  h->program.kind = HEAPS;
  h->program.at = 20;
  h->options.chunk = 1;
  h->options.buffered = 2;
  h->options.length = 1000;
  neap_pool *pool = open_loader(h);
  for (int k = 0; k < 20; k++)
    next_run(pool, &held[k]);
  for (int k = 1; k < 20; k++)
    neap_pool_release(pool, held[k].slot);
  neap_pool_close(pool);
  assert_in_range(bytes_in_slots(), 1, 24 << 20);
  check_run(h, &held[0]);
  neap_pool_release(pool, held[0].slot);
}

/* A seal by one worker would keep its successors from mapping a segment. */
static void no_worker_seals_or_sizes_a_segment(void **state) {
  neap_pool *pool = open_loader(*state);
  const char *const segments[] = {"memfd:neap-control", "memfd:neap-slots"};
  for (int k = 0; k < 2; k++) {
    const int fd = descriptor_of(segments[k]);
    assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE), -1);
    assert_int_equal(errno, EPERM);
    assert_int_equal(ftruncate(fd, 0), -1);
    assert_int_equal(ftruncate(fd, (off_t)1 << 40), -1);
  }
  neap_pool_close(pool);
}

/* -- Opening -- */

static void refuse(host *h, const neap_pool_options *options, int status,
                   const char *text) {
  neap_pool *pool = (void *)h;
  neap_error error = {0};
  const footprint before = measure_footprint();
  const int rc = neap_pool_open(options, &pool, &error);
  if (rc != status) fail_msg("%s: status %d: %s", text, rc, error.text);
  assert_null(pool);
  assert_int_equal(error.status, status);
  if (strstr(error.text, text) == NULL)
    fail_msg("wanted '%s', got '%s'", text, error.text);
  assert_int_equal(neap_pool_open(options, &pool, NULL), status);
  assert_untouched(&before);
}

#define refuse_option(h, name, value, status, text) \
  do { \
    neap_pool_options wrong = (h)->options; \
    wrong.name = value; \
    refuse(h, &wrong, status, text); \
  } while (0)

static void wrong_options_are_named(void **state) {
  host *h = *state;
  h->options.chain = &h->program;
  refuse_option(h, workers, 0, NEAP_EINVAL, "workers must be 1 to 512");
  refuse_option(h, workers, 513, NEAP_EINVAL, "workers must be 1 to 512");
  refuse_option(h, buffered, 0, NEAP_EINVAL, "buffered must be 1 or more");
  refuse_option(h, chunk, -1, NEAP_EINVAL, "chunk must be 0 or more");
  refuse_option(h, span, -1, NEAP_EINVAL, "span must be 0 or more");
  refuse_option(h, retries, -1, NEAP_EINVAL, "retries must be 0 or more");
  refuse_option(h, slot_bytes, 1, NEAP_EINVAL, "slot_bytes must be");
  refuse_option(h, slot_bytes, UINT64_MAX, NEAP_EINVAL, "slot_bytes must be");
  refuse_option(h, slot_bytes, 1ull << 46, NEAP_EMEMORY,
                "help: raise the limit (ulimit -v), or set slot_bytes, ");
  refuse_option(h, length, -2, NEAP_EINVAL, "length must be 0 or more");
  refuse_option(h, chain, NULL, NEAP_EINVAL, "chain must not be NULL");
  refuse_option(h, chain_bytes, UINT64_MAX, NEAP_EINVAL, "chain_bytes must");
  refuse_option(h, launch.arguments, NULL, NEAP_EINVAL,
                "launch.arguments must not be NULL");
  refuse_option(h, heap_fd, 9999, NEAP_ESYSTEM, "Bad file descriptor");
  refuse_option(h, launch.path, "/nonexistent/neap", NEAP_EWORKER,
                "no neap executable at /nonexistent/neap");
  refuse_option(h, launch.path, "/etc/passwd", NEAP_EWORKER,
                "no neap executable at /etc/passwd");
}

static void an_executable_is_found_by_the_environment(void **state) {
  host *h = *state;
  h->options.launch.path = NULL;
  setenv("NEAP_WORKER", "/nonexistent", 1);
  h->options.chain = &h->program;
  refuse(h, &h->options, NEAP_EWORKER, "no neap executable at /nonexistent");
  setenv("NEAP_WORKER", h->executable, 1);
  read_all(h);
  unsetenv("NEAP_WORKER");
}

static void a_worker_gets_the_environment_of_the_launch(void **state) {
  host *h = *state;
  static const char *const environment[] = {"A=1", "NEAP_TEST=told", NULL};
  h->options.launch.environment = environment;
  h->program.moment = AT_START;
  plan(h, REQUIRE, 0, ANY_INDEX);
  strcpy(h->program.text, "NEAP_TEST=told");
  read_all(h);
}

static void closing_takes_anything(void **state) {
  host *h = *state;
  neap_pool_close(NULL);
  for (int k = 0; k < 10; k++) {
    h->options.workers = 1 + k;
    neap_pool_close(open_loader(h));
  }
}

static void a_chain_may_be_empty_or_large(void **state) {
  host *h = *state;
  const size_t bytes = 3 << 20;
  program *large = calloc(1, bytes);
  *large = h->program;
  h->options.chain_bytes = bytes;
  h->options.chain = large;
  neap_pool *pool;
  assert_int_equal(neap_pool_open(&h->options, &pool, NULL), NEAP_OK);
  free(large); /* copied */
  read_in_order(h, pool, 1, 0, 100);
  neap_pool_close(pool);
  h->options.chain_bytes = 0;
  h->options.chain = NULL;
  assert_int_equal(neap_pool_open(&h->options, &pool, NULL), NEAP_OK);
  neap_pool_close(pool);
}

static void loaders_do_not_know_each_other(void **state) {
  host *h = *state;
  neap_pool *a = open_loader(h);
  h->program.kind = STRINGS;
  h->options.workers = 1;
  neap_pool *b = open_loader(h);
  for (int64_t k = 0; k < 1000; k += 16) {
    read_in_order(h, b, 1, k, k + 1);
    h->program.kind = NUMBERS;
    read_in_order(h, a, 1, k, k + 1);
    h->program.kind = STRINGS;
    seek(a, 1, k + 16 < 1000 ? k + 16 : 1000);
    seek(b, 1, k + 16 < 1000 ? k + 16 : 1000);
  }
  neap_pool_close(a);
  read_in_order(h, b, 1, 1000, 1000);
  get(h, b, 2, 3);
  neap_pool_close(b);
}

/* -- Statistics -- */

static void statistics_add_up(void **state) {
  host *h = *state;
  h->options.chunk = 4;
  h->program.item_us = 100;
  neap_stats all, sum = {0}, one;
  neap_pool *pool = open_loader(h);
  neap_pool_read_stats(pool, &all);
  assert_int_equal(all.items, 0);
  assert_int_equal(all.workers, 2);
  assert_int_equal(all.slots, 16 / 4 + 2 + 32);
  assert_int_equal(all.slot_bytes, h->options.slot_bytes);
  neap_run run;
  next_run(pool, &run);
  neap_pool_read_stats(pool, &all);
  assert_int_equal(all.held, 1);
  neap_pool_release(pool, run.slot);
  read_in_order(h, pool, 1, 4, 1000);
  neap_pool_read_stats(pool, &all);
  assert_int_equal(all.items, 1000);
  assert_int_equal(all.runs, 250);
  assert_int_equal(all.bytes, 16 * 1000);
  assert_true(all.busy_ns >= 1000 * 100 * 1000ll);
  assert_true(all.consumer_wait_ns > 0);
  assert_int_equal(all.restarts, 0);
  assert_int_equal(all.retries, 0);
  assert_int_equal(all.held, 0);
  for (int32_t w = 0; w < 2; w++) {
    assert_true(neap_pool_read_worker(pool, w, &one) > 0);
    sum.items += one.items;
    sum.runs += one.runs;
    sum.busy_ns += one.busy_ns;
  }
  assert_int_equal(sum.items, all.items);
  assert_int_equal(sum.runs, all.runs);
  assert_int_equal(sum.busy_ns, all.busy_ns);
  assert_int_equal(neap_pool_read_worker(pool, -1, &one), 0);
  assert_int_equal(neap_pool_read_worker(pool, 2, &one), 0);
  neap_pool_close(pool);
}

/* -- Damage -- */

/* Reads whatever is in a value, in depth, as a reader would. */
static int64_t walk(const neap_run *run, const neap_cell *value, int depth) {
  neap_cell key, item;
  neap_tensor_cell cell;
  void *data;
  uint32_t list, pairs;
  int64_t sum = 0;
  const char *text = neap_cell_string(run, value, NULL);
  for (uint32_t k = 0; text != NULL && k < value->count; k++)
    sum += text[k];
  if (neap_cell_tensor(run, value, &cell, &data, NULL) == NEAP_OK &&
      cell.ndim > 0 && cell.shape[0] > 0)
    sum += *(char *)data;
  if (depth == 0 || neap_cell_table(run, value, &list, &pairs, NULL) < 0)
    return sum;
  for (uint32_t k = 0; k < list && k < 10; k++)
    if (neap_cell_at(run, value, k, &item, NULL) == NEAP_OK)
      sum += walk(run, &item, depth - 1);
  for (uint32_t k = 0; k < pairs && k < 10; k++)
    if (neap_cell_pair(run, value, k, &key, &item, NULL) == NEAP_OK)
      sum += walk(run, &key, depth - 1) + walk(run, &item, depth - 1);
  return sum;
}

static void slots_full_of_rubbish_are_read_safely(void **state) {
  host *h = *state;
  h->program.kind = RUBBISH;
  h->options.chunk = 1;
  h->options.length = 3000;
  int damaged = 0;
  int64_t sum = 0;
  neap_pool *pool = open_loader(h);
  for (int k = 0; k < 3000; k++) {
    neap_run run;
    neap_cell value;
    next_run(pool, &run);
    const int rc = neap_run_cell(&run, 0, &value, NULL);
    assert_int_equal(rc, NEAP_OK);
    sum += walk(&run, &value, 3);
    if (value.type == NEAP_STRING)
      damaged += neap_cell_string(&run, &value, NULL) == NULL;
    neap_pool_release(pool, run.slot);
  }
  assert_true(damaged > 0);
  assert_true(sum != 0);
  neap_pool_close(pool);
}

/* -- The host -- */

/* A forked child may close what it inherited; its parent does not notice. */
static void a_forked_child_ends_nothing(void **state) {
  host *h = *state;
  const int descriptors = entries_of("/proc/self/fd");
  neap_pool *pool = open_loader(h);
  read_in_order(h, pool, 1, 0, 16);
  /* What the supervisor opens for a worker that it starts is its thread's. */
  await(pid_of(pool, h->options.workers - 1) > 0);
  const pid_t child = fork();
  if (child == 0) {
    neap_pool_close(pool);
    _exit(entries_of("/proc/self/fd") - descriptors); /* that it keeps */
  }
  int status;
  assert_int_equal(waitpid(child, &status, 0), child);
  /* One may be what the supervisor closed at the moment of the fork. */
  assert_true(WIFEXITED(status) && WEXITSTATUS(status) <= 1);
  read_in_order(h, pool, 1, 16, 1000);
  neap_stats stats;
  neap_pool_read_stats(pool, &stats);
  assert_int_equal(stats.restarts, 0);
  neap_pool_close(pool);
}

/* What a forked child does with a pool: its exit status. */
static int use_in_a_child(neap_pool *pool, const neap_run *held) {
  neap_run run;
  neap_error error = {0};
  if (neap_pool_next(pool, &run, &error) != NEAP_ECLOSED) return 1;
  if (strstr(error.text, "cannot read: this process was forked") == NULL)
    return 2;
  if (run.slot != -1) return 3;
  if (neap_pool_get(pool, 1, 500, &run, NULL) != NEAP_ECLOSED) return 4;
  if (neap_pool_seek(pool, 1, 0, &error) != NEAP_ECLOSED) return 5;
  if (strstr(error.text, "cannot seek: this process was forked") == NULL)
    return 6;
  neap_pool_retain(pool, held[1].slot);
  for (int k = 0; k < 8; k++)
    neap_pool_release(pool, held[k].slot);
  neap_pool_close(pool);
  neap_pool_release(pool, held[1].slot); /* the pool goes with it */
  return 0;
}

static void a_forked_child_changes_nothing_of_its_parent(void **state) {
  host *h = *state;
  neap_run held[8];
  h->program.kind = BLOBS;
  h->options.chunk = 1;
  neap_pool *pool = open_loader(h);
  for (int k = 0; k < 8; k++)
    next_run(pool, &held[k]);
  const pid_t child = fork();
  if (child == 0) _exit(use_in_a_child(pool, held));
  int status;
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_int_equal(status, 0);
  assert_int_equal(neap_pool_held(pool), 8);
  read_in_order(h, pool, 1, 8, 400);
  for (int k = 0; k < 8; k++) {
    check_run(h, &held[k]);
    neap_pool_release(pool, held[k].slot);
  }
  read_in_order(h, pool, 1, 400, 1000);
  neap_pool_close(pool);
}

int main(int argc, char **argv) {
  if (argc > 1 && strcmp(argv[1], "--worker") == 0) return worker_main();
  const struct CMUnitTest tests[] = {
      test(items_arrive_once_and_in_order),
      test(each_number_of_workers_will_do),
      test(runs_are_as_long_as_the_chunk),
      test(runs_of_cheap_items_grow),
      test(slow_items_travel_alone),
      test(nothing_ends_at_once),
      test(no_more_is_computed_than_may_be),
      test(a_slow_item_delays_only_its_reader),
      test(single_items_come_from_anywhere),
      test(single_items_leave_the_iteration_alone),
      test(single_items_out_of_range_are_refused),
      test(iteration_goes_on_wherever_it_is_put),
      test(a_step_ahead_keeps_what_was_asked_for),
      test(a_step_back_within_a_run_is_a_step_too),
      test(an_iteration_is_shortened),
      test(a_jump_ends_what_was_shortened),
      test(jumps_out_of_range_are_refused),
      test(an_unordered_iteration_jumps_too),
      test(an_unordered_iteration_keeps_to_its_span),
      test(an_endless_sequence_goes_on),
      test(many_jumps_from_work_under_way_do_no_harm),
      test(held_items_have_a_limit),
      test(a_slot_is_held_until_its_last_release),
      test(a_slot_that_is_not_held_is_refused),
      test(a_read_is_interrupted_once),
      test(held_items_outlive_their_pool),
      test(items_may_have_any_size),
      test(memory_falls_after_a_large_item),
      test(memory_falls_after_a_cancelled_item),
      test(memory_of_idle_slots_falls),
      test(closing_frees_the_slots_that_are_not_held),
      test(no_worker_seals_or_sizes_a_segment),
      test(wrong_options_are_named),
      test(an_executable_is_found_by_the_environment),
      test(a_worker_gets_the_environment_of_the_launch),
      test(closing_takes_anything),
      test(a_chain_may_be_empty_or_large),
      test(loaders_do_not_know_each_other),
      test(statistics_add_up),
      test(slots_full_of_rubbish_are_read_safely),
      test(a_forked_child_ends_nothing),
      test(a_forked_child_changes_nothing_of_its_parent),
  };
  return cmocka_run_group_tests(tests, start_threads, NULL);
}
