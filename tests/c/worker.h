/* SPDX-License-Identifier: MIT */
/*
 * A worker in C, for tests of the pool against real processes.
 *
 * The test program is its own worker: its main() calls worker_main() when it
 * is started with worker_arguments. The chain is one struct program: it
 * describes the items and what goes wrong. The workers of a test count in one
 * tally, a memfd of the host, which a worker opens through /proc/<host>/fd.
 */
#ifndef NEAP_TESTS_WORKER_H
#define NEAP_TESTS_WORKER_H

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "neap_lua.h"
#include "ring/ring.h"

enum { TALLIED_MAX = 4096, BLOB_MAX = 200000, ANY_INDEX = -1 };

enum kind {
  NUMBERS, /* value_of(epoch, index) */
  STRINGS, /* of 0 to 36 bytes */
  BLOBS,   /* strings of 0 to BLOB_MAX bytes */
  PILES,   /* strings of 16 bytes, but one of 16 MiB at index `at` */
  HEAPS,   /* strings of 4 MiB before index `at`, of 16 bytes from there on */
  RUBBISH  /* slots full of random bytes */
};

enum event {
  NOTHING,
  DIE,      /* by a signal: `detail` */
  EXIT,     /* with a status: `detail`; `text` goes to stderr before */
  SLEEP,    /* microseconds: `detail` */
  SCRIBBLE, /* over what is shared: `detail`, of enum target */
  SPEAK,    /* write `text` to stderr, `detail` times */
  REFUSE,   /* send `text` instead of being ready */
  UNTIE,    /* lose the parent-death signal, and sleep as long as SLEEP */
  REQUIRE,  /* exit unless `text`, a NAME=value, is in the environment */
  PAUSE,    /* stop host and workers, and sleep as long as SLEEP */
};

enum moment { AT_ITEM, AT_START, WHEN_READY };

enum target {
  ENTRIES,
  SLOT_WORDS,
  RECORDS,
  HINTS,
  SIGNS, /* stop, wanted, earliest */
  HEADER,
  EVERYTHING,
  TARGET_COUNT,
  NOBODYS, /* claims name an owner that there is not */
  ANOTHERS /* claims name another worker */
};

typedef struct program {
  enum kind kind;
  enum event event;
  enum moment moment;
  int64_t at;    /* which item, or ANY_INDEX */
  int32_t step;  /* at this item, and each `step` after it; 0: none */
  int32_t times; /* how often in all; 0: always */
  int32_t detail;
  int32_t item_us; /* that each item takes */
  int32_t tally_fd;
  char text[64];
} program;

typedef struct tally {
  _Atomic int32_t events;
  _Atomic int32_t starts;
  _Atomic int32_t descriptors; /* the highest that a worker had open */
  _Atomic int32_t computed[TALLIED_MAX]; /* by index */
} tally;

/* -- What items are -- */

static inline uint64_t mix(uint64_t x) {
  x = (x ^ (x >> 31)) * 0x7fb5d329728ea185u;
  x = (x ^ (x >> 27)) * 0x81dadef4bc2dd44du;
  return x ^ (x >> 33);
}

static inline double value_of(int64_t epoch, int64_t index) {
  return (double)(mix((uint64_t)(epoch * 1000003 + index)) >> 12);
}

static inline uint32_t length_of(const program *p, int64_t index) {
  const uint64_t random = mix((uint64_t)index);
  switch (p->kind) {
  case STRINGS: return (uint32_t)(random % 37);
  case BLOBS: return (uint32_t)(random % ((BLOB_MAX >> random % 16) + 1u));
  case PILES: return index == p->at ? 16 << 20 : 16;
  case HEAPS: return index < p->at ? 4 << 20 : 16;
  default: return 0;
  }
}

static inline void fill_text(char *text, uint32_t length, int64_t epoch,
                             int64_t index) {
  const uint64_t start = mix((uint64_t)(epoch * 1000003 + index));
  for (uint32_t k = 0; k < length; k++)
    text[k] = (char)(start >> (k % 8 * 8)) ^ (char)(k >> 3);
}

/* -- What goes wrong -- */

static inline void sleep_us(int64_t us) {
  const struct timespec time = {us / 1000000, us % 1000000 * 1000};
  nanosleep(&time, NULL);
}

static inline void fill_random(volatile uint8_t *bytes, uint64_t count,
                               uint64_t seed) {
  for (uint64_t k = 0; k < count; k++)
    bytes[k] = (uint8_t)mix(seed + k);
}

/* Gives each claim another owner. */
static inline void scribble_owners(neap__ring *ring, bool is_anothers) {
  for (uint32_t e = 0; e <= ring->entry_count; e++) {
    neap__mark mark = neap__ring_look(ring, e);
    if (mark.state != NEAP__CLAIMED) continue;
    mark.owner = is_anothers ? (mark.owner + 1) % ring->worker_count
                             : ring->worker_count;
    atomic_store(&ring->entries[e].word, neap__mark_pack(mark));
  }
}

/* Writes random bytes over one kind of shared words, or all. */
static inline void scribble(enum target target, uint64_t seed) {
  struct stat about;
  neap__ring ring;
  if (fstat(3, &about) != 0) _exit(90);
  const uint64_t bytes = (uint64_t)about.st_size;
  void *base = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, 3, 0);
  if (base == MAP_FAILED) _exit(91);
  if (neap__ring_attach(&ring, base, bytes, NULL) != NEAP_OK) _exit(92);
  neap__control *control = ring.control;
  uint8_t *from = base;
  uint64_t count = bytes;
  switch (target) {
  case ENTRIES:
    from = (void *)ring.entries;
    count = (ring.entry_count + 1) * sizeof *ring.entries;
    break;
  case SLOT_WORDS:
    from = (void *)ring.slots;
    count = ring.slot_count * sizeof *ring.slots;
    break;
  case RECORDS:
    from = (void *)ring.records;
    count = ring.worker_count * sizeof *ring.records;
    break;
  case HINTS:
    from = (void *)control->open;
    count = sizeof *control - offsetof(neap__control, open);
    break;
  case SIGNS:
    from = (void *)&control->stop;
    count = offsetof(neap__control, open) - offsetof(neap__control, stop);
    break;
  case HEADER: count = offsetof(neap__control, stop); break;
  case EVERYTHING:
  case TARGET_COUNT: break;
  case NOBODYS:
  case ANOTHERS:
    scribble_owners(&ring, target == ANOTHERS);
    count = 0;
    break;
  }
  fill_random(from, count, seed);
  munmap(base, bytes);
}

/* Whether the program's event belongs to that item. */
static inline bool is_affected(const program *p, int64_t index) {
  return p->at == ANY_INDEX || index == p->at ||
         (p->step > 0 && index > p->at && (index - p->at) % p->step == 0);
}

/* Whether it is due, counting those that happened. */
static inline bool is_due(const program *p, tally *counts, int64_t index) {
  if (!is_affected(p, index)) return false;
  const int32_t before = atomic_fetch_add(&counts->events, 1);
  return p->times == 0 || before < p->times;
}

static inline void require_variable(const char *text) {
  char name[64];
  snprintf(name, sizeof name, "%.*s", (int)strcspn(text, "="), text);
  const char *value = getenv(name);
  if (value == NULL || strcmp(value, text + strlen(name) + 1) != 0) _exit(97);
}

static inline void happen(const program *p, tally *counts, int64_t index) {
  if (!is_due(p, counts, index)) return;
  switch (p->event) {
  case DIE: raise(p->detail); break;
  case EXIT:
    (void)!write(STDERR_FILENO, p->text, strlen(p->text));
    _exit(p->detail);
  case SPEAK:
    for (int32_t k = 0; k < p->detail; k++)
      (void)!write(STDERR_FILENO, p->text, strlen(p->text));
    break;
  case SLEEP: sleep_us(p->detail); break;
  case SCRIBBLE:
    scribble((enum target)p->detail, mix((uint64_t)(getpid() + index)));
    break;
  case UNTIE: /* as the kernel does where a process changes its user */
    prctl(PR_SET_PDEATHSIG, 0);
    sleep_us(p->detail);
    break;
  case PAUSE:
    kill(0, SIGSTOP);
    sleep_us(p->detail);
    break;
  case REQUIRE: require_variable(p->text); break;
  case NOTHING:
  case REFUSE: break;
  }
}

/* -- The worker -- */

static inline tally *open_tally(const program *p) {
  char path[64];
  snprintf(path, sizeof path, "/proc/%d/fd/%d", (int)getppid(), p->tally_fd);
  const int fd = open(path, O_RDWR | O_CLOEXEC);
  tally *counts =
      mmap(NULL, sizeof *counts, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (counts == MAP_FAILED) _exit(93);
  close(fd);
  return counts;
}

static inline void note_descriptors(tally *counts) {
  for (int fd = 0; fd < 2000; fd++)
    if (fcntl(fd, F_GETFD) >= 0 && fd > atomic_load(&counts->descriptors))
      atomic_store(&counts->descriptors, fd);
}

/* Fills a slot with cells that are wrong, few of them obviously. */
static inline void fill_rubbish(neap_writer *writer, uint64_t seed) {
  writer->used = 4096;
  fill_random(writer->base, writer->used, seed);
  for (uint32_t k = 0; k < writer->used / sizeof(neap_cell); k++) {
    neap_cell *cell = &writer->cells[k];
    if (mix(seed + k) % 16 == 0) continue;
    cell->type %= NEAP_FAILURE + 1;
    cell->count %= 8;
    cell->offset %= 256 * 17;
  }
}

static inline void write_item(const program *p, neap_writer *writer,
                              neap_cell *cell, int64_t epoch, int64_t index) {
  const uint32_t length = length_of(p, index);
  if (p->kind == RUBBISH) {
    fill_rubbish(writer, mix((uint64_t)index));
  } else if (p->kind == NUMBERS) {
    *cell = (neap_cell){.type = NEAP_NUMBER, .number = value_of(epoch, index)};
  } else {
    char *text = neap_writer_allocate(writer, length, NULL);
    if (text == NULL) _exit(97);
    fill_text(text, length, epoch, index);
    neap_writer_put_string(writer, cell, text, length, NULL);
  }
}

static inline void compute(const program *p, tally *counts, neap_worker *worker,
                           neap_task *task) {
  neap_writer writer;
  if (neap_writer_begin(&writer, task->base, task->bytes, task->count, NULL) !=
      NEAP_OK)
    _exit(98);
  for (int32_t k = 0; k < task->count; k++) {
    const int64_t index = task->first + k;
    *task->progress = k;
    if ((uint64_t)index < TALLIED_MAX)
      atomic_fetch_add(&counts->computed[index], 1);
    if (p->moment == AT_ITEM) happen(p, counts, index);
    if (p->item_us > 0) sleep_us(p->item_us);
    write_item(p, &writer, &writer.cells[k], task->epoch, index);
    neap_writer_end_item(&writer);
  }
  neap_worker_publish(worker, task, neap_writer_end(&writer));
}

static inline program program_of(neap_worker *worker) {
  program p;
  uint64_t bytes;
  memcpy(&p, neap_worker_chain(worker, &bytes), sizeof p);
  return p;
}

static inline int serve(neap_worker *worker) {
  neap_task task = {0};
  const program p = program_of(worker);
  tally *counts = open_tally(&p);
  atomic_fetch_add(&counts->starts, 1);
  if (p.moment == AT_START) happen(&p, counts, 0);
  const char *text = p.event == REFUSE ? p.text : NULL;
  if (neap_worker_ready(worker, text, NULL) != NEAP_OK) _exit(95);
  if (text != NULL) _exit(1);
  if (p.moment == WHEN_READY) happen(&p, counts, 0);
  int rc;
  for (int runs = 0; (rc = neap_worker_next(worker, &task, NULL)) == NEAP_OK;
       runs++) {
    if (runs == 1) note_descriptors(counts); /* stderr is its own by then */
    compute(&p, counts, worker, &task);
  }
  _exit(rc == NEAP_END ? 0 : 96);
}

static inline int worker_main(void) {
  neap_worker *worker;
  if (neap_worker_attach(&worker, NULL) != NEAP_OK) _exit(94);
  return serve(worker);
}

#endif
