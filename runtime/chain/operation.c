/* SPDX-License-Identifier: MIT */
/* Tensors with numbers: arithmetic, comparisons and clamp, element by element.
 */
#include <string.h>

#include "base/error.h"
#include "chain/chain.h"
#include "chain/pack.h"

typedef int binary(const neap_tensor *a, const neap_tensor *b, neap_tensor *to,
                   neap_error *error);

typedef struct operation {
  const char *name;
  binary *run; /* NULL: clamp */
  bool is_test;
} operation;

/* Packed chains have their numbers: add new ones at the end. */
static const operation operations[] = {
    {"add", neap_tensor_add, false}, {"sub", neap_tensor_sub, false},
    {"mul", neap_tensor_mul, false}, {"div", neap_tensor_div, false},
    {"eq", neap_tensor_eq, true},    {"lt", neap_tensor_lt, true},
    {"gt", neap_tensor_gt, true},    {"clamp", NULL, false},
};

enum { OPERATIONS = sizeof operations / sizeof operations[0] };

struct operate {
  neap_chain base;
  int32_t operation;
  double x;
  double y;
};

/* Views of a row of the source and of the result, but for their data; and of
   the numbers. */
struct own {
  neap_view from;
  neap_view to;
  neap_view x;
  neap_view y;
};

static int run(const struct operate *self, struct own *own, neap_error *error) {
  const operation *what = &operations[self->operation];
  if (what->run != NULL)
    return what->run(&own->from.tensor, &own->x.tensor, &own->to.tensor, error);
  return neap_tensor_clamp(&own->from.tensor, &own->x.tensor, &own->y.tensor,
                           &own->to.tensor, error);
}

static int32_t read(neap__stage *stage, neap__work *work, const int64_t *index,
                    int32_t count, neap__column *columns) {
  struct own *own = stage->own;
  int64_t step;
  const int32_t good =
      neap__stage_read(&stage->sources[0], work, index, count, stage->taken);
  uint8_t *to = neap__stage_place(stage, 0, good, columns, &step);
  if (to == NULL) {
    neap__work_no_memory(work, stage, index[0]);
    return 0;
  }
  for (int32_t k = 0; k < good; k++) {
    own->from.tensor.data = (void *)(uintptr_t)stage->taken[0].rows[k];
    own->to.tensor.data = to + k * step;
    if (run((const struct operate *)stage->chain, own, &work->error) == NEAP_OK)
      continue;
    neap__work_fail(work, stage, index[k]);
    return k;
  }
  return good;
}

static int64_t rows(const neap_chain *chain, int64_t epoch, int64_t index,
                    int32_t value) {
  const neap_chain *source = chain->sources[0];
  return source->ops->rows(source, epoch, index, value);
}

static int open_stage(neap__stage *stage, neap_error *error) {
  struct own *own = stage->own;
  const struct operate *self = (const struct operate *)stage->chain;
  const neap__value number = {
      .code = NEAP_FLOAT, .bits = 64, .count = 1, .nbytes = sizeof(double)};
  (void)error;
  neap__value_view(&self->base.sources[0]->layout.values[0], NULL, &own->from);
  neap__value_view(&self->base.layout.values[0], NULL, &own->to);
  neap__value_view(&number, &self->x, &own->x);
  neap__value_view(&number, &self->y, &own->y);
  return NEAP_OK;
}

static void pack(const neap_chain *chain, neap__packer *out) {
  const struct operate *self = (const struct operate *)chain;
  neap__bytes_put_integer(&out->bytes, self->operation);
  neap__bytes_put_number(&out->bytes, self->x);
  neap__bytes_put_number(&out->bytes, self->y);
}

static int unpack(neap__unpacker *in, neap_chain *const *sources, int32_t count,
                  neap_chain **out, neap_error *error) {
  const int64_t number = neap__cursor_within(&in->cursor, 0, OPERATIONS - 1);
  const double x = neap__cursor_number(&in->cursor);
  const double y = neap__cursor_number(&in->cursor);
  return neap_chain_operate(count == 1 ? sources[0] : NULL,
                            operations[number].name, x, y, out, error);
}

const neap__chain_ops neap__chain_operate = {
    .deed = "operate",
    .name = "operate",
    .size = sizeof(struct operate),
    .own_bytes = sizeof(struct own),
    .takes_rows = true,
    .open = open_stage,
    .read = read,
    .rows = rows,
    .pack = pack,
    .unpack = unpack,
};

/* Its number, or -1. */
static int32_t find(const char *name) {
  int32_t k = OPERATIONS - 1;
  while (k >= 0 && strcmp(operations[k].name, name) != 0)
    k--;
  return k;
}

static int check(const neap_chain *source, const char *name,
                 neap_error *error) {
  char text[400];
  const neap__layout *layout = &source->layout;
  if (find(name) < 0)
    return neap__error_set(error, NEAP_EINVAL, 0,
                           "cannot operate: there is no operation '%s'", name);
  if (layout->forms[0].fields < 0 && layout->values[0].bits != 0 &&
      !layout->values[0].is_scalar)
    return NEAP_OK;
  return neap__error_set(error, NEAP_EINVAL, 0,
                         "cannot %s: the source's items are %s, and not "
                         "tensors\nhelp: do so with fields before they are "
                         "zipped",
                         name, neap__layout_text(layout, text, sizeof text));
}

int neap_chain_operate(neap_chain *source, const char *name, double x, double y,
                       neap_chain **out, neap_error *error) {
  neap_chain *chain;
  *out = NULL;
  int rc = neap__chain_new(&neap__chain_operate, &source, 1, &chain, error);
  if (rc != NEAP_OK) return rc;
  rc = check(source, name, error);
  if (rc == NEAP_OK)
    rc = neap__layout_copy(&chain->layout, &source->layout, error);
  if (rc != NEAP_OK) {
    neap_chain_free(chain);
    return rc;
  }
  struct operate *self = (struct operate *)chain;
  self->operation = find(name);
  self->x = x;
  self->y = y;
  neap__value *value = &chain->layout.values[0];
  if (operations[self->operation].is_test) {
    value->code = NEAP_BOOL;
    value->bits = 8;
    value->nbytes = value->count;
  }
  chain->length = source->length;
  chain->has_tails = source->has_tails;
  *out = chain;
  return NEAP_OK;
}
