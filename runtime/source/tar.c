/* SPDX-License-Identifier: MIT */
/*
 * Headers of tar files: ustar's, and what GNU tar makes of them. All fields are
 * text that a file may have wrong, so nothing is trusted but its bounds.
 */
#include <stdbool.h>
#include <string.h>

#include "neap_lua.h"

enum {
  NAME = 0,
  NAME_BYTES = 100,
  SIZE = 124,
  SIZE_BYTES = 12,
  CHECKSUM = 148,
  CHECKSUM_BYTES = 8,
  KIND = 156,
  MAGIC = 257,
  PREFIX = 345,
  PREFIX_BYTES = 155
};

/* Octal digits, with blanks around them, or a NUL at the end; -1: neither. */
static int64_t read_octal(const uint8_t *at, int nbytes) {
  int64_t value = 0;
  int k = 0;
  while (k < nbytes && at[k] == ' ')
    k++;
  for (; k < nbytes && at[k] >= '0' && at[k] <= '7'; k++)
    value = value * 8 + (at[k] - '0');
  while (k < nbytes && at[k] == ' ')
    k++;
  return k == nbytes || at[k] == '\0' ? value : -1;
}

/* GNU's big-endian bytes after a mark; -1: negative, or 2^53 and more. */
static int64_t read_binary(const uint8_t *at, int nbytes) {
  int64_t value = at[0] & 0x7f;
  for (int k = 1; k < nbytes; k++) {
    if (value >= (int64_t)1 << 45) return -1;
    value = value * 256 + at[k];
  }
  return value;
}

static int64_t read_number(const uint8_t *at, int nbytes) {
  return (at[0] & 0x80) != 0 ? read_binary(at, nbytes) : read_octal(at, nbytes);
}

/* Some tars added signed bytes. */
static bool has_checksum(const uint8_t *block) {
  int64_t sum = 0, signed_sum = 0;
  for (int k = 0; k < NEAP_TAR_BLOCK; k++) {
    const bool is_own = k >= CHECKSUM && k < CHECKSUM + CHECKSUM_BYTES;
    const uint8_t byte = is_own ? ' ' : block[k];
    sum += byte;
    signed_sum += (int8_t)byte;
  }
  const int64_t wanted = read_octal(block + CHECKSUM, CHECKSUM_BYTES);
  return wanted == sum || wanted == signed_sum;
}

static bool is_zero(const uint8_t *block) {
  for (int k = 0; k < NEAP_TAR_BLOCK; k++)
    if (block[k] != 0) return false;
  return true;
}

static void read_name(const uint8_t *block, neap_tar_header *out) {
  const char *prefix = (const char *)block + PREFIX;
  const char *name = (const char *)block + NAME;
  const bool has_prefix = memcmp(block + MAGIC, "ustar", 6) == 0;
  size_t used = has_prefix ? strnlen(prefix, PREFIX_BYTES) : 0;
  memcpy(out->name, prefix, used);
  if (used > 0) out->name[used++] = '/';
  const size_t rest = strnlen(name, NAME_BYTES);
  memcpy(out->name + used, name, rest);
  out->name[used + rest] = '\0';
}

int neap_tar_read(const void *block, neap_tar_header *out) {
  const uint8_t *bytes = block;
  *out = (neap_tar_header){0};
  if (is_zero(bytes)) return NEAP_END;
  if (!has_checksum(bytes)) return NEAP_EFORMAT;
  out->size = read_number(bytes + SIZE, SIZE_BYTES);
  out->kind = bytes[KIND];
  read_name(bytes, out);
  return out->size < 0 ? NEAP_EFORMAT : NEAP_OK;
}
