/* SPDX-License-Identifier: MIT */
/*
 * The slots that the caller holds. Releasing a slot frees those of its pages
 * that slots have not needed lately, and those of one idle slot.
 */
#include "ring/lender.h"

#include <stdlib.h>
#include <sys/mman.h>

/* Bytes of a slot that are never freed. */
enum { SLOT_BYTES_KEPT = 1 << 19 };

int neap__lender_init(neap__lender *lender) {
  lender->refs = calloc(lender->ring->slot_count, sizeof *lender->refs);
  return lender->refs != NULL ? NEAP_OK : NEAP_EMEMORY;
}

void neap__lender_fini(neap__lender *lender) {
  free(lender->refs);
  lender->refs = NULL;
}

/* Under NEAP_DEBUG, a read of a slot after its release is a SIGSEGV. */
static void permit(neap__lender *lender, uint32_t slot, int access) {
  if (!lender->is_strict) return;
  (void)mprotect(neap__buffer_slot(lender->buffer, slot),
                 lender->buffer->slot_bytes, access);
}

/* Bytes that a slot should keep: what slots have needed lately. */
static uint64_t bytes_kept(const neap__lender *lender) {
  const uint64_t recent = lender->used_recently;
  return recent > SLOT_BYTES_KEPT ? recent : SLOT_BYTES_KEPT;
}

/* At twice what it should keep: so trims are rare while bytes_kept falls. */
static bool is_too_large(const neap__lender *lender, uint32_t slot) {
  return atomic_load_explicit(&lender->ring->slots[slot].touched,
                              memory_order_relaxed) /
             2 >
         bytes_kept(lender);
}

/* Frees the pages of a HELD slot that it should not keep. */
static void trim(neap__lender *lender, uint32_t slot) {
  if (!is_too_large(lender, slot)) return;
  const uint64_t kept =
      neap__buffer_trim(lender->buffer, slot, bytes_kept(lender));
  atomic_store_explicit(&lender->ring->slots[slot].touched, kept,
                        memory_order_relaxed);
}

/*
 * Trims the next slot, if it is free. Workers prefer the slots that were used
 * last, so the others would keep their pages for ever. A slot that a resting
 * worker has taken for its next run keeps them until then.
 */
static void trim_idle(neap__lender *lender) {
  const uint32_t next = lender->looked_at + 1;
  const uint32_t slot = next < lender->ring->slot_count ? next : 0;
  lender->looked_at = slot;
  if (!is_too_large(lender, slot) || !neap__slot_hold(lender->ring, slot))
    return;
  trim(lender, slot);
  neap__slot_release(lender->ring, slot);
}

void neap__lender_lend(neap__lender *lender, uint32_t slot, uint64_t used) {
  const uint64_t faded = lender->used_recently - lender->used_recently / 64;
  lender->used_recently = used > faded ? used : faded;
  permit(lender, slot, PROT_READ | PROT_WRITE);
  lender->refs[slot] = 1;
  lender->held++;
}

bool neap__lender_has_lent(const neap__lender *lender, int32_t slot) {
  return (uint32_t)slot < lender->ring->slot_count && lender->refs[slot] > 0;
}

void neap__lender_trim_others(neap__lender *lender) {
  if (lender->held == 0) return; /* all of them are freed at once */
  for (uint32_t slot = 0; slot < lender->ring->slot_count; slot++)
    if (lender->refs[slot] == 0)
      (void)neap__buffer_trim(lender->buffer, slot, 0);
}

void neap__lender_release(neap__lender *lender, uint32_t slot, bool is_ours) {
  if (--lender->refs[slot] > 0) return;
  lender->held--;
  if (!is_ours) return;
  permit(lender, slot, PROT_NONE);
  trim(lender, slot);
  neap__slot_release(lender->ring, slot);
  trim_idle(lender); /* now that the caller may hold one more */
}
