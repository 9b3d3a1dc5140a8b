/* SPDX-License-Identifier: MIT */
/*
 * A worker: a filler in its own process. It attaches to the descriptors that it
 * inherited from the host, then claims tasks and publishes them. It ends with
 * its host (see pool/guest.h), or because the host stops it through the ring.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fault.h"
#include "base/futex.h"
#include "base/library.h"
#include "base/origin.h"
#include "memory/segment.h"
#include "neap_lua.h"
#include "pool/guest.h"
#include "pool/process.h"
#include "ring/filler.h"
#include "ring/ring.h"

struct neap_worker {
  neap__segment control;
  neap__buffer buffer;
  neap__ring ring;
  neap__filler filler;
  int heap_fd;
  neap__origin origin;
  int32_t note_count;
  bool has_stderr;  /* its own, no longer the host's pipe */
  uint32_t cancels; /* of its claims, that neap_worker_poll has told */
};

/* After its first run, a worker's output goes to the host's stderr. */
static void take_stderr(neap_worker *worker) {
  worker->has_stderr = true;
  if (dup2(NEAP__FD_STDERR, STDERR_FILENO) >= 0) {
    close(NEAP__FD_STDERR);
    return;
  }
  const int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
  if (nowhere < 0) return;
  dup2(nowhere, STDERR_FILENO);
  close(nowhere);
}

/* Cuts a host's description, which may be of any version, to one line. */
static void cut_to_line(char *text, size_t size) {
  size_t length = 0;
  while (length + 1 < size && (uint8_t)text[length] >= ' ')
    length++;
  text[length] = '\0';
}

int neap_worker_check(neap_error *error) {
  neap__control control = {0};
  const size_t bytes = offsetof(neap__control, worker_count);
  if (pread(NEAP__FD_CONTROL, &control, bytes, 0) != (ssize_t)bytes ||
      !neap__ring_is_foreign(&control))
    return NEAP_OK; /* if it is not a host's, attaching fails */
  char ours[sizeof control.host];
  neap_error why;
  neap__library_describe(ours, sizeof ours);
  cut_to_line(control.host, sizeof control.host);
  neap__error_set(&why, NEAP_EWORKER, 0,
                  "cannot start workers: the executable and the host's library "
                  "are of different versions\n"
                  "  the executable: %s\n"
                  "  the library: %s\n"
                  "help: set NEAP_WORKER to the executable that came with that "
                  "library, or install both again",
                  ours, control.host[0] != '\0' ? control.host : "unknown");
  (void)neap__guest_say(NEAP__SAYS_WHY_NOT, why.text, NULL);
  if (error != NULL) *error = why;
  return why.status;
}

int neap_worker_is_ours(const neap_worker *worker) {
  return neap__origin_is_here(&worker->origin);
}

/*
 * The user's code may fork, and the child may return here: a second worker of
 * the same number, which does not end with the host. It must not go on.
 */
void neap_worker_confirm(const neap_worker *worker) {
  if (!neap_worker_is_ours(worker)) _exit(1);
}

int neap_worker_attach(neap_worker **out, neap_error *error) {
  *out = NULL;
  int rc = neap_worker_check(error);
  if (rc != NEAP_OK) return rc;
  neap_worker *worker = calloc(1, sizeof *worker);
  if (worker == NULL)
    return neap__error_set(error, NEAP_EMEMORY, 0, "cannot work: no memory");
  neap__origin_open(&worker->origin);
  worker->filler.ring = &worker->ring;
  worker->filler.buffer = &worker->buffer;
  worker->heap_fd = fcntl(NEAP__FD_HEAP, F_GETFD) < 0 ? -1 : NEAP__FD_HEAP;
  neap__guest_keep_descriptors();
  if ((rc = neap__guest_greet(&worker->filler.number, error)) != NEAP_OK)
    goto fail;
  if ((rc = neap__segment_attach(&worker->control, NEAP__FD_CONTROL, error)) !=
      NEAP_OK)
    goto fail;
  if ((rc = neap__segment_attach(&worker->buffer.segment, NEAP__FD_SLOTS,
                                 error)) != NEAP_OK)
    goto fail;
  if ((rc = neap__ring_attach(&worker->ring, worker->control.base,
                              worker->control.bytes, error)) != NEAP_OK)
    goto fail;
  worker->buffer.slot_bytes = worker->ring.control->slot_bytes;
  if (worker->filler.number >= worker->ring.worker_count ||
      worker->buffer.segment.bytes / worker->ring.slot_count <
          worker->buffer.slot_bytes) {
    rc = neap__error_set(error, NEAP_EDAMAGED, 0,
                         "cannot attach to the host: its counts are off");
    goto fail;
  }
  atomic_store(&worker->ring.records[worker->filler.number].note, 0);
  worker->cancels =
      atomic_load(&worker->ring.records[worker->filler.number].cancels);
  if ((rc = neap__guest_say(NEAP__SAYS_ATTACHED, "", error)) != NEAP_OK)
    goto fail;
  FAULT("attached");
  *out = worker;
  return NEAP_OK;

fail:
  free(worker); /* the process ends, and with it maps and descriptors */
  return rc;
}

const void *neap_worker_chain(const neap_worker *worker, uint64_t *bytes) {
  *bytes = worker->ring.control->chain_bytes;
  return worker->control.base + worker->ring.control->chain_offset;
}

/* Bytes of private, writable memory that this process has mapped; 0: unknown */
static uint64_t private_bytes(void) {
  unsigned long long pages = 0;
  FILE *file = fopen("/proc/self/statm", "re");
  if (file == NULL) return 0;
  if (fscanf(file, "%*u %*u %*u %*u %*u %llu", &pages) != 1) pages = 0;
  fclose(file);
  return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

int neap_worker_limit(neap_worker *worker, neap_error *error) {
  const uint64_t more = worker->ring.control->memory_bytes;
  const uint64_t now = private_bytes();
  if (more == 0 || more > RLIM_INFINITY - now) return NEAP_OK;
  const struct rlimit limit = {now + more, now + more};
  if (now == 0)
    return neap__error_set(error, NEAP_ESYSTEM, 0,
                           "cannot limit memory: /proc/self/statm does not "
                           "tell what is used");
  if (setrlimit(RLIMIT_DATA, &limit) == 0) return NEAP_OK;
  return neap__error_set(error, NEAP_ESYSTEM, errno, "cannot limit memory");
}

uint64_t neap_worker_memory(const neap_worker *worker) {
  return worker->ring.control->memory_bytes;
}

int32_t neap_worker_number(const neap_worker *worker) {
  return (int32_t)worker->filler.number;
}

int32_t neap_worker_heap_fd(const neap_worker *worker) {
  return worker->heap_fd;
}

void *neap_worker_scratch(const neap_worker *worker) {
  (void)worker;
  void *base = mmap(NULL, NEAP_SCRATCH_BYTES, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  return base == MAP_FAILED ? NULL : base;
}

neap_stage *neap_worker_stages(const neap_worker *worker) {
  return neap__ring_stages(&worker->ring, worker->filler.number);
}

int32_t neap_worker_stage_count(const neap_worker *worker) {
  return (int32_t)worker->ring.stage_count;
}

int neap_worker_ready(neap_worker *worker, const char *text,
                      neap_error *error) {
  neap_worker_confirm(worker);
  const int rc = text == NULL
                     ? neap__guest_say(NEAP__SAYS_READY, "", error)
                     : neap__guest_say(NEAP__SAYS_WHY_NOT, text, error);
  FAULT("ready");
  return rc;
}

void neap_worker_warn(neap_worker *worker, uint32_t which, const char *text) {
  NEAP_ASSERT(which < NEAP_WARNINGS);
  neap__control *control = worker->ring.control;
  const uint32_t bit = 1u << which;
  if ((atomic_fetch_or(&control->warned, bit) & bit) != 0) return;
  snprintf(control->warning[which], NEAP_WARNING_BYTES, "%s", text);
  atomic_fetch_or(&control->warnings, bit);
}

void neap_worker_note(neap_worker *worker, neap_native *native) {
  if (worker->note_count == NEAP_NOTES) return;
  const uint32_t number = worker->filler.number;
  const int32_t note = worker->note_count++;
  snprintf(worker->ring.notes[number].text[note], NEAP_NOTE_BYTES, "%s",
           neap_native_text(native));
  neap_native_watch(native, (int32_t *)&worker->ring.records[number].note,
                    note + 1);
}

int neap_worker_next(neap_worker *worker, neap_task *task, neap_error *error) {
  neap_worker_confirm(worker);
  return neap__filler_next(&worker->filler, task, error);
}

int32_t neap_worker_concurrency(const neap_worker *worker) {
  return (int32_t)worker->ring.control->concurrency;
}

int neap_worker_try_next(neap_worker *worker, neap_task *task,
                         neap_error *error) {
  neap_worker_confirm(worker);
  return neap__filler_try_next(&worker->filler, task, error);
}

void neap_worker_wait(neap_worker *worker, neap_task *task) {
  neap__filler_wait(&worker->filler, task);
}

void neap_worker_resume(neap_worker *worker, neap_task *task) {
  neap__filler_resume(&worker->filler, task);
}

int neap_worker_holds(const neap_worker *worker, const neap_task *task) {
  return neap__ring_holds(&worker->ring, worker->filler.number,
                          (uint32_t)task->entry, (uint32_t)task->slot,
                          task->ticket);
}

/* Sleeps in poll(), which may also return for no reason. */
static void sleep_on(int fd, double seconds) {
  const int64_t most = INT32_MAX; /* seconds */
  const double left = seconds < (double)most ? seconds : (double)most;
  const struct timespec time = {(time_t)left,
                                (long)((left - (double)(time_t)left) * 1e9)};
  struct pollfd polls[] = {{.fd = NEAP__FD_WAKE, .events = POLLIN},
                           {.fd = fd, .events = POLLIN}};
  uint64_t count;
  if (ppoll(polls, 2, seconds < 0 ? NULL : &time, NULL) > 0 &&
      polls[0].revents != 0)
    (void)!read(NEAP__FD_WAKE, &count, sizeof count);
}

int neap_worker_poll(neap_worker *worker, int fd, int wants_work,
                     double seconds) {
  neap__ring *ring = &worker->ring;
  neap__filler *filler = &worker->filler;
  neap__worker_record *record = &ring->records[filler->number];
  const int64_t since_ns = neap__now_ns();
  if (neap__ring_poll_begin(ring, filler->number, wants_work != 0,
                            worker->cancels))
    sleep_on(fd, seconds);
  neap__ring_poll_end(ring, filler->number);
  filler->free_ns = 0;
  if (filler->claims == 0) /* it waits for work */
    atomic_store_explicit(
        &record->idle_ns,
        atomic_load_explicit(&record->idle_ns, memory_order_relaxed) +
            neap__now_ns() - since_ns,
        memory_order_relaxed);
  const uint32_t before = worker->cancels;
  worker->cancels = atomic_load(&record->cancels);
  if (neap__ring_is_stopped(ring)) return NEAP_END;
  return worker->cancels != before ? NEAP_AGAIN : NEAP_OK;
}

void neap_worker_publish(neap_worker *worker, neap_task *task, uint64_t used) {
  neap_worker_confirm(worker);
  if (!worker->has_stderr) take_stderr(worker);
  neap__filler_publish(&worker->filler, task, used);
}
