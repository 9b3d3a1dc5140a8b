/* SPDX-License-Identifier: MIT */
/* Loaders and their iteration. */
#include "loader.h"

static void reads_all_items(void **state) {
  neap_loader *loader = open_text(*state, NUMBERS_OF(1000));
  assert_int_equal(neap_length(loader), 1000);
  assert_int_equal(neap_epoch(loader), 1);
  assert_int_equal(neap_position(loader), 0);
  read_numbers(loader, 0, 1000);
  assert_int_equal(neap_position(loader), 1000);
  assert_over(loader);
  assert_over(loader);
  neap_close(loader);
}

static void reads_by_index(void **state) {
  neap_error error;
  neap_item *item;
  neap_loader *loader = open_text(*state, NUMBERS_OF(100));
  read_numbers(loader, 0, 10);
  for (int64_t i = 99; i >= 0; i -= 33) {
    assert_int_equal(neap_get(loader, i, &item, &error), NEAP_OK);
    assert_int_equal(neap_item_index(item), i);
    assert_true(number_of(item) == (double)(i + 1));
    neap_item_release(item);
  }
  assert_int_equal(neap_position(loader), 10);
  read_numbers(loader, 10, 20);
  assert_int_equal(neap_get(loader, 100, &item, &error), NEAP_EINVAL);
  assert_null(item);
  assert_says(&error, "cannot get item 100: the loader has 100 items");
  assert_int_equal(neap_get(loader, -1, &item, &error), NEAP_EINVAL);
  neap_close(loader);
}

static void seeks_within_an_epoch(void **state) {
  neap_loader *loader = open_text(*state, NUMBERS_OF(500));
  read_numbers(loader, 0, 3);
  static const int64_t places[] = {5, 4, 400, 0, 499, 500, 250, 251};
  for (size_t k = 0; k < sizeof places / sizeof *places; k++) {
    const int64_t at = places[k], end = at + 7 > 500 ? 500 : at + 7;
    assert_int_equal(neap_seek(loader, 1, at, NULL), NEAP_OK);
    assert_int_equal(neap_position(loader), at);
    read_numbers(loader, at, end);
  }
  assert_int_equal(neap_seek(loader, 1, neap_position(loader), NULL), NEAP_OK);
  read_numbers(loader, 258, 500);
  assert_over(loader);
  neap_close(loader);
}

static void refuses_seeks_out_of_range(void **state) {
  neap_error error;
  neap_loader *loader = open_text(*state, NUMBERS_OF(10));
  assert_int_equal(neap_seek(loader, 1, 11, &error), NEAP_EINVAL);
  assert_says(&error, "cannot seek item 11: the loader has 10 items");
  assert_int_equal(neap_seek(loader, 1, -1, &error), NEAP_EINVAL);
  assert_int_equal(neap_seek(loader, 0, 0, &error), NEAP_EINVAL);
  assert_says(&error, "cannot seek epoch 0");
  read_numbers(loader, 0, 10);
  neap_close(loader);
}

#define SHUFFLED \
  "local neap = require('neap')\n" \
  "return neap.range(100):shuffle(7)\n"

static void reads_other_epochs(void **state) {
  double orders[3][100];
  static const int64_t epochs[3] = {1, 2, 1};
  neap_loader *loader = open_text(*state, SHUFFLED);
  for (int k = 0; k < 3; k++) {
    assert_int_equal(neap_seek(loader, epochs[k], 0, NULL), NEAP_OK);
    assert_int_equal(neap_epoch(loader), epochs[k]);
    for (int i = 0; i < 100; i++) {
      neap_item *item = next_item(loader);
      assert_int_equal(neap_item_epoch(item), epochs[k]);
      orders[k][i] = number_of(item);
      neap_item_release(item);
    }
    assert_over(loader);
  }
  assert_memory_equal(orders[0], orders[2], sizeof orders[0]);
  assert_true(memcmp(orders[0], orders[1], sizeof orders[0]) != 0);
  neap_close(loader);
}

static void reads_as_completed(void **state) {
  scene *s = *state;
  bool seen[200] = {false};
  s->options.ordered = 0;
  neap_loader *loader = open_text(s, NUMBERS_OF(200));
  for (int k = 0; k < 200; k++) {
    neap_item *item = next_item(loader);
    const int64_t i = neap_item_index(item);
    assert_true(i >= 0 && i < 200 && !seen[i]);
    assert_true(number_of(item) == (double)(i + 1));
    seen[i] = true;
    neap_item_release(item);
  }
  assert_over(loader);
  neap_close(loader);
}

#define OF_UNKNOWN_SIZE \
  "local neap = require('neap')\n" \
  "return neap.from_iter(function()\n" \
  "  local i = 0\n" \
  "  return function() i = i + 1; if i <= 30 then return i end end\n" \
  "end)\n"

static void ends_where_an_iterator_does(void **state) {
  neap_loader *loader = open_text(*state, OF_UNKNOWN_SIZE);
  assert_int_equal(neap_length(loader), NEAP_ENDLESS);
  read_numbers(loader, 0, 30);
  assert_over(loader);
  assert_over(loader);
  assert_int_equal(neap_position(loader), 30);
  neap_close(loader);
}

static void reads_an_endless_sequence(void **state) {
  neap_loader *loader =
      open_text(*state, "return require('neap').from(function(i) return i "
                        "end)\n");
  assert_int_equal(neap_length(loader), NEAP_ENDLESS);
  read_numbers(loader, 0, 100);
  assert_int_equal(neap_seek(loader, 1, 1ll << 40, NULL), NEAP_OK);
  read_numbers(loader, 1ll << 40, (1ll << 40) + 100);
  neap_close(loader);
}

static void reads_an_empty_sequence(void **state) {
  neap_loader *loader = open_text(*state, NUMBERS_OF(0));
  assert_int_equal(neap_length(loader), 0);
  assert_over(loader);
  neap_close(loader);
}

#define WITH_PARAMETERS \
  "local neap = require('neap')\n" \
  "return neap.loader{\n" \
  "  params = {count = 5, scale = 1, list = {1, 2}, name = 'a,b',\n" \
  "    is_on = false},\n" \
  "  build = function(p)\n" \
  "    return neap.range(p.count):map(function(i) return i * p.scale end)\n" \
  "  end,\n" \
  "  prefetch = {workers = 1},\n" \
  "}\n"

static void passes_parameters(void **state) {
  static const neap_parameter wanted[] = {
      {"count", "7"},  {"is_on", "true"}, {"list", "3,4,5"},
      {"name", "a,b"}, {"scale", "2"},
  };
  scene *s = *state;
  int32_t count;
  give(s, "scale", "2");
  give(s, "count", "7");
  give(s, "list", "3,4,5");
  give(s, "is_on", "true");
  neap_loader *loader = open_text(s, WITH_PARAMETERS);
  const neap_parameter *parameters = neap_parameters(loader, &count);
  assert_int_equal(count, 5);
  for (int k = 0; k < 5; k++) {
    assert_string_equal(parameters[k].name, wanted[k].name);
    assert_string_equal(parameters[k].text, wanted[k].text);
  }
  assert_int_equal(neap_length(loader), 7);
  neap_item *item = next_item(loader);
  assert_true(number_of(item) == 2);
  neap_item_release(item);
  neap_close(loader);
}

static void goes_before_the_files_options(void **state) {
  scene *s = *state;
  neap_stats stats;
  s->options.workers = 3;
  s->options.buffered = 64;
  s->options.chunk = 4;
  s->options.timeout_ns = 5000000000;
  neap_loader *loader = open_text(s, WITH_PARAMETERS);
  assert_int_equal(neap_read_stats(loader, &stats, NULL), NEAP_OK);
  assert_int_equal(stats.workers, 3);
  read_numbers(loader, 0, 5);
  await(neap_read_worker(loader, 2, &stats, NULL) == NEAP_OK && stats.pid > 0);
  neap_error error;
  assert_int_equal(neap_read_worker(loader, 3, &stats, &error), NEAP_EINVAL);
  assert_says(&error, "there are 3 workers");
  assert_int_equal(neap_read_stats(loader, &stats, NULL), NEAP_OK);
  assert_int_equal(stats.items, 5);
  assert_true(stats.bytes > 0 && stats.held_max >= 32);
  neap_close(loader);
}

/* Ten items that wait for 100 ms each, in half the time of one at a time. */
static void has_many_items_in_work(void **state) {
  scene *s = *state;
  s->options.workers = 1;
  s->options.concurrency = 10;
  neap_loader *loader = open_text(s, "local neap = require(\"neap\")\n"
                                     "return neap.loader{build = function()\n"
                                     "  return neap.range(10):map(function(i)\n"
                                     "    neap.sleep(0.1)\n"
                                     "    return i\n"
                                     "  end)\n"
                                     "end}\n");
  read_numbers(loader, 0, 1);
  const int64_t since = now_ms();
  read_numbers(loader, 1, 10);
  assert_true(now_ms() - since < 500);
  neap_close(loader);
}

static void opens_two_loaders_of_a_file(void **state) {
  scene *s = *state;
  neap_loader *one = open_text(s, WITH_PARAMETERS);
  give(s, "count", "9");
  neap_loader *other = open_text(s, WITH_PARAMETERS);
  assert_int_equal(neap_length(one), 5);
  assert_int_equal(neap_length(other), 9);
  read_numbers(one, 0, 3);
  read_numbers(other, 0, 9);
  neap_close(other);
  read_numbers(one, 3, 5);
  neap_close(one);
}

static void finds_modules_beside_the_file(void **state) {
  scene *s = *state;
  neap_loader *loader;
  neap_error error = {0};
  char before[PATH_MAX];
  write_file(s, "helper.lua", "return {plain = function(x) return x end}\n");
  write_file(s, "late.lua", "return {plain = function(x) return x end}\n");
  write_file(s, "main.lua",
             "local helper = require('helper')\n"
             "return require('neap').range(20):map(function(i)\n"
             "  return require('late').plain(helper.plain(i))\n"
             "end)\n");
  assert_non_null(getcwd(before, sizeof before));
  assert_int_equal(chdir(s->folder), 0);
  const int rc = neap_open("main.lua", NULL, &loader, &error);
  assert_int_equal(chdir("/"), 0);
  if (rc != NEAP_OK) fail_msg("%s", error.text);
  read_numbers(loader, 0, 20);
  neap_close(loader);
  assert_int_equal(chdir(before), 0);
}

/* The builder has ended by then; a worker that dies has a successor. */
static void shares_large_tensors_with_workers(void **state) {
  neap_loader *loader =
      open_text(*state, "local neap = require('neap')\n"
                        "local rows = neap.tensor('f64', {1000, 100})\n"
                        "for i = 1, 1000 do rows[i]:fill(i) end\n"
                        "return neap.range(1000):map(function(i)\n"
                        "  return rows:get(i, 1)\n"
                        "end):prefetch{workers = 1}\n");
  neap_stats stats;
  read_numbers(loader, 0, 500);
  neap_read_worker(loader, 0, &stats, NULL);
  kill(stats.pid, SIGKILL);
  read_numbers(loader, 500, 1000);
  neap_close(loader);
}

static void does_not_wait_when_it_tries(void **state) {
  neap_item *item;
  neap_loader *loader =
      open_text(*state, "return require('neap').range(3):map(function(i)\n"
                        "  require('ffi').cdef('int usleep(unsigned us);')\n"
                        "  require('ffi').C.usleep(20000)\n"
                        "  return i\n"
                        "end):prefetch{workers = 1}\n");
  int waits = 0, items = 0, rc;
  while ((rc = neap_try_next(loader, &item, NULL)) != NEAP_END) {
    assert_true(rc == NEAP_OK || rc == NEAP_AGAIN);
    assert_int_equal(rc == NEAP_OK, item != NULL);
    waits += rc == NEAP_AGAIN;
    items += rc == NEAP_OK;
    neap_item_release(item);
  }
  assert_int_equal(items, 3);
  assert_true(waits > 3);
  neap_close(loader);
}

static void closes_once_and_null(void **state) {
  neap_error error;
  neap_item *item;
  neap_loader *loader = open_text(*state, NUMBERS_OF(10));
  read_numbers(loader, 0, 5);
  neap_close(NULL);
  neap_close(loader);
  neap_close(loader);
  assert_int_equal(neap_next(loader, &item, &error), NEAP_ECLOSED);
  assert_null(item);
  assert_string_equal(error.text, "cannot read: the loader is closed");
  assert_int_equal(neap_try_next(loader, &item, NULL), NEAP_ECLOSED);
  assert_int_equal(neap_get(loader, 0, &item, NULL), NEAP_ECLOSED);
  assert_int_equal(neap_seek(loader, 1, 0, &error), NEAP_ECLOSED);
  assert_string_equal(error.text, "cannot seek: the loader is closed");
  assert_int_equal(neap_length(loader), NEAP_ECLOSED);
  assert_int_equal(neap_position(loader), NEAP_ECLOSED);
  assert_int_equal(neap_epoch(loader), NEAP_ECLOSED);
  int fd;
  assert_int_equal(neap_fd(loader, &fd, NULL), NEAP_ECLOSED);
  assert_int_equal(fd, -1);
  neap_loader *other = open_text(*state, NUMBERS_OF(10));
  assert_int_equal(neap_next(loader, &item, NULL), NEAP_ECLOSED);
  neap_close(loader);
  read_numbers(other, 0, 10);
  neap_close(other);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      scene_test(reads_all_items),
      scene_test(reads_by_index),
      scene_test(seeks_within_an_epoch),
      scene_test(refuses_seeks_out_of_range),
      scene_test(reads_other_epochs),
      scene_test(reads_as_completed),
      scene_test(ends_where_an_iterator_does),
      scene_test(reads_an_endless_sequence),
      scene_test(reads_an_empty_sequence),
      scene_test(passes_parameters),
      scene_test(goes_before_the_files_options),
      scene_test(has_many_items_in_work),
      scene_test(opens_two_loaders_of_a_file),
      scene_test(finds_modules_beside_the_file),
      scene_test(shares_large_tensors_with_workers),
      scene_test(does_not_wait_when_it_tries),
      scene_test(closes_once_and_null),
  };
  return cmocka_run_group_tests(tests, start_threads, NULL);
}
