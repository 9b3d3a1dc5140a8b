/* SPDX-License-Identifier: MIT */
/*
 * Reads item values from a slot.
 *
 * The worker that wrote them may be broken, and may still write. So each cell
 * is copied once, and only the copy is checked and used. A slot contains no
 * pointers. A table whose counts changed after the caller read them is damaged.
 */
#include <stdbool.h>
#include <string.h>

#include "base/error.h"
#include "neap_lua.h"

_Static_assert(sizeof(neap_cell) == 16, "a cell has 16 bytes");
_Static_assert(sizeof(neap_tensor_cell) == 80, "see neap.h");

static int damaged(neap_error *error, const char *what) {
  return neap__error_set(error, NEAP_EDAMAGED, 0,
                         "cannot read an item: its slot is damaged (%s)", what);
}

static bool fits(const neap_run *run, uint64_t offset, uint64_t bytes) {
  return offset <= run->bytes && bytes <= run->bytes - offset;
}

/* Copies `bytes` at `offset`, if they lie in the slot. */
static int fetch(const neap_run *run, uint64_t offset, void *out,
                 uint64_t bytes, neap_error *error) {
  memset(out, 0, bytes);
  if (!fits(run, offset, bytes)) return damaged(error, "an offset");
  memcpy(out, run->base + offset, bytes);
  return NEAP_OK;
}

int neap_run_cell(const neap_run *run, int32_t k, neap_cell *out,
                  neap_error *error) {
  *out = (neap_cell){0};
  if (k < 0 || k >= run->count || run->base == NULL)
    return neap__error_set(error, NEAP_EINVAL, 0,
                           "cannot read item %d of a run of %d", (int)k,
                           (int)run->count);
  const uint64_t start = (uint64_t)((const uint8_t *)run->cells - run->base);
  return fetch(run, start + (uint64_t)k * sizeof *out, out, sizeof *out, error);
}

/* Copies a table's head cell and checks that all its cells fit. */
static int fetch_head(const neap_run *run, const neap_cell *table,
                      neap_cell *head, neap_error *error) {
  *head = (neap_cell){0};
  if (table->type != NEAP_TABLE && table->type != NEAP_FAILURE)
    return neap__error_set(error, NEAP_EINVAL, 0,
                           "cannot read a value of type %u as a table",
                           (unsigned)table->type);
  const int rc = fetch(run, table->offset, head, sizeof *head, error);
  if (rc != NEAP_OK) return rc;
  const uint64_t cells_max = run->bytes / sizeof(neap_cell);
  const uint64_t pairs = head->offset;
  if (pairs > cells_max || head->count > cells_max ||
      !fits(run, table->offset,
            (1 + (uint64_t)head->count + 2 * pairs) * sizeof(neap_cell))) {
    *head = (neap_cell){0};
    return damaged(error, "a table's counts");
  }
  return NEAP_OK;
}

int neap_cell_table(const neap_run *run, const neap_cell *table,
                    uint32_t *list_count, uint32_t *pair_count,
                    neap_error *error) {
  neap_cell head;
  const int rc = fetch_head(run, table, &head, error);
  *list_count = head.count;
  *pair_count = (uint32_t)head.offset;
  return rc;
}

/* Cell k after the head, which fetch_head has checked. */
static int fetch_cell(const neap_run *run, const neap_cell *table, uint64_t k,
                      neap_cell *out, neap_error *error) {
  return fetch(run, table->offset + (1 + k) * sizeof *out, out, sizeof *out,
               error);
}

int neap_cell_at(const neap_run *run, const neap_cell *table, uint32_t k,
                 neap_cell *out, neap_error *error) {
  neap_cell head;
  *out = (neap_cell){0};
  const int rc = fetch_head(run, table, &head, error);
  if (rc != NEAP_OK) return rc;
  if (k >= head.count) return damaged(error, "a table without that item");
  return fetch_cell(run, table, k, out, error);
}

int neap_cell_pair(const neap_run *run, const neap_cell *table, uint32_t k,
                   neap_cell *key, neap_cell *out, neap_error *error) {
  neap_cell head;
  *key = *out = (neap_cell){0};
  int rc = fetch_head(run, table, &head, error);
  if (rc != NEAP_OK) return rc;
  if (k >= head.offset) return damaged(error, "a table without that pair");
  const uint64_t at = head.count + 2 * (uint64_t)k;
  rc = fetch_cell(run, table, at, key, error);
  if (rc != NEAP_OK) return rc;
  return fetch_cell(run, table, at + 1, out, error);
}

const char *neap_cell_string(const neap_run *run, const neap_cell *string,
                             neap_error *error) {
  if (string->type == NEAP_STRING && fits(run, string->offset, string->count))
    return (const char *)run->base + string->offset;
  damaged(error, "a string");
  return NULL;
}

static bool is_dtype(uint8_t code, uint8_t bits) {
  const bool is_power = bits != 0 && (bits & (bits - 1)) == 0;
  switch (code) {
  case NEAP_INT:
  case NEAP_UINT: return is_power && bits >= 8 && bits <= 64;
  case NEAP_FLOAT: return is_power && bits >= 16 && bits <= 64;
  case NEAP_BFLOAT: return bits == 16;
  case NEAP_BOOL: return bits == 8;
  default: return false;
  }
}

/* The bytes of the data, or UINT64_MAX if the shape is invalid. */
static uint64_t bytes_of(const neap_tensor_cell *cell) {
  const int64_t count = neap_tensor_strides(cell->ndim, cell->shape, NULL);
  return count < 0 ? UINT64_MAX : (uint64_t)count * (cell->bits / 8u);
}

int neap_cell_tensor(const neap_run *run, const neap_cell *tensor,
                     neap_tensor_cell *out, void **data, neap_error *error) {
  *data = NULL;
  memset(out, 0, sizeof *out);
  if (tensor->type != NEAP_TENSOR)
    return neap__error_set(error, NEAP_EINVAL, 0,
                           "cannot read a value of type %u as a tensor",
                           (unsigned)tensor->type);
  const int rc = fetch(run, tensor->offset, out, sizeof *out, error);
  if (rc != NEAP_OK) return rc;
  if (out->ndim > NEAP_DIMS_MAX || !is_dtype(out->code, out->bits) ||
      out->offset % (out->bits / 8u) != 0 ||
      !fits(run, out->offset, bytes_of(out))) {
    memset(out, 0, sizeof *out);
    return damaged(error, "a tensor");
  }
  *data = (void *)(uintptr_t)(run->base + out->offset);
  return NEAP_OK;
}
