/* SPDX-License-Identifier: MIT */
/* Fills the caller's neap_error, the one way in which C reports a failure. */
#ifndef NEAP_BASE_ERROR_H
#define NEAP_BASE_ERROR_H

#include "neap.h"

/*
 * Writes status, errno (0: none) and text, and returns the status. Appends the
 * meaning of errno. error may be NULL.
 */
int neap__error_set(neap_error *error, int status, int system,
                    const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* For bugs of neap: prints where, and aborts. Always compiled in. */
#define NEAP_ASSERT(truth) \
  ((truth) ? (void)0 : neap__assert_failed(#truth, __FILE__, __LINE__))

void neap__assert_failed(const char *truth, const char *file, int line)
    __attribute__((noreturn));

#endif
