/* SPDX-License-Identifier: MIT */
/* Checksums: the values of the reference implementation of XXH64. */
#include "neap_lua.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void has_known_values(void **state) {
  (void)state;
  assert_true(neap_hash(NULL, 0, 0) == 0xef46db3751d8e999ull);
  assert_true(neap_hash("a", 1, 0) == 0xd24ec4f1a98c6e5bull);
  assert_true(neap_hash("abc", 3, 0) == 0x44bc2cf5ad770999ull);
  const char *text = "Nobody inspects the spammish repetition";
  assert_true(neap_hash(text, strlen(text), 0) == 0xfbcea83c8a378bf1ull);
}

static void depends_on_each_byte(void **state) {
  (void)state;
  uint8_t bytes[100] = {0};
  for (uint64_t n = 1; n < sizeof bytes; n++) {
    const uint64_t before = neap_hash(bytes, n, 1);
    assert_true(before != neap_hash(bytes, n - 1, 1));
    assert_true(before != neap_hash(bytes, n, 2));
    for (uint64_t k = 0; k < n; k++) {
      bytes[k] ^= 64;
      assert_true(before != neap_hash(bytes, n, 1));
      bytes[k] ^= 64;
    }
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(has_known_values),
      cmocka_unit_test(depends_on_each_byte),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
