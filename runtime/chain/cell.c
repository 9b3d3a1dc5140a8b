/* SPDX-License-Identifier: MIT */
/*
 * Numbers as C types. A cell of a narrow integer may be wider: libffi returns
 * them as words, whose low bytes come first on the machines that neap runs on.
 */
#include "chain/cell.h"

#include <math.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "low bytes first");

static void store(void *cell, size_t size, uint64_t bits) {
  switch (size) {
  case 1: *(uint8_t *)cell = (uint8_t)bits; break;
  case 2: *(uint16_t *)cell = (uint16_t)bits; break;
  case 4: *(uint32_t *)cell = (uint32_t)bits; break;
  default: *(uint64_t *)cell = bits; break;
  }
}

static int64_t load(const void *cell, size_t size, bool is_signed) {
  switch (is_signed ? -(int)size : (int)size) {
  case 1: return *(const uint8_t *)cell;
  case 2: return *(const uint16_t *)cell;
  case 4: return *(const uint32_t *)cell;
  case -1: return *(const int8_t *)cell;
  case -2: return *(const int16_t *)cell;
  case -4: return *(const int32_t *)cell;
  default: return *(const int64_t *)cell;
  }
}

static void store_float(const neap__ctype *type, void *cell, double value) {
  if (type->size == sizeof(float))
    *(float *)cell = (float)value;
  else
    *(double *)cell = value;
}

bool neap__cell_put_integer(const neap__ctype *type, void *cell,
                            int64_t value) {
  const int bits = (int)type->size * 8;
  switch (type->kind) {
  case NEAP__FLOATING: store_float(type, cell, (double)value); return true;
  case NEAP__BOOLEAN:
    *(bool *)cell = value == 1;
    return value == 0 || value == 1;
  case NEAP__SIGNED:
    store(cell, type->size, (uint64_t)value);
    if (bits == 64) return true;
    return value >= -((int64_t)1 << (bits - 1)) && value < (int64_t)1
                                                               << (bits - 1);
  default:
    store(cell, type->size, (uint64_t)value);
    return value >= 0 && (bits == 64 || value >> bits == 0);
  }
}

bool neap__cell_put_unsigned(const neap__ctype *type, void *cell,
                             uint64_t value) {
  if (value <= INT64_MAX)
    return neap__cell_put_integer(type, cell, (int64_t)value);
  if (type->kind == NEAP__FLOATING) {
    store_float(type, cell, (double)value);
    return true;
  }
  store(cell, type->size, value);
  return type->kind == NEAP__UNSIGNED && type->size == sizeof value;
}

bool neap__cell_put_number(const neap__ctype *type, void *cell, double value) {
  if (type->kind == NEAP__FLOATING) {
    store_float(type, cell, value);
    return true;
  }
  const double limit = 9223372036854775808.0; /* 2^63 */
  if (value >= -limit && value < limit) {
    const int64_t integer = (int64_t)value;
    return (double)integer == value &&
           neap__cell_put_integer(type, cell, integer);
  }
  return value >= limit && value < 2 * limit &&
         neap__cell_put_unsigned(type, cell, (uint64_t)value);
}

bool neap__cell_put(const neap__ctype *type, void *cell,
                    const neap_part *part) {
  switch (part->type) {
  case NEAP_BOOLEAN:
  case NEAP_NUMBER: return neap__cell_put_number(type, cell, part->number);
  case NEAP_INT64: return neap__cell_put_integer(type, cell, part->integer);
  default: return neap__cell_put_unsigned(type, cell, (uint64_t)part->integer);
  }
}

void neap__cell_put_bits(const neap__ctype *type, void *cell, uint64_t bits) {
  switch (type->kind) {
  case NEAP__FLOATING: store_float(type, cell, (double)(bits >> 11)); break;
  case NEAP__BOOLEAN: *(bool *)cell = bits & 1; break;
  default: store(cell, type->size, bits);
  }
}

int64_t neap__cell_integer(const neap__ctype *type, const void *cell) {
  if (type->kind == NEAP__BOOLEAN) return *(const uint8_t *)cell != 0;
  return load(cell, type->size, type->kind == NEAP__SIGNED);
}

void neap__cell_get(const neap__ctype *type, const void *cell, neap_part *out) {
  if (type->kind == NEAP__FLOATING) {
    out->type = NEAP_NUMBER;
    const double value = type->size == sizeof(float)
                             ? (double)*(const float *)cell
                             : *(const double *)cell;
    /* The canonical NaN: see luajit.md, bits of a NaN. */
    out->number = value == value ? value : (double)NAN;
    return;
  }
  const int64_t integer = neap__cell_integer(type, cell);
  const int64_t exact = (int64_t)1 << 53;
  out->type = type->kind == NEAP__BOOLEAN ? NEAP_BOOLEAN : NEAP_NUMBER;
  out->number = (double)integer;
  if (integer <= exact && integer >= -exact &&
      (integer >= 0 || type->kind == NEAP__SIGNED))
    return;
  out->type = type->kind == NEAP__SIGNED ? NEAP_INT64 : NEAP_UINT64;
  out->integer = integer;
}

int neap__cell_type(const neap__ctype *type) {
  if (type->kind == NEAP__BOOLEAN) return NEAP_BOOLEAN;
  if (type->kind == NEAP__FLOATING || type->size < 8) return NEAP_NUMBER;
  return type->kind == NEAP__SIGNED ? NEAP_INT64 : NEAP_UINT64;
}

void neap__cell_dtype(const neap__ctype *type, uint8_t *code, uint8_t *bits) {
  *bits = (uint8_t)(type->size * 8);
  switch (type->kind) {
  case NEAP__BOOLEAN: *code = NEAP_BOOL; break;
  case NEAP__SIGNED: *code = NEAP_INT; break;
  case NEAP__UNSIGNED: *code = NEAP_UINT; break;
  default: *code = NEAP_FLOAT; break;
  }
}
