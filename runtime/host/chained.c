/* SPDX-License-Identifier: MIT */
/*
 * Loaders of native chains: without a loader file, and so without a builder.
 * Processes get the chain packed, threads as it is.
 */
#include <stdlib.h>
#include <unistd.h>

#include "base/error.h"
#include "host/loader.h"
#include "host/options.h"

static int open_on_threads(neap_loader *l, neap_chain *chain,
                           neap_error *error) {
  const neap_launch none = {.path = NULL};
  l->built.settings.threads = chain;
  const int rc = neap__loader_open_pool(l, &none, error);
  if (rc == NEAP_OK) l->chain = chain;
  return rc;
}

/* The chain is not needed once the workers can have it. */
static int open_on_processes(neap_loader *l, const neap_chain *chain,
                             const neap_options *options, neap_error *error) {
  neap_pool_options *settings = &l->built.settings;
  const neap_launch launch = {
      .path = options->executable,
      .environment = options->environment,
      .is_native = 1,
  };
  void *bytes;
  int rc = neap_chain_pack(chain, &bytes, &settings->chain_bytes,
                           &settings->heap_fd, error);
  if (rc != NEAP_OK) return rc;
  settings->chain = bytes;
  rc = neap__loader_open_pool(l, &launch, error);
  if (settings->heap_fd >= 0) close(settings->heap_fd);
  settings->heap_fd = -1;
  settings->chain = NULL;
  free(bytes);
  return rc;
}

static int open_loader(neap_chain *chain, const neap_options *options,
                       neap_loader **out, neap_error *error) {
  neap_loader *l = neap__shelf_take();
  if (l == NULL)
    return neap__error_set(error, NEAP_EMEMORY, 0,
                           "cannot open a loader: memory is short");
  int rc = neap__options_settings(options, &l->built.settings, error);
  l->built.settings.length = neap_chain_length(chain);
  if (rc == NEAP_OK)
    rc = options->threads > 0 ? open_on_threads(l, chain, error)
                              : open_on_processes(l, chain, options, error);
  if (rc != NEAP_OK) {
    neap__shelf_put(l);
    return rc;
  }
  if (l->chain == NULL) neap_chain_free(chain);
  *out = neap__handle_open(&l->handle);
  return NEAP_OK;
}

int neap_chain_prefetch(neap_chain *chain, const neap_options *options,
                        neap_loader **out, neap_error *error) {
  neap_options unset;
  *out = NULL;
  if (options == NULL) {
    neap_options_init(&unset);
    options = &unset;
  }
  const int rc = chain != NULL
                     ? open_loader(chain, options, out, error)
                     : neap__error_set(error, NEAP_EINVAL, 0,
                                       "cannot open a loader: the chain is "
                                       "NULL");
  if (rc != NEAP_OK) neap_chain_free(chain);
  return rc;
}
