/* SPDX-License-Identifier: MIT */
/*
 * A crew of threads: each is a filler with a reader of its own, over the same
 * ring and slots as processes. They block all signals. What kills a thread
 * kills the host: so none dies alone, and no run is ever LOST.
 */
#include "pool/threads.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"

static void give_up(neap__threads *all, const neap_error *why) {
  pthread_mutex_lock(&all->lock);
  if (!atomic_load(&all->has_failed))
    neap__error_set(&all->failure, NEAP_EWORKER, 0,
                    "cannot start workers: %.1900s", why->text);
  atomic_store(&all->has_failed, 1);
  pthread_mutex_unlock(&all->lock);
  neap__ring_wake_consumer(all->ring);
}

/* ---- A thread ---- */

static int fill(neap__thread *self, neap_chain_reader *reader, neap_task *task,
                neap_error *error) {
  neap_writer writer;
  int rc =
      neap_writer_begin(&writer, task->base, task->bytes, task->count, error);
  if (rc == NEAP_OK)
    rc = neap_chain_fill(reader, task->epoch, task->first, task->count, &writer,
                         task->progress, error);
  if (rc != NEAP_OK) return rc;
  task->undone = writer.undone;
  neap__filler_publish(&self->filler, task, neap_writer_end(&writer));
  return NEAP_OK;
}

static int serve(neap__thread *self, neap_chain_reader *reader,
                 neap_error *error) {
  neap_task task;
  int rc;
  memset(&task, 0, sizeof task);
  while ((rc = neap__filler_next(&self->filler, &task, error)) == NEAP_OK)
    if ((rc = fill(self, reader, &task, error)) != NEAP_OK) break;
  return rc == NEAP_END ? NEAP_OK : rc;
}

static void *run(void *argument) {
  neap__thread *self = argument;
  neap_chain_reader *reader;
  neap_error why = {0};
  pthread_setname_np(pthread_self(), "neap-worker");
  int rc = neap_chain_reader_open(self->all->chain,
                                  (int32_t)self->filler.number, &reader, &why);
  if (rc == NEAP_OK) {
    neap_chain_reader_time(
        reader, neap__ring_stages(self->all->ring, self->filler.number),
        (int32_t)self->all->ring->stage_count);
    rc = serve(self, reader, &why);
  }
  if (rc != NEAP_OK) give_up(self->all, &why);
  neap_chain_reader_close(reader);
  return NULL;
}

/* ---- The crew ---- */

static int start_one(neap__threads *all, uint32_t number) {
  neap__thread *self = &all->list[number];
  self->all = all;
  self->filler = (neap__filler){
      .ring = all->ring, .buffer = all->buffer, .number = number};
  const int failure = pthread_create(&self->thread, NULL, run, self);
  if (failure == 0) all->running++;
  return failure;
}

static int crew_start(neap__crew *crew, neap_error *error) {
  neap__threads *all = (neap__threads *)crew;
  const uint32_t count = all->ring->worker_count;
  sigset_t every, before;
  int failure = 0;
  all->list = calloc(count, sizeof *all->list);
  if (all->list == NULL)
    return neap__error_set(error, NEAP_EMEMORY, 0,
                           "cannot start threads: memory is short");
  sigfillset(&every);
  pthread_sigmask(SIG_SETMASK, &every, &before);
  for (uint32_t k = 0; k < count && failure == 0; k++)
    failure = start_one(all, k);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  if (failure == 0) return NEAP_OK;
  return neap__error_set(error, NEAP_ESYSTEM, failure,
                         "cannot start %u threads", (unsigned)count);
}

static void crew_stop(neap__crew *crew) {
  neap__threads *all = (neap__threads *)crew;
  if (all->running == 0) return;
  neap__ring_stop(all->ring);
  while (all->running > 0)
    pthread_join(all->list[--all->running].thread, NULL);
}

/* No run is lost. */
static neap__fate crew_fate(neap__crew *crew, uint32_t entry) {
  (void)crew, (void)entry;
  return (neap__fate){.ticket = 0};
}

static int crew_failure(neap__crew *crew, neap_error *error) {
  neap__threads *all = (neap__threads *)crew;
  if (!atomic_load(&all->has_failed)) return NEAP_OK;
  pthread_mutex_lock(&all->lock);
  if (error != NULL) *error = all->failure;
  const int status = all->failure.status;
  pthread_mutex_unlock(&all->lock);
  return status;
}

void neap__threads_fini(neap__threads *all) {
  free(all->list);
}

static const neap__crew_ops threads_ops = {
    .start = crew_start,
    .stop = crew_stop,
    .fate = crew_fate,
    .failure = crew_failure,
};

void neap__threads_init(neap__threads *all) {
  *all = (neap__threads){.crew = {&threads_ops}};
  pthread_mutex_init(&all->lock, NULL);
}
