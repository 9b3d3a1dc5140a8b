/* SPDX-License-Identifier: MIT */
/*
 * A double of up to 19 digits is their integer times or divided by a power of
 * ten. Both are exact in a double if the integer is below 2^53 and the power at
 * most 10^22 (Clinger, "How to read floating point numbers accurately"). Then
 * the one operation rounds correctly. x86's long doubles do so for any 19
 * digits and 10^27; rounding their result to a double is correct unless it lies
 * next to the middle of two doubles. All else goes to strtod.
 */
#include "source/decimal.h"

#include <float.h>
#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { EXPONENT_MAX = 9999, TEXT_MAX = 1024 };

const double neap__powers[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                               1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                               1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

typedef struct decimal {
  uint64_t digits;
  int digit_count; /* without zeros before the first other one */
  int exponent;
  int is_negative;
} decimal;

static inline int digit_of(uint8_t byte) {
  return (int)byte - '0';
}

static inline int is_digit(uint8_t byte) {
  return (unsigned)digit_of(byte) <= 9;
}

/* Takes digits into `number`; returns behind them. */
static inline const uint8_t *take_digits(const uint8_t *at, const uint8_t *end,
                                         decimal *number) {
  for (; at < end && is_digit(*at); at++) {
    if (number->digits != 0 || *at != '0') number->digit_count++;
    if (number->digit_count <= NEAP__DIGITS_MAX)
      number->digits = number->digits * 10 + (unsigned)digit_of(*at);
  }
  return at;
}

/* An exponent is taken only if it has digits. */
static const uint8_t *take_exponent(const uint8_t *at, const uint8_t *end,
                                    decimal *number) {
  if (at == end || (*at | 32) != 'e') return at;
  const uint8_t *digits = at + 1;
  const int is_negative = digits < end && *digits == '-';
  if (digits < end && (*digits == '-' || *digits == '+')) digits++;
  if (digits == end || !is_digit(*digits)) return at;
  int exponent = 0;
  for (; digits < end && is_digit(*digits); digits++)
    if (exponent < EXPONENT_MAX) exponent = exponent * 10 + digit_of(*digits);
  number->exponent += is_negative ? -exponent : exponent;
  return digits;
}

/* Where the system parses it: a copy ends in NUL, and "C" has a point. */
static const uint8_t *parse_slowly(const uint8_t *at, const uint8_t *stop,
                                   double *value) {
  char text[TEXT_MAX];
  const size_t nbytes = (size_t)(stop - at);
  if (nbytes >= sizeof text) return at;
  memcpy(text, at, nbytes);
  text[nbytes] = '\0';
  locale_t plain = newlocale(LC_ALL_MASK, "C", (locale_t)0);
  if (plain == (locale_t)0) return at;
  *value = strtod_l(text, NULL, plain);
  freelocale(plain);
  return stop;
}

static int is_word(const uint8_t *at, const uint8_t *end, const char *word) {
  const size_t nbytes = strlen(word);
  return (size_t)(end - at) >= nbytes &&
         strncasecmp((const char *)at, word, nbytes) == 0;
}

static const uint8_t *parse_word(const uint8_t *at, const uint8_t *end,
                                 int is_negative, double *value) {
  const int nbytes = is_word(at, end, "infinity") ? 8
                     : is_word(at, end, "inf")    ? 3
                     : is_word(at, end, "nan")    ? 3
                                                  : 0;
  if (nbytes == 0) return at;
  *value = is_word(at, end, "nan") ? (double)NAN : (double)INFINITY;
  if (is_negative && !isnan(*value)) *value = -*value;
  return at + nbytes;
}

#if LDBL_MANT_DIG == 64
/* Whether the long doubles tell the double. */
static int convert_wide(const decimal *number, double *value) {
  static const long double wide[] = {1e23L, 1e24L, 1e25L, 1e26L, 1e27L};
  const int exponent = abs(number->exponent);
  if (exponent > NEAP__POWER_MAX + 5) return 0;
  const long double power = exponent <= NEAP__POWER_MAX
                                ? (long double)neap__powers[exponent]
                                : wide[exponent - NEAP__POWER_MAX - 1];
  const long double digits = (long double)number->digits;
  const long double result =
      number->exponent < 0 ? digits / power : digits * power;
  uint64_t mantissa;
  memcpy(&mantissa, &result, sizeof mantissa);
  const unsigned rest = mantissa & 0x7ff; /* what a double has no room for */
  if (rest >= 0x3ff && rest <= 0x401) return 0;
  *value = (double)result;
  return 1;
}
#else
static int convert_wide(const decimal *number, double *value) {
  (void)number;
  (void)value;
  return 0;
}
#endif

static int convert(const decimal *number, double *value) {
  if (number->digit_count > NEAP__DIGITS_MAX) return 0;
  if (number->digits == 0) {
    *value = 0;
    return 1;
  }
  const int exponent = number->exponent;
  if (number->digits > (UINT64_C(1) << 53) || exponent < -NEAP__POWER_MAX ||
      exponent > NEAP__POWER_MAX)
    return convert_wide(number, value);
  const double digits = (double)number->digits;
  *value = exponent < 0 ? digits / neap__powers[-exponent]
                        : digits * neap__powers[exponent];
  return 1;
}

const uint8_t *neap__parse_any_double(const uint8_t *at, const uint8_t *end,
                                      double *value) {
  decimal number = {0, 0, 0, 0};
  const uint8_t *p = at;
  *value = 0;
  if (p < end && (*p == '-' || *p == '+')) number.is_negative = *p++ == '-';
  const uint8_t *digits = p;
  p = take_digits(p, end, &number);
  int64_t count = p - digits;
  if (p < end && *p == '.') {
    const uint8_t *fraction = ++p;
    p = take_digits(p, end, &number);
    count += p - fraction;
    number.exponent =
        p - fraction < EXPONENT_MAX ? -(int)(p - fraction) : -EXPONENT_MAX;
  }
  if (count == 0) {
    const uint8_t *stop = parse_word(digits, end, number.is_negative, value);
    return stop == digits ? at : stop;
  }
  p = take_exponent(p, end, &number);
  if (!convert(&number, value)) return parse_slowly(at, p, value);
  if (number.is_negative) *value = -*value;
  return p;
}

const uint8_t *neap__parse_whole(const uint8_t *at, const uint8_t *end,
                                 uint64_t *magnitude, int *is_negative) {
  const uint8_t *p = at;
  uint64_t value = 0;
  *magnitude = 0;
  *is_negative = p < end && *p == '-';
  if (p < end && (*p == '-' || *p == '+')) p++;
  const uint8_t *digits = p;
  for (; p < end && is_digit(*p); p++) {
    const unsigned digit = (unsigned)digit_of(*p);
    if (value > (UINT64_MAX - digit) / 10) return at;
    value = value * 10 + digit;
  }
  *magnitude = value;
  return p == digits ? at : p;
}
