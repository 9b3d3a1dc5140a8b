/* SPDX-License-Identifier: MIT */
/*
 * The parts of a loader: a pool, the slots that its host holds, and items.
 *
 * A slot that a run came in is *lent*: it has a reference for each of the run's
 * items that is not handed out yet, for each item that the host holds, and for
 * each tensor that another library holds. Any thread drops references. The one
 * that drops the last pushes the slot to a list; the consumer, who alone may
 * call the pool, gives it back. The loader lives until it is closed and no slot
 * is lent; the thread that ends that frees it.
 */
#ifndef NEAP_HOST_LOADER_H
#define NEAP_HOST_LOADER_H

#include "host/build.h"
#include "host/handle.h"
#include "neap_lua.h"

typedef struct neap__failed neap__failed;
typedef struct neap__ready neap__ready;

typedef struct neap__lent {
  neap_run run;
  neap_loader *loader;
  _Atomic int32_t references;
  int32_t next; /* in the loader's list; -1: the last */
} neap__lent;

struct neap_item {
  neap__handle handle;
  int64_t epoch;
  int64_t index;
  neap__lent *lent;     /* NULL for an item that failed */
  neap__failed *failed; /* or NULL */
  neap_loader *loader;
  neap_item *next; /* in a list of items that are not in use */
  int32_t k;       /* of the run */
};

struct neap_loader {
  neap__handle handle;
  neap_pool *pool;
  neap__built built;
  neap__lent *lent;           /* one per slot */
  _Atomic int32_t references; /* one while it is open, and one per lent slot */

  /* What other threads give back: slots, and items that are not in use. */
  _Alignas(64) _Atomic int32_t released; /* the first; -1: none */
  _Atomic(neap_item *) returned;

  /* The consumer's own. */
  _Alignas(64) neap_item *spare; /* items that are not in use: from here */
  neap_item *spare_last;         /* items are added here */
  neap_run run;                  /* that is handed out */
  int32_t k;                     /* the next item of it */
  int64_t epoch, position;
  int64_t left_out; /* items */
  bool has_met_end; /* an iterator of unknown size has ended */
  bool is_at_end;
  neap_chain *chain;  /* that threads compute; or NULL */
  neap__ready *ready; /* NULL: neap_fd() was not called */
  void *blocks;       /* the memory of the items, in a list */
  neap_loader *next;  /* on the shelf */
};

/* -- shelf.c: loaders that are not in use -- */

/* A loader whose fields are zero but for its handle and its items; or NULL. */
neap_loader *neap__shelf_take(void);
void neap__shelf_put(neap_loader *loader);

/* -- items.c -- */

/* Hands item k of a lent run out: a reference of the slot becomes the item's.
   NULL: memory is short. Only the consumer. */
neap_item *neap__item_take(neap_loader *loader);
void neap__item_put(neap_loader *loader, neap_item *item);
/* Moves what others have returned to the spare items. */
void neap__items_collect(neap_loader *loader);
/* Frees the memory of items of a loader, if none is in use. */
bool neap__items_free(neap_loader *loader);

/* -- loader.c -- */

/*
 * A loader of a pool of the settings: what opens it for neap_open() and the
 * like. Takes the chain, which threads compute, or NULL. On failure the caller
 * closes what the settings point to.
 */
int neap__loader_open_pool(neap_loader *loader, const neap_launch *launch,
                           neap_error *error);

/* Drops `count` references of a lent slot. From any thread. */
void neap__lent_drop(neap__lent *lent, int32_t count);

/* -- failed.c: why an item failed, copied out of its slot -- */

/* Of item k of a run. NULL: memory is short. */
neap__failed *neap__failed_new(const neap_run *run, int32_t k,
                               const neap_pool_options *settings);
void neap__failed_free(neap__failed *failed);
/* Whether an iterator ended before this item. */
bool neap__failed_is_end(const neap__failed *failed);
/* Whether a loop leaves it out: it raised below a skip. */
bool neap__failed_is_left_out(const neap__failed *failed);
const neap_failure *neap__failed_about(const neap__failed *failed);
/* Writes the error of item `index`. Returns its status. */
int neap__failed_tell(const neap__failed *failed, int64_t index,
                      neap_error *error);

/* -- ready.c: the descriptor and its thread -- */

int neap__ready_open(neap_loader *loader, neap_error *error);
int neap__ready_fd(const neap__ready *ready);
/* Whether it watches, so that the consumer must not be used. */
bool neap__ready_is_watching(neap__ready *ready);
/* Before the consumer is used: makes it watch no more. NULL is fine. */
void neap__ready_call_off(neap__ready *ready);
/* After NEAP_AGAIN: makes the descriptor unreadable until an item is ready. */
void neap__ready_watch(neap__ready *ready);
/* NULL is fine. In a forked child there is no thread to end. */
void neap__ready_close(neap__ready *ready, bool is_here);

#endif
