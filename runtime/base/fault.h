/* SPDX-License-Identifier: MIT */
/*
 * A hook for the fault tests: FAULT("place") stands before and after each step
 * of the protocol that a worker takes, since it may be killed there. Only the
 * builds that the tests use define NEAP_FAULTS; elsewhere it is nothing. The
 * host passes no such place.
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
