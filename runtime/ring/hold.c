/* SPDX-License-Identifier: MIT */
/*
 * The slots that the caller holds: lent with a run, given back when nothing of
 * it is held any more, without the memory that slots have not needed lately.
 */
#include "pool/loader.h"

#include <sys/mman.h>
#include <unistd.h>

#include "base/error.h"

/* Bytes of a slot that are never given back to the system. */
enum { SLOT_BYTES_KEPT = 1 << 19 };

/* Under NEAP_DEBUG, who reads a slot that he has released is stopped there. */
static void permit(neap_loader *loader, uint32_t slot, int access) {
  if (!loader->is_strict) return;
  (void)mprotect(loader->slots.base + slot * loader->slot_bytes,
                 loader->slot_bytes, access);
}

/* Bytes that a slot should keep: what slots have needed lately. */
static uint64_t bytes_kept(const neap_loader *loader) {
  const uint64_t recent = loader->used_recently;
  return recent > SLOT_BYTES_KEPT ? recent : SLOT_BYTES_KEPT;
}

/* Twice of what it should keep: so that it is trimmed seldom while the need
   fades. */
static bool is_too_large(const neap_loader *loader, uint32_t slot) {
  return atomic_load_explicit(&loader->ring.slots[slot].touched,
                              memory_order_relaxed) /
             2 >
         bytes_kept(loader);
}

/* Gives back the pages of a slot, which is held, that it should not keep. */
static void trim(neap_loader *loader, uint32_t slot) {
  if (!is_too_large(loader, slot)) return;
  uint64_t keep = bytes_kept(loader);
  const uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
  keep = (keep + page - 1) / page * page;
  if (keep < loader->slot_bytes)
    neap__segment_trim(&loader->slots, slot * loader->slot_bytes + keep,
                       loader->slot_bytes - keep);
  atomic_store_explicit(&loader->ring.slots[slot].touched, keep,
                        memory_order_relaxed);
}

/*
 * Trims one more slot, if it is free. Workers take the slots that were used
 * last, so that without this the others keep for ever what they once needed.
 */
static void trim_idle(neap_loader *loader) {
  const uint32_t next = loader->looked_at + 1;
  const uint32_t slot = next < loader->ring.slot_count ? next : 0;
  loader->looked_at = slot;
  if (!is_too_large(loader, slot) || !neap__slot_hold(&loader->ring, slot))
    return;
  trim(loader, slot);
  neap__slot_release(&loader->ring, slot);
}

static void note_use(neap_loader *loader, uint64_t used) {
  const uint64_t faded = loader->used_recently - loader->used_recently / 64;
  loader->used_recently = used > faded ? used : faded;
}

void neap__loader_lend(neap_loader *loader, uint32_t slot, uint64_t used) {
  note_use(loader, used);
  permit(loader, slot, PROT_READ | PROT_WRITE);
  loader->refs[slot] = 1;
  loader->held++;
}

static bool is_held(const neap_loader *loader, int32_t slot) {
  return (uint32_t)slot < loader->ring.slot_count && loader->refs[slot] > 0;
}

int neap_run_retain(neap_loader *loader, int32_t slot) {
  if (slot < 0) return NEAP_OK;
  if (!is_held(loader, slot)) return NEAP_EINVAL;
  loader->refs[slot]++;
  return NEAP_OK;
}

int neap_run_release(neap_loader *loader, int32_t slot) {
  if (slot < 0) return NEAP_OK;
  if (!is_held(loader, slot)) return NEAP_EINVAL;
  if (--loader->refs[slot] > 0) return NEAP_OK;
  loader->held--;
  if (loader->is_closed) {
    neap__loader_free_if_done(loader);
    return NEAP_OK;
  }
  if (!neap__origin_is_here(&loader->origin)) return NEAP_OK; /* the parent's */
  permit(loader, (uint32_t)slot, PROT_NONE);
  trim(loader, (uint32_t)slot);
  neap__slot_release(&loader->ring, (uint32_t)slot);
  trim_idle(loader); /* now that the caller may hold one more */
  return NEAP_OK;
}

int32_t neap_held(const neap_loader *loader) {
  return loader->held;
}

int32_t neap_held_max(const neap_loader *loader) {
  return loader->held_max;
}
