/* SPDX-License-Identifier: MIT */
/*
 * The rows of NumPy's file of one array. Its header is the text of a Python
 * dictionary with three keys:
 *   {'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }
 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "chain/pack.h"

enum { PREFIX = 12, HEADER_MAX = 64 << 10 };

typedef struct header {
  const char *path;
  char text[PREFIX + HEADER_MAX + 1];
  int64_t text_bytes;
  neap_file_rows rows;
  int32_t ndim; /* of the array */
  int64_t shape[NEAP_DIMS_MAX + 1];
} header;

static int refuse(const header *h, const char *why, neap_error *error) {
  return neap__error_set(error, NEAP_EFORMAT, 0, "cannot read %s: %s", h->path,
                         why);
}

/* ---- The dictionary ---- */

/* What follows the key and its colon; NULL if it is not there. */
static const char *value_of(const char *text, const char *key) {
  const size_t length = strlen(key);
  for (const char *at = text; (at = strstr(at, key)) != NULL; at += length) {
    const bool is_quoted =
        at > text && (at[-1] == '\'' || at[-1] == '"') && at[length] == at[-1];
    const char *after = at + length + is_quoted;
    while (is_quoted && isspace((unsigned char)*after))
      after++;
    if (!is_quoted || *after != ':') continue;
    after++;
    while (isspace((unsigned char)*after))
      after++;
    return after;
  }
  return NULL;
}

static const struct {
  char name[3];
  uint8_t code;
  uint8_t bits;
} dtypes[] = {
    {"b1", NEAP_BOOL, 8},   {"i1", NEAP_INT, 8},    {"i2", NEAP_INT, 16},
    {"i4", NEAP_INT, 32},   {"i8", NEAP_INT, 64},   {"u1", NEAP_UINT, 8},
    {"u2", NEAP_UINT, 16},  {"u4", NEAP_UINT, 32},  {"u8", NEAP_UINT, 64},
    {"f2", NEAP_FLOAT, 16}, {"f4", NEAP_FLOAT, 32}, {"f8", NEAP_FLOAT, 64},
};

static int read_dtype(header *h, const char *dictionary, neap_error *error) {
  const char *at = value_of(dictionary, "descr");
  if (at == NULL) return refuse(h, "its header has no descr", error);
  if (*at == '[') return refuse(h, "it has fields of several dtypes", error);
  at += *at == '\'' || *at == '"';
  h->rows.is_swapped = *at == '>';
  at += strchr("<>|=", *at) != NULL && *at != '\0';
  for (size_t k = 0; k < sizeof dtypes / sizeof dtypes[0]; k++)
    if (strncmp(at, dtypes[k].name, 2) == 0 && !isalnum((unsigned char)at[2])) {
      h->rows.code = dtypes[k].code;
      h->rows.bits = dtypes[k].bits;
      return NEAP_OK;
    }
  return refuse(h, "it has elements that no tensor holds", error);
}

static int read_shape(header *h, const char *dictionary, neap_error *error) {
  const char *at = value_of(dictionary, "shape");
  if (at == NULL || *at++ != '(')
    return refuse(h, "its header has no shape", error);
  while (*at != ')' && *at != '\0') {
    char *end;
    if (!isdigit((unsigned char)*at)) {
      at++;
      continue;
    }
    if (h->ndim == NEAP_DIMS_MAX)
      return refuse(h, "it has more than 8 dimensions", error);
    h->shape[h->ndim++] = strtoll(at, &end, 10);
    at = end;
  }
  if (h->ndim == 0)
    return refuse(h, "it is one number, and has no rows", error);
  if (neap_tensor_strides(h->ndim, h->shape, NULL) < 0)
    return refuse(h, "its sizes multiply to more than 2^53", error);
  return NEAP_OK;
}

static int read_order(const header *h, const char *dictionary,
                      neap_error *error) {
  const char *at = value_of(dictionary, "fortran_order");
  if (at == NULL) return refuse(h, "its header has no fortran_order", error);
  if (strncmp(at, "True", 4) != 0 || h->ndim == 1) return NEAP_OK;
  return refuse(h,
                "its array is in Fortran's order\n"
                "help: save it with numpy.ascontiguousarray",
                error);
}

/* ---- The file ---- */

static int read_text(header *h, neap_error *error) {
  neap_file *file;
  int rc = neap_file_open(h->path, NULL, &file, error);
  if (rc != NEAP_OK) return rc;
  const int64_t most = PREFIX + HEADER_MAX, has = neap_file_bytes(file);
  h->text_bytes = has < most ? has : most;
  rc = neap_file_read(file, 0, h->text, h->text_bytes, error);
  neap_file_close(file);
  return rc;
}

/* Finds the dictionary; after it, the elements begin. */
static int read_prefix(header *h, const char **dictionary, neap_error *error) {
  const uint8_t *text = (const uint8_t *)h->text;
  if (h->text_bytes < PREFIX || memcmp(text, "\x93NUMPY", 6) != 0)
    return refuse(h, "it is no npy file", error);
  const int64_t low = text[8] | text[9] << 8;
  const int64_t high = text[6] == 1 ? 0 : text[10] | text[11] << 8;
  const int64_t start = text[6] == 1 ? PREFIX - 2 : PREFIX;
  if (text[6] < 1 || text[6] > 3)
    return refuse(h, "its version is not 1 to 3", error);
  h->rows.offset = start + (low | high << 16);
  if (h->rows.offset > h->text_bytes)
    return refuse(h, "it ends within its header", error);
  h->text[h->rows.offset] = '\0'; /* not read as text */
  *dictionary = h->text + start;
  return NEAP_OK;
}

static int read_header(header *h, neap_error *error) {
  const char *dictionary = "";
  int rc = read_text(h, error);
  if (rc == NEAP_OK) rc = read_prefix(h, &dictionary, error);
  if (rc == NEAP_OK) rc = read_dtype(h, dictionary, error);
  if (rc == NEAP_OK) rc = read_shape(h, dictionary, error);
  if (rc == NEAP_OK) rc = read_order(h, dictionary, error);
  return rc;
}

int neap_chain_npy(const char *path, neap_chain **out, neap_error *error) {
  *out = NULL;
  header *h = calloc(1, sizeof *h);
  if (h == NULL)
    return neap__error_set(error, NEAP_EMEMORY, 0, "cannot read %s: no memory",
                           path);
  h->path = h->rows.path = path;
  int rc = read_header(h, error);
  if (rc == NEAP_OK) {
    neap__value row;
    h->rows.length = h->shape[0];
    h->rows.ndim = h->ndim - 1;
    memcpy(h->rows.shape, h->shape + 1, sizeof h->rows.shape);
    rc = neap__value_init(&row, h->rows.code, h->rows.bits, h->rows.ndim,
                          h->rows.shape, error);
    h->rows.stride = row.nbytes;
  }
  if (rc == NEAP_OK) rc = neap_chain_file_rows(&h->rows, out, error);
  free(h);
  return rc;
}
