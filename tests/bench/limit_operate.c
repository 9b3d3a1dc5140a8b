/* SPDX-License-Identifier: MIT */
/*
 * The limits of operations on tensors: the loops that one would write in C,
 * compiled with -O3 -march=native. Prints nanoseconds an element, of COUNT
 * calls one after another.
 */
#pragma GCC optimize("O3")

#include <string.h>

#include "limit.h"

enum { PIXELS = 224 * 224, ELEMENTS = 3 * PIXELS, BYTES = 4 * ELEMENTS };

static uint64_t total;
static volatile char sink; /* so that results are needed */

static void sum_u8(const void *a, void *to) {
  const uint8_t *p = a;
  uint64_t sum = 0;
  (void)to;
  for (int k = 0; k < BYTES; k++)
    sum += p[k];
  total += sum;
}

static void sum_f32(const void *a, void *to) {
  const float *p = a;
  double sum = 0;
  (void)to;
  for (int k = 0; k < ELEMENTS; k++)
    sum += (double)p[k];
  total += (uint64_t)sum;
}

static void add_f32(const void *a, void *to) {
  const float *restrict p = a;
  float *restrict q = to;
  for (int k = 0; k < ELEMENTS; k++)
    q[k] = p[k] + p[k];
}

static void mul_f32(const void *a, void *to) {
  const float *restrict p = a;
  float *restrict q = to;
  for (int k = 0; k < ELEMENTS; k++)
    q[k] = p[k] * 1.5F;
}

static void sub_channels_f32(const void *a, void *to) {
  static const float means[] = {1, 2, 3};
  const float *restrict p = a;
  float *restrict q = to;
  for (int k = 0; k < PIXELS; k++)
    for (int c = 0; c < 3; c++)
      q[3 * k + c] = p[3 * k + c] - means[c];
}

static void add_u8(const void *a, void *to) {
  const uint8_t *restrict p = a;
  uint8_t *restrict q = to;
  for (int k = 0; k < ELEMENTS; k++) {
    const int sum = p[k] + p[k];
    q[k] = (uint8_t)(sum > UINT8_MAX ? UINT8_MAX : sum);
  }
}

static void permute_u8(const void *a, void *to) {
  const uint8_t *restrict p = a;
  uint8_t *restrict q = to;
  for (int c = 0; c < 3; c++)
    for (int k = 0; k < PIXELS; k++)
      q[c * PIXELS + k] = p[3 * k + c];
}

static void permute_f32(const void *a, void *to) {
  const float *restrict p = a;
  float *restrict q = to;
  for (int c = 0; c < 3; c++)
    for (int k = 0; k < PIXELS; k++)
      q[c * PIXELS + k] = p[3 * k + c];
}

static const struct {
  const char *name;
  void (*run)(const void *from, void *to);
  int elements;
} operations[] = {
    {"sum_u8", sum_u8, BYTES},
    {"sum_f32", sum_f32, ELEMENTS},
    {"add_f32", add_f32, ELEMENTS},
    {"mul_f32", mul_f32, ELEMENTS},
    {"sub_channels_f32", sub_channels_f32, ELEMENTS},
    {"add_u8", add_u8, ELEMENTS},
    {"permute_u8", permute_u8, ELEMENTS},
    {"permute_f32", permute_f32, ELEMENTS},
};

int main(int argc, char **argv) {
  const char *usage = "OPERATION COUNT";
  const long count = limit_argument(argc, argv, 2, 2, usage);
  const size_t all = sizeof operations / sizeof operations[0];
  size_t n = 0;
  while (n < all && strcmp(operations[n].name, argv[1]) != 0)
    n++;
  limit_need(n < all, "OPERATION");
  char *const from = limit_share(BYTES);
  char *const to = limit_share(BYTES);
  memset(from, 1, BYTES);
  memset(to, 1, BYTES);
  const double since = limit_now_s();
  for (long k = 0; k < count; k++)
    operations[n].run(from, to);
  const double seconds = limit_now_s() - since;
  sink = to[0];
  printf("%.9g\n",
         seconds / (double)count / (double)operations[n].elements * 1e9);
  return 0;
}
