/* SPDX-License-Identifier: MIT */
/* The descriptor that tells when an item is ready, and its thread. */
#include "loader.h"

#include <sys/epoll.h>

#define SLOW_ITEMS(count, us) \
  "local ffi = require('ffi')\n" \
  "local function sleep(n)\n" \
  "  pcall(ffi.cdef, 'int usleep(unsigned us);')\n" \
  "  ffi.C.usleep(n)\n" \
  "end\n" \
  "return require('neap').range(" #count "):map(function(i)\n" \
  "  sleep(" #us ")\n" \
  "  return i\n" \
  "end):prefetch{workers = 2}\n"

static int open_fd(neap_loader *loader) {
  int fd;
  neap_error error = {0};
  if (neap_fd(loader, &fd, &error) != NEAP_OK) fail_msg("%s", error.text);
  assert_true(fd > 2);
  return fd;
}

static bool is_readable(int fd, int ms) {
  struct pollfd one = {.fd = fd, .events = POLLIN};
  return poll(&one, 1, ms) == 1;
}

/* Reads until NEAP_AGAIN or the end; checks the order. Returns the status. */
static int read_ready(neap_loader *loader, int64_t *next) {
  for (;;) {
    neap_item *item;
    neap_error error = {0};
    const int rc = neap_try_next(loader, &item, &error);
    if (rc == NEAP_AGAIN || rc == NEAP_END) return rc;
    if (rc != NEAP_OK) fail_msg("%s", error.text);
    assert_int_equal(neap_item_index(item), *next);
    assert_true(number_of(item) == (double)++*next);
    neap_item_release(item);
  }
}

static void is_readable_when_an_item_is_ready(void **state) {
  neap_loader *loader = open_text(*state, SLOW_ITEMS(40, 2000));
  const int fd = open_fd(loader);
  assert_int_equal(open_fd(loader), fd);
  int64_t next = 0;
  int waits = 0;
  while (read_ready(loader, &next) == NEAP_AGAIN) {
    assert_true(is_readable(fd, 10000));
    waits++;
  }
  assert_int_equal(next, 40);
  assert_true(waits > 5);
  assert_true(is_readable(fd, 0)); /* the end is something to read, too */
  assert_int_equal(neap_seek(loader, 1, 38, NULL), NEAP_OK);
  next = 38;
  while (read_ready(loader, &next) == NEAP_AGAIN)
    assert_true(is_readable(fd, 10000));
  assert_int_equal(next, 40);
  neap_close(loader);
}

static void is_not_readable_before(void **state) {
  neap_loader *loader = open_text(*state, SLOW_ITEMS(2, 300000));
  const int fd = open_fd(loader);
  int64_t next = 0;
  assert_int_equal(read_ready(loader, &next), NEAP_AGAIN);
  assert_false(is_readable(fd, 50));
  assert_int_equal(read_ready(loader, &next), NEAP_AGAIN);
  assert_false(is_readable(fd, 10));
  assert_true(is_readable(fd, 10000));
  while (read_ready(loader, &next) == NEAP_AGAIN)
    assert_true(is_readable(fd, 10000));
  neap_close(loader);
}

static void mixes_with_all_other_reads(void **state) {
  neap_loader *loader = open_text(*state, SLOW_ITEMS(300, 500));
  neap_item *item;
  const int fd = open_fd(loader);
  int64_t next = 0;
  while (next < 300) {
    int rc = read_ready(loader, &next);
    if (rc == NEAP_END) break;
    if (next % 3 == 0) { /* while it watches */
      assert_int_equal(neap_get(loader, 7, &item, NULL), NEAP_OK);
      assert_true(number_of(item) == 8);
      neap_item_release(item);
    }
    if (next % 5 == 0) {
      rc = neap_next(loader, &item, NULL);
      if (rc == NEAP_END) break;
      assert_int_equal(rc, NEAP_OK);
      assert_int_equal(neap_item_index(item), next++);
      neap_item_release(item);
    }
    if (next % 7 == 0) neap_seek(loader, 1, next, NULL);
    if (read_ready(loader, &next) == NEAP_AGAIN)
      assert_true(is_readable(fd, 10000));
  }
  assert_int_equal(next, 300);
  neap_close(loader);
}

static void tells_of_deaths_and_failures(void **state) {
  scene *s = *state;
  neap_item *item;
  neap_error error = {0};
  s->options.retries = 0;
  neap_loader *loader =
      open_text(s, "local ffi = require('ffi')\n"
                   "return require('neap').range(3):map(function(i)\n"
                   "  pcall(ffi.cdef, 'void _exit(int status);')\n"
                   "  if i == 2 then ffi.C._exit(3) end\n"
                   "  return i\n"
                   "end):prefetch{workers = 1}");
  const int fd = open_fd(loader);
  int64_t next = 0;
  int rc;
  while ((rc = neap_try_next(loader, &item, &error)) != NEAP_EDEATH) {
    if (rc == NEAP_AGAIN)
      assert_true(is_readable(fd, 10000));
    else
      assert_int_equal(neap_item_release(item), NEAP_OK);
  }
  assert_says(&error, "exit status 3");
  neap_item_release(item);
  next = 2;
  while (read_ready(loader, &next) == NEAP_AGAIN)
    assert_true(is_readable(fd, 10000));
  assert_int_equal(next, 3);
  neap_close(loader);
}

static void tells_that_workers_do_not_start(void **state) {
  neap_item *item;
  neap_loader *loader = open_text(
      *state, "return require('neap').range(5):prefetch{workers = 1,\n"
              "  on_start = function() error('no data') end}");
  const int fd = open_fd(loader);
  int rc;
  while ((rc = neap_try_next(loader, &item, NULL)) == NEAP_AGAIN)
    assert_true(is_readable(fd, 10000));
  assert_int_equal(rc, NEAP_EWORKER);
  neap_close(loader);
}

static void closes_while_it_watches(void **state) {
  for (int k = 0; k < 5; k++) {
    neap_loader *loader = open_text(*state, SLOW_ITEMS(2, 1000000));
    int64_t next = 0;
    open_fd(loader);
    if (k > 0) assert_int_equal(read_ready(loader, &next), NEAP_AGAIN);
    sleep_us((unsigned)k * 1000);
    neap_close(loader);
  }
}

static void serves_two_loaders_in_one_loop(void **state) {
  neap_loader *loaders[2] = {
      open_text(*state, SLOW_ITEMS(50, 1000)),
      open_text(*state, SLOW_ITEMS(50, 1500)),
  };
  int64_t next[2] = {0};
  const int poller = epoll_create1(EPOLL_CLOEXEC);
  for (uint32_t k = 0; k < 2; k++) {
    struct epoll_event event = {.events = EPOLLIN, .data = {.u32 = k}};
    epoll_ctl(poller, EPOLL_CTL_ADD, open_fd(loaders[k]), &event);
  }
  for (int over = 0; over < 2;) {
    struct epoll_event event;
    assert_int_equal(epoll_wait(poller, &event, 1, 10000), 1);
    const uint32_t k = event.data.u32;
    if (read_ready(loaders[k], &next[k]) == NEAP_AGAIN) continue;
    epoll_ctl(poller, EPOLL_CTL_DEL, open_fd(loaders[k]), NULL);
    over++;
  }
  close(poller);
  for (int k = 0; k < 2; k++) {
    assert_int_equal(next[k], 50);
    neap_close(loaders[k]);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      scene_test(is_readable_when_an_item_is_ready),
      scene_test(is_not_readable_before),
      scene_test(mixes_with_all_other_reads),
      scene_test(tells_of_deaths_and_failures),
      scene_test(tells_that_workers_do_not_start),
      scene_test(closes_while_it_watches),
      scene_test(serves_two_loaders_in_one_loop),
  };
  return cmocka_run_group_tests(tests, start_threads, NULL);
}
