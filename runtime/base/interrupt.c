/* SPDX-License-Identifier: MIT */
/*
 * A host's signal handler lets a read return: it sets a flag, and the signal
 * itself ends the wait of the thread that reads. If the signal comes just
 * before that wait, the flag is seen when the wait is over by itself, after
 * NEAP__SLEEP_MS_MAX.
 */
#include "base/interrupt.h"

#include <stdatomic.h>

#include "base/error.h"

static atomic_int interrupted;

void neap_interrupt(void) {
  atomic_store(&interrupted, 1);
}

int neap_interrupt_take(void) {
  return atomic_exchange(&interrupted, 0);
}

int neap__interrupt_check(neap_error *error) {
  if (atomic_load_explicit(&interrupted, memory_order_relaxed) == 0 ||
      !neap_interrupt_take())
    return NEAP_OK;
  return neap__error_set(error, NEAP_EINTERRUPTED, 0, "interrupted!");
}
