/* SPDX-License-Identifier: MIT */
/* Messages for an item that its workers could not compute. */
#include "base/error.h"
#include "neap_lua.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

static const char *plural(int32_t count) {
  return count == 1 ? "" : "s";
}

static bool has_note(const neap_run *run) {
  return run->note != NULL && run->note[0] != '\0';
}

static int describe_exhaustion(const neap_run *run, uint64_t memory_bytes,
                               neap_error *error) {
  char limit[64] = "";
  if (memory_bytes > 0)
    snprintf(limit, sizeof limit, " (memory = %llu bytes)",
             (unsigned long long)memory_bytes);
  return neap__error_set(error, NEAP_EMEMORY, 0,
                         "a worker ran out of memory at this item, %d time%s%s",
                         run->attempts, plural(run->attempts), limit);
}

static int describe_death(const neap_run *run, neap_error *error) {
  const int status = run->wait_status;
  char cause[128];
  if (status == NEAP_STATUS_LOST)
    snprintf(cause, sizeof cause,
             "an unknown cause: this process ignores SIGCHLD or waits for all "
             "its children");
  else if (WIFSIGNALED(status))
    snprintf(cause, sizeof cause, "signal %d (%s)", WTERMSIG(status),
             strsignal(WTERMSIG(status)));
  else
    snprintf(cause, sizeof cause, "exit status %d", WEXITSTATUS(status));
  return neap__error_set(
      error, NEAP_EDEATH, 0,
      "a worker died of this item, %d time%s; the last by %s%s%s",
      run->attempts, plural(run->attempts), cause,
      has_note(run) ? ", while it called " : "",
      has_note(run) ? run->note : "");
}

int neap_run_failure(const neap_run *run, const neap_pool_options *options,
                     neap_error *error) {
  const int status = run->wait_status;
  if (run->slot >= 0) return NEAP_OK;
  if (run->is_overdue)
    return neap__error_set(error, NEAP_ETIMEOUT, 0,
                           "it took longer than timeout = %g seconds, and its "
                           "worker was ended%s%s",
                           (double)options->timeout_ns / 1e9,
                           has_note(run) ? ", while it called " : "",
                           has_note(run) ? run->note : "");
  if (WIFEXITED(status) && WEXITSTATUS(status) == NEAP_EXIT_MEMORY)
    return describe_exhaustion(run, options->memory_bytes, error);
  return describe_death(run, error);
}
