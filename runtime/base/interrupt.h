/* SPDX-License-Identifier: MIT */
/* Whether a signal handler of the host asked that reading end. */
#ifndef NEAP_BASE_INTERRUPT_H
#define NEAP_BASE_INTERRUPT_H

#include "neap.h"

/*
 * Returns NEAP_EINTERRUPTED if neap_interrupt() was called and no read has
 * returned for it yet, else NEAP_OK.
 */
int neap__interrupt_check(neap_error *error);

#endif
