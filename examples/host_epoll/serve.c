/* SPDX-License-Identifier: MIT */
/*
 * An event loop that reads several loaders and never blocks: it waits in
 * epoll_wait() alone, for items of any loader and for a timer that ticks.
 *
 *   cc -O2 serve.c $(pkg-config --cflags --libs neap) -o serve
 *   ./serve ../loaders/fashion_mnist.lua ../loaders/waves.lua
 */
#include <neap.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

enum { LOADERS_MAX = 8, READS_MAX = 16, TICK_MS = 10 };

typedef struct served {
  const char *path;
  neap_loader *loader;
  int fd;
  long items, failed;
} served;

/* -- Loaders -- */

static void fail(const char *what) {
  fprintf(stderr, "serve: %s\n", what);
  exit(1);
}

static void watch(int poller, int fd, void *data) {
  struct epoll_event event = {.events = EPOLLIN, .data = {.ptr = data}};
  if (epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event) != 0) fail("epoll_ctl");
}

static void start(served *one, const char *path, int poller) {
  neap_error error;
  one->path = path;
  if (neap_open(path, NULL, &one->loader, &error) != NEAP_OK ||
      neap_fd(one->loader, &one->fd, &error) != NEAP_OK)
    fail(error.text);
  watch(poller, one->fd, one);
}

static void stop(served *one, int poller) {
  printf("%s: %ld items, %ld failed\n", one->path, one->items, one->failed);
  epoll_ctl(poller, EPOLL_CTL_DEL, one->fd, NULL);
  neap_close(one->loader);
}

/*
 * Reads what is ready, but no more than READS_MAX items: then it is the others'
 * turn, and the descriptor is still readable. Returns whether there is more to
 * come.
 */
static bool serve(served *one) {
  for (int k = 0; k < READS_MAX; k++) {
    neap_item *item;
    neap_error error;
    const int rc = neap_try_next(one->loader, &item, &error);
    if (rc == NEAP_AGAIN) return true;
    if (rc == NEAP_END) return false;
    if (rc < 0) fprintf(stderr, "serve: %s\n", error.text);
    if (item == NULL) return false; /* an error of all items */
    one->items += rc == NEAP_OK;
    one->failed += rc < 0;
    neap_item_release(item);
  }
  return true;
}

/* -- The timer -- */

static int start_timer(int poller) {
  const struct timespec tick = {.tv_nsec = TICK_MS * 1000000};
  const struct itimerspec times = {.it_interval = tick, .it_value = tick};
  const int timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
  timerfd_settime(timer, 0, &times, NULL);
  watch(poller, timer, NULL);
  return timer;
}

/* Adds the ticks since the last look. */
static void count_ticks(int timer, uint64_t *ticks) {
  uint64_t more = 0;
  if (read(timer, &more, sizeof more) == sizeof more) *ticks += more;
}

/* -- The loop -- */

int main(int argc, char **argv) {
  served all[LOADERS_MAX] = {{0}};
  const int count = argc - 1;
  if (count < 1 || count > LOADERS_MAX) {
    fprintf(stderr, "serve: usage: serve FILE... (at most %d)\n", LOADERS_MAX);
    return 2;
  }
  const int poller = epoll_create1(EPOLL_CLOEXEC);
  for (int k = 0; k < count; k++)
    start(&all[k], argv[k + 1], poller);
  const int timer = start_timer(poller);
  uint64_t ticks = 0;
  for (int open = count; open > 0;) {
    struct epoll_event event;
    if (epoll_wait(poller, &event, 1, -1) != 1) continue; /* a signal */
    if (event.data.ptr == NULL) {
      count_ticks(timer, &ticks);
    } else if (!serve(event.data.ptr)) {
      stop(event.data.ptr, poller);
      open--;
    }
  }
  printf("%lu ticks of %d ms meanwhile\n", (unsigned long)ticks, TICK_MS);
  close(timer);
  close(poller);
  return 0;
}
