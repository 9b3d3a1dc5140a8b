/* SPDX-License-Identifier: MIT */
/* The functions that the specs of this folder call; compiled by neap. */
#include <math.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

double half(double x) {
  return x / 2;
}

float third(float x) {
  return x / 3;
}

bool is_even(int64_t x) {
  return x % 2 == 0;
}

int64_t big(int64_t x) {
  return x + ((int64_t)1 << 60);
}

const char *word(int32_t n) {
  return n == 1 ? "one" : n == 2 ? "two" : NULL;
}

void nothing(double x) {
  (void)x;
}

double not_a_number(void) {
  return nan("1");
}

/* The sum of bytes times their places, from 1. */
uint64_t weigh(const uint8_t *data, size_t count) {
  uint64_t sum = 0;
  for (size_t k = 0; k < count; k++)
    sum += data[k] * (k + 1);
  return sum;
}

double area(const float *data, int64_t height, int64_t width) {
  double sum = 0;
  for (int64_t k = 0; k < height * width; k++)
    sum += data[k];
  return sum * (double)(100 * height + width);
}

void scale(const float *in, size_t count, float factor, float *out) {
  for (size_t k = 0; k < count; k++)
    out[k] = in[k] * factor;
}

int least_and_most(const float *in, size_t count, float *least, float *most) {
  if (count == 0) return 7;
  *least = *most = in[0];
  for (size_t k = 1; k < count; k++) {
    if (in[k] < *least) *least = in[k];
    if (in[k] > *most) *most = in[k];
  }
  return 0;
}

void double_all(float *x, size_t count) {
  for (size_t k = 0; k < count; k++)
    x[k] *= 2;
}

/* Writes the first half alone. */
void fill_half(uint8_t *out, size_t count, double value) {
  memset(out, (int)value, count / 2);
}

int check_below(double x, double limit, double *out) {
  *out = x;
  return x < limit ? 0 : 2;
}

const char *reason(int status) {
  return status == 7 ? "it is empty" : "it is too large";
}

typedef struct point {
  double x, y;
} point;

point turned(point p) {
  return (point){-p.y, p.x};
}

double place(int64_t index, int64_t epoch) {
  return (double)(1000 * epoch + index);
}

double drawn(uint64_t seed) {
  return (double)(seed >> 11);
}

/* A context that notes its calls in a file. */
typedef struct log {
  FILE *file;
  int calls;
} log_file;

static void note(FILE *file, const char *what) {
  fprintf(file, "%s %d\n", what, (int)getpid());
  fflush(file);
}

void *log_open(const char *path) {
  log_file *log = malloc(sizeof *log);
  log->file = fopen(path, "a");
  log->calls = 0;
  note(log->file, "open");
  return log;
}

double log_call(void *log, double x) {
  return x + 0 * ++((log_file *)log)->calls;
}

void log_close(void *log) {
  note(((log_file *)log)->file, "close");
  fclose(((log_file *)log)->file);
  free(log);
}

double crash_at(double x, double at) {
  if (x == at) raise(SIGSEGV);
  return x;
}
