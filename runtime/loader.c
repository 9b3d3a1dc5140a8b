/* SPDX-License-Identifier: MIT */
/*
 * The loader: the consumer's side of the ring.
 *
 * The consumer keeps up to `buffered` items asked for, in runs whose length
 * it chooses from the measured cost of an item, and takes them in order (or
 * as they come). All that it must be sure of stands in memory of its own
 * (`asked`, `refs`): what the shared words say is checked against that.
 *
 * Who may touch what: the consumer is one thread at a time; the supervisor's
 * thread shares with it what supervisor.h says, and nothing else.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "descriptor.h"
#include "error.h"
#include "futex.h"
#include "process.h"
#include "ring.h"
#include "segment.h"
#include "supervisor.h"

/* A run should take about this long: long enough for its overhead not to
   count, short enough for no item to wait for its neighbours. */
enum { RUN_NS_WANTED = 50000 };
/* A run of small items should stay in a core's cache. */
enum { RUN_BYTES_WANTED = 256 << 10 };
/* Runs that take longer than this are worth waking a worker for one by one. */
enum { RUN_NS_SLOW = 20000 };
/* Looks for a quick run between two looks at the clock. */
enum { LOOKS_A_CLOCK = 32 };
/* Slots that a caller may hold beside the one it reads. */
enum { HELD_MIN = 32 };
/* Bytes of a slot that are never given back to the system. */
enum { SLOT_BYTES_KEPT = 1 << 20 };

/* What the consumer asked of an entry. */
typedef struct asked {
  bool is_busy;
  bool is_failing; /* the next thing to deliver is the failure of `first` */
  uint64_t ticket;
  int64_t epoch;
  int64_t first;
  int32_t count;      /* asked of the worker now */
  int32_t rest;       /* items after them that this entry still owes */
  int32_t skip;       /* items at the start that a seek jumped over */
  neap__fate failure; /* of the item after `count`, when rest counts it */
} asked;

struct neap_loader {
  int64_t length; /* INT64_MAX: endless */
  int32_t buffered;
  int32_t chunk; /* 0: chosen */
  bool is_ordered;
  bool is_closed;
  bool has_cores; /* more than one */
  bool is_strict; /* NEAP_DEBUG: a slot is readable while it is held */
  pid_t pid;      /* who opened it: not a forked child */
  neap__segment control;
  neap__segment slots;
  neap__ring ring;
  uint64_t slot_bytes;
  neap__supervisor supervisor;

  asked *asked;  /* one an entry, and the one aside */
  int32_t *refs; /* holds of a slot by the caller */
  int32_t held, held_max;
  uint64_t ticket; /* of the last opening */
  uint32_t head;   /* the entry to deliver next, when ordered */
  uint32_t tail;   /* the entry to open next */
  uint32_t busy;   /* entries that are busy */
  int64_t ahead;   /* items asked for and not delivered */
  int64_t epoch;
  int64_t next;               /* the index to ask for next */
  double item_ns, item_bytes; /* running means; 0: nothing measured yet */
  int32_t run_items;          /* the length of the next run */
  uint64_t used_recently;     /* a decaying maximum of a slot's use */
  int64_t wait_ns;
};

/* -- Opening and closing -- */

static int check_options(const neap_options *options, neap_error *error) {
  const char *what = NULL;
  if (options->workers < 1 || options->workers > NEAP__WORKERS_MAX)
    what = "workers must be 1 to 512";
  else if (options->buffered < 1)
    what = "buffered must be 1 or more";
  else if (options->chunk < 0)
    what = "chunk must be 0 or more";
  else if (options->retries < 0)
    what = "retries must be 0 or more";
  else if (options->timeout_ns < 0)
    what = "timeout_ns must be 0 or more";
  else if (options->slot_bytes < 1 << 16 || options->slot_bytes > 1ull << 46)
    what = "slot_bytes must be 2^16 to 2^46";
  else if (options->length < NEAP_ENDLESS)
    what = "length must be 0 or more, or NEAP_ENDLESS";
  else if (options->chain_bytes > 1ull << 40)
    what = "chain_bytes must be 2^40 or less";
  else if (options->chain == NULL && options->chain_bytes > 0)
    what = "chain must not be NULL";
  else if (options->lua_dir == NULL)
    what = "lua_dir must not be NULL";
  if (what == NULL) return NEAP_OK;
  return neap__error_set(error, NEAP_EINVAL, 0, "cannot open a loader: %s",
                         what);
}

static int32_t clamp(int64_t value, int64_t low, int64_t high) {
  return (int32_t)(value < low ? low : value > high ? high : value);
}

static int open_slots(neap_loader *loader, uint32_t slots, neap_error *error) {
  const int rc = neap__segment_open(&loader->slots, "neap-slots",
                                    slots * loader->slot_bytes, error);
  if (rc != NEAP_EMEMORY) return rc;
  return neap__error_set(
      error, NEAP_EMEMORY, error == NULL ? 0 : error->system,
      "cannot reserve %u slots of slot_bytes = %llu: a smaller slot_bytes or "
      "buffered may fit",
      slots, (unsigned long long)loader->slot_bytes);
}

static int open_memory(neap_loader *loader, const neap_options *options,
                       neap_error *error) {
  const uint32_t workers = (uint32_t)options->workers;
  const int32_t chunk = loader->chunk > 0 ? loader->chunk : 1;
  const uint32_t entries = (uint32_t)clamp(
      (loader->buffered + chunk - 1) / chunk, 1, NEAP__ENTRIES_MAX);
  loader->held_max = clamp(entries, HELD_MIN, NEAP__ENTRIES_MAX);
  const uint32_t slots = entries + workers + (uint32_t)loader->held_max;
  const uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
  loader->slot_bytes = (options->slot_bytes + page - 1) / page * page;

  int rc = neap__segment_open(
      &loader->control, "neap-control",
      neap__ring_bytes(workers, entries, slots, options->chain_bytes), error);
  if (rc != NEAP_OK) return rc;
  neap__ring_format(loader->control.base, workers, entries, slots,
                    loader->slot_bytes, options->chain_bytes);
  rc = neap__ring_attach(&loader->ring, loader->control.base,
                         loader->control.bytes, error);
  if (rc != NEAP_OK) return rc;
  loader->ring.control->memory_bytes = options->memory_bytes;
  if (options->chain_bytes > 0)
    memcpy(loader->control.base + loader->ring.control->chain_offset,
           options->chain, options->chain_bytes);
  if ((rc = open_slots(loader, slots, error)) != NEAP_OK) return rc;
  loader->asked = calloc(entries + 1, sizeof *loader->asked);
  loader->refs = calloc(slots, sizeof *loader->refs);
  if (loader->asked == NULL || loader->refs == NULL)
    return neap__error_set(error, NEAP_EMEMORY, 0,
                           "cannot open a loader: memory is short");
  return NEAP_OK;
}

/* Out of the way of the numbers that a worker inherits. */
static int move_up(int fd) {
  return fd < 0 ? -1 : neap__descriptor_copy(fd, NEAP__FD_COUNT);
}

static int open_supervisor(neap_loader *loader, const neap_options *options,
                           neap_error *error) {
  neap__supervisor *s = &loader->supervisor;
  const int rc =
      neap__spawn_find(options->executable, s->path, sizeof s->path, error);
  if (rc != NEAP_OK) return rc;
  s->ring = &loader->ring;
  s->retries = options->retries;
  s->timeout_ns = options->timeout_ns;
  s->attach_ms = NEAP__ATTACH_MS_MAX;
  s->slots = &loader->slots;
  s->slot_bytes = loader->slot_bytes;
  int *inherit = s->inherit;
  inherit[NEAP__FD_CONTROL] = move_up(loader->control.fd);
  inherit[NEAP__FD_SLOTS] = move_up(loader->slots.fd);
  inherit[NEAP__FD_HEAP] = move_up(options->heap_fd);
  inherit[NEAP__FD_STDERR] = move_up(STDERR_FILENO); /* which may be closed */
  if (inherit[NEAP__FD_CONTROL] < 0 || inherit[NEAP__FD_SLOTS] < 0 ||
      (options->heap_fd >= 0 && inherit[NEAP__FD_HEAP] < 0))
    return neap__error_set(error, NEAP_ESYSTEM, errno,
                           "cannot open a loader: descriptors are short");
  strncpy(s->lua_dir, options->lua_dir, sizeof s->lua_dir - 1);
  return neap__supervisor_start(s, error);
}

static bool is_debugging(void) {
  const char *wish = getenv("NEAP_DEBUG");
  return wish != NULL && *wish != '\0' && strcmp(wish, "0") != 0;
}

int neap_open(const neap_options *options, neap_loader **out,
              neap_error *error) {
  *out = NULL;
  int rc = check_options(options, error);
  if (rc != NEAP_OK) return rc;
  neap_loader *loader = calloc(1, sizeof *loader);
  if (loader == NULL)
    return neap__error_set(error, NEAP_EMEMORY, 0,
                           "cannot open a loader: memory is short");
  loader->pid = getpid();
  loader->control.fd = loader->slots.fd = loader->supervisor.bell = -1;
  for (int fd = 0; fd < NEAP__FD_COUNT; fd++)
    loader->supervisor.inherit[fd] = -1;
  loader->length =
      options->length == NEAP_ENDLESS ? INT64_MAX : options->length;
  loader->buffered = options->buffered;
  loader->is_strict = is_debugging();
  loader->chunk =
      loader->is_strict ? 1 : clamp(options->chunk, 0, NEAP_RUN_MAX);
  if (loader->chunk > loader->buffered) loader->chunk = loader->buffered;
  loader->run_items = loader->chunk > 0 ? loader->chunk : 1;
  loader->is_ordered = options->ordered != 0;
  loader->has_cores = neap_cores() > 1;
  loader->epoch = 1;
  if ((rc = open_memory(loader, options, error)) != NEAP_OK) goto fail;
  if ((rc = open_supervisor(loader, options, error)) != NEAP_OK) goto fail;
  *out = loader;
  return NEAP_OK;

fail:
  neap_close(loader);
  return rc;
}

/* The slots' memory stays while the caller holds some of it. */
static void free_if_done(neap_loader *loader) {
  if (!loader->is_closed || loader->held > 0) return;
  neap__segment_close(&loader->slots);
  free(loader->refs);
  free(loader);
}

void neap_close(neap_loader *loader) {
  if (loader == NULL || loader->is_closed) return;
  neap__supervisor *s = &loader->supervisor;
  if (loader->pid == getpid()) neap__supervisor_stop(s);
  neap__supervisor_fini(s);
  for (int fd = 0; fd < NEAP__FD_COUNT; fd++)
    if (s->inherit[fd] >= 0) close(s->inherit[fd]);
  neap__segment_close(&loader->control);
  free(loader->asked);
  loader->asked = NULL;
  loader->is_closed = true;
  free_if_done(loader);
}

int64_t neap_length(const neap_loader *loader) {
  return loader->length == INT64_MAX ? NEAP_ENDLESS : loader->length;
}

/* -- Asking -- */

static void ask(neap_loader *loader, uint32_t entry, int64_t epoch,
                int64_t first, int32_t count) {
  asked *a = &loader->asked[entry];
  loader->ticket = (loader->ticket + 1) & ((1ull << NEAP__TICKET_BITS) - 1);
  a->is_busy = true;
  a->is_failing = false;
  a->ticket = loader->ticket;
  a->epoch = epoch;
  a->first = first;
  a->count = count;
  neap__ring_open(&loader->ring, entry, a->ticket, epoch, first, count);
}

static uint32_t following(const neap_loader *loader, uint32_t entry) {
  return entry + 1 < loader->ring.entry_count ? entry + 1 : 0;
}

/* Opens entries while there is room for a run; short runs only at the end. */
static void ask_ahead(neap_loader *loader) {
  const uint32_t entries = loader->ring.entry_count;
  while (loader->busy < entries && loader->next < loader->length) {
    const int64_t room = loader->buffered - loader->ahead;
    const int64_t left = loader->length - loader->next;
    const int32_t count = clamp(loader->run_items, 1, left);
    if (count > room && loader->busy > 0) return;
    while (loader->asked[loader->tail].is_busy)
      loader->tail = following(loader, loader->tail);
    ask(loader, loader->tail, loader->epoch, loader->next, count);
    loader->asked[loader->tail].rest = 0;
    loader->asked[loader->tail].skip = 0;
    loader->busy++;
    loader->ahead += count;
    loader->next += count;
    loader->tail = following(loader, loader->tail);
    atomic_store(&loader->ring.control->earliest, loader->tail);
  }
}

static bool is_slow(const neap_loader *loader) {
  return loader->item_ns * loader->run_items > RUN_NS_SLOW;
}

/* Entries that must be open before sleeping workers are woken: with quick
   runs half of the ring, so that they do not wake for each. */
static uint32_t enough_to_rouse(const neap_loader *loader) {
  if (is_slow(loader)) return 1;
  const uint32_t half = loader->ring.entry_count / 2;
  return half > 0 ? half : 1;
}

/* -- Measuring -- */

/* Running means over the last dozen runs, and the next run's length. */
static void measure(neap_loader *loader, double cost_ns, double used,
                    int32_t count) {
  const double weight = loader->item_ns == 0 ? 1 : 0.125;
  loader->item_ns += (cost_ns / count - loader->item_ns) * weight;
  loader->item_bytes += (used / count - loader->item_bytes) * weight;
  if (loader->chunk > 0) return;
  const double by_time = RUN_NS_WANTED / (loader->item_ns + 1);
  const double by_bytes = RUN_BYTES_WANTED / (loader->item_bytes + 1);
  const int64_t wanted = (int64_t)(by_time < by_bytes ? by_time : by_bytes);
  const int64_t share =
      loader->buffered / (2 * (int64_t)loader->ring.worker_count);
  int64_t most = 2 * (int64_t)loader->run_items;
  if (share < most) most = share;
  loader->run_items = clamp(wanted < most ? wanted : most, 1, NEAP_RUN_MAX);
}

/* Gives back pages far above what slots have needed lately. */
static void trim(neap_loader *loader, uint32_t slot) {
  _Atomic uint64_t *touched = &loader->ring.slots[slot].touched;
  uint64_t keep = loader->used_recently * 2;
  if (keep < SLOT_BYTES_KEPT) keep = SLOT_BYTES_KEPT;
  if (atomic_load_explicit(touched, memory_order_relaxed) <= keep) return;
  const uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
  keep = (keep + page - 1) / page * page;
  if (keep < loader->slot_bytes)
    neap__segment_trim(&loader->slots, slot * loader->slot_bytes + keep,
                       loader->slot_bytes - keep);
  atomic_store_explicit(touched, keep, memory_order_relaxed);
}

static void note_use(neap_loader *loader, uint64_t used) {
  const uint64_t faded = loader->used_recently - loader->used_recently / 64;
  loader->used_recently = used > faded ? used : faded;
}

/* -- Taking -- */

static void fill_failure(const asked *a, neap_run *run) {
  *run = (neap_run){
      .epoch = a->epoch,
      .first = a->first,
      .count = 1,
      .slot = -1,
      .wait_status = a->failure.status,
      .attempts = a->failure.deaths,
      .is_overdue = a->failure.is_overdue,
  };
}

/* Under NEAP_DEBUG, who reads a slot that he has released is stopped there. */
static void permit(neap_loader *loader, uint32_t slot, int access) {
  if (!loader->is_strict) return;
  (void)mprotect(loader->slots.base + slot * loader->slot_bytes,
                 loader->slot_bytes, access);
}

static int damaged(neap_error *error) {
  return neap__error_set(error, NEAP_EDAMAGED, 0,
                         "cannot go on: a worker has written over the memory "
                         "that it shares with the host");
}

static int take_done(neap_loader *loader, uint32_t entry, neap__mark mark,
                     neap_run *run, neap_error *error) {
  const asked *a = &loader->asked[entry];
  if (mark.ticket != a->ticket || mark.slot >= loader->ring.slot_count ||
      loader->refs[mark.slot] != 0 ||
      !neap__ring_take(&loader->ring, entry, mark))
    return damaged(error);
  const neap__slot *slot = &loader->ring.slots[mark.slot];
  uint64_t used = atomic_load_explicit(&slot->used, memory_order_relaxed);
  const int64_t cost_ns =
      atomic_load_explicit(&slot->cost_ns, memory_order_relaxed);
  if (used > loader->slot_bytes) used = loader->slot_bytes;
  note_use(loader, used);
  measure(loader, (double)clamp(cost_ns, 1, INT32_MAX), (double)used, a->count);
  permit(loader, mark.slot, PROT_READ | PROT_WRITE);
  loader->refs[mark.slot] = 1;
  loader->held++;
  const uint8_t *base = loader->slots.base + mark.slot * loader->slot_bytes;
  *run = (neap_run){
      .epoch = a->epoch,
      .first = a->first + a->skip,
      .count = a->count - a->skip,
      .slot = (int32_t)mark.slot,
      .cells = (const neap_value *)(const void *)base + a->skip,
      .base = base,
      .bytes = used,
  };
  return NEAP_OK;
}

/*
 * The run's worker died too often at item k of it: the items before k are
 * asked for again, k becomes a failure, and the rest follows.
 */
static void split_lost(neap_loader *loader, uint32_t entry) {
  asked *a = &loader->asked[entry];
  const neap__fate fate = neap__supervisor_fate(&loader->supervisor, entry);
  const int32_t k = clamp(fate.item, 0, a->count - 1) - a->skip;
  neap__ring_forget(&loader->ring, entry);
  a->first += a->skip;
  a->count -= a->skip;
  loader->ahead -= a->skip;
  a->skip = 0;
  if (k < 0) { /* a seek has jumped over it */
    ask(loader, entry, a->epoch, a->first, a->count);
    return;
  }
  const int32_t all = a->count + a->rest;
  a->failure = fate;
  a->rest = all - k;
  if (k > 0) {
    ask(loader, entry, a->epoch, a->first, k);
  } else {
    a->count = 0;
    a->is_failing = true;
  }
}

/* After a delivery: whether the entry owes more. The caller advances if not. */
static bool go_on(neap_loader *loader, uint32_t entry, int32_t delivered) {
  asked *a = &loader->asked[entry];
  a->first += delivered;
  a->skip = 0;
  if (a->rest == 0) {
    a->is_busy = false;
    return false;
  }
  if (!a->is_failing) { /* the items before the failing one went first */
    a->is_failing = true;
    a->count = 0;
    return true;
  }
  if (--a->rest == 0) {
    a->is_busy = false;
    return false;
  }
  const int32_t count = a->rest;
  a->rest = 0;
  ask(loader, entry, a->epoch, a->first, count);
  return true;
}

/* Whether there is something to deliver; damage is, as an error. */
static bool is_ready(neap_loader *loader, uint32_t entry) {
  const asked *a = &loader->asked[entry];
  if (a->is_failing) return true;
  const neap__mark mark = neap__ring_look(&loader->ring, entry);
  return mark.ticket != a->ticket ||
         (mark.state != NEAP__OPEN && mark.state != NEAP__CLAIMED);
}

/* An entry that is ready: the head, or the first of any when unordered. */
static int64_t find_ready(neap_loader *loader, uint32_t wish) {
  if (wish != NEAP__ANY_ENTRY)
    return is_ready(loader, wish) ? (int64_t)wish : -1;
  uint32_t e = loader->tail;
  for (uint32_t k = 0; k < loader->ring.entry_count; k++) {
    if (loader->asked[e].is_busy && is_ready(loader, e)) return e;
    e = following(loader, e);
  }
  return -1;
}

static int failure_of(neap_loader *loader, neap_error *error) {
  neap__supervisor *s = &loader->supervisor;
  pthread_mutex_lock(&s->lock);
  if (error != NULL) *error = s->failure;
  const int status = s->failure.status;
  pthread_mutex_unlock(&s->lock);
  return status;
}

/*
 * Quick runs come sooner than a sleeper wakes: so look on for as long as one
 * run may take to count as quick, and only if there is a core for it.
 */
static void linger(neap_loader *loader, uint32_t wish, int64_t since) {
  if (!loader->has_cores || is_slow(loader)) return;
  for (int look = 1; find_ready(loader, wish) < 0; look++) {
    if (look % LOOKS_A_CLOCK == 0 && neap__now_ns() - since > RUN_NS_SLOW)
      return;
    neap__pause();
  }
}

/* Waits until the entry wished for is ready, and tells which. */
static int await(neap_loader *loader, uint32_t wish, uint32_t *entry,
                 neap_error *error) {
  int64_t found = find_ready(loader, wish);
  if (found < 0) {
    const int64_t since = neap__now_ns();
    neap__ring_rouse(&loader->ring, 1);
    linger(loader, wish, since);
    for (;;) {
      neap__ring_wish(&loader->ring, wish);
      found = find_ready(loader, wish);
      if (found >= 0 || atomic_load(&loader->supervisor.has_failed)) break;
      if (!neap__ring_sleep(&loader->ring, wish))
        neap__ring_stir(&loader->ring);
    }
    neap__ring_unwish(&loader->ring);
    loader->wait_ns += neap__now_ns() - since;
  }
  if (found < 0) return failure_of(loader, error);
  *entry = (uint32_t)found;
  return NEAP_OK;
}

/* Delivers something of an entry that was awaited, splitting lost runs. */
static int deliver(neap_loader *loader, uint32_t wish, uint32_t *entry,
                   neap_run *run, neap_error *error) {
  for (;;) {
    int rc = await(loader, wish, entry, error);
    if (rc != NEAP_OK) return rc;
    if (loader->asked[*entry].is_failing) {
      fill_failure(&loader->asked[*entry], run);
      return NEAP_OK;
    }
    const neap__mark mark = neap__ring_look(&loader->ring, *entry);
    if (mark.state == NEAP__DONE)
      return take_done(loader, *entry, mark, run, error);
    if (mark.state != NEAP__LOST || mark.ticket != loader->asked[*entry].ticket)
      return damaged(error);
    split_lost(loader, *entry);
  }
}

static int check_use(neap_loader *loader, neap_error *error) {
  if (loader->is_closed)
    return neap__error_set(error, NEAP_ECLOSED, 0,
                           "cannot read: the prefetch is closed");
  if (loader->held >= loader->held_max)
    return neap__error_set(
        error, NEAP_EHELD, 0,
        "cannot read on: all %d slots that may be held are held; release some "
        "items, clone what is to be kept, or raise buffered",
        loader->held_max);
  return NEAP_OK;
}

int neap_run_next(neap_loader *loader, neap_run *run, neap_error *error) {
  *run = (neap_run){.slot = -1};
  int rc = check_use(loader, error);
  if (rc != NEAP_OK) return rc;
  ask_ahead(loader);
  if (loader->busy == 0) return NEAP_END;
  uint32_t entry;
  const uint32_t wish = loader->is_ordered ? loader->head : NEAP__ANY_ENTRY;
  rc = deliver(loader, wish, &entry, run, error);
  if (rc != NEAP_OK) return rc;
  const int32_t delivered = run->count + loader->asked[entry].skip;
  loader->ahead -= delivered;
  if (!go_on(loader, entry, delivered)) {
    loader->busy--;
    if (loader->is_ordered) loader->head = following(loader, loader->head);
  }
  ask_ahead(loader);
  neap__ring_rouse(&loader->ring, enough_to_rouse(loader));
  return NEAP_OK;
}

int neap_run_get(neap_loader *loader, int64_t epoch, int64_t index,
                 neap_run *run, neap_error *error) {
  *run = (neap_run){.slot = -1};
  int rc = check_use(loader, error);
  if (rc != NEAP_OK) return rc;
  if (index < 0 || index >= loader->length)
    return neap__error_set(error, NEAP_EINVAL, 0,
                           "cannot read: index %lld is out of range",
                           (long long)index);
  uint32_t entry = loader->ring.entry_count;
  ask(loader, entry, epoch, index, 1);
  loader->asked[entry].rest = loader->asked[entry].skip = 0;
  neap__ring_rouse(&loader->ring, 1);
  rc = deliver(loader, entry, &entry, run, error);
  if (rc != NEAP_OK) neap__ring_cancel(&loader->ring, entry);
  return rc;
}

/* -- Holding -- */

void neap_run_retain(neap_loader *loader, int32_t slot) {
  if (slot < 0) return;
  NEAP_ASSERT(loader->refs[slot] > 0);
  loader->refs[slot]++;
}

void neap_run_release(neap_loader *loader, int32_t slot) {
  if (slot < 0) return;
  NEAP_ASSERT(loader->refs[slot] > 0);
  if (--loader->refs[slot] > 0) return;
  loader->held--;
  if (loader->is_closed) {
    free_if_done(loader);
    return;
  }
  permit(loader, (uint32_t)slot, PROT_NONE);
  trim(loader, (uint32_t)slot);
  neap__slot_release(&loader->ring, (uint32_t)slot);
}

int32_t neap_held(const neap_loader *loader) {
  return loader->held;
}

int32_t neap_held_max(const neap_loader *loader) {
  return loader->held_max;
}

/* -- Seeking -- */

static void drop(neap_loader *loader, uint32_t entry) {
  asked *a = &loader->asked[entry];
  if (!a->is_busy) return;
  neap__ring_cancel(&loader->ring, entry);
  a->is_busy = a->is_failing = false;
  loader->ahead -= a->count + a->rest;
  loader->busy--;
}

/* Drops what lies before index, if index has been asked for already. */
static bool skip_to(neap_loader *loader, int64_t epoch, int64_t index) {
  if (!loader->is_ordered || epoch != loader->epoch || loader->busy == 0 ||
      index >= loader->next || index < loader->asked[loader->head].first)
    return false;
  for (;;) {
    asked *a = &loader->asked[loader->head];
    if (a->rest > 0) return false;
    if (index < a->first + a->count) {
      a->skip = (int32_t)(index - a->first);
      return true;
    }
    drop(loader, loader->head);
    loader->head = following(loader, loader->head);
  }
}

int neap_seek(neap_loader *loader, int64_t epoch, int64_t index,
              neap_error *error) {
  if (loader->is_closed)
    return neap__error_set(error, NEAP_ECLOSED, 0,
                           "cannot seek: the prefetch is closed");
  if (index < 0 || index > loader->length)
    return neap__error_set(error, NEAP_EINVAL, 0,
                           "cannot seek: index %lld is out of range",
                           (long long)index);
  if (skip_to(loader, epoch, index)) return NEAP_OK;
  for (uint32_t e = 0; e < loader->ring.entry_count; e++)
    drop(loader, e);
  loader->head = loader->tail;
  loader->epoch = epoch;
  loader->next = index;
  return NEAP_OK;
}

/* -- Statistics -- */

/* Workers write them, so they may hold anything; sums must not overflow. */
static int64_t read_counter(const _Atomic int64_t *counter) {
  const int64_t most = 1ll << 53;
  const int64_t count = atomic_load_explicit(counter, memory_order_relaxed);
  return count < 0 ? 0 : count > most ? most : count;
}

int32_t neap_worker_stats(const neap_loader *loader, int32_t worker,
                          neap_stats *out) {
  *out = (neap_stats){.workers = 1};
  if (loader->is_closed || worker < 0 ||
      (uint32_t)worker >= loader->ring.worker_count)
    return 0;
  const neap__corner *corner = &loader->ring.corners[worker];
  out->items = read_counter(&corner->items);
  out->runs = read_counter(&corner->runs);
  out->bytes = read_counter(&corner->bytes);
  out->busy_ns = read_counter(&corner->busy_ns);
  out->idle_ns = read_counter(&corner->idle_ns);
  return atomic_load(&loader->supervisor.pids[worker]);
}

void neap_loader_stats(const neap_loader *loader, neap_stats *out) {
  neap_stats sum = {.held = loader->held};
  for (uint32_t w = 0; !loader->is_closed && w < loader->ring.worker_count;
       w++) {
    neap_stats one;
    neap_worker_stats(loader, (int32_t)w, &one);
    sum.items += one.items;
    sum.runs += one.runs;
    sum.bytes += one.bytes;
    sum.busy_ns += one.busy_ns;
    sum.idle_ns += one.idle_ns;
    sum.workers++;
  }
  sum.consumer_wait_ns = loader->wait_ns;
  sum.restarts = atomic_load(&loader->supervisor.restarts);
  sum.retries = atomic_load(&loader->supervisor.retried);
  *out = sum;
}
