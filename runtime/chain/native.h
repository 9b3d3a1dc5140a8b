/* SPDX-License-Identifier: MIT */
/* A native stage, as its files share it. */
#ifndef NEAP_CHAIN_NATIVE_H
#define NEAP_CHAIN_NATIVE_H

#include "chain/binding.h"

/* How the function says that it failed. */
typedef enum neap__verdict {
  NEAP__NEVER,
  NEAP__NOT_ZERO, /* an integer, the status */
  NEAP__NEGATIVE, /* the same */
  NEAP__FALSE,
  NEAP__IS_NULL,
} neap__verdict;

/* init, fini or error. */
typedef struct neap__helper {
  neap__prepared prepared; /* without a declaration: there is none */
  neap__bound bound;
} neap__helper;

/* One array of each parameter, in a call for each element. */
typedef struct neap__operands {
  const void *at[3];
  int64_t step[3]; /* 0: the same number each time, or 1 */
} neap__operands;

/* Calls a function `count` times, in C. */
typedef void neap__loop(neap__function function, const neap__operands *from,
                        void *to, int64_t count);

struct neap_native {
  neap__blocks blocks;
  void *library;
  neap__prepared prepared;
  neap__bound bound;
  neap__helper init, fini, error;
  neap__verdict verdict;
  bool has_begun;
  void *context;
  int64_t seed;
  neap__loop *loop; /* of such a function, or NULL: by libffi */
  int32_t *watch;
  int32_t unwatched; /* what `watch` points at by default */
  int32_t number;
};

enum { NEAP__ELEMENTS = 2 }; /* of neap__native_fill(), beside NEAP_OK */

/*
 * Fills the argument cells for an item. Returns NEAP_OK; NEAP__ELEMENTS if the
 * function is to be called for each element of a tensor; or an error.
 */
int neap__native_fill(neap_native *native, const neap_part *fields,
                      neap_part *results, int64_t epoch, int64_t index,
                      neap_error *error);
/* Reports that a value does not suit a step. */
int neap__native_refuse(const neap_native *native, const neap__step *step,
                        const neap_part *part, neap_error *error);

/* Calls the function for each element: the cells of all else are filled. */
int neap__elements_call(neap_native *native, const neap_part *fields,
                        neap_part *result, neap_error *error);
/* Whether it is to be; the field whose shape the result has in *field. */
bool neap__elements_are_meant(const neap_native *native,
                              const neap_part *fields, int32_t *field);
/* Whether it can be: *result is planned. */
int neap__elements_plan(const neap_native *native, const neap_part *fields,
                        int32_t field, neap_part *result, neap_error *error);
/* The loop of a function's types, or NULL. */
neap__loop *neap__elements_loop(const neap__declaration *declaration);

/* Around a call: where a worker is when it dies. */
static inline void neap__native_enter(const neap_native *native) {
  __atomic_store_n(native->watch, native->number, __ATOMIC_RELAXED);
}

static inline void neap__native_leave(const neap_native *native) {
  __atomic_store_n(native->watch, 0, __ATOMIC_RELAXED);
}

#endif
