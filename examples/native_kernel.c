/* SPDX-License-Identifier: MIT */
/* The stages of native_kernel.lua, which compiles this file. */
#include <stddef.h>
#include <stdint.h>

/* Brightness of RGB pixels, from 0 to 1. */
void brightness(const uint8_t *rgb, size_t bytes, float *grey) {
  for (size_t k = 0; k < bytes / 3; k++) {
    const uint8_t *p = rgb + 3 * k;
    grey[k] = (0.299f * p[0] + 0.587f * p[1] + 0.114f * p[2]) / 255;
  }
}

/* How many values are in each of `count` bins of 0 to 1. */
int histogram(const float *values, size_t n, uint32_t *bins, size_t count) {
  for (size_t k = 0; k < count; k++)
    bins[k] = 0;
  for (size_t k = 0; k < n; k++) {
    if (!(values[k] >= 0 && values[k] <= 1)) return 1;
    const size_t bin = (size_t)(values[k] * (float)count);
    bins[bin < count ? bin : count - 1]++;
  }
  return 0;
}

/* The text of a status of histogram(). */
const char *reason(int status) {
  return status == 1 ? "a value is not in 0 to 1" : "no such status";
}
