/* SPDX-License-Identifier: MIT */
/*
 * The hook of the fault tests: a worker that dies at one step of the protocol.
 *
 * NEAP_FAULT=PLACE:N:FILE ends the first worker that passes PLACE for the
 * N-th time in its life, by SIGKILL. It leaves FILE behind, and where FILE is
 * there already nobody dies: so its successor lives.
 */
#include "base/fault.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifdef NEAP_FAULTS

void neap__fault(const char *place) {
  static long passages; /* of the one place */
  const char *wish = secure_getenv("NEAP_FAULT");
  const size_t length = strlen(place);
  if (wish == NULL || strncmp(wish, place, length) != 0 || wish[length] != ':')
    return;
  char *file;
  const long due = strtol(wish + length + 1, &file, 10);
  if (++passages != due || *file != ':') return;
  if (open(file + 1, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600) >= 0)
    kill(getpid(), SIGKILL);
}

#endif
