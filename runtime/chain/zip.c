/* SPDX-License-Identifier: MIT */
/* A table of one item of each source: a list, or fields. */
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "chain/chain.h"
#include "chain/pack.h"

/* A failure ends the block for the sources after it: what fails first is told,
   as in a loop over items. */
static int32_t read(neap__stage *stage, neap__work *work, const int64_t *index,
                    int32_t count, neap__column *columns) {
  const neap_chain *chain = stage->chain;
  for (int32_t k = 0; k < chain->source_count && count > 0; k++) {
    count = neap__stage_read(&stage->sources[k], work, index, count, columns);
    columns += chain->sources[k]->layout.value_count;
  }
  return count;
}

static int64_t rows(const neap_chain *chain, int64_t epoch, int64_t index,
                    int32_t value) {
  const neap_chain *const *source = (const neap_chain *const *)chain->sources;
  for (; value >= (*source)->layout.value_count; source++)
    value -= (*source)->layout.value_count;
  return (*source)->ops->rows(*source, epoch, index, value);
}

/* The names are those of the forms below the first. */
static void pack(const neap_chain *chain, neap__packer *out) {
  const neap__form *form = chain->layout.forms + 1;
  for (int32_t k = 0; k < chain->source_count; k++) {
    neap__bytes_put_text(&out->bytes, form->name);
    form += chain->sources[k]->layout.form_count;
  }
}

static int unpack(neap__unpacker *in, neap_chain *const *sources, int32_t count,
                  neap_chain **out, neap_error *error) {
  const char **names = calloc((size_t)count + 1, sizeof *names);
  for (int32_t k = 0; names != NULL && k < count; k++)
    names[k] = neap__cursor_text(&in->cursor);
  const bool are_fields = names != NULL && count > 0 && names[0] != NULL;
  const int rc =
      neap_chain_zip(sources, are_fields ? names : NULL, count, out, error);
  free(names);
  return rc;
}

const neap__chain_ops neap__chain_zip = {
    .deed = "zip",
    .name = "zip",
    .size = sizeof(neap_chain),
    .read = read,
    .rows = rows,
    .pack = pack,
    .unpack = unpack,
};

static int check_names(const char *const *names, int32_t count,
                       neap_error *error) {
  for (int32_t k = 0; names != NULL && k < count; k++) {
    if (names[k] == NULL)
      return neap__error_set(error, NEAP_EINVAL, 0,
                             "cannot zip: name %d is NULL", (int)k);
    for (int32_t other = 0; other < k; other++)
      if (strcmp(names[k], names[other]) == 0)
        return neap__error_set(error, NEAP_EINVAL, 0,
                               "cannot zip: two fields have the name %s",
                               names[k]);
  }
  return NEAP_OK;
}

static int lay_out(neap_chain *chain, const char *const *names,
                   neap_error *error) {
  const int32_t count = chain->source_count;
  const neap__layout **items = calloc((size_t)count, sizeof *items);
  if (items == NULL) return neap__chain_no_memory(chain->ops, error);
  for (int32_t k = 0; k < count; k++)
    items[k] = &chain->sources[k]->layout;
  const int rc = neap__layout_table(&chain->layout, items, names, count, error);
  free(items);
  return rc;
}

static int64_t shorter(int64_t a, int64_t b) {
  if (a == NEAP_ENDLESS) return b;
  return b == NEAP_ENDLESS || a < b ? a : b;
}

int neap_chain_zip(neap_chain *const *sources, const char *const *names,
                   int32_t count, neap_chain **out, neap_error *error) {
  neap_chain *chain;
  int rc = neap__chain_new(&neap__chain_zip, sources, count, &chain, error);
  if (rc != NEAP_OK) {
    *out = NULL; /* which may be one of the sources' */
    return rc;
  }
  rc = count > 0 ? check_names(names, count, error)
                 : neap__error_set(error, NEAP_EINVAL, 0,
                                   "cannot zip: there is no source");
  if (rc == NEAP_OK) rc = lay_out(chain, names, error);
  if (rc != NEAP_OK) {
    neap_chain_free(chain);
    *out = NULL;
    return rc;
  }
  chain->length = NEAP_ENDLESS;
  chain->is_stable = true;
  for (int32_t k = 0; k < count; k++) {
    chain->length = shorter(chain->length, sources[k]->length);
    chain->is_stable &= sources[k]->is_stable;
    chain->has_tails |= sources[k]->has_tails;
  }
  *out = chain;
  return NEAP_OK;
}
