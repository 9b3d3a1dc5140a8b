/* SPDX-License-Identifier: MIT */
/* Loaders: what embedding programs open, read and close. */
#include "host/loader.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "host/options.h"
#include "pool/pool.h"

_Static_assert(offsetof(struct neap_loader, handle) == 0, "see host/handle.h");

/* -- Lent slots -- */

static void give_back_slots(neap_loader *l) {
  int32_t slot =
      atomic_exchange_explicit(&l->released, -1, memory_order_acquire);
  while (slot >= 0) {
    const int32_t next = l->lent[slot].next;
    neap_pool_release(l->pool, slot);
    slot = next;
  }
}

/* Nobody else uses the loader: it is closed, and no slot is lent. */
static void finish(neap_loader *l) {
  if (l->lent != NULL) give_back_slots(l); /* the last one frees the pool */
  free(l->lent);
  neap_chain_free(l->chain);
  neap__built_close(&l->built);
  neap__shelf_put(l);
}

static void drop_reference(neap_loader *l) {
  if (atomic_fetch_sub_explicit(&l->references, 1, memory_order_acq_rel) == 1)
    finish(l);
}

void neap__lent_drop(neap__lent *lent, int32_t count) {
  neap_loader *l = lent->loader;
  if (atomic_fetch_sub_explicit(&lent->references, count,
                                memory_order_acq_rel) != count)
    return;
  lent->next = atomic_load_explicit(&l->released, memory_order_relaxed);
  while (!atomic_compare_exchange_weak_explicit(
      &l->released, &lent->next, lent->run.slot, memory_order_release,
      memory_order_relaxed))
    continue;
  drop_reference(l);
}

/* Lends the slot of a run, with a reference for each of its items. */
static void lend(neap_loader *l, const neap_run *run) {
  if (run->slot < 0) return;
  neap__lent *lent = &l->lent[run->slot];
  lent->run = *run;
  lent->loader = l;
  atomic_store_explicit(&lent->references, run->count, memory_order_relaxed);
  atomic_fetch_add_explicit(&l->references, 1, memory_order_relaxed);
}

/* Drops the references of items that are not handed out. */
static void leave_run(neap_loader *l) {
  const int32_t left = l->run.count - l->k;
  if (l->run.slot >= 0 && left > 0)
    neap__lent_drop(&l->lent[l->run.slot], left);
  l->run = (neap_run){.slot = -1};
  l->k = 0;
}

/* -- Opening and closing -- */

int neap__loader_open_pool(neap_loader *l, const neap_launch *launch,
                           neap_error *error) {
  neap_pool_options *settings = &l->built.settings;
  settings->launch = *launch;
  const int rc = neap_pool_open(settings, &l->pool, error);
  settings->launch = (neap_launch){0};
  if (rc != NEAP_OK) return rc;
  l->epoch = 1;
  l->lent = calloc(l->pool->ring.slot_count, sizeof *l->lent);
  if (l->lent != NULL) return NEAP_OK;
  neap_pool_close(l->pool);
  return neap__error_set(error, NEAP_EMEMORY, 0,
                         "cannot open a loader: memory is short");
}

static int open_loader(neap_loader *l, const char *path,
                       const neap_options *options, neap_error *error) {
  int rc = neap__build(path, options, &l->built, error);
  if (rc != NEAP_OK) return rc;
  const neap_launch launch = {
      .path = l->built.program,
      .arguments = l->built.arguments,
      .environment = options->environment,
      .is_native = l->built.settings.launch.is_native,
  };
  l->built.settings.wait_ns =
      options->wait_ns == NEAP_UNSET ? 0 : options->wait_ns;
  rc = neap__loader_open_pool(l, &launch, error);
  neap__built_trim(&l->built);
  if (rc != NEAP_OK) neap__built_close(&l->built);
  return rc;
}

int neap_open(const char *path, const neap_options *options, neap_loader **out,
              neap_error *error) {
  neap_options unset;
  *out = NULL;
  if (options == NULL) {
    neap_options_init(&unset);
    options = &unset;
  }
  int rc = neap__options_check(path, options, error);
  if (rc != NEAP_OK) return rc;
  neap_loader *l = neap__shelf_take();
  if (l == NULL)
    return neap__error_set(error, NEAP_EMEMORY, 0,
                           "cannot open a loader: memory is short");
  rc = open_loader(l, path, options, error);
  if (rc != NEAP_OK) {
    neap__shelf_put(l);
    return rc;
  }
  *out = neap__handle_open(&l->handle);
  return NEAP_OK;
}

void neap_close(neap_loader *loader) {
  neap_loader *l = neap__handle_close(loader);
  if (l == NULL) return;
  neap__ready_close(l->ready, neap__origin_is_here(&l->pool->origin));
  leave_run(l);
  give_back_slots(l);
  neap_pool_close(l->pool);
  drop_reference(l);
}

/* -- Reading -- */

/* The loader of a handle; NULL, and the error, if it cannot be used. `what` is
   what the caller wants to do. */
static neap_loader *find(const neap_loader *loader, const char *what,
                         neap_error *error) {
  neap_loader *l = neap__handle_find(loader);
  if (l != NULL && neap__origin_is_here(&l->pool->origin)) return l;
  if (l == NULL)
    neap__error_set(error, NEAP_ECLOSED, 0, "cannot %s: the loader is closed",
                    what);
  else
    neap__error_set(error, NEAP_ECLOSED, 0,
                    "cannot %s: this process was forked off the one whose "
                    "loader it is\n"
                    "help: open a loader in this process",
                    what);
  return NULL;
}

static bool is_failed(const neap_run *run, int32_t k) {
  return run->slot < 0 ||
         *(const volatile uint32_t *)&run->cells[k].type == NEAP_FAILURE;
}

/* Hands out item k of a run, of which its slot has a reference for the item. */
static int hand_out(neap_loader *l, const neap_run *run, int32_t k,
                    neap_item **out, neap_error *error) {
  neap_item *item = neap__item_take(l);
  if (item == NULL)
    return neap__error_set(error, NEAP_EMEMORY, 0,
                           "cannot hand out an item: memory is short");
  item->epoch = run->epoch;
  item->index = run->first + k;
  item->k = k;
  item->lent = &l->lent[run->slot];
  item->failed = NULL;
  *out = neap__handle_open(&item->handle);
  return NEAP_OK;
}

/* How an iteration deals with an item that failed. */
enum pass { HANDS_OUT, MAY_LEAVE_OUT, MAY_END };

/*
 * The same for an item that failed: it keeps no slot. Returns its status;
 * NEAP_AGAIN if it is left out; NEAP_END if the sequence turns out to end
 * before it.
 */
static int hand_out_failed(neap_loader *l, const neap_run *run, int32_t k,
                           enum pass pass, neap_item **out, neap_error *error) {
  neap__failed *failed = neap__failed_new(run, k, &l->built.settings);
  neap_item *item = failed == NULL ? NULL : neap__item_take(l);
  if (item == NULL) {
    neap__failed_free(failed);
    return neap__error_set(error, NEAP_EMEMORY, 0,
                           "cannot hand out an item: memory is short");
  }
  item->epoch = run->epoch;
  item->index = run->first + k;
  item->k = k;
  item->lent = NULL;
  if (run->slot >= 0) neap__lent_drop(&l->lent[run->slot], 1);
  const bool is_left_out =
      pass != HANDS_OUT && neap__failed_is_left_out(failed);
  if (is_left_out || (pass == MAY_END && neap__failed_is_end(failed))) {
    neap__failed_free(failed);
    neap__item_put(l, item);
    l->left_out += is_left_out;
    return is_left_out ? NEAP_AGAIN : NEAP_END;
  }
  item->failed = failed;
  *out = neap__handle_open(&item->handle);
  return neap__failed_tell(failed, item->index, error);
}

/* Gets the next run. `run` is used up. */
static int next_run(neap_loader *l, bool may_wait, neap_error *error) {
  neap_run run;
  give_back_slots(l);
  if (!may_wait && neap__ready_is_watching(l->ready) &&
      !neap__consumer_is_ready(&l->pool->consumer))
    return NEAP_AGAIN;
  neap__ready_call_off(l->ready);
  const int rc = may_wait ? neap_pool_next(l->pool, &run, error)
                          : neap_pool_try_next(l->pool, &run, error);
  if (rc == NEAP_AGAIN) neap__ready_watch(l->ready);
  if (rc != NEAP_OK) return rc;
  lend(l, &run);
  l->run = run;
  l->k = 0;
  return NEAP_OK;
}

/* Whether an iterator's end ends the iteration. The first time, it is an error
   where items are made of several, which would be lost. */
static enum pass pass_of(const neap_loader *l) {
  const bool may_end = l->built.settings.length == NEAP_ENDLESS &&
                       (l->built.may_end != 0 || l->has_met_end);
  return may_end ? MAY_END : MAY_LEAVE_OUT;
}

static void note_end(neap_loader *l, const neap_item *item) {
  const neap_item *found = neap__handle_find(item);
  if (neap__failed_is_end(found->failed)) l->has_met_end = true;
}

/* The sequence has ended before an item: no run from there on is delivered. */
static void end_before(neap_loader *l, int64_t index) {
  leave_run(l);
  neap__ready_call_off(l->ready);
  neap_pool_shorten(l->pool, index);
  l->position = index;
}

static int next_item(neap_loader *loader, bool may_wait, neap_item **out,
                     neap_error *error) {
  *out = NULL;
  neap_loader *l = find(loader, "read", error);
  if (l == NULL) return NEAP_ECLOSED;
  for (;;) {
    int rc;
    if (l->k >= l->run.count && (rc = next_run(l, may_wait, error)) != NEAP_OK)
      return rc;
    const neap_run *run = &l->run;
    const int32_t k = l->k;
    const int64_t index = run->first + k;
    const bool has_failed = is_failed(run, k);
    rc = has_failed ? hand_out_failed(l, run, k, pass_of(l), out, error)
                    : hand_out(l, run, k, out, error);
    if (rc < 0 && *out == NULL) return rc;
    l->k = k + 1;
    l->position = index + 1;
    if (rc == NEAP_END) {
      end_before(l, index);
    } else if (rc != NEAP_AGAIN) {
      if (has_failed) note_end(l, *out);
      return rc;
    }
  }
}

int neap_next(neap_loader *loader, neap_item **item, neap_error *error) {
  return next_item(loader, true, item, error);
}

int neap_try_next(neap_loader *loader, neap_item **item, neap_error *error) {
  return next_item(loader, false, item, error);
}

static int out_of_range(const neap_loader *l, const char *what, int64_t index,
                        neap_error *error) {
  return neap__error_set(error, NEAP_EINVAL, 0,
                         "cannot %s item %lld: the loader has %lld items, from "
                         "0 on",
                         what, (long long)index,
                         (long long)l->built.settings.length);
}

/* Whether index is 0 .. length - 1 + more. */
static bool is_in_range(const neap_loader *l, int64_t index, int64_t more) {
  const int64_t length = l->built.settings.length;
  return index >= 0 && (length == NEAP_ENDLESS || index < length + more);
}

int neap_get(neap_loader *loader, int64_t index, neap_item **item,
             neap_error *error) {
  neap_run run;
  *item = NULL;
  neap_loader *l = find(loader, "read", error);
  if (l == NULL) return NEAP_ECLOSED;
  if (!is_in_range(l, index, 0)) return out_of_range(l, "get", index, error);
  neap__ready_call_off(l->ready);
  give_back_slots(l);
  const int rc = neap_pool_get(l->pool, l->epoch, index, &run, error);
  if (rc != NEAP_OK) return rc;
  lend(l, &run);
  if (is_failed(&run, 0))
    return hand_out_failed(l, &run, 0, HANDS_OUT, item, error);
  return hand_out(l, &run, 0, item, error);
}

/* Moves within the run that is handed out, or to its end. */
static bool skip_in_run(neap_loader *l, int64_t epoch, int64_t index) {
  const int32_t left = l->run.count - l->k;
  const int64_t k = index - l->run.first;
  if (epoch != l->epoch || l->run.slot < 0 || left <= 0 || k < l->k ||
      k > l->run.count)
    return false;
  neap__lent_drop(&l->lent[l->run.slot], (int32_t)k - l->k);
  l->k = (int32_t)k;
  return true;
}

int neap_seek(neap_loader *loader, int64_t epoch, int64_t index,
              neap_error *error) {
  neap_loader *l = find(loader, "seek", error);
  if (l == NULL) return NEAP_ECLOSED;
  if (epoch < 1)
    return neap__error_set(error, NEAP_EINVAL, 0,
                           "cannot seek epoch %lld: epochs count from 1",
                           (long long)epoch);
  if (!is_in_range(l, index, 1)) return out_of_range(l, "seek", index, error);
  if (!skip_in_run(l, epoch, index)) {
    neap__ready_call_off(l->ready);
    leave_run(l);
    const int rc = neap_pool_seek(l->pool, epoch, index, error);
    if (rc != NEAP_OK) return rc;
  }
  l->has_met_end = false;
  l->epoch = epoch;
  l->position = index;
  return NEAP_OK;
}

/* -- Asking -- */

int64_t neap_epoch(const neap_loader *loader) {
  const neap_loader *l = neap__handle_find(loader);
  return l == NULL ? NEAP_ECLOSED : l->epoch;
}

int64_t neap_position(const neap_loader *loader) {
  const neap_loader *l = neap__handle_find(loader);
  return l == NULL ? NEAP_ECLOSED : l->position;
}

int64_t neap_length(const neap_loader *loader) {
  const neap_loader *l = neap__handle_find(loader);
  return l == NULL ? NEAP_ECLOSED : l->built.settings.length;
}

const neap_parameter *neap_parameters(const neap_loader *loader,
                                      int32_t *count) {
  const neap_loader *l = neap__handle_find(loader);
  *count = l == NULL ? 0 : l->built.parameter_count;
  return l == NULL ? NULL : l->built.parameters;
}

int neap_read_stats(const neap_loader *loader, neap_stats *out,
                    neap_error *error) {
  *out = (neap_stats){0};
  neap_loader *l = find(loader, "read statistics", error);
  if (l == NULL) return NEAP_ECLOSED;
  give_back_slots(l);
  neap_pool_read_stats(l->pool, out);
  out->held_max = neap_pool_held_max(l->pool);
  out->left_out = l->left_out;
  return NEAP_OK;
}

int neap_read_worker(const neap_loader *loader, int32_t worker, neap_stats *out,
                     neap_error *error) {
  *out = (neap_stats){0};
  neap_loader *l = find(loader, "read statistics", error);
  if (l == NULL) return NEAP_ECLOSED;
  if (worker < 0 || worker >= l->built.settings.workers)
    return neap__error_set(error, NEAP_EINVAL, 0,
                           "cannot read statistics of worker %d: there are %d "
                           "workers, from 0 on",
                           (int)worker, (int)l->built.settings.workers);
  out->pid = neap_pool_read_worker(l->pool, worker, out);
  return NEAP_OK;
}

int neap_fd(neap_loader *loader, int *fd, neap_error *error) {
  *fd = -1;
  neap_loader *l = find(loader, "open a descriptor", error);
  if (l == NULL) return NEAP_ECLOSED;
  const int rc = l->ready == NULL ? neap__ready_open(l, error) : NEAP_OK;
  if (rc == NEAP_OK) *fd = neap__ready_fd(l->ready);
  return rc;
}
