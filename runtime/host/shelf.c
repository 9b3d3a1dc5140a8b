/* SPDX-License-Identifier: MIT */
/*
 * Loaders that are not in use. A handle must be refused for as long as a host
 * may have it, so the memory that it points into is kept, and used for the next
 * loader. This list is the library's only variable: the memory belongs to no
 * object that lives that long.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "host/loader.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static neap_loader *shelf;

static neap_loader *new_loader(void) {
  neap_loader *loader = aligned_alloc(_Alignof(neap_loader), sizeof *loader);
  if (loader != NULL) memset(loader, 0, sizeof *loader);
  return loader;
}

/* Clears all but the handle and the items. */
static void clear(neap_loader *loader) {
  neap_item *spare = loader->spare, *last = loader->spare_last;
  void *blocks = loader->blocks;
  loader->pool = NULL;
  loader->lent = NULL;
  loader->ready = NULL;
  loader->chain = NULL;
  loader->next = NULL;
  loader->run = (neap_run){.slot = -1};
  loader->k = 0;
  loader->epoch = loader->position = loader->left_out = 0;
  loader->has_met_end = loader->is_at_end = false;
  loader->spare = spare;
  loader->spare_last = last;
  loader->blocks = blocks;
  neap__built_init(&loader->built);
  atomic_store(&loader->released, -1);
  atomic_store(&loader->references, 1);
}

neap_loader *neap__shelf_take(void) {
  pthread_mutex_lock(&lock);
  neap_loader *loader = shelf;
  if (loader != NULL) shelf = loader->next;
  pthread_mutex_unlock(&lock);
  if (loader == NULL) loader = new_loader();
  if (loader != NULL) clear(loader);
  return loader;
}

void neap__shelf_put(neap_loader *loader) {
  pthread_mutex_lock(&lock);
  loader->next = shelf;
  shelf = loader;
  pthread_mutex_unlock(&lock);
}

/* When the library is unloaded. What a host still holds is not freed. */
__attribute__((destructor)) static void clear_shelf(void) {
  neap_loader *loader = shelf;
  shelf = NULL;
  while (loader != NULL) {
    neap_loader *next = loader->next;
    if (neap__items_free(loader)) free(loader);
    loader = next;
  }
}
