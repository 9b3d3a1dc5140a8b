/* SPDX-License-Identifier: MIT */
/*
 * Parses records of RFC 4180 into columns.
 *
 * A field of a column of numbers is parsed where it stands: most fields end
 * right behind the number. Any other field (quoted, with blanks around it,
 * missing, or no number) is taken apart first, and looked at again. Fields of
 * columns that nobody wants are only passed.
 */
#include "neap_lua.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/error.h"
#include "source/decimal.h"

enum { SHOWN = 40 }; /* bytes of a field or a name in a message */

typedef struct reader {
  const neap_csv *csv;
  const uint8_t *at;
  const uint8_t *end;
  int64_t row; /* from 1 */
  neap_error *error;
} reader;

static int shown(int64_t nbytes) {
  return nbytes < SHOWN ? (int)nbytes : SHOWN;
}

static int refuse_row(const reader *self, const char *why) {
  return neap__error_set(self->error, NEAP_EFORMAT, 0,
                         "cannot read %s: row %lld: %s", self->csv->path,
                         (long long)self->row, why);
}

static int refuse_field(const reader *self, const char *name,
                        const neap_csv_text *field, const char *why) {
  return neap__error_set(self->error, NEAP_EFORMAT, 0,
                         "cannot read %s: row %lld, column '%.*s': '%.*s'%s %s",
                         self->csv->path, (long long)self->row, SHOWN, name,
                         shown(field->nbytes), (const char *)field->start,
                         field->nbytes > SHOWN ? "..." : "", why);
}

/* ---- Fields -------------------------------------------------------------- */

/* Whether a line ends at p: \n, \r\n, or what stands for them at the end. */
static inline int is_line_end(const uint8_t *p, const uint8_t *end) {
  if (p == end || *p == '\n') return 1;
  return *p == '\r' && (p + 1 == end || p[1] == '\n');
}

static inline int is_field_end(const reader *self, const uint8_t *p) {
  return (p < self->end && *p == self->csv->delimiter) ||
         is_line_end(p, self->end);
}

/* A field in quotes; a quote within is written twice. */
static int take_quoted(reader *self, neap_csv_text *field) {
  const uint8_t *p = self->at + 1;
  field->start = p;
  field->is_quoted = 1;
  for (;;) {
    p = memchr(p, self->csv->quote, (size_t)(self->end - p));
    if (p == NULL) return refuse_row(self, "a quote is not closed");
    if (p + 1 == self->end || p[1] != self->csv->quote) break;
    field->has_pairs = 1;
    p += 2;
  }
  field->nbytes = p - field->start;
  self->at = p + 1;
  return is_field_end(self, self->at)
             ? NEAP_OK
             : refuse_row(self, "text follows a closing quote");
}

static int take_field(reader *self, neap_csv_text *field) {
  field->is_quoted = field->has_pairs = 0;
  if (self->at < self->end && *self->at == self->csv->quote)
    return take_quoted(self, field);
  field->start = self->at;
  while (!is_field_end(self, self->at))
    self->at++;
  field->nbytes = self->at - field->start;
  return NEAP_OK;
}

static void skip_line_end(reader *self) {
  if (self->at < self->end && *self->at == '\r') self->at++;
  if (self->at < self->end && *self->at == '\n') self->at++;
}

/* ---- Values -------------------------------------------------------------- */

static int is_missing(const neap_csv_text *field) {
  static const char *const words[] = {"",     "NA",  "N/A", "null", "NULL",
                                      "None", "NaN", "nan", NULL};
  for (int k = 0; words[k] != NULL; k++)
    if ((size_t)field->nbytes == strlen(words[k]) &&
        memcmp(field->start, words[k], (size_t)field->nbytes) == 0)
      return 1;
  return 0;
}

static inline void put_double(const neap_csv_column *column, int64_t k,
                              double value) {
  if (column->bits == 32)
    ((float *)column->data)[k] = (float)value;
  else if (column->bits == 64)
    ((double *)column->data)[k] = value;
  else
    ((uint16_t *)column->data)[k] = column->code == NEAP_BFLOAT
                                        ? neap_bf16_store(value)
                                        : neap_f16_store(value);
}

static void put_bits(const neap_csv_column *column, int64_t k, uint64_t value) {
  switch (column->bits) {
  case 8: ((uint8_t *)column->data)[k] = (uint8_t)value; break;
  case 16: ((uint16_t *)column->data)[k] = (uint16_t)value; break;
  case 32: ((uint32_t *)column->data)[k] = (uint32_t)value; break;
  default: ((uint64_t *)column->data)[k] = value; break;
  }
}

static int is_float(const neap_csv_column *column) {
  return column->code == NEAP_FLOAT || column->code == NEAP_BFLOAT;
}

/* Whether the column's dtype has the number. */
static int fits(const neap_csv_column *column, uint64_t magnitude,
                int is_negative) {
  const int bits = column->bits;
  if (column->code == NEAP_UINT)
    return (!is_negative || magnitude == 0) &&
           (bits == 64 || magnitude >> bits == 0);
  const uint64_t limit = UINT64_C(1) << (bits - 1);
  return magnitude < limit + (is_negative ? 1 : 0);
}

/* Parses a number from p on; returns behind it, or NULL. */
static inline const uint8_t *put_number(const neap_csv_column *column,
                                        int64_t k, const uint8_t *p,
                                        const uint8_t *end) {
  const uint8_t *stop;
  if (is_float(column)) {
    double value;
    stop = neap__parse_double(p, end, &value);
    if (stop != p) put_double(column, k, value);
    return stop == p ? NULL : stop;
  }
  uint64_t magnitude;
  int is_negative;
  stop = neap__parse_whole(p, end, &magnitude, &is_negative);
  if (stop == p || !fits(column, magnitude, is_negative)) return NULL;
  put_bits(column, k, is_negative ? 0 - magnitude : magnitude);
  return stop;
}

static int is_text(const neap_csv_text *field, const char *word) {
  return (size_t)field->nbytes == strlen(word) &&
         strncasecmp((const char *)field->start, word, strlen(word)) == 0;
}

static int put_boolean(const reader *self, const neap_csv_column *column,
                       int64_t k, const neap_csv_text *field) {
  const int is_true = is_text(field, "true") || is_text(field, "1");
  if (!is_true && !is_text(field, "false") && !is_text(field, "0"))
    return refuse_field(self, column->name, field, "is no bool");
  ((uint8_t *)column->data)[k] = (uint8_t)is_true;
  return NEAP_OK;
}

static int put_missing(const reader *self, const neap_csv_column *column,
                       int64_t k, const neap_csv_text *field) {
  if (is_float(column)) {
    put_double(column, k, column->has_missing ? column->missing : (double)NAN);
    return NEAP_OK;
  }
  if (!column->has_missing)
    return refuse_field(self, column->name, field,
                        "is no value\nhelp: missing = 0 reads it as 0");
  put_bits(column, k,
           column->missing < 0 ? (uint64_t)(int64_t)column->missing
                               : (uint64_t)column->missing);
  return NEAP_OK;
}

static int refuse_number(const reader *self, const neap_csv_column *column,
                         const neap_csv_text *field) {
  char why[160];
  const char *kind = column->code == NEAP_UINT     ? "u"
                     : column->code == NEAP_INT    ? "i"
                     : column->code == NEAP_BFLOAT ? "bf"
                                                   : "f";
  snprintf(why, sizeof why,
           "is no %s%d\nhelp: columns = { [\"%.*s\"] = \"string\" } reads text",
           kind, (int)column->bits, SHOWN, column->name);
  return refuse_field(self, column->name, field, why);
}

static neap_csv_text without_blanks(neap_csv_text field) {
  while (field.nbytes > 0 && *field.start == ' ') {
    field.start++;
    field.nbytes--;
  }
  while (field.nbytes > 0 && field.start[field.nbytes - 1] == ' ')
    field.nbytes--;
  return field;
}

/* A field that has been taken apart. */
static int put_field(const reader *self, const neap_csv_column *column,
                     int64_t k, const neap_csv_text *whole) {
  if (column->code == NEAP_CSV_TEXT) {
    ((neap_csv_text *)column->data)[k] = *whole;
    return NEAP_OK;
  }
  const neap_csv_text field = without_blanks(*whole);
  if (is_missing(&field)) return put_missing(self, column, k, &field);
  if (column->code == NEAP_BOOL) return put_boolean(self, column, k, &field);
  const uint8_t *end = field.start + field.nbytes;
  const uint8_t *stop = put_number(column, k, field.start, end);
  return stop == end ? NEAP_OK : refuse_number(self, column, &field);
}

/* ---- Records ------------------------------------------------------------- */

/* Whether the field was a number and nothing else, and is put. */
static inline int put_quickly(reader *self, const neap_csv_column *column,
                              int64_t k) {
  if (column->code == NEAP_CSV_TEXT || column->code == NEAP_BOOL) return 0;
  const uint8_t *stop = put_number(column, k, self->at, self->end);
  if (stop == NULL || !is_field_end(self, stop) ||
      (column->has_missing && is_float(column) && (*self->at | 32) == 'n'))
    return 0;
  self->at = stop;
  return 1;
}

static int parse_field(reader *self, int32_t number, int64_t k) {
  neap_csv_text field;
  const int32_t which = self->csv->column_of[number];
  const neap_csv_column *column = which < 0 ? NULL : &self->csv->columns[which];
  if (column != NULL && put_quickly(self, column, k)) return NEAP_OK;
  const int rc = take_field(self, &field);
  return rc != NEAP_OK || column == NULL ? rc
                                         : put_field(self, column, k, &field);
}

static int refuse_count(reader *self, int64_t count) {
  neap_csv_text field;
  while (!is_line_end(self->at, self->end)) {
    self->at++; /* the delimiter */
    const int rc = take_field(self, &field);
    if (rc != NEAP_OK) return rc;
    count++;
  }
  return neap__error_set(self->error, NEAP_EFORMAT, 0,
                         "cannot read %s: row %lld has %lld fields, not %d",
                         self->csv->path, (long long)self->row,
                         (long long)count, (int)self->csv->field_count);
}

static int parse_record(reader *self, int64_t k) {
  const int32_t count = self->csv->field_count;
  for (int32_t number = 0; number < count; number++) {
    if (number > 0) self->at++; /* the delimiter */
    const int rc = parse_field(self, number, k);
    if (rc != NEAP_OK) return rc;
    if (number + 1 < count && is_line_end(self->at, self->end))
      return refuse_count(self, number + 1);
  }
  if (!is_line_end(self->at, self->end)) return refuse_count(self, count);
  skip_line_end(self);
  return NEAP_OK;
}

int neap_csv_parse(const neap_csv *csv, const uint8_t *text, int64_t nbytes,
                   int64_t first, int64_t rows, neap_error *error) {
  reader self = {csv, text, text + nbytes, first, error};
  for (int64_t k = 0; k < rows; k++) {
    self.row = first + k;
    while (self.at < self.end && is_line_end(self.at, self.end))
      skip_line_end(&self);
    if (self.at == self.end) return refuse_row(&self, "it is not there");
    const int rc = parse_record(&self, k);
    if (rc != NEAP_OK) return rc;
  }
  return NEAP_OK;
}

int neap_csv_split(const neap_csv *csv, const uint8_t *text, int64_t nbytes,
                   int64_t row, neap_csv_text *fields, int32_t room,
                   int32_t *count, neap_error *error) {
  reader self = {csv, text, text + nbytes, row, error};
  *count = 0;
  for (;;) {
    neap_csv_text field;
    const int rc = take_field(&self, &field);
    if (rc != NEAP_OK) return rc;
    if (*count < room) fields[*count] = field;
    ++*count;
    if (is_line_end(self.at, self.end)) return NEAP_OK;
    self.at++; /* the delimiter */
  }
}
