/* SPDX-License-Identifier: MIT */
/*
 * The slots that the caller holds: lent with a run, given back when nothing of
 * it is held any more, without the memory that slots have not needed lately.
 */
#include "pool/pool.h"

#include <sys/mman.h>
#include <unistd.h>

#include "base/error.h"

/* Bytes of a slot that are never given back to the system. */
enum { SLOT_BYTES_KEPT = 1 << 19 };

/* Under NEAP_DEBUG, who reads a slot that he has released is stopped there. */
static void permit(neap_pool *pool, uint32_t slot, int access) {
  if (!pool->is_strict) return;
  (void)mprotect(pool->slots.base + slot * pool->slot_bytes, pool->slot_bytes,
                 access);
}

/* Bytes that a slot should keep: what slots have needed lately. */
static uint64_t bytes_kept(const neap_pool *pool) {
  const uint64_t recent = pool->used_recently;
  return recent > SLOT_BYTES_KEPT ? recent : SLOT_BYTES_KEPT;
}

/* Twice of what it should keep: so that it is trimmed seldom while the need
   fades. */
static bool is_too_large(const neap_pool *pool, uint32_t slot) {
  return atomic_load_explicit(&pool->ring.slots[slot].touched,
                              memory_order_relaxed) /
             2 >
         bytes_kept(pool);
}

/* Gives back the pages of a slot, which is held, that it should not keep. */
static void trim(neap_pool *pool, uint32_t slot) {
  if (!is_too_large(pool, slot)) return;
  uint64_t keep = bytes_kept(pool);
  const uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
  keep = (keep + page - 1) / page * page;
  if (keep < pool->slot_bytes)
    neap__segment_trim(&pool->slots, slot * pool->slot_bytes + keep,
                       pool->slot_bytes - keep);
  atomic_store_explicit(&pool->ring.slots[slot].touched, keep,
                        memory_order_relaxed);
}

/*
 * Trims one more slot, if it is free. Workers take the slots that were used
 * last, so that without this the others keep for ever what they once needed.
 */
static void trim_idle(neap_pool *pool) {
  const uint32_t next = pool->looked_at + 1;
  const uint32_t slot = next < pool->ring.slot_count ? next : 0;
  pool->looked_at = slot;
  if (!is_too_large(pool, slot) || !neap__slot_hold(&pool->ring, slot)) return;
  trim(pool, slot);
  neap__slot_release(&pool->ring, slot);
}

static void note_use(neap_pool *pool, uint64_t used) {
  const uint64_t faded = pool->used_recently - pool->used_recently / 64;
  pool->used_recently = used > faded ? used : faded;
}

void neap__pool_lend(neap_pool *pool, uint32_t slot, uint64_t used) {
  note_use(pool, used);
  permit(pool, slot, PROT_READ | PROT_WRITE);
  pool->refs[slot] = 1;
  pool->held++;
}

static bool is_held(const neap_pool *pool, int32_t slot) {
  return (uint32_t)slot < pool->ring.slot_count && pool->refs[slot] > 0;
}

int neap_pool_retain(neap_pool *pool, int32_t slot) {
  if (slot < 0) return NEAP_OK;
  if (!is_held(pool, slot)) return NEAP_EINVAL;
  pool->refs[slot]++;
  return NEAP_OK;
}

int neap_pool_release(neap_pool *pool, int32_t slot) {
  if (slot < 0) return NEAP_OK;
  if (!is_held(pool, slot)) return NEAP_EINVAL;
  if (--pool->refs[slot] > 0) return NEAP_OK;
  pool->held--;
  if (pool->is_closed) {
    neap__pool_free_if_done(pool);
    return NEAP_OK;
  }
  if (!neap__origin_is_here(&pool->origin)) return NEAP_OK; /* the parent's */
  permit(pool, (uint32_t)slot, PROT_NONE);
  trim(pool, (uint32_t)slot);
  neap__slot_release(&pool->ring, (uint32_t)slot);
  trim_idle(pool); /* now that the caller may hold one more */
  return NEAP_OK;
}

int32_t neap_pool_held(const neap_pool *pool) {
  return pool->held;
}

int32_t neap_pool_held_max(const neap_pool *pool) {
  return pool->held_max;
}
