/* SPDX-License-Identifier: MIT */
/*
 * The values of items, for hosts: a value is an item and a cell. Each function
 * checks that the item was not released, then reads as the readers of value/.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "host/loader.h"

_Static_assert(sizeof(neap_cell) == sizeof((neap_value){0}.cell), "see neap.h");

/* -- Cells -- */

static neap_cell cell_of(const neap_value *value) {
  neap_cell cell;
  memcpy(&cell, value->cell, sizeof cell);
  return cell;
}

static int released(neap_error *error) {
  return neap__error_set(error, NEAP_EINVAL, 0,
                         "cannot read an item: it was released before");
}

/* The run that an item lies in; NULL, and the error, if there is none. */
static const neap_run *run_of(const neap_item *item, neap_error *error) {
  const neap_item *found = neap__handle_find(item);
  if (found == NULL) {
    released(error);
    return NULL;
  }
  if (found->lent != NULL) return &found->lent->run;
  neap__error_set(error, NEAP_EINVAL, 0,
                  "cannot read item %lld: it failed; neap_item_error() tells "
                  "why",
                  (long long)found->index);
  return NULL;
}

/* Makes a value of a cell, unless no value is of that type. */
static int wrap(const neap_item *item, const neap_cell *cell, int rc,
                neap_value *out, neap_error *error) {
  *out = (neap_value){.item = NULL};
  if (rc != NEAP_OK) return rc;
  if (cell->type > NEAP_TABLE)
    return neap__error_set(error, NEAP_EDAMAGED, 0,
                           "cannot read an item: its slot is damaged (a type)");
  out->item = item;
  memcpy(out->cell, cell, sizeof *cell);
  return NEAP_OK;
}

static int no_such_type(const neap_value *value, const char *wanted,
                        neap_error *error) {
  const neap_cell cell = cell_of(value);
  return neap__error_set(error, NEAP_EINVAL, 0, "cannot read a %s as %s",
                         neap_type_name((int)cell.type), wanted);
}

int neap_item_value(const neap_item *item, neap_value *out, neap_error *error) {
  neap_cell cell;
  *out = (neap_value){.item = NULL};
  const neap_run *run = run_of(item, error);
  if (run == NULL) return NEAP_EINVAL;
  const neap_item *found = neap__handle_find(item);
  const int32_t k = (int32_t)(found->index - run->first);
  return wrap(item, &cell, neap_run_cell(run, k, &cell, error), out, error);
}

int neap_value_type(const neap_value *value) {
  return (int)cell_of(value).type;
}

const char *neap_type_name(int type) {
  switch (type) {
  case NEAP_NIL: return "nil";
  case NEAP_BOOLEAN: return "boolean";
  case NEAP_NUMBER: return "number";
  case NEAP_INT64: return "64-bit integer";
  case NEAP_UINT64: return "unsigned 64-bit integer";
  case NEAP_STRING: return "string";
  case NEAP_TENSOR: return "tensor";
  case NEAP_TABLE: return "table";
  }
  return "not a type of neap";
}

/* -- Numbers -- */

int neap_value_boolean(const neap_value *value, int *out, neap_error *error) {
  const neap_cell cell = cell_of(value);
  *out = 0;
  if (cell.type != NEAP_BOOLEAN) return no_such_type(value, "boolean", error);
  *out = cell.integer != 0;
  return NEAP_OK;
}

int neap_value_number(const neap_value *value, double *out, neap_error *error) {
  const neap_cell cell = cell_of(value);
  *out = 0;
  switch (cell.type) {
  case NEAP_NUMBER: *out = cell.number; return NEAP_OK;
  case NEAP_INT64: *out = (double)cell.integer; return NEAP_OK;
  case NEAP_UINT64: *out = (double)cell.offset; return NEAP_OK;
  default: return no_such_type(value, "number", error);
  }
}

static const double two_63 = 9223372036854775808.0;

static int not_whole(const char *type, neap_error *error) {
  return neap__error_set(error, NEAP_EINVAL, 0,
                         "cannot read a number as %s: it is out of range, or "
                         "not whole",
                         type);
}

int neap_value_integer(const neap_value *value, int64_t *out,
                       neap_error *error) {
  const neap_cell cell = cell_of(value);
  *out = 0;
  if (cell.type == NEAP_NUMBER) {
    const double number = cell.number;
    if (!(number >= -two_63 && number < two_63) || number != floor(number))
      return not_whole("integer", error);
    *out = (int64_t)number;
  } else if (cell.type == NEAP_INT64) {
    *out = cell.integer;
  } else if (cell.type == NEAP_UINT64) {
    if (cell.offset > INT64_MAX) return not_whole("integer", error);
    *out = (int64_t)cell.offset;
  } else {
    return no_such_type(value, "integer", error);
  }
  return NEAP_OK;
}

int neap_value_unsigned(const neap_value *value, uint64_t *out,
                        neap_error *error) {
  const neap_cell cell = cell_of(value);
  int64_t number;
  *out = 0;
  if (cell.type == NEAP_UINT64) {
    *out = cell.offset;
    return NEAP_OK;
  }
  if (cell.type == NEAP_NUMBER && cell.number >= two_63 &&
      cell.number < 2 * two_63) {
    *out = (uint64_t)cell.number;
    return NEAP_OK;
  }
  const int rc = neap_value_integer(value, &number, error);
  if (rc != NEAP_OK) return rc;
  if (number < 0) return not_whole("unsigned integer", error);
  *out = (uint64_t)number;
  return NEAP_OK;
}

/* -- Strings and tables -- */

int neap_value_string(const neap_value *value, const char **text, size_t *bytes,
                      neap_error *error) {
  const neap_cell cell = cell_of(value);
  *text = NULL;
  *bytes = 0;
  if (cell.type != NEAP_STRING) return no_such_type(value, "string", error);
  const neap_run *run = run_of(value->item, error);
  if (run == NULL) return NEAP_EINVAL;
  *text = neap_cell_string(run, &cell, error);
  if (*text == NULL) return NEAP_EDAMAGED;
  *bytes = cell.count;
  return NEAP_OK;
}

/* The run of a table; NULL, and the error, if it is none. */
static const neap_run *run_of_table(const neap_value *table, neap_cell *cell,
                                    neap_error *error) {
  *cell = cell_of(table);
  if (cell->type == NEAP_TABLE) return run_of(table->item, error);
  no_such_type(table, "table", error);
  return NULL;
}

int neap_value_count(const neap_value *table, uint32_t *list_count,
                     uint32_t *pair_count, neap_error *error) {
  neap_cell cell;
  uint32_t list = 0, pairs = 0;
  const neap_run *run = run_of_table(table, &cell, error);
  const int rc = run == NULL
                     ? NEAP_EINVAL
                     : neap_cell_table(run, &cell, &list, &pairs, error);
  if (list_count != NULL) *list_count = list;
  if (pair_count != NULL) *pair_count = pairs;
  return rc;
}

static int beyond(const char *what, uint32_t k, uint32_t count,
                  neap_error *error) {
  return neap__error_set(error, NEAP_EINVAL, 0,
                         "cannot read %s %u of a table: it has %u, from 0 on",
                         what, (unsigned)k, (unsigned)count);
}

int neap_value_at(const neap_value *table, uint32_t k, neap_value *out,
                  neap_error *error) {
  neap_cell cell, found;
  uint32_t list;
  *out = (neap_value){.item = NULL};
  int rc = neap_value_count(table, &list, NULL, error);
  if (rc != NEAP_OK) return rc;
  if (k >= list) return beyond("item", k, list, error);
  const neap_run *run = run_of_table(table, &cell, error);
  if (run == NULL) return NEAP_EINVAL;
  rc = neap_cell_at(run, &cell, k, &found, error);
  return wrap(table->item, &found, rc, out, error);
}

int neap_value_pair(const neap_value *table, uint32_t k, neap_value *key,
                    neap_value *out, neap_error *error) {
  neap_cell cell, key_cell, found;
  uint32_t pairs;
  *key = *out = (neap_value){.item = NULL};
  int rc = neap_value_count(table, NULL, &pairs, error);
  if (rc != NEAP_OK) return rc;
  if (k >= pairs) return beyond("pair", k, pairs, error);
  const neap_run *run = run_of_table(table, &cell, error);
  if (run == NULL) return NEAP_EINVAL;
  rc = neap_cell_pair(run, &cell, k, &key_cell, &found, error);
  rc = wrap(table->item, &key_cell, rc, key, error);
  return wrap(table->item, &found, rc, out, error);
}

/* Lists the names of a table's fields, as far as they fit. */
static int no_field(const neap_run *run, const neap_cell *table, uint32_t pairs,
                    const char *name, neap_error *error) {
  char names[1024] = "";
  size_t used = 0;
  for (uint32_t k = 0; k < pairs; k++) {
    neap_cell key, value;
    if (neap_cell_pair(run, table, k, &key, &value, NULL) != NEAP_OK ||
        key.type != NEAP_STRING)
      continue;
    const char *text = neap_cell_string(run, &key, NULL);
    if (text == NULL || used + key.count + 3 > sizeof names) continue;
    if (used > 0) used = (size_t)(stpcpy(names + used, ", ") - names);
    memcpy(names + used, text, key.count);
    used += key.count;
    names[used] = '\0';
  }
  return neap__error_set(error, NEAP_EINVAL, 0,
                         "cannot read field '%s' of a table: %s%s", name,
                         used > 0 ? "it has " : "it has no fields", names);
}

int neap_value_field(const neap_value *table, const char *name, neap_value *out,
                     neap_error *error) {
  neap_cell cell, key, found;
  uint32_t pairs;
  *out = (neap_value){.item = NULL};
  int rc = neap_value_count(table, NULL, &pairs, error);
  if (rc != NEAP_OK) return rc;
  const neap_run *run = run_of_table(table, &cell, error);
  const size_t bytes = strlen(name);
  if (run == NULL) return NEAP_EINVAL;
  for (uint32_t k = 0; k < pairs; k++) {
    rc = neap_cell_pair(run, &cell, k, &key, &found, error);
    if (rc != NEAP_OK) return rc;
    if (key.type != NEAP_STRING || key.count != bytes) continue;
    const char *text = neap_cell_string(run, &key, error);
    if (text == NULL) return NEAP_EDAMAGED;
    if (memcmp(text, name, bytes) == 0)
      return wrap(table->item, &found, NEAP_OK, out, error);
  }
  return no_field(run, &cell, pairs, name, error);
}

/* -- Tensors -- */

/* Fills a tensor, with `shape` and `strides` as its memory. */
static void fill_tensor(const neap_tensor_cell *cell, void *data,
                        neap_tensor *tensor, int64_t *shape, int64_t *strides) {
  memcpy(shape, cell->shape, sizeof cell->shape);
  neap_tensor_strides(cell->ndim, shape, strides);
  *tensor = (neap_tensor){
      .data = data,
      .device_type = 1,
      .ndim = cell->ndim,
      .code = cell->code,
      .bits = cell->bits,
      .lanes = 1,
      .shape = shape,
      .strides = strides,
  };
}

static int read_tensor(const neap_value *value, neap_tensor *tensor,
                       int64_t *shape, int64_t *strides, neap_error *error) {
  neap_tensor_cell found;
  void *data;
  const neap_cell cell = cell_of(value);
  *tensor = (neap_tensor){.data = NULL};
  if (cell.type != NEAP_TENSOR) return no_such_type(value, "tensor", error);
  const neap_run *run = run_of(value->item, error);
  if (run == NULL) return NEAP_EINVAL;
  const int rc = neap_cell_tensor(run, &cell, &found, &data, error);
  if (rc == NEAP_OK) fill_tensor(&found, data, tensor, shape, strides);
  return rc;
}

int neap_value_tensor(const neap_value *value, neap_view *out,
                      neap_error *error) {
  memset(out, 0, sizeof *out);
  return read_tensor(value, &out->tensor, out->shape, out->strides, error);
}

/* A tensor that another library holds. */
typedef struct borrowed_tensor {
  neap_managed_tensor managed;
  int64_t shape[NEAP_DIMS_MAX];
  int64_t strides[NEAP_DIMS_MAX];
  neap__lent *lent;
} borrowed_tensor;

static void give_back(neap_managed_tensor *managed) {
  borrowed_tensor *borrowed = (borrowed_tensor *)managed;
  neap__lent *lent = borrowed->lent;
  free(borrowed);
  neap__lent_drop(lent, 1);
}

int neap_item_dlpack(const neap_item *item, const neap_value *value,
                     neap_managed_tensor **out, neap_error *error) {
  *out = NULL;
  if (run_of(item, error) == NULL) return NEAP_EINVAL;
  if (value->item != item)
    return neap__error_set(error, NEAP_EINVAL, 0,
                           "cannot lend a tensor: it is of another item");
  borrowed_tensor *borrowed = calloc(1, sizeof *borrowed);
  if (borrowed == NULL)
    return neap__error_set(error, NEAP_EMEMORY, 0,
                           "cannot lend a tensor: memory is short");
  const int rc = read_tensor(value, &borrowed->managed.tensor, borrowed->shape,
                             borrowed->strides, error);
  if (rc != NEAP_OK) {
    free(borrowed);
    return rc;
  }
  const neap_item *found = neap__handle_find(item);
  borrowed->managed.deleter = give_back;
  borrowed->lent = found->lent;
  atomic_fetch_add_explicit(&found->lent->references, 1, memory_order_relaxed);
  *out = &borrowed->managed;
  return NEAP_OK;
}
