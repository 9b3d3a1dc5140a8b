/* SPDX-License-Identifier: MIT */
/* Writes items of a chain, and their failures, into a slot. */
#include "chain/item.h"

#include <string.h>

#include "base/error.h"
#include "chain/texts.h"

/* ---- Items ---- */

typedef struct put {
  neap_writer *writer;
  const neap_chain *chain;
  const uint8_t *const *rows;
  int64_t epoch;
  int64_t index;
  int32_t form;  /* the next one */
  int32_t value; /* the next one */
  neap_error *error;
} put;

static int put_row(put *at, neap_cell *cell, const uint8_t *row) {
  neap__text_row text;
  memcpy(&text, row, sizeof text);
  if (text.data == NULL) {
    *cell = (neap_cell){.type = NEAP_NIL};
    return NEAP_OK;
  }
  if (text.count > UINT32_MAX)
    return neap__error_set(at->error, NEAP_EROOM, 0,
                           "the item has a string of 4 GiB or more");
  return neap_writer_put_string(at->writer, cell, text.data,
                                (uint32_t)text.count, at->error);
}

static int put_value(put *at, neap_cell *cell) {
  const int32_t v = at->value++;
  const neap_chain *chain = at->chain;
  const neap__value *value = &chain->layout.values[v];
  neap_view view;
  if (value->is_text) return put_row(at, cell, at->rows[v]);
  if (value->is_scalar || value->bits == 0) {
    *cell = neap__value_cell(value, at->rows[v]);
    return NEAP_OK;
  }
  neap__value_view(value, at->rows[v], &view);
  if (value->has_tails)
    view.shape[0] = chain->ops->rows(chain, at->epoch, at->index, v);
  return neap_writer_put_tensor(at->writer, cell, &view.tensor, at->error);
}

static int put_text(neap_writer *writer, neap_cell *cell, const char *text,
                    neap_error *error) {
  return neap_writer_put_string(writer, cell, text, (uint32_t)strlen(text),
                                error);
}

static int put_form(put *at, neap_cell *cell);

static int put_table(put *at, neap_cell *cell, int32_t fields) {
  int rc = NEAP_OK;
  const neap__form *first = &at->chain->layout.forms[at->form];
  const uint32_t count = (uint32_t)fields;
  const bool is_list = first->name == NULL;
  neap_cell *cells =
      neap_writer_put_table(at->writer, cell, NEAP_TABLE, is_list ? count : 0,
                            is_list ? 0 : count, at->error);
  if (cells == NULL) return NEAP_EROOM;
  for (uint32_t k = 0; k < count && rc == NEAP_OK; k++) {
    const char *name = at->chain->layout.forms[at->form].name;
    if (name != NULL) rc = put_text(at->writer, cells++, name, at->error);
    if (rc == NEAP_OK) rc = put_form(at, cells++);
  }
  return rc;
}

static int put_form(put *at, neap_cell *cell) {
  const int32_t fields = at->chain->layout.forms[at->form++].fields;
  return fields < 0 ? put_value(at, cell) : put_table(at, cell, fields);
}

int neap__chain_put_item(neap_writer *writer, int32_t k,
                         const neap_chain *chain, int64_t epoch, int64_t index,
                         const uint8_t *const *rows, neap_error *error) {
  put at = {.writer = writer,
            .chain = chain,
            .rows = rows,
            .epoch = epoch,
            .index = index,
            .error = error};
  const uint64_t used = writer->used;
  const int rc = put_form(&at, &writer->cells[k]);
  if (rc == NEAP_OK)
    neap_writer_end_item(writer);
  else
    writer->used = used;
  return rc;
}

/* ---- Failures ---- */

enum { FIELDS_MAX = 10 };

/* A field of a failure: a text, or a number where that is NULL. */
typedef struct field {
  const char *name;
  const char *text;
  double number;
} field;

typedef struct fields {
  field list[FIELDS_MAX];
  uint32_t count;
} fields;

static void add_text(fields *all, const char *name, const char *text) {
  if (text != NULL)
    all->list[all->count++] = (field){.name = name, .text = text};
}

static void add_number(fields *all, const char *name, double number) {
  all->list[all->count++] = (field){.name = name, .number = number};
}

static const char *kind_of(int status) {
  switch (status) {
  case NEAP_EROOM: return "room";
  case NEAP_EMEMORY: return "memory";
  default: return "item";
  }
}

static int put_fields(neap_writer *writer, int32_t k, const fields *all,
                      neap_error *error) {
  int rc = NEAP_OK;
  neap_cell *cells = neap_writer_put_table(writer, &writer->cells[k],
                                           NEAP_FAILURE, 0, all->count, error);
  if (cells == NULL) return NEAP_EROOM;
  for (uint32_t f = 0; f < all->count && rc == NEAP_OK; f++) {
    const field *one = &all->list[f];
    rc = put_text(writer, &cells[2 * f], one->name, error);
    if (rc == NEAP_OK && one->text != NULL)
      rc = put_text(writer, &cells[2 * f + 1], one->text, error);
    else
      cells[2 * f + 1] = (neap_cell){NEAP_NUMBER, 0, {.number = one->number}};
  }
  return rc;
}

/* The line "help: ..." of a message is a field of its own. */
static const char *split_help(char *message) {
  static const char mark[] = "\nhelp: ";
  char *help = strstr(message, mark);
  if (help == NULL) return NULL;
  *help = '\0';
  return help + sizeof mark - 1;
}

int neap__chain_put_failure(neap_writer *writer, int32_t k,
                            const neap_chain *chain, const neap__work *work,
                            int64_t index, int32_t worker, neap_error *error) {
  char message[sizeof work->error.text];
  fields all = {.count = 0};
  memcpy(message, work->error.text, sizeof message);
  const char *help = split_help(message);
  const char *top = chain->stage != NULL ? chain->stage : chain->ops->name;
  const bool is_top = work->index == index && strcmp(work->stage, top) == 0;
  add_text(&all, "kind", kind_of(work->error.status));
  add_text(&all, "message", message);
  add_text(&all, "help", help);
  add_text(&all, "cause", work->error.text);
  add_text(&all, "stage", work->stage);
  add_number(&all, "index", (double)work->index + 1);
  add_number(&all, "status", work->error.status);
  if (!is_top) {
    add_text(&all, "outer_stage", top);
    add_number(&all, "outer_index", (double)index + 1);
  }
  if (worker >= 0) add_number(&all, "worker", worker + 1);
  return put_fields(writer, k, &all, error);
}

int neap__chain_put_no_room(neap_writer *writer, int32_t k, neap_error *error) {
  fields all = {.count = 0};
  add_text(&all, "kind", kind_of(NEAP_EROOM));
  add_text(&all, "message", "there is no room in the slot of its run");
  add_text(&all, "help",
           "set slot_bytes higher, or chunk lower, or read the item alone");
  return put_fields(writer, k, &all, error);
}
