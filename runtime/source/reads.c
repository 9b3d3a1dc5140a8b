/* SPDX-License-Identifier: MIT */
/*
 * Reads of files in threads, for a caller that has other things to do: opening
 * a file of a network disk, and reading it, may take long, and no poll tells
 * when they would not. Threads start when there is more to read than there are
 * threads at rest, up to a limit, and rest until the reads are closed.
 *
 * A read belongs to the caller, and while it is in work to a thread as well:
 * what the caller gives up meanwhile is freed by the thread. The set of reads
 * is freed by the last of its owner, its threads and its reads, so that closing
 * waits for no disk.
 *
 *   who      move                when
 *   caller   -> QUEUED           it starts
 *   thread   QUEUED -> WORKING   the first in the queue
 *   thread   WORKING -> DONE     read, or failed; the descriptor is readable
 *   caller   WORKING -> GIVEN_UP it frees the read; the thread ends it
 *   never    DONE -> WORKING     a read is read once
 *
 * A read without a set of reads is done by its caller, and DONE when it starts.
 */
#include "neap_lua.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/descriptor.h"
#include "base/error.h"
#include "base/library.h"

enum { STACK_BYTES = 256 << 10 };

enum { QUEUED, WORKING, DONE, GIVEN_UP };

struct neap_reads {
  pthread_mutex_t lock; /* of all that follows, and of the states of reads */
  pthread_cond_t work;  /* there is some, or the reads are closed */
  neap_read *first;     /* of the queue */
  neap_read **last;     /* where the next one is put */
  pid_t pid;            /* of the process that has the threads */
  int32_t threads;
  int32_t threads_max;
  int32_t resting;    /* threads that wait for work */
  int64_t references; /* of the owner, the threads and the reads */
  bool is_closed;
};

struct neap_read {
  neap_reads *reads;
  neap_read *next; /* in the queue */
  int state;
  int fd; /* an eventfd: readable once DONE */
  int64_t offset;
  int64_t nbytes; /* -1: to the end of the file */
  char *path;
  char *data;
  neap_error error;
};

/* The lock is held; it is given back. */
static void drop(neap_reads *reads) {
  const bool is_last = --reads->references == 0;
  pthread_mutex_unlock(&reads->lock);
  if (!is_last) return;
  pthread_cond_destroy(&reads->work);
  pthread_mutex_destroy(&reads->lock);
  free(reads);
}

static void destroy(neap_read *read) {
  if (read->fd >= 0) close(read->fd);
  free(read->data);
  free(read->path);
  free(read);
}

/* ---- In a thread --------------------------------------------------------- */

static int fill(neap_read *read, const neap_file *file) {
  const int64_t size = neap_file_bytes(file);
  if (read->nbytes < 0)
    read->nbytes = size > read->offset ? size - read->offset : 0;
  else if (read->offset > size || read->nbytes > size - read->offset)
    return neap__error_set(&read->error, NEAP_EFORMAT, 0,
                           "cannot read %s: it has %lld bytes, not %lld + %lld",
                           read->path, (long long)size, (long long)read->offset,
                           (long long)read->nbytes);
  read->data = malloc((size_t)read->nbytes + 1);
  if (read->data == NULL)
    return neap__error_set(&read->error, NEAP_EMEMORY, 0,
                           "cannot read %s: no memory for %lld bytes",
                           read->path, (long long)read->nbytes);
  return neap_file_read(file, read->offset, read->data, read->nbytes,
                        &read->error);
}

static void work(neap_read *read) {
  neap_file *file;
  if (neap_file_open(read->path, NULL, &file, &read->error) != NEAP_OK) return;
  fill(read, file);
  neap_file_close(file);
}

static void tell(const neap_read *read) {
  const uint64_t one = 1;
  while (write(read->fd, &one, sizeof one) < 0 && errno == EINTR)
    continue;
}

/* The lock is held. */
static neap_read *take(neap_reads *reads) {
  while (reads->first == NULL && !reads->is_closed) {
    reads->resting++;
    pthread_cond_wait(&reads->work, &reads->lock);
    reads->resting--;
  }
  neap_read *read = reads->first;
  if (read == NULL) return NULL;
  reads->first = read->next;
  if (reads->first == NULL) reads->last = &reads->first;
  read->state = WORKING;
  return read;
}

static void *run(void *argument) {
  neap_reads *reads = argument;
  neap_read *read;
  pthread_setname_np(pthread_self(), "neap-read");
  pthread_mutex_lock(&reads->lock);
  while ((read = take(reads)) != NULL) {
    pthread_mutex_unlock(&reads->lock);
    work(read);
    pthread_mutex_lock(&reads->lock);
    if (read->state == GIVEN_UP) {
      destroy(read);
      reads->references--;
      continue;
    }
    read->state = DONE;
    tell(read);
  }
  drop(reads);
  return NULL;
}

/* ---- The caller ---------------------------------------------------------- */

int neap_reads_open(int32_t threads_max, neap_reads **out, neap_error *error) {
  *out = NULL;
  if (threads_max < 1)
    return neap__error_set(error, NEAP_EINVAL, 0,
                           "cannot read files with %d threads", threads_max);
  neap_reads *reads = calloc(1, sizeof *reads);
  if (reads == NULL)
    return neap__error_set(error, NEAP_EMEMORY, 0,
                           "cannot read files in threads: no memory");
  pthread_mutex_init(&reads->lock, NULL);
  pthread_cond_init(&reads->work, NULL);
  reads->last = &reads->first;
  reads->pid = getpid();
  reads->threads_max = threads_max;
  reads->references = 1;
  *out = reads;
  return NEAP_OK;
}

/* Starts a thread; the lock is held. Nobody waits for its end, so the library
   stays, also where a plain LuaJIT unloads it at its end. */
static int start_thread(neap_reads *reads) {
  neap__library_pin();
  pthread_t thread;
  pthread_attr_t how;
  sigset_t all, before;
  pthread_attr_init(&how);
  pthread_attr_setdetachstate(&how, PTHREAD_CREATE_DETACHED);
  pthread_attr_setstacksize(&how, STACK_BYTES);
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  const int failure = pthread_create(&thread, &how, run, reads);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  pthread_attr_destroy(&how);
  if (failure == 0) {
    reads->threads++;
    reads->references++;
  }
  return failure;
}

/* More reads than threads at rest: the queue is short, or all threads work. */
static bool needs_thread(const neap_reads *reads) {
  int32_t queued = 0;
  for (const neap_read *read = reads->first; read != NULL; read = read->next)
    if (++queued > reads->resting) break;
  return queued > reads->resting && reads->threads < reads->threads_max;
}

static int enqueue(neap_reads *reads, neap_read *read, neap_error *error) {
  int failure = 0;
  pthread_mutex_lock(&reads->lock);
  read->next = NULL;
  *reads->last = read;
  reads->last = &read->next;
  reads->references++;
  if (needs_thread(reads)) failure = start_thread(reads);
  if (failure == 0 || reads->threads > 0) {
    pthread_cond_signal(&reads->work);
    pthread_mutex_unlock(&reads->lock);
    return NEAP_OK;
  }
  reads->first = NULL; /* nobody works: it was alone */
  reads->last = &reads->first;
  drop(reads);
  return neap__error_set(error, NEAP_ESYSTEM, failure,
                         "cannot start a thread that reads files");
}

int neap_read_start(neap_reads *reads, const char *path, int64_t offset,
                    int64_t nbytes, neap_read **out, neap_error *error) {
  int rc;
  *out = NULL;
  if (reads != NULL && reads->pid != getpid())
    return neap__error_set(error, NEAP_ECLOSED, 0,
                           "cannot read %s in a thread: this process was forked"
                           " off the one that has the threads",
                           path);
  neap_read *read = calloc(1, sizeof *read);
  if (read != NULL) read->fd = -1;
  if (read == NULL || (read->path = strdup(path)) == NULL) {
    rc = neap__error_set(error, NEAP_EMEMORY, 0, "cannot read %s: no memory",
                         path);
    goto fail;
  }
  read->reads = reads;
  read->offset = offset;
  read->nbytes = nbytes;
  if (reads == NULL) {
    work(read);
    read->state = DONE;
    *out = read;
    return NEAP_OK;
  }
  read->fd = neap__descriptor_raise(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (read->fd < 0) {
    rc = neap__error_set(error, NEAP_ESYSTEM, errno, "cannot read %s", path);
    goto fail;
  }
  if ((rc = enqueue(reads, read, error)) != NEAP_OK) goto fail;
  *out = read;
  return NEAP_OK;

fail:
  if (read != NULL) destroy(read);
  return rc;
}

int neap_read_fd(const neap_read *read) {
  return read->fd;
}

static bool is_done(const neap_read *read) {
  if (read->reads == NULL) return true;
  pthread_mutex_lock(&read->reads->lock);
  const bool is_done = read->state == DONE;
  pthread_mutex_unlock(&read->reads->lock);
  return is_done;
}

int neap_read_data(neap_read *read, const void **data, int64_t *nbytes,
                   neap_error *error) {
  *data = NULL;
  *nbytes = 0;
  if (!is_done(read)) return NEAP_AGAIN;
  if (read->error.status != NEAP_OK) {
    *error = read->error;
    return read->error.status;
  }
  *data = read->data;
  *nbytes = read->nbytes;
  return NEAP_OK;
}

static void unqueue(neap_reads *reads, const neap_read *read) {
  neap_read **at = &reads->first;
  while (*at != read)
    at = &(*at)->next;
  *at = read->next;
  if (reads->last == &read->next) reads->last = at;
}

void neap_read_free(neap_read *read) {
  if (read == NULL) return;
  neap_reads *reads = read->reads;
  if (reads == NULL) destroy(read);
  if (reads == NULL || reads->pid != getpid()) return;
  pthread_mutex_lock(&reads->lock);
  if (read->state == WORKING) {
    read->state = GIVEN_UP;
    pthread_mutex_unlock(&reads->lock);
    return;
  }
  if (read->state == QUEUED) unqueue(reads, read);
  destroy(read);
  drop(reads);
}

void neap_reads_close(neap_reads *reads) {
  if (reads == NULL || reads->pid != getpid()) return;
  pthread_mutex_lock(&reads->lock);
  reads->is_closed = true;
  pthread_cond_broadcast(&reads->work);
  drop(reads);
}
