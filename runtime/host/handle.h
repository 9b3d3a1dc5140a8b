/* SPDX-License-Identifier: MIT */
/*
 * Handles that can be told from those of the past.
 *
 * What a host gets is an address within a handle: which one depends on the
 * generation. An object that was closed and is used again has another one; so a
 * stale handle is refused, unless it is older by a multiple of 60 uses. The
 * memory of an object with a handle is reused, not freed.
 */
#ifndef NEAP_HOST_HANDLE_H
#define NEAP_HOST_HANDLE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { NEAP__HANDLES = 60 };

typedef struct neap__handle {
  _Alignas(64) char at[NEAP__HANDLES];
  _Atomic uint32_t word; /* generation * 2, and 1 while it is open */
} neap__handle;

/* The first member of an object is its handle. Opens it for the next use. */
static inline void *neap__handle_open(neap__handle *handle) {
  const uint32_t last =
      atomic_load_explicit(&handle->word, memory_order_relaxed);
  const uint32_t generation = (last >> 1) + 1;
  atomic_store_explicit(&handle->word, generation << 1 | 1,
                        memory_order_release);
  return handle->at + generation % NEAP__HANDLES;
}

/* The object of a host's handle; NULL if it is closed, and for NULL. */
static inline void *neap__handle_find(const void *given) {
  const uintptr_t address = (uintptr_t)given;
  if (given == NULL) return NULL;
  neap__handle *handle = (neap__handle *)(address & ~(uintptr_t)63);
  const uint32_t word =
      atomic_load_explicit(&handle->word, memory_order_acquire);
  const bool is_same = (word >> 1) % NEAP__HANDLES == (address & 63);
  return is_same && (word & 1) != 0 ? handle : NULL;
}

/* Closes it and returns the object, once; then NULL. From any thread. */
static inline void *neap__handle_close(const void *given) {
  neap__handle *handle = neap__handle_find(given);
  if (handle == NULL) return NULL;
  uint32_t word = atomic_load_explicit(&handle->word, memory_order_relaxed);
  const bool is_same =
      (word >> 1) % NEAP__HANDLES == ((uintptr_t)given & 63) && (word & 1) != 0;
  return is_same && atomic_compare_exchange_strong(&handle->word, &word,
                                                   word & ~1u)
             ? handle
             : NULL;
}

#endif
