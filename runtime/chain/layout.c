/* SPDX-License-Identifier: MIT */
/* What the items of a chain are. */
#include "chain/layout.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "chain/texts.h"
#include "tensor/dtype.h"

/* ---- Values ---- */

static void measure(neap__value *value) {
  value->count = 1;
  for (int32_t k = 0; k < value->ndim; k++)
    value->count *= value->shape[k];
  value->nbytes = value->count * (value->bits / 8);
}

int neap__value_init(neap__value *value, int32_t code, int32_t bits,
                     int32_t ndim, const int64_t *shape, neap_error *error) {
  const neap__dtype *type;
  *value = (neap__value){.code = (uint8_t)code, .bits = (uint8_t)bits};
  if (ndim < 0 || ndim > NEAP_DIMS_MAX ||
      neap_tensor_strides(ndim, shape, NULL) < 0)
    return neap__error_set(error, NEAP_EINVAL, 0,
                           "cannot make a chain: a shape of %d dimensions is "
                           "not valid",
                           (int)ndim);
  const neap_tensor tensor = {
      .code = (uint8_t)code, .bits = (uint8_t)bits, .lanes = 1};
  const int rc = neap__dtype_find(&tensor, &type, error);
  if (rc != NEAP_OK) return rc;
  value->ndim = ndim;
  if (ndim > 0)
    memcpy(value->shape, shape, (size_t)ndim * sizeof *value->shape);
  measure(value);
  return NEAP_OK;
}

neap__value neap__value_number(int32_t code, int32_t bits) {
  neap__value value = {
      .code = (uint8_t)code, .bits = (uint8_t)bits, .is_scalar = true};
  measure(&value);
  return value;
}

void neap__value_view(const neap__value *value, const void *data,
                      neap_view *view) {
  view->tensor = (neap_tensor){
      .data = (void *)(uintptr_t)data,
      .device_type = 1,
      .ndim = value->ndim,
      .code = value->code,
      .bits = value->bits,
      .lanes = 1,
      .shape = view->shape,
      .strides = view->strides,
  };
  memcpy(view->shape, value->shape, sizeof view->shape);
  (void)neap_tensor_strides(value->ndim, view->shape, view->strides);
}

const char *neap__value_text(const neap__value *value, char text[192]) {
  neap_view view;
  neap__text buffer;
  if (value->is_text) return strcpy(text, "string");
  if (value->bits == 0) return strcpy(text, "nil");
  if (value->is_scalar && value->code == NEAP_BOOL)
    return strcpy(text, "boolean");
  if (value->is_scalar) return strcpy(text, "number");
  neap__value_view(value, NULL, &view);
  snprintf(text, 192, "%s", neap__tensor_text(&view.tensor, &buffer));
  return text;
}

void neap__value_load(const neap__value *value, const void *from, double *to,
                      int64_t count) {
  const neap__dtype *type;
  const neap_tensor tensor = {
      .code = value->code, .bits = value->bits, .lanes = 1};
  if (neap__dtype_find(&tensor, &type, NULL) == NEAP_OK)
    type->load(from, to, count);
}

/* An integer as Lua has it: a number where that is exact. */
static neap_cell integer_cell(const neap__value *value, const void *row) {
  const int64_t most = 1ll << 53;
  uint64_t bits;
  memcpy(&bits, row, sizeof bits);
  const int64_t integer = (int64_t)bits;
  if (value->code == NEAP_UINT)
    return bits <= (uint64_t)most
               ? (neap_cell){NEAP_NUMBER, 0, {.number = (double)bits}}
               : (neap_cell){NEAP_UINT64, 0, {.integer = integer}};
  return integer >= -most && integer <= most
             ? (neap_cell){NEAP_NUMBER, 0, {.number = (double)integer}}
             : (neap_cell){NEAP_INT64, 0, {.integer = integer}};
}

neap_cell neap__value_cell(const neap__value *value, const void *row) {
  neap_cell cell = {NEAP_NUMBER, 0, {.number = 0}};
  if (value->bits == 0) return (neap_cell){.type = NEAP_NIL};
  if (value->code == NEAP_FLOAT && value->bits == 64) {
    memcpy(&cell.number, row, sizeof cell.number);
  } else if (value->code == NEAP_BOOL) {
    cell.type = NEAP_BOOLEAN;
    cell.integer = *(const uint8_t *)row != 0;
  } else if (value->bits == 64) {
    return integer_cell(value, row);
  } else {
    neap__value_load(value, row, &cell.number, 1);
  }
  return cell;
}

/* ---- Parts ---- */

neap_part neap__value_part(const neap__value *value) {
  neap_part part = {.type = NEAP_TENSOR,
                    .code = value->code,
                    .bits = value->bits,
                    .ndim = (uint16_t)value->ndim,
                    .count = value->count,
                    .nbytes = value->nbytes};
  memcpy(part.shape, value->shape, sizeof part.shape);
  if (value->is_text)
    part.type = NEAP_STRING;
  else if (value->bits == 0)
    part.type = NEAP_NIL;
  else if (value->is_scalar)
    part.type = value->code == NEAP_BOOL ? NEAP_BOOLEAN : NEAP_NUMBER;
  return part;
}

void neap__value_load_part(const neap__value *value, const uint8_t *row,
                           neap_part *part) {
  if (value->is_text) {
    neap__text_row text;
    memcpy(&text, row, sizeof text);
    part->type = text.data == NULL ? NEAP_NIL : NEAP_STRING;
    part->data = (void *)(uintptr_t)text.data;
    part->count = part->nbytes = text.count;
  } else if (value->is_scalar) {
    const neap_cell cell = neap__value_cell(value, row);
    part->type = (int32_t)cell.type;
    if (cell.type == NEAP_BOOLEAN)
      part->number = (double)cell.integer;
    else
      part->integer = cell.integer; /* a number's bits, too */
  } else {
    part->data = (void *)(uintptr_t)row;
  }
}

/* ---- Layouts ---- */

static int no_memory(neap_error *error) {
  return neap__error_set(error, NEAP_EMEMORY, 0,
                         "cannot make a chain: memory is short");
}

static int allocate(neap__layout *layout, int32_t forms, int32_t values,
                    neap_error *error) {
  *layout = (neap__layout){0};
  if (values > NEAP__VALUES_MAX)
    return neap__error_set(error, NEAP_EINVAL, 0,
                           "cannot make a chain: an item would have %d values, "
                           "more than %d",
                           (int)values, NEAP__VALUES_MAX);
  layout->forms = calloc((size_t)forms + 1, sizeof *layout->forms);
  layout->values = calloc((size_t)values + 1, sizeof *layout->values);
  if (layout->forms != NULL && layout->values != NULL) return NEAP_OK;
  neap__layout_fini(layout);
  return no_memory(error);
}

int neap__layout_of_value(neap__layout *layout, const neap__value *value,
                          neap_error *error) {
  const int rc = allocate(layout, 1, 1, error);
  if (rc != NEAP_OK) return rc;
  layout->forms[0].fields = -1;
  layout->values[0] = *value;
  layout->form_count = layout->value_count = 1;
  return NEAP_OK;
}

/* Adds an item below what is there; false if memory is short. */
static bool add(neap__layout *layout, const neap__layout *item,
                const char *name) {
  for (int32_t k = 0; k < item->form_count; k++) {
    neap__form *form = &layout->forms[layout->form_count++];
    const char *from = k == 0 ? name : item->forms[k].name;
    form->fields = item->forms[k].fields;
    form->name = from == NULL ? NULL : strdup(from);
    if (from != NULL && form->name == NULL) return false;
  }
  for (int32_t k = 0; k < item->value_count; k++)
    layout->values[layout->value_count++] = item->values[k];
  return true;
}

int neap__layout_copy(neap__layout *layout, const neap__layout *from,
                      neap_error *error) {
  const int rc = allocate(layout, from->form_count, from->value_count, error);
  if (rc != NEAP_OK) return rc;
  return add(layout, from, NULL) ? NEAP_OK : no_memory(error);
}

int neap__layout_table(neap__layout *layout, const neap__layout *const *items,
                       const char *const *names, int32_t count,
                       neap_error *error) {
  int32_t forms = 1, values = 0;
  for (int32_t k = 0; k < count; k++) {
    forms += items[k]->form_count;
    values += items[k]->value_count;
  }
  const int rc = allocate(layout, forms, values, error);
  if (rc != NEAP_OK) return rc;
  layout->forms[0].fields = count;
  layout->form_count = 1;
  for (int32_t k = 0; k < count; k++)
    if (!add(layout, items[k], names == NULL ? NULL : names[k]))
      return no_memory(error);
  return NEAP_OK;
}

void neap__layout_fini(neap__layout *layout) {
  for (int32_t k = 0; k < layout->form_count; k++)
    free(layout->forms[k].name);
  free(layout->forms);
  free(layout->values);
  *layout = (neap__layout){0};
}

static bool is_same_text(const char *a, const char *b) {
  return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

static bool is_same_value(const neap__value *a, const neap__value *b) {
  return a->code == b->code && a->bits == b->bits && a->ndim == b->ndim &&
         a->is_scalar == b->is_scalar && a->is_text == b->is_text &&
         a->has_tails == b->has_tails &&
         memcmp(a->shape, b->shape, sizeof a->shape) == 0;
}

bool neap__layout_is_same(const neap__layout *a, const neap__layout *b) {
  if (a->form_count != b->form_count || a->value_count != b->value_count)
    return false;
  for (int32_t k = 0; k < a->form_count; k++)
    if (a->forms[k].fields != b->forms[k].fields ||
        !is_same_text(a->forms[k].name, b->forms[k].name))
      return false;
  for (int32_t k = 0; k < a->value_count; k++)
    if (!is_same_value(&a->values[k], &b->values[k])) return false;
  return true;
}

/* ---- Paths ---- */

typedef struct walk {
  const neap__layout *layout;
  int32_t form;  /* the next one */
  int32_t value; /* the next one */
} walk;

/* Passes a form and what is in it. */
static void pass(walk *at) {
  const int32_t fields = at->layout->forms[at->form++].fields;
  if (fields < 0) at->value++;
  for (int32_t k = 0; k < fields; k++)
    pass(at);
}

/* Whether the next part of the path is the name of the next form, the k-th of
   its table. */
static bool is_named(const walk *at, const char *path, size_t length,
                     int32_t k) {
  char number[16];
  const char *name = at->layout->forms[at->form].name;
  snprintf(number, sizeof number, "%d", (int)k + 1);
  if (name == NULL) name = number;
  return strlen(name) == length && memcmp(name, path, length) == 0;
}

int32_t neap__layout_find(const neap__layout *layout, const char *path) {
  walk at = {.layout = layout};
  while (*path != '\0') {
    const size_t length = strcspn(path, ".");
    const int32_t fields = layout->forms[at.form++].fields;
    int32_t k = 0;
    while (k < fields && !is_named(&at, path, length, k)) {
      pass(&at);
      k++;
    }
    if (k >= fields) return -1;
    path += length + (path[length] == '.');
  }
  return layout->forms[at.form].fields < 0 ? at.value : -1;
}

static void append(char *text, size_t size, const char *more) {
  const size_t used = strlen(text);
  snprintf(text + used, size - used, "%s", more);
}

static void describe(walk *at, char *text, size_t size) {
  char value[192];
  const int32_t fields = at->layout->forms[at->form++].fields;
  if (fields < 0) {
    append(text, size,
           neap__value_text(&at->layout->values[at->value++], value));
    return;
  }
  append(text, size, "{");
  for (int32_t k = 0; k < fields; k++) {
    const char *name = at->layout->forms[at->form].name;
    append(text, size, k > 0 ? ", " : "");
    append(text, size, name != NULL ? name : "");
    append(text, size, name != NULL ? " = " : "");
    describe(at, text, size);
  }
  append(text, size, "}");
}

const char *neap__layout_text(const neap__layout *layout, char *text,
                              size_t size) {
  walk at = {.layout = layout};
  text[0] = '\0';
  describe(&at, text, size);
  return text;
}
