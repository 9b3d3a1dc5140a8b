/* SPDX-License-Identifier: MIT */
/* Headers of tar files: numbers in all forms, names, checksums. */
#include "neap_lua.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { BLOCK = NEAP_TAR_BLOCK };

static uint8_t block[BLOCK];
static neap_tar_header header;

static void put_checksum(int is_signed) {
  int sum = 0;
  memset(block + 148, ' ', 8);
  for (int k = 0; k < BLOCK; k++)
    sum += is_signed ? (int8_t)block[k] : block[k];
  char text[8];
  snprintf(text, sizeof text, "%06o", (unsigned)sum);
  memcpy(block + 148, text, 7);
}

static int read_size(const void *size, size_t nbytes) {
  memset(block, 0, sizeof block);
  memcpy(block, "name", 4);
  memcpy(block + 124, size, nbytes);
  block[156] = '0';
  put_checksum(0);
  return neap_tar_read(block, &header);
}

static void reads_sizes(void **state) {
  (void)state;
  const struct {
    const char *text;
    size_t nbytes;
    int64_t size;
  } good[] = {
      {"00000001750", 12, 1000},
      {"77777777777", 12, 8589934591},
      {"777777777777", 12, 68719476735},
      {"      1750 ", 12, 1000},
      {"1750       ", 12, 1000},
      {"", 12, 0},
      {"            ", 12, 0},
      {"\x80\0\0\0\0\0\0\0\0\0\1\0", 12, 256},
      {"\x80\0\0\0\0\x1f\xff\xff\xff\xff\xff\xff", 12, 9007199254740991},
  };
  for (size_t k = 0; k < sizeof good / sizeof *good; k++) {
    char size[12] = {0};
    memcpy(size, good[k].text,
           strnlen(good[k].text, 12) < 12 && good[k].text[0] != '\x80'
               ? strlen(good[k].text)
               : 12);
    assert_int_equal(read_size(size, 12), NEAP_OK);
    assert_true(header.size == good[k].size);
    assert_string_equal(header.name, "name");
    assert_int_equal(header.kind, '0');
  }
}

static void refuses_sizes(void **state) {
  (void)state;
  const char *bad[] = {
      "00000001758",
      "x0000000000",
      "-0000000001",
      "0000 000001",
      "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
      "\x80\1\0\0\0\0\0\0\0\0\0\0",
  };
  for (size_t k = 0; k < sizeof bad / sizeof *bad; k++)
    assert_int_equal(read_size(bad[k], 12), NEAP_EFORMAT);
}

static void reads_names(void **state) {
  (void)state;
  memset(block, 0, sizeof block);
  memset(block, 'n', 100);
  memcpy(block + 257, "ustar", 6);
  memset(block + 345, 'p', 155);
  memcpy(block + 124, "0", 1);
  put_checksum(0);
  assert_int_equal(neap_tar_read(block, &header), NEAP_OK);
  assert_int_equal(strlen(header.name), 256);
  assert_int_equal(header.name[154], 'p');
  assert_int_equal(header.name[155], '/');
  assert_int_equal(header.name[156], 'n');
  memcpy(block + 257, "ustar  ", 8); /* GNU's, which has no prefix */
  put_checksum(0);
  assert_int_equal(neap_tar_read(block, &header), NEAP_OK);
  assert_int_equal(strlen(header.name), 100);
}

static void checks_checksums(void **state) {
  (void)state;
  read_size("1", 1);
  for (int k = 0; k < BLOCK; k++) {
    block[k] ^= 1;
    const int rc = neap_tar_read(block, &header);
    block[k] ^= 1;
    if (k < 148 || k >= 156) assert_int_equal(rc, NEAP_EFORMAT);
  }
  block[0] = 0xe4;
  put_checksum(1);
  assert_int_equal(neap_tar_read(block, &header), NEAP_OK);
  memset(block, 0, sizeof block);
  assert_int_equal(neap_tar_read(block, &header), NEAP_END);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(reads_sizes),
      cmocka_unit_test(refuses_sizes),
      cmocka_unit_test(reads_names),
      cmocka_unit_test(checks_checksums),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
