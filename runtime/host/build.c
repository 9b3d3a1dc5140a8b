/* SPDX-License-Identifier: MIT */
/*
 * Runs a loader file: starts a builder, waits for its plan, and reads it.
 *
 * The builder runs the user's code, so it may do anything: end, hang, answer
 * nonsense. The host waits for its socket, its death and the deadline, never
 * for the end of a stream, which a child of the builder may keep open. A
 * builder that fails is killed with its process group.
 */
#include "host/build.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/descriptor.h"
#include "base/error.h"
#include "base/futex.h"
#include "host/plan.h"
#include "host/request.h"
#include "pool/child.h"

#ifndef P_PIDFD /* since glibc 2.36 */
#define P_PIDFD 3
#endif

enum { BUILD_S = 60 }; /* by default, that a file may take */
enum { PARAMETERS_MAX = 4096 };

typedef struct build {
  const char *path;
  neap__segment request;
  neap__launcher launcher;
  int inherit[NEAP__FD_COUNT]; /* but stderr: that is in `built` */
  int64_t until_ns;            /* INT64_MAX: any time */
  int64_t limit_ns;
  neap__built *built;
} build;

/* -- The plan -- */

static int damaged(const build *b, neap_error *error) {
  return neap__error_set(error, NEAP_EDAMAGED, 0,
                         "cannot open the loader %s: the process that ran it "
                         "sent a damaged answer",
                         b->path);
}

/* The next text of the plan, or NULL. */
static const char *next_text(const char **at, const char *end) {
  const char *text = *at;
  const char *stop = memchr(text, '\0', (size_t)(end - text));
  if (stop == NULL) return NULL;
  *at = stop + 1;
  return text;
}

static bool read_parameters(neap__built *built, const char *at,
                            const char *end) {
  const char *count = next_text(&at, end);
  const long parameters = count == NULL ? -1 : strtol(count, NULL, 10);
  if (parameters < 0 || parameters > PARAMETERS_MAX) return false;
  built->parameters = calloc((size_t)parameters + 1, sizeof(neap_parameter));
  if (built->parameters == NULL) return false;
  built->parameter_count = (int32_t)parameters;
  for (long k = 0; k < parameters; k++) {
    neap_parameter *p = &built->parameters[k];
    p->name = next_text(&at, end);
    p->text = p->name == NULL ? NULL : next_text(&at, end);
    if (p->text == NULL) return false;
  }
  return true;
}

/* Copies the texts: a child of the builder might still write to the plan. */
static bool read_texts(neap__built *built, const uint8_t *texts,
                       uint64_t bytes) {
  built->texts = calloc(1, bytes + 1);
  if (built->texts == NULL) return false;
  memcpy(built->texts, texts, bytes);
  const char *at = built->texts, *end = at + bytes;
  for (int k = 0; k < 3; k++)
    if ((built->arguments[k] = next_text(&at, end)) == NULL) return false;
  return read_parameters(built, at, end);
}

static bool read_plan(neap__built *built) {
  neap__plan plan;
  const neap__segment *segment = &built->plan;
  if (segment->bytes < sizeof plan) return false;
  memcpy(&plan, segment->base, sizeof plan);
  if (plan.magic != NEAP__PLAN_MAGIC || plan.bytes != segment->bytes ||
      plan.chain_offset > plan.texts_offset ||
      plan.texts_offset > segment->bytes ||
      plan.settings.chain_bytes > plan.texts_offset - plan.chain_offset)
    return false;
  built->settings = plan.settings;
  built->settings.chain = segment->base + plan.chain_offset;
  built->settings.heap_fd = built->heap_fd;
  built->settings.threads = NULL;
  built->may_end = plan.may_end;
  return read_texts(built, segment->base + plan.texts_offset,
                    segment->bytes - plan.texts_offset);
}

/* A descriptor of the builder's is a sealed memfd: it cannot be cut while it is
   read. */
static bool is_sealed(int fd) {
  const int seals = fcntl(fd, F_GET_SEALS);
  return seals >= 0 && (seals & F_SEAL_SHRINK) != 0;
}

static int take_plan(build *b, int plan_fd, neap_error *error) {
  neap__built *built = b->built;
  plan_fd = neap__descriptor_raise(plan_fd);
  if (plan_fd < 0 || !is_sealed(plan_fd)) {
    if (plan_fd >= 0) close(plan_fd);
    return damaged(b, error);
  }
  const int rc = neap__segment_attach(&built->plan, plan_fd, error);
  if (rc != NEAP_OK) return rc;
  return read_plan(built) ? NEAP_OK : damaged(b, error);
}

/* -- The builder's messages -- */

typedef union message {
  char says;
  neap__refusal refusal;
} message;

/* The descriptors that came with a message; -1: none. */
static void take_descriptors(struct msghdr *head, int fds[2]) {
  fds[0] = fds[1] = -1;
  for (struct cmsghdr *part = CMSG_FIRSTHDR(head); part != NULL;
       part = CMSG_NXTHDR(head, part)) {
    if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS)
      continue;
    const size_t bytes = part->cmsg_len - CMSG_LEN(0);
    memcpy(fds, CMSG_DATA(part),
           bytes < 2 * sizeof(int) ? bytes : 2 * sizeof(int));
  }
}

static int refused(const build *b, const message *from, size_t bytes,
                   neap_error *error) {
  const neap__refusal *refusal = &from->refusal;
  if (bytes != sizeof *refusal || refusal->status >= 0 ||
      memchr(refusal->text, '\0', sizeof refusal->text) == NULL)
    return damaged(b, error);
  return neap__error_set(error, refusal->status, 0, "%s", refusal->text);
}

/* Reads one message. NEAP_AGAIN: there is none. */
static int receive(build *b, neap_error *error) {
  message from;
  int fds[2];
  _Alignas(struct cmsghdr) char control[CMSG_SPACE(2 * sizeof(int))];
  struct iovec data = {&from, sizeof from};
  struct msghdr head = {.msg_iov = &data,
                        .msg_iovlen = 1,
                        .msg_control = control,
                        .msg_controllen = sizeof control};
  if (b->built->builder.socket < 0) return NEAP_AGAIN; /* it has hung up */
  memset(&from, 0, sizeof from);
  const ssize_t bytes =
      recvmsg(b->built->builder.socket, &head, MSG_CMSG_CLOEXEC);
  if (bytes < 0 && errno != EAGAIN && errno != EINTR && errno != ECONNRESET)
    return neap__error_set(error, NEAP_ESYSTEM, errno,
                           "cannot open the loader %s: cannot hear the process "
                           "that runs it",
                           b->path);
  if (bytes <= 0) return NEAP_AGAIN; /* its end is told by its pidfd */
  take_descriptors(&head, fds);
  b->built->heap_fd = neap__descriptor_raise(fds[1]);
  if (from.says == NEAP__SAYS_PLAN) return take_plan(b, fds[0], error);
  if (fds[0] >= 0) close(fds[0]);
  if (from.says == NEAP__SAYS_REFUSED)
    return refused(b, &from, (size_t)bytes, error);
  if (from.says != NEAP__SAYS_WHY_NOT) return damaged(b, error);
  return neap__error_set(error, NEAP_EWORKER, 0, "%.*s", (int)bytes - 1,
                         (const char *)&from + 1);
}

/* -- Waiting -- */

static int64_t left_ms(const build *b) {
  if (b->until_ns == INT64_MAX) return -1;
  const int64_t left_ns = b->until_ns - neap__now_ns();
  return left_ns <= 0 ? 0 : left_ns / 1000000 + 1;
}

static int overdue(const build *b, neap_error *error) {
  return neap__error_set(error, NEAP_ETIMEOUT, 0,
                         "cannot open the loader %s: it was not built within "
                         "%g seconds\n"
                         "help: raise build_timeout_ns, or do less in build",
                         b->path, (double)b->limit_ns / 1e9);
}

/* Kills the builder and what it started; only as long as it is not reaped: then
   its number is not another's. */
static void kill_group(const neap__child *child) {
  siginfo_t info;
  if (waitid(P_PIDFD, (id_t)child->pidfd, &info, WEXITED | WNOHANG | WNOWAIT) ==
      0)
    (void)kill(-child->pid, SIGKILL);
  (void)neap__child_kill(child);
}

/* The builder ended without an answer. */
static int ended(build *b, neap_error *error) {
  char end[NEAP__TAIL_BYTES + 128];
  int rc = receive(b, error);
  if (rc != NEAP_AGAIN) return rc;
  kill_group(&b->built->builder);
  const int status = neap__child_reap(&b->built->builder, b->built->stderr_fd);
  neap__child_describe_end(&b->built->builder, status, end, sizeof end);
  return neap__error_set(error, NEAP_EBUILD, 0,
                         "cannot open the loader %s: the process that ran it "
                         "%s",
                         b->path, end);
}

/* How long to wait before a full stderr is tried again. */
enum { BLOCKED_MS = 100 };

static int wait_for_answer(build *b, neap_error *error) {
  for (;;) {
    neap__child *child = &b->built->builder;
    struct pollfd polls[3] = {
        {.fd = child->socket, .events = POLLIN},
        {.fd = child->pidfd, .events = POLLIN},
        {.fd = child->is_blocked ? -1 : child->output, .events = POLLIN},
    };
    int64_t wait_ms = left_ms(b);
    if (wait_ms == 0) return overdue(b, error);
    if (child->is_blocked && (wait_ms < 0 || wait_ms > BLOCKED_MS))
      wait_ms = BLOCKED_MS;
    const int limit_ms = wait_ms > INT32_MAX ? INT32_MAX : (int)wait_ms;
    if (poll(polls, 3, limit_ms) < 0 && errno != EINTR)
      return neap__error_set(error, NEAP_ESYSTEM, errno,
                             "cannot open the loader %s: cannot wait", b->path);
    if (child->is_blocked || polls[2].revents != 0)
      neap__child_forward(child, b->built->stderr_fd);
    if (polls[0].revents & POLLIN) {
      const int rc = receive(b, error);
      if (rc != NEAP_AGAIN) return rc;
    }
    if (polls[1].revents != 0) return ended(b, error);
    if (polls[0].revents & POLLHUP) { /* only its end is left to wait for */
      close(child->socket);
      child->socket = -1;
    }
  }
}

/* -- Starting and ending -- */

static const char *const builder_arguments[] = {"neap", "--build", NULL};

static int start(build *b, const neap_options *options, neap_error *error) {
  const neap_launch launch = {
      .path = options->executable,
      .arguments = builder_arguments,
      .environment = options->environment,
  };
  int rc = neap__launcher_open(&b->launcher, &launch, error);
  if (rc != NEAP_OK) return rc;
  if ((rc = neap__request_open(b->path, options, &b->request, error)) !=
      NEAP_OK)
    return rc;
  b->inherit[NEAP__FD_STDERR] = b->built->stderr_fd =
      neap__descriptor_copy(STDERR_FILENO, NEAP__FD_COUNT);
  b->inherit[NEAP__FD_CONTROL] =
      neap__descriptor_copy(b->request.fd, NEAP__FD_COUNT);
  if (b->inherit[NEAP__FD_CONTROL] < 0)
    return neap__error_set(error, NEAP_ESYSTEM, errno,
                           "cannot open the loader %s", b->path);
  rc = neap__child_start(&b->built->builder, &b->launcher, b->inherit, error);
  if (rc != NEAP_OK) return rc;
  return neap__child_greet(&b->built->builder, 0, error);
}

/* How long a builder may take to end after its answer. */
enum { END_MS_MAX = 1000 };

/* Ends what is left of the builder. After a plan it ends by itself. */
static void end(neap__built *built, bool has_plan) {
  neap__child *child = &built->builder;
  if (child->pid == 0) return;
  struct pollfd over = {.fd = child->pidfd, .events = POLLIN};
  if (!has_plan || poll(&over, 1, END_MS_MAX) <= 0) kill_group(child);
  (void)neap__child_reap(child, built->stderr_fd);
}

static int64_t limit_of(const neap_options *options) {
  return options->build_timeout_ns == NEAP_UNSET ? BUILD_S * 1000000000ll
                                                 : options->build_timeout_ns;
}

int neap__build(const char *path, const neap_options *options, neap__built *out,
                neap_error *error) {
  const int64_t limit_ns = limit_of(options), now = neap__now_ns();
  build b = {
      .path = path,
      .request = {.fd = -1},
      .limit_ns = limit_ns,
      .until_ns = limit_ns == 0 || limit_ns > INT64_MAX - now ? INT64_MAX
                                                              : now + limit_ns,
      .built = out,
  };
  neap__built_init(out);
  for (int fd = 0; fd < NEAP__FD_COUNT; fd++)
    b.inherit[fd] = -1;
  int rc = start(&b, options, error);
  if (rc == NEAP_OK) rc = wait_for_answer(&b, error);
  if (rc != NEAP_OK) end(out, false);
  memcpy(out->program, b.launcher.path, sizeof out->program);
  if (b.inherit[NEAP__FD_CONTROL] >= 0) close(b.inherit[NEAP__FD_CONTROL]);
  neap__segment_close(&b.request);
  neap__launcher_close(&b.launcher);
  if (rc != NEAP_OK) neap__built_close(out);
  return rc;
}

static void shut(int *fd) {
  if (*fd >= 0) close(*fd);
  *fd = -1;
}

void neap__built_init(neap__built *built) {
  *built = (neap__built){
      .builder = NEAP__NO_CHILD,
      .stderr_fd = -1,
      .plan = {.fd = -1},
      .heap_fd = -1,
  };
}

void neap__built_trim(neap__built *built) {
  end(built, true);
  shut(&built->stderr_fd);
  shut(&built->heap_fd);
  neap__segment_close(&built->plan);
  built->settings.heap_fd = -1;
  built->settings.chain = NULL;
}

void neap__built_close(neap__built *built) {
  neap__built_trim(built);
  free(built->parameters);
  free(built->texts);
  neap__built_init(built);
}
