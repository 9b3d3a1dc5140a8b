/* SPDX-License-Identifier: MIT */
/*
 * What the items of a chain are: the same for each of them, and known when the
 * chain is made. An item is one value, or a table of values and tables.
 */
#ifndef NEAP_CHAIN_LAYOUT_H
#define NEAP_CHAIN_LAYOUT_H

#include <stdbool.h>

#include "neap_lua.h"

/* Values of an item, and tables within tables. */
enum { NEAP__VALUES_MAX = 1024, NEAP__FORM_DEPTH_MAX = 64 };

/* In memory, a row is one item's value: its elements, contiguous. */
typedef struct neap__value {
  uint8_t code;
  uint8_t bits;   /* 0: nil, without elements */
  bool is_scalar; /* a number, boolean or 64-bit integer, not a tensor */
  bool is_text;   /* its row is a neap__text_row; bits is 0 */
  bool has_tails; /* some items have fewer than shape[0] rows */
  int32_t ndim;
  int64_t shape[NEAP_DIMS_MAX];
  int64_t count;  /* elements */
  int64_t nbytes; /* of them */
} neap__value;

/* A table, whose fields follow it, or a value. */
typedef struct neap__form {
  char *name;     /* in the table that it is a field of; NULL: of its list */
  int32_t fields; /* -1: a value */
} neap__form;

typedef struct neap__layout {
  neap__form *forms; /* the item, then what is in it, depth first */
  int32_t form_count;
  neap__value *values; /* those of the forms that are values, in order */
  int32_t value_count;
} neap__layout;

/* Sets shape, count and nbytes. NEAP_EINVAL for no shape or dtype of neap. */
int neap__value_init(neap__value *value, int32_t code, int32_t bits,
                     int32_t ndim, const int64_t *shape, neap_error *error);
/* A number, without dimensions. */
neap__value neap__value_number(int32_t code, int32_t bits);
/* A tensor of that value, at `data`. Do not copy it. */
void neap__value_view(const neap__value *value, const void *data,
                      neap_view *view);
/* "f32 2x3", "number"; for messages. */
const char *neap__value_text(const neap__value *value, char text[192]);
/* Loads elements. */
void neap__value_load(const neap__value *value, const void *from, double *to,
                      int64_t count);
/* A scalar's row as a cell. */
neap_cell neap__value_cell(const neap__value *value, const void *row);

/* What a value is as a part, but for its contents; and those of a row. */
neap_part neap__value_part(const neap__value *value);
void neap__value_load_part(const neap__value *value, const uint8_t *row,
                           neap_part *part);

/* Each is freed by neap__layout_fini, half-built ones too. */
int neap__layout_of_value(neap__layout *layout, const neap__value *value,
                          neap_error *error);
int neap__layout_copy(neap__layout *layout, const neap__layout *from,
                      neap_error *error);
/* A table of `count` items of these; names: those of its fields, or NULL. */
int neap__layout_table(neap__layout *layout, const neap__layout *const *items,
                       const char *const *names, int32_t count,
                       neap_error *error);
void neap__layout_fini(neap__layout *layout);
bool neap__layout_is_same(const neap__layout *a, const neap__layout *b);
/* The value of a path: "image", "a.b"; "" is an item that is a value. -1. */
int32_t neap__layout_find(const neap__layout *layout, const char *path);
/* "{image = u8 28x28, label = number}", for messages. */
const char *neap__layout_text(const neap__layout *layout, char *text,
                              size_t size);

#endif
