/* SPDX-License-Identifier: MIT */
/*
 * The builder, seen from inside: the process in which a loader file runs. It
 * gets the host's request, and sends a plan for a pool, or why there is none.
 *
 * The user's file may do anything: print, fork, end the process. What it prints
 * goes to stderr; a child that it forked does not answer.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/descriptor.h"
#include "base/error.h"
#include "base/origin.h"
#include "host/plan.h"
#include "memory/segment.h"
#include "pool/guest.h"
#include "pool/process.h"
#include "ring/ring.h"

struct neap_builder {
  neap__segment control;
  neap__ring ring; /* of which only the chain is used: the request */
  neap__origin origin;
};

static int redirect(neap_error *error) {
  const int nothing = open("/dev/null", O_RDWR | O_CLOEXEC);
  if (nothing >= 0 && dup2(nothing, STDIN_FILENO) >= 0 &&
      dup2(STDERR_FILENO, STDOUT_FILENO) >= 0) {
    if (nothing > STDERR_FILENO) close(nothing);
    return NEAP_OK;
  }
  return neap__error_set(error, NEAP_ESYSTEM, errno,
                         "cannot build: stdin and stdout stay as they are");
}

int neap_builder_attach(neap_builder **out, neap_error *error) {
  uint32_t number;
  *out = NULL;
  int rc = neap_worker_check(error);
  if (rc != NEAP_OK) return rc;
  neap_builder *builder = calloc(1, sizeof *builder);
  if (builder == NULL)
    return neap__error_set(error, NEAP_EMEMORY, 0, "cannot build: no memory");
  neap__origin_open(&builder->origin);
  (void)setpgid(0, 0); /* what it starts can be ended with it */
  neap__guest_keep_descriptors();
  if ((rc = redirect(error)) != NEAP_OK ||
      (rc = neap__guest_greet(&number, error)) != NEAP_OK ||
      (rc = neap__segment_attach(&builder->control, NEAP__FD_CONTROL, error)) !=
          NEAP_OK ||
      (rc = neap__ring_attach(&builder->ring, builder->control.base,
                              builder->control.bytes, error)) != NEAP_OK) {
    free(builder); /* the process ends, and with it the rest */
    return rc;
  }
  *out = builder;
  return NEAP_OK;
}

const char *neap_builder_request(const neap_builder *builder, uint64_t *bytes) {
  *bytes = builder->ring.control->chain_bytes;
  return (const char *)builder->control.base +
         builder->ring.control->chain_offset;
}

/* Ends a forked child. Writes out what the file printed. */
static void confirm(const neap_builder *builder) {
  if (!neap__origin_is_here(&builder->origin)) _exit(1);
  fflush(NULL);
}

static int write_plan(const neap__plan *plan, const void *chain,
                      const char *texts, int *fd, neap_error *error) {
  neap__segment segment;
  const int rc = neap__segment_open(&segment, "neap-plan", plan->bytes, error);
  *fd = -1;
  if (rc != NEAP_OK) return rc;
  memcpy(segment.base, plan, sizeof *plan);
  if (plan->settings.chain_bytes > 0)
    memcpy(segment.base + plan->chain_offset, chain,
           plan->settings.chain_bytes);
  memcpy(segment.base + plan->texts_offset, texts,
         plan->bytes - plan->texts_offset);
  *fd = segment.fd;
  munmap(segment.base, segment.bytes);
  return NEAP_OK;
}

/* Sends a byte, and one descriptor or two. */
static int send_descriptors(int plan_fd, int heap_fd, neap_error *error) {
  char what = NEAP__SAYS_PLAN;
  _Alignas(struct cmsghdr) char control[CMSG_SPACE(2 * sizeof(int))] = {0};
  const int fds[2] = {plan_fd, heap_fd};
  const size_t bytes = (heap_fd >= 0 ? 2 : 1) * sizeof(int);
  struct iovec data = {&what, 1};
  struct msghdr message = {.msg_iov = &data,
                           .msg_iovlen = 1,
                           .msg_control = control,
                           .msg_controllen = CMSG_SPACE(bytes)};
  struct cmsghdr *head = CMSG_FIRSTHDR(&message);
  head->cmsg_level = SOL_SOCKET;
  head->cmsg_type = SCM_RIGHTS;
  head->cmsg_len = CMSG_LEN(bytes);
  memcpy(CMSG_DATA(head), fds, bytes);
  if (sendmsg(NEAP__FD_SOCKET, &message, MSG_NOSIGNAL) == 1) return NEAP_OK;
  return neap__error_set(error, NEAP_ESYSTEM, errno, "cannot tell the host");
}

int neap_builder_answer(neap_builder *builder,
                        const neap_pool_options *settings, int may_end,
                        const char *texts, uint64_t text_bytes,
                        neap_error *error) {
  const uint64_t chain = (sizeof(neap__plan) + 63) / 64 * 64;
  neap__plan plan = {
      .magic = NEAP__PLAN_MAGIC,
      .settings = *settings,
      .may_end = may_end,
      .chain_offset = chain,
      .texts_offset = chain + settings->chain_bytes,
      .bytes = chain + settings->chain_bytes + text_bytes,
  };
  int fd;
  plan.settings.chain = NULL;
  plan.settings.launch = (neap_launch){.is_native = settings->launch.is_native};
  plan.settings.heap_fd = -1;
  confirm(builder);
  int rc = write_plan(&plan, settings->chain, texts, &fd, error);
  if (rc != NEAP_OK) return rc;
  rc = send_descriptors(fd, settings->heap_fd, error);
  if (rc == NEAP_OK) _exit(0);
  close(fd);
  return rc;
}

void neap_builder_refuse(neap_builder *builder, int status, const char *text) {
  neap__refusal refusal = {.says = NEAP__SAYS_REFUSED, .status = status};
  snprintf(refusal.text, sizeof refusal.text, "%s", text);
  confirm(builder);
  (void)!send(NEAP__FD_SOCKET, &refusal, sizeof refusal, MSG_NOSIGNAL);
  _exit(1);
}
