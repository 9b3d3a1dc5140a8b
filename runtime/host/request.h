/* SPDX-License-Identifier: MIT */
/* A host's request to its builder: path, options and parameters as texts. */
#ifndef NEAP_HOST_REQUEST_H
#define NEAP_HOST_REQUEST_H

#include "memory/segment.h"
#include "neap.h"

/* Writes the request to a segment of its own, for the builder to inherit. */
int neap__request_open(const char *path, const neap_options *options,
                       neap__segment *out, neap_error *error);

#endif
