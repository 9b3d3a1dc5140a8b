/* SPDX-License-Identifier: MIT */
/*
 * How far counts and sums are from what chance gives, as a z: the number of
 * standard deviations of a normal distribution.
 *
 * All seeds in tests are fixed, so a test that passes once passes for ever. A
 * fair generator leaves Z_MAX once in 150 000 tests of it.
 */
#ifndef NEAP_TESTS_STATISTICS_H
#define NEAP_TESTS_STATISTICS_H

#include <math.h>

#define Z_MAX 4.5

/* For bins that are equally likely; Wilson and Hilferty's approximation. */
static inline double chi_square_z(const int *counts, int bins) {
  double total = 0, sum = 0;
  for (int k = 0; k < bins; k++)
    total += counts[k];
  const double expected = total / bins;
  for (int k = 0; k < bins; k++) {
    sum += (counts[k] - expected) * (counts[k] - expected) / expected;
  }
  const double degrees = bins - 1, spread = 2 / (9 * degrees);
  return (cbrt(sum / degrees) - (1 - spread)) / sqrt(spread);
}

/* For the mean of `count` values with that mean and variance. */
static inline double mean_z(double sum, double count, double mean,
                            double variance) {
  return (sum / count - mean) / sqrt(variance / count);
}

#define assert_chance(z) assert_true(fabs(z) < Z_MAX)

#endif
