/* SPDX-License-Identifier: MIT */
/*
 * A hook for the fault tests: FAULT("place") stands at each step of the
 * protocol where a process may be killed. Only the builds that the tests use
 * define NEAP_FAULTS; elsewhere it is nothing.
 */
#ifndef NEAP_RUNTIME_FAULT_H
#define NEAP_RUNTIME_FAULT_H

#ifdef NEAP_FAULTS
void neap__fault(const char *place);
#define FAULT(place) neap__fault(place)
#else
#define FAULT(place) ((void)0)
#endif

#endif
