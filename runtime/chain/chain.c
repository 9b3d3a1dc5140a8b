/* SPDX-License-Identifier: MIT */
/* Chains: what all nodes share. */
#include "chain/chain.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"

int neap__chain_no_memory(const neap__chain_ops *ops, neap_error *error) {
  return neap__error_set(error, NEAP_EMEMORY, 0, "cannot %s: memory is short",
                         ops->deed);
}

static int check_sources(const neap__chain_ops *ops, neap_chain *const *sources,
                         int32_t count, int *depth, neap_error *error) {
  *depth = 1;
  if (count < 0 || count > NEAP__CHAIN_SOURCES_MAX)
    return neap__error_set(error, NEAP_EINVAL, 0,
                           "cannot %s: there are %d sources, not 1..%d",
                           ops->deed, (int)count, NEAP__CHAIN_SOURCES_MAX);
  for (int32_t k = 0; k < count; k++) {
    if (sources[k] == NULL)
      return neap__error_set(error, NEAP_EINVAL, 0,
                             "cannot %s: source %d is NULL", ops->deed, (int)k);
    if (*depth <= sources[k]->depth) *depth = sources[k]->depth + 1;
  }
  if (*depth <= NEAP__CHAIN_DEPTH_MAX) return NEAP_OK;
  return neap__error_set(error, NEAP_EINVAL, 0,
                         "cannot %s: the chain would have more than %d stages "
                         "above each other",
                         ops->deed, NEAP__CHAIN_DEPTH_MAX);
}

int neap__chain_new(const neap__chain_ops *ops, neap_chain *const *sources,
                    int32_t count, neap_chain **out, neap_error *error) {
  int depth;
  neap_chain *chain = NULL;
  *out = NULL;
  int rc = check_sources(ops, sources, count, &depth, error);
  if (rc == NEAP_OK && (chain = calloc(1, ops->size)) == NULL)
    rc = neap__chain_no_memory(ops, error);
  if (rc == NEAP_OK && count > 0 &&
      (chain->sources = calloc((size_t)count, sizeof *sources)) == NULL)
    rc = neap__chain_no_memory(ops, error);
  if (rc != NEAP_OK) {
    for (int32_t k = 0; k < count; k++)
      neap_chain_free(sources[k]);
    free(chain);
    return rc;
  }
  if (count > 0)
    memcpy(chain->sources, sources, (size_t)count * sizeof *sources);
  chain->ops = ops;
  chain->source_count = count;
  chain->depth = (int16_t)depth;
  *out = chain;
  return NEAP_OK;
}

int neap__chain_check_tails(const neap_chain *chain, neap_error *error) {
  if (!chain->sources[0]->has_tails) return NEAP_OK;
  return neap__error_set(error, NEAP_EINVAL, 0,
                         "cannot %s: the last batch of the source has fewer "
                         "items\nhelp: drop the last batch, or do it before "
                         "the batch",
                         chain->ops->deed);
}

void neap_chain_free(neap_chain *chain) {
  if (chain == NULL) return;
  if (chain->ops->fini != NULL) chain->ops->fini(chain);
  for (int32_t k = 0; k < chain->source_count; k++)
    neap_chain_free(chain->sources[k]);
  neap__layout_fini(&chain->layout);
  free(chain->sources);
  free(chain->stage);
  free(chain);
}

int64_t neap_chain_length(const neap_chain *chain) {
  return chain->length;
}

void neap_chain_number(neap_chain *chain, int32_t number) {
  chain->number = number;
}

int neap_chain_is_wide(const neap_chain *chain) {
  for (int32_t k = 0; k < chain->layout.value_count; k++) {
    const neap__value *value = &chain->layout.values[k];
    if (value->is_scalar && value->bits == 64 && value->code != NEAP_FLOAT)
      return 1;
  }
  return 0;
}

void neap_chain_name(neap_chain *chain, const char *stage) {
  char *copy = strdup(stage);
  if (copy == NULL) return; /* the name of its kind does */
  free(chain->stage);
  chain->stage = copy;
}
