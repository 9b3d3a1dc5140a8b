/* SPDX-License-Identifier: MIT */
/* Fills the caller's neap_error, the one way in which C reports a failure. */
#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Adds what an errno means to the message, before its line "help: ...". */
static void add_meaning(neap_error *error, int system) {
  const char *help = strstr(error->text, "\nhelp: ");
  const size_t used =
      help != NULL ? (size_t)(help - error->text) : strlen(error->text);
  char buffer[128], rest[sizeof error->text];
  const char *meaning = strerror_r(system, buffer, sizeof buffer);
  snprintf(rest, sizeof rest, "%s", help != NULL ? help : "");
  snprintf(error->text + used, sizeof error->text - used, ": %s%s", meaning,
           rest);
}

int neap__error_set(neap_error *error, int status, int system,
                    const char *format, ...) {
  if (error == NULL) return status;
  error->status = status;
  error->system = system;
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(error->text, sizeof error->text, format, arguments);
  va_end(arguments);
  if (system != 0) add_meaning(error, system);
  return status;
}

const char *neap_status_name(int status) {
  switch (status) {
  case NEAP_OK: return "NEAP_OK";
  case NEAP_END: return "NEAP_END";
  case NEAP_AGAIN: return "NEAP_AGAIN";
  case NEAP_EINVAL: return "NEAP_EINVAL";
  case NEAP_EMEMORY: return "NEAP_EMEMORY";
  case NEAP_ESYSTEM: return "NEAP_ESYSTEM";
  case NEAP_EFORMAT: return "NEAP_EFORMAT";
  case NEAP_EDAMAGED: return "NEAP_EDAMAGED";
  case NEAP_EWORKER: return "NEAP_EWORKER";
  case NEAP_EHELD: return "NEAP_EHELD";
  case NEAP_ECLOSED: return "NEAP_ECLOSED";
  case NEAP_EDEATH: return "NEAP_EDEATH";
  case NEAP_ETIMEOUT: return "NEAP_ETIMEOUT";
  case NEAP_EROOM: return "NEAP_EROOM";
  case NEAP_EINTERRUPTED: return "NEAP_EINTERRUPTED";
  }
  return "not a status of neap";
}

void neap__assert_failed(const char *truth, const char *file, int line) {
  fprintf(stderr, "neap: %s:%d: assertion failed: %s\n", file, line, truth);
  abort();
}
