/* SPDX-License-Identifier: MIT */
/*
 * A process that a host started, seen from inside: a worker or a builder.
 *
 * It ends with its host: by the parent-death signal, by the end of its socket,
 * or by a check at its start that it missed neither. It closes all descriptors
 * but those of pool/process.h and stdio.
 */
#ifndef NEAP_POOL_GUEST_H
#define NEAP_POOL_GUEST_H

#include "neap.h"

void neap__guest_keep_descriptors(void);
/* Waits for the host's hello; *number is that of the worker. */
int neap__guest_greet(uint32_t *number, neap_error *error);
/* Sends a message: its first byte (NEAP__SAYS_...), and a text. */
int neap__guest_say(int what, const char *text, neap_error *error);

#endif
