/* SPDX-License-Identifier: MIT */
/*
 * Items: memory that is used again and again, in the order in which items were
 * released, so that a stale handle is not mistaken for a new one.
 */
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "host/loader.h"

_Static_assert(offsetof(struct neap_item, handle) == 0, "see host/handle.h");
_Static_assert(sizeof(struct neap_item) == 128, "two cache lines");

enum { BLOCK_ITEMS = 64 };

typedef struct block {
  _Alignas(64) struct block *next;
  neap_item items[BLOCK_ITEMS];
} block;

/* -- Items that are not in use -- */

/* Appends a list of items. */
static void add_spare(neap_loader *l, neap_item *first, neap_item *last) {
  last->next = NULL;
  if (l->spare == NULL)
    l->spare = first;
  else
    l->spare_last->next = first;
  l->spare_last = last;
}

void neap__items_collect(neap_loader *l) {
  neap_item *first =
      atomic_exchange_explicit(&l->returned, NULL, memory_order_acquire);
  if (first == NULL) return;
  neap_item *last = first;
  while (last->next != NULL)
    last = last->next;
  add_spare(l, first, last);
}

static bool add_block(neap_loader *l) {
  block *more = aligned_alloc(_Alignof(block), sizeof *more);
  if (more == NULL) return false;
  memset(more, 0, sizeof *more);
  more->next = l->blocks;
  l->blocks = more;
  for (int k = 0; k < BLOCK_ITEMS; k++)
    add_spare(l, &more->items[k], &more->items[k]);
  return true;
}

neap_item *neap__item_take(neap_loader *l) {
  if (l->spare == NULL) neap__items_collect(l);
  if (l->spare == NULL && !add_block(l)) return NULL;
  neap_item *item = l->spare;
  l->spare = item->next;
  item->loader = l;
  return item;
}

/* From any thread. */
void neap__item_put(neap_loader *l, neap_item *item) {
  item->next = atomic_load_explicit(&l->returned, memory_order_relaxed);
  while (!atomic_compare_exchange_weak_explicit(&l->returned, &item->next, item,
                                                memory_order_release,
                                                memory_order_relaxed))
    continue;
}

static int count_blocks(const block *first) {
  int count = 0;
  for (; first != NULL; first = first->next)
    count++;
  return count;
}

bool neap__items_free(neap_loader *l) {
  int spare = 0;
  neap__items_collect(l);
  for (const neap_item *item = l->spare; item != NULL; item = item->next)
    spare++;
  if (spare != count_blocks(l->blocks) * BLOCK_ITEMS) return false;
  for (block *one = l->blocks; one != NULL;) {
    block *next = one->next;
    free(one);
    one = next;
  }
  l->blocks = NULL;
  return true;
}

/* -- What hosts ask -- */

int64_t neap_item_epoch(const neap_item *item) {
  const neap_item *found = neap__handle_find(item);
  return found == NULL ? NEAP_EINVAL : found->epoch;
}

int64_t neap_item_index(const neap_item *item) {
  const neap_item *found = neap__handle_find(item);
  return found == NULL ? NEAP_EINVAL : found->index;
}

int neap_item_release(neap_item *item) {
  if (item == NULL) return NEAP_OK;
  neap_item *found = neap__handle_close(item);
  if (found == NULL) return NEAP_EINVAL;
  neap__lent *lent = found->lent;
  neap__failed_free(found->failed);
  found->failed = NULL;
  neap__item_put(found->loader, found);
  if (lent != NULL) neap__lent_drop(lent, 1);
  return NEAP_OK;
}

int neap_item_error(const neap_item *item, neap_failure *out) {
  const neap_item *found = neap__handle_find(item);
  *out = (neap_failure){.worker = -1, .index = -1, .outer_index = -1};
  if (found == NULL) {
    out->status = NEAP_EINVAL;
    out->kind = "released";
    out->message = "this item was released before";
  } else if (found->failed != NULL) {
    *out = *neap__failed_about(found->failed);
  }
  return out->status;
}
