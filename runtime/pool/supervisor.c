/* SPDX-License-Identifier: MIT */
/*
 * The supervisor: the thread in the host that keeps workers alive.
 *
 * It starts the workers, sleeps in poll() on their pidfds and sockets, recovers
 * what a dead worker left in the ring, and starts its successor. It uses no
 * Lua, blocks every signal, and never takes a lock that a worker can hold.
 * Linux ties the parent-death signal to the thread that forked: here that is
 * this thread, which ends with the pool, not the thread that opened the pool.
 */
#include "pool/supervisor.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/descriptor.h"
#include "base/error.h"
#include "base/futex.h"

/* How often to look at the clocks of items: looks per timeout, and limits. */
enum { LOOKS_A_TIMEOUT = 4, LOOK_MS_MIN = 10, LOOK_MS_MAX = 1000 };
/* Late looks in a row that are taken for pauses; after that, time counts. */
enum { PAUSES_MAX = 100 };
/* After how long to retry a start that failed. */
enum { RESTART_MS = 1000 };
/* After how long to retry output while the host's stderr is full. */
enum { BLOCKED_MS = 100 };

/* -- Failing as a whole -- */

static void give_up(neap__supervisor *s, const neap_error *why) {
  pthread_mutex_lock(&s->lock);
  if (!atomic_load(&s->has_failed)) s->failure = *why;
  atomic_store(&s->has_failed, 1);
  pthread_mutex_unlock(&s->lock);
  neap__ring_wake_consumer(s->ring);
}

static void receive_from(neap__supervisor *s, neap__child *child) {
  neap_error why;
  if (neap__child_receive(child, &why)) give_up(s, &why);
}

/* Deaths of a run, at different items or while it waited, that count as one
   death of the last item: else a run could be opened again for ever. */
enum { RUN_DEATHS = 8 };

/* A dead worker whose work is being recovered. */
typedef struct death {
  neap__supervisor *supervisor;
  uint32_t worker;
  int status;    /* as from waitpid */
  bool had_work; /* it had begun a run, perhaps cancelled by now */
} death;

/*
 * Whether the death counts against the item that was being computed. A worker
 * that is killed for one item may be at another by then, or compute several.
 */
static bool is_to_blame(const death *dead, uint32_t slot, bool *is_overdue) {
  const neap__supervisor *s = dead->supervisor;
  *is_overdue = slot < s->ring->slot_count && s->paces[slot].is_overdue &&
                neap__pace_holds(&s->paces[slot], &s->ring->slots[slot]);
  return *is_overdue || !s->children[dead->worker].is_overdue;
}

static int32_t progress_of(const neap__ring *ring, uint32_t slot) {
  return slot < ring->slot_count ? atomic_load(&ring->slots[slot].progress) : 0;
}

/*
 * Whether a worker that holds several claims computed this one: the others
 * wait. One that holds a single claim computes it.
 */
static bool is_at_work(const neap__supervisor *s, uint32_t slot) {
  return s->ring->wake_fds == NULL || slot >= s->ring->slot_count ||
         atomic_load(&s->ring->slots[slot].began_ns) != 0;
}

/* Counts one more death at an entry, of its item or (was_waiting) of any that
   the worker had in work. Whether it may be retried. */
static bool note_fate(neap__supervisor *s, uint32_t entry, neap__fate now,
                      bool was_waiting) {
  pthread_mutex_lock(&s->lock);
  neap__fate *fate = &s->fates[entry];
  const bool is_same_run = fate->ticket == now.ticket;
  now.run_deaths = is_same_run ? fate->run_deaths + 1 : 1;
  now.deaths = is_same_run && fate->item == now.item ? fate->deaths : 0;
  if (!was_waiting) now.deaths++;
  const bool may_retry = !now.is_overdue && now.deaths <= s->retries &&
                         now.run_deaths / RUN_DEATHS <= s->retries;
  if (!may_retry && was_waiting) now.deaths = now.run_deaths;
  *fate = now;
  pthread_mutex_unlock(&s->lock);
  return may_retry;
}

static bool again(void *host, uint32_t entry, neap__mark claim) {
  death *dead = host;
  neap__supervisor *s = dead->supervisor;
  neap__fate fate = {.ticket = claim.ticket, .status = dead->status};
  bool is_open = true;
  dead->had_work = true;
  fate.item = progress_of(s->ring, claim.slot);
  if (is_to_blame(dead, claim.slot, &fate.is_overdue)) {
    const bool was_waiting = !is_at_work(s, claim.slot);
    if (!was_waiting) neap__ring_read_note(s->ring, dead->worker, fate.note);
    is_open = note_fate(s, entry, fate, was_waiting);
    if (!was_waiting) atomic_store(&s->ring->entries[entry].alone, 1);
  }
  if (is_open) atomic_fetch_add(&s->retried, 1);
  return is_open;
}

/* Starts worker w; false, and why, if that fails. */
static bool start(neap__supervisor *s, uint32_t w, neap_error *why) {
  neap__child *child = &s->children[w];
  int rc, tries = 0;
  s->inherit[NEAP__FD_WAKE] =
      s->ring->wake_fds == NULL ? -1 : s->ring->wake_fds[w];
  do /* retry if it died at once, and the host has reaped it */
    rc = neap__child_start(child, &s->launcher, s->inherit, why);
  while (rc != NEAP_OK && why->system == ESRCH &&
         ++tries < NEAP__VAIN_KILLS_MAX);
  s->inherit[NEAP__FD_WAKE] = -1;
  if (rc != NEAP_OK) return false;
  child->runs_before = atomic_load(&s->ring->records[w].runs);
  atomic_store(&s->pids[w], (int32_t)child->pid);
  if (neap__child_greet(child, (int32_t)w, why) != NEAP_OK) give_up(s, why);
  return true;
}

static bool has_children(const neap__supervisor *s) {
  for (uint32_t w = 0; w < s->ring->worker_count; w++)
    if (s->children[w].pid != 0) return true;
  return false;
}

/*
 * Starts the successor of worker w. If that fails (no free descriptor or
 * process), retries later while other workers live.
 */
static void start_successor(neap__supervisor *s, uint32_t w) {
  neap_error why = {0};
  if (start(s, w, &why))
    atomic_fetch_add(&s->restarts, 1);
  else if (!has_children(s))
    give_up(s, &why);
}

/*
 * Counts deaths in vain: before the worker was ready, or with work left but no
 * run ever begun. A death after a run was begun resets the count.
 */
static void count_vain_death(neap__supervisor *s, const death *dead,
                             bool was_ready) {
  neap__child *child = &s->children[dead->worker];
  const int64_t runs = atomic_load(&s->ring->records[dead->worker].runs);
  if (dead->had_work || runs != child->runs_before)
    child->vain_deaths = 0;
  else if (!was_ready || neap__ring_has_work(s->ring))
    child->vain_deaths++;
}

/*
 * Whether workers of this number have died in vain too often in a row. After a
 * SIGKILL the successor may well work, so more of them are allowed.
 */
static bool is_hopeless(const neap__child *child, int status) {
  const bool was_killed = status == NEAP_STATUS_LOST || /* perhaps */
                          (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
  return child->vain_deaths >=
         (was_killed ? NEAP__VAIN_KILLS_MAX : NEAP__VAIN_DEATHS_MAX);
}

/* -- Clocks -- */

static int64_t within(int64_t value, int64_t least, int64_t most) {
  return value < least ? least : value > most ? most : value;
}

/*
 * For how long the host was stopped since the last look (SIGSTOP, Ctrl-Z, a
 * freezer), perhaps with its workers; or 0. It was stopped if this look is late
 * by a quarter of the interval and more. Where each look is late, only the
 * first PAUSES_MAX of them count as pauses.
 */
static int64_t pause_until(neap__supervisor *s, int64_t now) {
  const int64_t slept_ns = now - s->looked_ns;
  const int64_t late_ns = slept_ns - s->asked_ns;
  const bool is_late = late_ns > s->asked_ns / 4 + LOOK_MS_MIN * 1000000ll;
  s->pauses = is_late ? s->pauses + 1 : 0;
  return is_late && s->pauses <= PAUSES_MAX ? slept_ns : 0;
}

/*
 * Looks at a slot that worker w is filling, and kills the worker if the item
 * takes too long. Returns the time that the item has left.
 */
static int64_t look_at_slot(neap__supervisor *s, uint32_t slot, uint32_t w,
                            int64_t now, int64_t paused_ns) {
  neap__pace *pace = &s->paces[slot];
  neap__child *child = &s->children[w];
  neap__pace_pause(pace, paused_ns);
  neap__pace_keep(pace, &s->ring->slots[slot],
                  paused_ns > 0 ? now : s->looked_ns, now);
  if (pace->began_ns == 0) return INT64_MAX;
  const int64_t left_ns = pace->since_ns + s->timeout_ns - now;
  if (left_ns > 0) return left_ns;
  /* If the kill fails, the next look retries it. */
  child->is_overdue = pace->is_overdue = neap__child_kill(child);
  return s->timeout_ns;
}

/*
 * Looks at all slots that are being filled. Returns when to look again. That is
 * later while no item is computed, since a run tells when it began.
 */
static int64_t look_at_items(neap__supervisor *s, int64_t now,
                             int64_t paused_ns) {
  const int64_t least = LOOK_MS_MIN * 1000000ll, most = LOOK_MS_MAX * 1000000ll;
  const int64_t busy_ns = within(s->timeout_ns / LOOKS_A_TIMEOUT, least, most);
  int64_t look_ns = within(s->timeout_ns, least, most);
  for (uint32_t slot = 0; slot < s->ring->slot_count; slot++) {
    const int32_t w = neap__slot_filler(s->ring, slot);
    if (w < 0 || s->children[w].pid == 0 || s->children[w].is_overdue) continue;
    const int64_t left_ns = look_at_slot(s, slot, (uint32_t)w, now, paused_ns);
    if (left_ns == INT64_MAX) continue;
    if (busy_ns < look_ns) look_ns = busy_ns;
    if (left_ns < look_ns) look_ns = left_ns;
  }
  return look_ns;
}

/* Gives up if a worker does not attach. Returns when to look again. */
static int64_t look_at_starts(neap__supervisor *s, int64_t now,
                              int64_t paused_ns) {
  const int64_t most = LOOK_MS_MAX * 1000000ll; /* to notice pauses */
  int64_t look_ns = INT64_MAX;
  if (atomic_load(&s->has_failed)) return look_ns;
  for (uint32_t w = 0; w < s->ring->worker_count; w++) {
    neap__child *child = &s->children[w];
    if (child->pid == 0 || child->state != NEAP__CHILD_STARTED) continue;
    child->started_ns += paused_ns;
    if (child->started_ns > now) child->started_ns = now;
    const int64_t left_ns = child->started_ns + s->attach_ms * 1000000ll - now;
    if (left_ns <= 0) receive_from(s, child); /* a message may be there */
    if (child->state != NEAP__CHILD_STARTED) continue;
    look_ns = within(left_ns, 0, look_ns < most ? look_ns : most);
    if (left_ns > 0) continue;
    neap_error why;
    neap__error_set(&why, NEAP_EWORKER, 0,
                    "cannot start workers: %s did not report within %d s",
                    s->launcher.path, s->attach_ms / 1000);
    give_up(s, &why);
  }
  return look_ns;
}

/* Retries to start missing workers. Returns when to look again. */
static int64_t look_at_successors(neap__supervisor *s, int64_t now) {
  int64_t look_ns = INT64_MAX;
  for (uint32_t w = 0; w < s->ring->worker_count; w++) {
    const neap__child *child = &s->children[w];
    if (child->pid != 0 || atomic_load(&s->has_failed)) continue;
    int64_t left_ns = child->started_ns + RESTART_MS * 1000000ll - now;
    if (left_ns <= 0) {
      start_successor(s, w);
      left_ns = RESTART_MS * 1000000ll;
    }
    if (left_ns < look_ns) look_ns = left_ns;
  }
  return look_ns;
}

/* Looks at all clocks. Milliseconds until the next look, or -1. */
static int look_at_clocks(neap__supervisor *s) {
  const int64_t now = neap__now_ns(), paused_ns = pause_until(s, now);
  int64_t look_ns = look_at_successors(s, now);
  const int64_t starts_ns = look_at_starts(s, now, paused_ns);
  if (starts_ns < look_ns) look_ns = starts_ns;
  if (s->timeout_ns > 0) {
    const int64_t items_ns = look_at_items(s, now, paused_ns);
    if (items_ns < look_ns) look_ns = items_ns;
  }
  s->looked_ns = now;
  if (look_ns == INT64_MAX) return -1;
  return look_ns < 0 ? 0 : (int)(look_ns / 1000000) + 1;
}

/* -- Deaths -- */

/*
 * Frees the pages of the slots that a dead worker was filling: any of them may
 * have been written. Returns whether the worker had begun a run.
 */
static bool wipe(neap__supervisor *s, uint32_t w) {
  bool had_work = false;
  for (uint32_t slot = 0; slot < s->ring->slot_count; slot++) {
    if (neap__slot_filler(s->ring, slot) != (int32_t)w) continue;
    if (atomic_load(&s->ring->slots[slot].began_ns) != 0) had_work = true;
    neap__buffer_trim(s->buffer, slot, 0);
  }
  return had_work;
}

static void give_up_starting(neap__supervisor *s, const neap__child *child,
                             int status) {
  char end[NEAP__TAIL_BYTES + 128];
  neap_error why = {0};
  const bool had_no_memory =
      WIFEXITED(status) && WEXITSTATUS(status) == NEAP_EXIT_MEMORY;
  neap__child_describe_end(child, status, end, sizeof end);
  neap__error_set(&why, NEAP_EWORKER, 0,
                  "cannot start workers: %d in a row died before they did "
                  "anything; the last %s%s",
                  child->vain_deaths, end,
                  had_no_memory ? "\nhelp: raise memory, or use fewer workers"
                                : "");
  give_up(s, &why);
}

/* After a worker's death: recovers its work, and starts a successor. */
static void recover(neap__supervisor *s, uint32_t w) {
  neap__child *child = &s->children[w];
  if (child->socket >= 0) receive_from(s, child);
  const bool was_ready = child->state == NEAP__CHILD_READY;
  const int status = neap__child_reap(child, s->inherit[NEAP__FD_STDERR]);
  atomic_store(&s->pids[w], 0);
  death dead = {s, w, status, wipe(s, w)};
  neap__ring_recover(s->ring, w, again, &dead);
  if (atomic_load(&s->is_stopping)) return; /* it was asked to end */
  count_vain_death(s, &dead, was_ready);
  if (is_hopeless(child, status)) give_up_starting(s, child, status);
  if (!atomic_load(&s->has_failed)) start_successor(s, w);
}

/* -- The thread -- */

enum { PIDFD, SOCKET, OUTPUT, POLLS };

static struct pollfd *polls_of(neap__supervisor *s, uint32_t w) {
  return s->polls + 1 + w * POLLS;
}

/*
 * Waits for the stop, a death, a message or output. s->polls: stop_fd, then
 * POLLS for each worker; poll skips negative ones. Returns poll's result.
 */
static int wait_for_news(neap__supervisor *s, int stop_fd, int timeout_ms) {
  const uint32_t count = s->ring->worker_count;
  s->polls[0] = (struct pollfd){.fd = stop_fd, .events = POLLIN};
  for (uint32_t w = 0; w < count; w++) {
    const neap__child *child = &s->children[w];
    struct pollfd *polls = polls_of(s, w);
    polls[PIDFD] = (struct pollfd){.fd = child->pidfd, .events = POLLIN};
    polls[SOCKET] = (struct pollfd){.fd = child->socket, .events = POLLIN};
    polls[OUTPUT] = (struct pollfd){
        .fd = child->is_blocked ? -1 : child->output, .events = POLLIN};
  }
  return poll(s->polls, 1 + POLLS * count, timeout_ms);
}

/* Forwards what workers write to stderr. Returns when to retry if the host's
   stderr is full, or -1. */
static int forward_output(neap__supervisor *s) {
  int again_ms = -1;
  for (uint32_t w = 0; w < s->ring->worker_count; w++) {
    neap__child *child = &s->children[w];
    if (child->output < 0) continue;
    if (child->is_blocked || polls_of(s, w)[OUTPUT].revents != 0)
      neap__child_forward(child, s->inherit[NEAP__FD_STDERR]);
    if (child->is_blocked) again_ms = BLOCKED_MS;
  }
  return again_ms;
}

static void kill_children(neap__supervisor *s) {
  for (uint32_t w = 0; w < s->ring->worker_count; w++)
    if (s->children[w].pid != 0) neap__child_kill(&s->children[w]);
}

static void abandon_children(neap__supervisor *s) {
  for (uint32_t w = 0; w < s->ring->worker_count; w++)
    if (s->children[w].pid != 0) neap__child_abandon(&s->children[w]);
}

/*
 * The ring has told the workers to end: waits, kills, and waits again. Reads
 * their messages and output, or poll() would return at once.
 */
static void end_children(neap__supervisor *s) {
  int64_t until = neap__now_ns() + NEAP__STOP_MS_MAX * 1000000ll;
  bool is_killing = false;
  while (has_children(s)) {
    const int64_t now = neap__now_ns();
    if (now >= until && is_killing) break;
    if (now >= until) {
      is_killing = true;
      until = now + s->end_ms * 1000000ll;
    }
    if (is_killing) kill_children(s);
    const int limit_ms =
        is_killing ? NEAP__STOP_MS_MAX : (int)((until - now) / 1000000) + 1;
    const bool is_blind = wait_for_news(s, -1, limit_ms) < 0 && errno != EINTR;
    if (is_blind) kill_children(s); /* each is waited for below */
    for (uint32_t w = 0; w < s->ring->worker_count; w++) {
      neap__child *child = &s->children[w];
      if (child->pid == 0) continue;
      if (polls_of(s, w)[SOCKET].revents != 0) receive_from(s, child);
      if (is_blind || polls_of(s, w)[PIDFD].revents != 0)
        neap__child_reap(child, s->inherit[NEAP__FD_STDERR]);
    }
    forward_output(s);
  }
  abandon_children(s);
}

/* poll() fails, so deaths would go unnoticed: gives up, waits for the stop. */
static void give_up_watching(neap__supervisor *s) {
  neap_error why = {0};
  uint64_t count;
  neap__error_set(&why, NEAP_ESYSTEM, errno, "cannot watch the workers");
  give_up(s, &why);
  while (!atomic_load(&s->is_stopping))
    (void)!read(s->stop_fd, &count, sizeof count);
}

static void *supervise(void *argument) {
  neap__supervisor *s = argument;
  const uint32_t count = s->ring->worker_count;
  pthread_setname_np(pthread_self(), "neap-supervisor");
  s->looked_ns = neap__now_ns();
  for (uint32_t w = 0; w < count && !atomic_load(&s->has_failed); w++) {
    neap_error why = {0};
    if (!start(s, w, &why)) give_up(s, &why);
    if (atomic_load(&s->is_stopping)) break;
  }
  while (!atomic_load(&s->is_stopping)) {
    const int blocked_ms = forward_output(s), look_ms = look_at_clocks(s);
    const bool is_sooner =
        blocked_ms >= 0 && (look_ms < 0 || blocked_ms < look_ms);
    const int limit_ms = is_sooner ? blocked_ms : look_ms;
    s->asked_ns = limit_ms < 0 ? INT64_MAX : limit_ms * 1000000ll;
    if (wait_for_news(s, s->stop_fd, limit_ms) < 0) {
      if (errno != EINTR) give_up_watching(s);
      continue;
    }
    for (uint32_t w = 0; w < count && s->polls[0].revents == 0; w++) {
      if (polls_of(s, w)[SOCKET].revents != 0) receive_from(s, &s->children[w]);
      if (polls_of(s, w)[PIDFD].revents != 0) recover(s, w);
    }
  }
  end_children(s);
  return NULL;
}

/* -- The crew -- */

static int crew_start(neap__crew *crew, neap_error *error) {
  neap__supervisor *s = (neap__supervisor *)crew;
  const uint32_t workers = s->ring->worker_count;
  s->children = calloc(workers, sizeof *s->children);
  s->pids = calloc(workers, sizeof *s->pids);
  s->fates = calloc(s->ring->entry_count + 1, sizeof *s->fates);
  s->paces = calloc(s->ring->slot_count, sizeof *s->paces);
  s->polls = calloc(1 + POLLS * workers, sizeof *s->polls);
  s->stop_fd = neap__descriptor_raise(eventfd(0, EFD_CLOEXEC));
  if (s->children == NULL || s->pids == NULL || s->fates == NULL ||
      s->paces == NULL || s->polls == NULL)
    return neap__error_set(error, NEAP_EMEMORY, 0,
                           "cannot start workers: memory is short");
  if (s->stop_fd < 0)
    return neap__error_set(error, NEAP_ESYSTEM, errno, "cannot start workers");
  for (uint32_t w = 0; w < workers; w++)
    s->children[w] = NEAP__NO_CHILD;

  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  const int failure = pthread_create(&s->thread, NULL, supervise, s);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  if (failure != 0)
    return neap__error_set(error, NEAP_ESYSTEM, failure,
                           "cannot start the supervisor");
  s->is_running = 1;
  return NEAP_OK;
}

static void crew_stop(neap__crew *crew) {
  neap__supervisor *s = (neap__supervisor *)crew;
  if (!s->is_running) return;
  const uint64_t one = 1;
  atomic_store(&s->is_stopping, 1);
  neap__ring_stop(s->ring);
  while (write(s->stop_fd, &one, sizeof one) < 0 && errno == EINTR)
    continue;
  pthread_join(s->thread, NULL);
  s->is_running = 0;
}

static neap__fate crew_fate(neap__crew *crew, uint32_t entry) {
  neap__supervisor *s = (neap__supervisor *)crew;
  pthread_mutex_lock(&s->lock);
  const neap__fate fate = s->fates[entry];
  pthread_mutex_unlock(&s->lock);
  return fate;
}

static int crew_failure(neap__crew *crew, neap_error *error) {
  neap__supervisor *s = (neap__supervisor *)crew;
  if (!atomic_load(&s->has_failed)) return NEAP_OK;
  pthread_mutex_lock(&s->lock);
  if (error != NULL) *error = s->failure;
  const int status = s->failure.status;
  pthread_mutex_unlock(&s->lock);
  return status;
}

void neap__supervisor_fini(neap__supervisor *s) {
  if (s->stop_fd >= 0) close(s->stop_fd);
  for (int fd = 0; fd < NEAP__FD_COUNT; fd++)
    if (s->inherit[fd] >= 0) close(s->inherit[fd]);
  neap__launcher_close(&s->launcher);
  if (s->children != NULL) abandon_children(s); /* in a forked child */
  free(s->children);
  free(s->pids);
  free(s->fates);
  free(s->paces);
  free(s->polls);
}

static const neap__crew_ops supervisor_ops = {
    .start = crew_start,
    .stop = crew_stop,
    .fate = crew_fate,
    .failure = crew_failure,
};

void neap__supervisor_init(neap__supervisor *s) {
  *s = (neap__supervisor){.crew = {&supervisor_ops}, .stop_fd = -1};
  for (int fd = 0; fd < NEAP__FD_COUNT; fd++)
    s->inherit[fd] = -1;
  pthread_mutex_init(&s->lock, NULL);
}
