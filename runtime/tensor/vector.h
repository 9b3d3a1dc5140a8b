/* SPDX-License-Identifier: MIT */
/*
 * Loops that are compiled for several instruction sets: the program takes the
 * best one that the machine has when it starts. The results do not depend on
 * the choice. Elsewhere, each loop is compiled once.
 */
#ifndef NEAP_TENSOR_VECTOR_H
#define NEAP_TENSOR_VECTOR_H

#include <stdint.h> /* which says whether the C library is glibc */

/* glibc resolves the choice; sanitizers cannot run as early as it does. */
#if defined(__x86_64__) && defined(__GLIBC__) && !defined(__clang__) && \
    !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define NEAP__VECTOR __attribute__((target_clones("default", "arch=x86-64-v3")))
/* Where masks and wide shuffles pay: conversions, pixels. */
#define NEAP__VECTOR_MASKED \
  __attribute__((target_clones("default", "arch=x86-64-v3", "arch=x86-64-v4")))
#else
#define NEAP__VECTOR
#define NEAP__VECTOR_MASKED
#endif

/* Before a loop: what it writes is what it reads at the same place, or apart.
 */
#define NEAP__APART _Pragma("GCC ivdep")

#endif
