/* SPDX-License-Identifier: MIT */
/*
 * The hook of the fault tests: kills a worker at one step of the protocol.
 *
 * NEAP_FAULT=PLACE:N:FILE kills the first worker that passes PLACE for the N-th
 * time in its life. The worker creates FILE first. If FILE exists, no worker is
 * killed: so the successor lives.
 */
#include "base/fault.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifdef NEAP_FAULTS

void neap__fault(const char *place) {
  static long passages; /* of PLACE */
  const char *spec = secure_getenv("NEAP_FAULT");
  const size_t length = strlen(place);
  if (spec == NULL || strncmp(spec, place, length) != 0 || spec[length] != ':')
    return;
  char *file;
  const long due = strtol(spec + length + 1, &file, 10);
  if (++passages != due || *file != ':') return;
  if (open(file + 1, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600) >= 0)
    kill(getpid(), SIGKILL);
}

#endif
