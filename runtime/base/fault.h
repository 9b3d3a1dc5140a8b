/* SPDX-License-Identifier: MIT */
/*
 * The hook of the fault tests: FAULT("place") stands before and after each step
 * of the protocol in a worker, where it may be killed. Only builds for the
 * tests define NEAP_FAULTS. The host passes no such place.
 */
#ifndef NEAP_BASE_FAULT_H
#define NEAP_BASE_FAULT_H

#ifdef NEAP_FAULTS
void neap__fault(const char *place);
#define FAULT(place) neap__fault(place)
#else
#define FAULT(place) ((void)0)
#endif

#endif
