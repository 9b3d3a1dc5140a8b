/* SPDX-License-Identifier: MIT */
/* Numbers as text, and patterns of paths: against the system's own. */
#include "source/decimal.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "neap.h"

static void assert_double(const char *text) {
  char *stop;
  double value;
  const double expected = strtod(text, &stop);
  const uint8_t *at = (const uint8_t *)text;
  const uint8_t *end = neap__parse_double(at, at + strlen(text), &value);
  if (end - at != stop - text || memcmp(&value, &expected, sizeof value) != 0)
    fail_msg("%s: %.17g of %d bytes, not %.17g of %d", text, value,
             (int)(end - at), expected, (int)(stop - text));
}

static void doubles_are_those_of_strtod(void **state) {
  (void)state;
  const char *texts[] = {"0",
                         "-0.0",
                         "1",
                         ".5",
                         "5.",
                         "1e5",
                         "1e",
                         "1e+",
                         "1.5e-7x",
                         "1e400",
                         "1e-400",
                         "4.9e-324",
                         "inf",
                         "-inf",
                         "infinity",
                         "-",
                         "+3",
                         "",
                         ".",
                         "e5",
                         "0000000000000000000000001.5",
                         "0.000000000000000000000000000123456789",
                         "9007199254740993",
                         "123456789012345678901234567890"};
  for (size_t k = 0; k < sizeof texts / sizeof texts[0]; k++)
    assert_double(texts[k]);
}

static void random_doubles_are_too(void **state) {
  (void)state;
  neap_random random;
  neap_random_init(&random, 5, 1, 1);
  for (int k = 0; k < 200000; k++) {
    char text[64];
    const double scale = (double)neap_random_integer(&random, -40, 40);
    const double value = (neap_random_uniform(&random) - 0.5) * pow(10, scale);
    const int digits = (int)neap_random_integer(&random, 0, 20);
    snprintf(text, sizeof text, k % 2 ? "%.*e" : "%.*g", digits, value);
    assert_double(text);
  }
}

static void halves_between_two_doubles_are_rounded_to_even(void **state) {
  (void)state;
  neap_random random;
  neap_random_init(&random, 6, 1, 1);
  for (int k = 0; k < 20000; k++) {
    char text[64];
    const int64_t odd = (INT64_C(1) << 53) +
                        (neap_random_integer(&random, 0, INT64_C(1) << 52) | 1);
    for (int step = -1; step <= 1; step++) {
      snprintf(text, sizeof text, "%llde%d", (long long)odd + step,
               (int)neap_random_integer(&random, -22, 22));
      assert_double(text);
    }
  }
}

static void assert_whole(const char *text, int64_t nbytes, uint64_t expected) {
  uint64_t magnitude;
  int is_negative;
  const uint8_t *at = (const uint8_t *)text;
  const uint8_t *end =
      neap__parse_whole(at, at + strlen(text), &magnitude, &is_negative);
  assert_int_equal(end - at, nbytes);
  if (nbytes > 0) assert_true(magnitude == expected);
  assert_int_equal(is_negative, text[0] == '-');
}

static void whole_numbers_are_exact(void **state) {
  (void)state;
  assert_whole("0", 1, 0);
  assert_whole("-17,", 3, 17);
  assert_whole("+5.5", 2, 5);
  assert_whole("18446744073709551615", 20, UINT64_MAX);
  assert_whole("18446744073709551616", 0, 0);
  assert_whole("-", 0, 0);
  assert_whole("x", 0, 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(doubles_are_those_of_strtod),
      cmocka_unit_test(random_doubles_are_too),
      cmocka_unit_test(halves_between_two_doubles_are_rounded_to_even),
      cmocka_unit_test(whole_numbers_are_exact),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
