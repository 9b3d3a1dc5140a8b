/* SPDX-License-Identifier: MIT */
/* One item of a chain, into memory that the caller has. */
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "chain/reading.h"
#include "chain/texts.h"

/* ---- What items are ---- */

int32_t neap_chain_value_count(const neap_chain *chain) {
  return chain->layout.value_count;
}

typedef struct search {
  const neap__layout *layout;
  int32_t form;
  int32_t values; /* to pass before the one that is wanted */
  char *path;
  size_t size;
} search;

/* Whether the value lies in the next form; its path follows the first `used`
   bytes. */
static bool find(search *at, size_t used, int32_t k) {
  const neap__form *form = &at->layout->forms[at->form++];
  if (k >= 0) {
    const char *dot = used > 0 ? "." : "";
    const size_t room = used < at->size ? at->size - used : 0;
    const int added =
        form->name != NULL
            ? snprintf(at->path + used, room, "%s%s", dot, form->name)
            : snprintf(at->path + used, room, "%s%d", dot, (int)k + 1);
    used += (size_t)added;
  }
  if (form->fields < 0) return at->values-- == 0;
  for (int32_t f = 0; f < form->fields; f++)
    if (find(at, used, f)) return true;
  return false;
}

void neap_chain_value_path(const neap_chain *chain, int32_t k, char *path,
                           size_t size) {
  search at = {
      .layout = &chain->layout, .values = k, .path = path, .size = size};
  path[0] = '\0';
  (void)find(&at, 0, -1);
}

void neap_chain_plan(const neap_chain *chain, int64_t epoch, int64_t index,
                     neap_part *values) {
  for (int32_t v = 0; v < chain->layout.value_count; v++) {
    const neap__value *value = &chain->layout.values[v];
    values[v] = neap__value_part(value);
    if (!value->has_tails) continue;
    const int64_t rows = chain->ops->rows(chain, epoch, index, v);
    values[v].count = value->count / value->shape[0] * rows;
    values[v].nbytes = value->nbytes / value->shape[0] * rows;
    values[v].shape[0] = rows;
  }
}

/* ---- Reading ---- */

int neap_chain_read(neap_chain_reader *reader, int64_t epoch, int64_t index,
                    neap_part *values, neap_error *error) {
  const neap_chain *chain = reader->chain;
  for (int32_t v = 0; v < chain->layout.value_count; v++) {
    neap__column *column = &reader->columns[v];
    const bool is_tensor = values[v].type == NEAP_TENSOR;
    const bool has_tail = chain->layout.values[v].has_tails &&
                          values[v].nbytes < chain->layout.values[v].nbytes;
    column->to = is_tensor && !has_tail ? values[v].data : NULL;
    column->step = chain->layout.values[v].nbytes;
  }
  reader->work.epoch = epoch;
  reader->work.progress = NULL;
  if (neap__stage_read(&reader->stage, &reader->work, &index, 1,
                       reader->columns) < 1) {
    if (error != NULL) *error = reader->work.error;
    return reader->work.error.status;
  }
  for (int32_t v = 0; v < chain->layout.value_count; v++) {
    const uint8_t *row = reader->columns[v].rows[0];
    if (reader->columns[v].to != NULL) continue;
    if (values[v].type == NEAP_TENSOR && values[v].data != NULL)
      memcpy(values[v].data, row, (size_t)values[v].nbytes);
    else
      neap__value_load_part(&chain->layout.values[v], row, &values[v]);
  }
  return NEAP_OK;
}

const char *neap_chain_failed_stage(const neap_chain_reader *reader,
                                    int64_t *index) {
  *index = reader->work.index;
  return reader->work.stage;
}
