/* SPDX-License-Identifier: MIT */
/* Numbers as text: whole numbers, and doubles rounded once, in any locale. */
#ifndef NEAP_SOURCE_DECIMAL_H
#define NEAP_SOURCE_DECIMAL_H

#include <stdint.h>

/* 1, 10, 100 ... 10^NEAP__POWER_MAX, which are exact. */
enum { NEAP__POWER_MAX = 22, NEAP__DIGITS_MAX = 19 };
extern const double neap__powers[NEAP__POWER_MAX + 1];

/*
 * These parse the longest number that begins at `at`, and return its end; `at`
 * itself, if there is none. The text goes up to `end`.
 */
const uint8_t *neap__parse_any_double(const uint8_t *at, const uint8_t *end,
                                      double *value);
/* *is_negative tells the sign; a magnitude above 2^64 - 1 is no number. */
const uint8_t *neap__parse_whole(const uint8_t *at, const uint8_t *end,
                                 uint64_t *magnitude, int *is_negative);

static inline const uint8_t *
neap__take_digits(const uint8_t *at, const uint8_t *end, uint64_t *digits) {
  uint64_t sum = *digits;
  for (; at < end && (unsigned)(*at - '0') <= 9; at++)
    sum = sum * 10 + (unsigned)(*at - '0');
  *digits = sum;
  return at;
}

/* The usual number in line: few digits, no exponent. */
static inline const uint8_t *
neap__parse_double(const uint8_t *at, const uint8_t *end, double *value) {
  uint64_t digits = 0;
  const int is_negative = at < end && *at == '-';
  const uint8_t *first = at + is_negative;
  const uint8_t *p = neap__take_digits(first, end, &digits);
  int64_t count = p - first, fraction = 0;
  if (p < end && *p == '.') {
    const uint8_t *point = p++;
    p = neap__take_digits(p, end, &digits);
    fraction = p - point - 1;
    count += fraction;
  }
  if (count == 0 || count > NEAP__DIGITS_MAX || fraction > NEAP__POWER_MAX ||
      digits > (UINT64_C(1) << 53) || (p < end && (*p | 32) == 'e'))
    return neap__parse_any_double(at, end, value);
  /* Signs may come in any order: a branch would be mispredicted. */
  static const double signs[2] = {1, -1};
  *value = signs[is_negative] * (double)digits / neap__powers[fraction];
  return p;
}

#endif
