/* SPDX-License-Identifier: MIT */
/*
 * The descriptor of neap_fd(), and the thread that makes it readable.
 *
 *   RESTS    the descriptor is readable
 *   WATCHES  it is not; the thread waits until an item is ready
 *
 *   move               by        when
 *   RESTS -> WATCHES   consumer  a read returned NEAP_AGAIN
 *   WATCHES -> RESTS   thread    an item is ready, or the watch is called off
 *
 * While it watches, the thread reads the consumer's records: so the host's
 * thread calls the watch off before it uses the consumer. A loader that is read
 * until NEAP_AGAIN, then polled, never has to.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/descriptor.h"
#include "base/error.h"
#include "host/loader.h"
#include "pool/pool.h"

struct neap__ready {
  neap_pool *pool;
  pthread_t thread;
  pthread_mutex_t lock;   /* of is_watching and is_over */
  pthread_cond_t changed; /* one of the two */
  bool is_watching;
  bool is_over; /* the thread must end */
  atomic_bool is_called_off;
  int fd;
};

static void make_readable(const neap__ready *ready) {
  const uint64_t one = 1;
  while (write(ready->fd, &one, sizeof one) < 0 && errno == EINTR)
    continue;
}

static void make_unreadable(const neap__ready *ready) {
  uint64_t count;
  while (read(ready->fd, &count, sizeof count) < 0 && errno == EINTR)
    continue;
}

static void *watch(void *argument) {
  neap__ready *ready = argument;
  pthread_setname_np(pthread_self(), "neap-ready");
  pthread_mutex_lock(&ready->lock);
  for (;;) {
    while (!ready->is_watching && !ready->is_over)
      pthread_cond_wait(&ready->changed, &ready->lock);
    if (ready->is_over) break;
    pthread_mutex_unlock(&ready->lock);
    neap__consumer_watch(&ready->pool->consumer, &ready->is_called_off);
    pthread_mutex_lock(&ready->lock);
    ready->is_watching = false;
    make_readable(ready);
    pthread_cond_broadcast(&ready->changed);
  }
  pthread_mutex_unlock(&ready->lock);
  return NULL;
}

static int start(neap__ready *ready) {
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  const int failure = pthread_create(&ready->thread, NULL, watch, ready);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  return failure;
}

int neap__ready_open(neap_loader *loader, neap_error *error) {
  neap__ready *ready = calloc(1, sizeof *ready);
  if (ready == NULL)
    return neap__error_set(error, NEAP_EMEMORY, 0,
                           "cannot open a descriptor: memory is short");
  ready->pool = loader->pool;
  pthread_mutex_init(&ready->lock, NULL);
  pthread_cond_init(&ready->changed, NULL);
  ready->fd = neap__descriptor_raise(eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK));
  const int failure = ready->fd < 0 ? errno : start(ready);
  if (failure == 0) {
    loader->ready = ready;
    return NEAP_OK;
  }
  if (ready->fd >= 0) close(ready->fd);
  free(ready);
  return neap__error_set(error, NEAP_ESYSTEM, failure,
                         "cannot open a descriptor");
}

int neap__ready_fd(const neap__ready *ready) {
  return ready->fd;
}

bool neap__ready_is_watching(neap__ready *ready) {
  if (ready == NULL) return false;
  pthread_mutex_lock(&ready->lock);
  const bool is_watching = ready->is_watching;
  pthread_mutex_unlock(&ready->lock);
  return is_watching;
}

void neap__ready_call_off(neap__ready *ready) {
  if (ready == NULL) return;
  pthread_mutex_lock(&ready->lock);
  if (ready->is_watching) {
    atomic_store(&ready->is_called_off, true);
    neap__ring_wake_consumer(&ready->pool->ring);
  }
  while (ready->is_watching)
    pthread_cond_wait(&ready->changed, &ready->lock);
  pthread_mutex_unlock(&ready->lock);
  atomic_store(&ready->is_called_off, false);
}

void neap__ready_watch(neap__ready *ready) {
  if (ready == NULL) return;
  make_unreadable(ready);
  pthread_mutex_lock(&ready->lock);
  ready->is_watching = true;
  pthread_cond_broadcast(&ready->changed);
  pthread_mutex_unlock(&ready->lock);
}

void neap__ready_close(neap__ready *ready, bool is_here) {
  if (ready == NULL) return;
  if (is_here) {
    neap__ready_call_off(ready);
    pthread_mutex_lock(&ready->lock);
    ready->is_over = true;
    pthread_cond_broadcast(&ready->changed);
    pthread_mutex_unlock(&ready->lock);
    pthread_join(ready->thread, NULL);
  }
  close(ready->fd);
  free(ready);
}
