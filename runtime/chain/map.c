/* SPDX-License-Identifier: MIT */
/*
 * Items through a native stage. The library is opened once for each reader,
 * since a stage has memory for its arguments; the node keeps the options.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "chain/chain.h"
#include "chain/pack.h"
#include "chain/stage_options.h"
#include "chain/texts.h"

enum { ALIGNMENT = 64 };

struct map {
  neap_chain base;
  neap__bytes options;
};

struct own {
  neap__stage_copy copy;
  neap_native *native;
  int32_t field_count;
  neap_part *fields; /* what the function reads, and of which value: */
  int32_t *values;
  int32_t result_count;
  neap_part *results; /* as they are planned */
  uint8_t **places;   /* of each result: where the next row goes, ... */
  int64_t *steps;     /* and the bytes to the one after it */
  neap__texts texts;
};

/* ---- Parts and values ---- */

/* The value that a planned result makes. */
static int value_of(const neap_part *plan, neap__value *value,
                    neap_error *error) {
  switch (plan->type) {
  case NEAP_BOOLEAN: *value = neap__value_number(NEAP_BOOL, 8); break;
  case NEAP_NUMBER: *value = neap__value_number(NEAP_FLOAT, 64); break;
  case NEAP_INT64: *value = neap__value_number(NEAP_INT, 64); break;
  case NEAP_UINT64: *value = neap__value_number(NEAP_UINT, 64); break;
  case NEAP_STRING:
    *value = (neap__value){.is_text = true, .nbytes = sizeof(neap__text_row)};
    break;
  case NEAP_TENSOR:
    return neap__value_init(value, plan->code, plan->bits, plan->ndim,
                            plan->shape, error);
  default: *value = (neap__value){.bits = 0};
  }
  return NEAP_OK;
}

/* ---- Reading ---- */

/* A result that is not a tensor; those are where they belong. False: memory is
   short. */
static bool store(const neap__value *value, const neap_part *part,
                  neap__texts *texts, uint8_t *to) {
  if (value->is_text) {
    neap__text_row row = {.count = part->count};
    if (part->type == NEAP_STRING) {
      row.data = neap__texts_add(texts, part->data, (size_t)part->count);
      if (row.data == NULL) return false;
    }
    memcpy(to, &row, sizeof row);
  } else if (value->is_scalar && value->code == NEAP_BOOL) {
    *to = part->number != 0;
  } else if (value->is_scalar && value->code == NEAP_FLOAT) {
    memcpy(to, &part->number, sizeof part->number);
  } else if (value->is_scalar) {
    const int64_t integer =
        part->type == NEAP_NUMBER ? (int64_t)part->number : part->integer;
    memcpy(to, &integer, sizeof integer);
  }
  return true;
}

static bool is_aligned(const neap__column *column) {
  return ((uintptr_t)column->to | (uintptr_t)column->step) % ALIGNMENT == 0;
}

/* Where results go. Tensors are aligned for the function: rows of a batch may
   not be, and are copied there. */
static bool place(neap__stage *stage, int32_t count, neap__column *columns) {
  struct own *own = stage->own;
  for (int32_t v = 0; v < own->result_count; v++) {
    const bool is_tensor = own->results[v].type == NEAP_TENSOR;
    neap__column none = {.to = NULL, .rows = columns[v].rows};
    neap__column *column = &columns[v];
    if (is_tensor && column->to != NULL && !is_aligned(column)) column = &none;
    own->places[v] = neap__stage_place(stage, v, count, column, &own->steps[v]);
    if (own->places[v] == NULL) return false;
  }
  return true;
}

/* Calls the function for row k. */
static int call(neap__stage *stage, neap__work *work, int64_t index,
                int32_t k) {
  struct own *own = stage->own;
  const neap__value *from = stage->sources[0].chain->layout.values;
  const neap__value *to = stage->chain->layout.values;
  for (int32_t f = 0; f < own->field_count; f++)
    neap__value_load_part(&from[own->values[f]],
                          stage->taken[own->values[f]].rows[k],
                          &own->fields[f]);
  for (int32_t v = 0; v < own->result_count; v++)
    if (to[v].bits != 0 && !to[v].is_scalar)
      own->results[v].data = own->places[v];
  int rc = neap_native_call(own->native, own->fields, own->results, work->epoch,
                            index, &work->error);
  for (int32_t v = 0; v < own->result_count && rc == NEAP_OK; v++) {
    if (!store(&to[v], &own->results[v], &own->texts, own->places[v]))
      rc = neap__error_set(&work->error, NEAP_EMEMORY, 0, "memory is short");
    own->places[v] += own->steps[v];
  }
  return rc;
}

/* Copies tensors that the function could not write in place. */
static void move_rows(const neap__stage *stage, int32_t count,
                      const neap__column *columns) {
  const struct own *own = stage->own;
  for (int32_t v = 0; v < own->result_count; v++) {
    const neap__value *value = &stage->chain->layout.values[v];
    const neap__column *column = &columns[v];
    const uint8_t *from = own->places[v] - count * own->steps[v];
    if (column->to == NULL || from == column->to) continue;
    for (int32_t k = 0; k < count; k++)
      memcpy(column->to + k * column->step, from + k * own->steps[v],
             (size_t)value->nbytes);
  }
}

static int32_t read(neap__stage *stage, neap__work *work, const int64_t *index,
                    int32_t count, neap__column *columns) {
  struct own *own = stage->own;
  count =
      neap__stage_read(&stage->sources[0], work, index, count, stage->taken);
  neap__texts_clear(&own->texts);
  if (count > 0 && !place(stage, count, columns)) {
    neap__work_no_memory(work, stage, index[0]);
    return 0;
  }
  int32_t good = 0;
  for (; good < count; good++) {
    neap__work_at(work, good);
    if (call(stage, work, index[good], good) != NEAP_OK) {
      neap__work_fail(work, stage, index[good]);
      break;
    }
  }
  if (good > 0) move_rows(stage, good, columns);
  return good;
}

/* ---- Stages ---- */

static int no_field(const neap_chain *chain, const struct own *own,
                    const char *field, neap_error *error) {
  char text[400];
  const neap__layout *layout = &chain->sources[0]->layout;
  return neap__error_set(error, NEAP_EINVAL, 0,
                         "cannot map %s: the items have no %s%s; they are %s",
                         neap_native_text(own->native),
                         field[0] == '\0' ? "single value" : "value ", field,
                         neap__layout_text(layout, text, sizeof text));
}

/* Finds the values of the fields, and plans the results. */
static int plan(const neap_chain *chain, struct own *own, neap_error *error) {
  const neap__layout *layout = &chain->sources[0]->layout;
  for (int32_t f = 0; f < own->field_count; f++) {
    const char *field = neap_native_field(own->native, f);
    const int32_t v = neap__layout_find(layout, field);
    if (v < 0) return no_field(chain, own, field, error);
    own->values[f] = v;
    own->fields[f] = neap__value_part(&layout->values[v]);
  }
  return neap_native_plan(own->native, own->fields, own->results, error);
}

static void own_fini(struct own *own) {
  neap_native_close(own->native);
  neap__stage_copy_fini(&own->copy);
  neap__texts_fini(&own->texts);
  free(own->fields);
  free(own->values);
  free(own->results);
  free(own->places);
  free(own->steps);
}

/* Closed by own_fini(), also if it fails. */
static int own_init(const neap_chain *chain, struct own *own,
                    neap_error *error) {
  const neap__bytes *bytes = &((const struct map *)chain)->options;
  neap__cursor in = {.data = bytes->data, .bytes = bytes->used};
  int rc = neap__stage_options_take(&in, &own->copy, error);
  if (rc != NEAP_OK) return rc;
  rc = neap_native_open(&own->copy.options, &own->native, error);
  if (rc != NEAP_OK) return rc;
  own->field_count = neap_native_field_count(own->native);
  own->result_count = neap_native_result_count(own->native);
  const size_t fields = (size_t)own->field_count + 1;
  const size_t results = (size_t)own->result_count + 1;
  own->fields = calloc(fields, sizeof *own->fields);
  own->values = calloc(fields, sizeof *own->values);
  own->results = calloc(results, sizeof *own->results);
  own->places = calloc(results, sizeof *own->places);
  own->steps = calloc(results, sizeof *own->steps);
  if (own->fields == NULL || own->values == NULL || own->results == NULL ||
      own->places == NULL || own->steps == NULL)
    return neap__chain_no_memory(chain->ops, error);
  return plan(chain, own, error);
}

static int open_stage(neap__stage *stage, neap_error *error) {
  return own_init(stage->chain, stage->own, error);
}

static void close_stage(neap__stage *stage) {
  own_fini(stage->own);
}

neap_native *neap__map_native(const neap__stage *stage) {
  return ((const struct own *)stage->own)->native;
}

/* ---- As a node ---- */

static void pack(const neap_chain *chain, neap__packer *out) {
  const neap__bytes *options = &((const struct map *)chain)->options;
  neap__bytes_put_integer(&out->bytes, (int64_t)options->used);
  neap__bytes_put(&out->bytes, options->data, options->used);
}

static int make(neap_chain *source, neap__bytes *options, neap_chain **out,
                neap_error *error);

static int unpack(neap__unpacker *in, neap_chain *const *sources, int32_t count,
                  neap_chain **out, neap_error *error) {
  const int64_t used = neap__cursor_integer(&in->cursor);
  const void *data = neap__cursor_take(&in->cursor, (size_t)used);
  neap__bytes options = {0};
  if (data != NULL) neap__bytes_put(&options, data, (size_t)used);
  return make(count == 1 ? sources[0] : NULL, &options, out, error);
}

static void fini(neap_chain *chain) {
  free(((struct map *)chain)->options.data);
}

const neap__chain_ops neap__chain_map = {
    .deed = "map",
    .name = "map",
    .size = sizeof(struct map),
    .own_bytes = sizeof(struct own),
    .takes_rows = true,
    .open = open_stage,
    .close = close_stage,
    .read = read,
    .pack = pack,
    .unpack = unpack,
    .fini = fini,
};

/* Results whose names begin alike are the fields of one: those from `from` on
   that have the prefix, without it. Returns the first that has not. */
static int lay_out_table(const struct own *own, int32_t *from, size_t prefix,
                         neap__layout *out, neap_error *error);

static int lay_out_field(const struct own *own, int32_t *from, size_t prefix,
                         neap__layout *out, neap_error *error) {
  neap__value value;
  const char *name = neap_native_result(own->native, *from) + prefix;
  const char *dot = strchr(name, '.');
  if (dot != NULL)
    return lay_out_table(own, from, prefix + (size_t)(dot + 1 - name), out,
                         error);
  const int rc = value_of(&own->results[(*from)++], &value, error);
  return rc != NEAP_OK ? rc : neap__layout_of_value(out, &value, error);
}

/* What the fields of a table are, before they are one. */
typedef struct table {
  neap__layout *fields;
  const neap__layout **list;
  char **names;
  int32_t count;
} table;

static bool table_init(table *t, int32_t room) {
  t->fields = calloc((size_t)room, sizeof *t->fields);
  t->list = calloc((size_t)room, sizeof *t->list);
  t->names = calloc((size_t)room, sizeof *t->names);
  t->count = 0;
  return t->fields != NULL && t->list != NULL && t->names != NULL;
}

static void table_fini(table *t) {
  for (int32_t k = 0; k < t->count; k++) {
    neap__layout_fini(&t->fields[k]);
    free(t->names[k]);
  }
  free(t->fields);
  free(t->list);
  free(t->names);
}

/* Adds a field whose name is the path up to its first dot. */
static bool table_add(table *t, const char *path) {
  const int32_t k = t->count++;
  t->list[k] = &t->fields[k];
  t->names[k] = strdup(path);
  if (t->names[k] == NULL) return false;
  t->names[k][strcspn(path, ".")] = '\0';
  return true;
}

static int lay_out_table(const struct own *own, int32_t *from, size_t prefix,
                         neap__layout *out, neap_error *error) {
  const char *start = neap_native_result(own->native, *from);
  table t;
  int rc = table_init(&t, own->result_count)
               ? NEAP_OK
               : neap__chain_no_memory(&neap__chain_map, error);
  while (rc == NEAP_OK && *from < own->result_count &&
         strncmp(neap_native_result(own->native, *from), start, prefix) == 0) {
    const char *path = neap_native_result(own->native, *from) + prefix;
    rc = table_add(&t, path)
             ? lay_out_field(own, from, prefix, &t.fields[t.count - 1], error)
             : neap__chain_no_memory(&neap__chain_map, error);
  }
  if (rc == NEAP_OK)
    rc = neap__layout_table(out, t.list, (const char *const *)t.names, t.count,
                            error);
  table_fini(&t);
  return rc;
}

static int lay_out(neap_chain *chain, neap_error *error) {
  struct own own = {.native = NULL};
  int32_t from = 0;
  int rc = own_init(chain, &own, error);
  if (rc == NEAP_OK && own.result_count == 1 &&
      neap_native_result(own.native, 0)[0] == '\0')
    rc = lay_out_field(&own, &from, 0, &chain->layout, error);
  else if (rc == NEAP_OK)
    rc = lay_out_table(&own, &from, 0, &chain->layout, error);
  own_fini(&own);
  return rc;
}

/* Takes the options. */
static int make(neap_chain *source, neap__bytes *options, neap_chain **out,
                neap_error *error) {
  neap_chain *chain;
  *out = NULL;
  int rc = neap__chain_new(&neap__chain_map, &source, 1, &chain, error);
  if (rc != NEAP_OK) {
    free(options->data);
    return rc;
  }
  ((struct map *)chain)->options = *options;
  rc = options->has_failed ? neap__chain_no_memory(chain->ops, error)
                           : neap__chain_check_tails(chain, error);
  if (rc == NEAP_OK) rc = lay_out(chain, error);
  if (rc != NEAP_OK) {
    neap_chain_free(chain);
    return rc;
  }
  chain->length = source->length;
  *out = chain;
  return NEAP_OK;
}

int neap_chain_map(neap_chain *source, const neap_stage_options *stage,
                   neap_chain **out, neap_error *error) {
  neap__bytes options = {0};
  neap__stage_options_put(stage, &options);
  const int rc = make(source, &options, out, error);
  if (rc == NEAP_OK && stage->where != NULL) {
    char name[512];
    snprintf(name, sizeof name, "map (%s)", stage->where);
    neap_chain_name(*out, name);
  }
  return rc;
}
