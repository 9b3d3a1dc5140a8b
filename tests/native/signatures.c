/* SPDX-License-Identifier: MIT */
/* Functions of many signatures, as a shared library of the tests. */
#pragma GCC visibility push(default)
#include "signatures.h"
#pragma GCC visibility pop

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define ADD(name, type) \
  type name(type a, type b) { \
    return (type)(a + b); \
  }
ADD(add_i8, int8_t)
ADD(add_u8, uint8_t)
ADD(add_i16, int16_t)
ADD(add_u16, uint16_t)
ADD(add_u32, uint32_t)
ADD(add_u64, uint64_t)
ADD(add_char, char)
ADD(add_short, short)
ADD(add_ushort, unsigned short)
ADD(add_ulong, unsigned long)
ADD(add_size, size_t)
ADD(add_f32, float)
ADD(add_f64, double)

/* Overflow wraps. */
int32_t add_i32(int32_t a, int32_t b) {
  return (int32_t)((uint32_t)a + (uint32_t)b);
}

int64_t add_i64(int64_t a, int64_t b) {
  return (int64_t)((uint64_t)a + (uint64_t)b);
}

long add_long(long a, long b) {
  return (long)((unsigned long)a + (unsigned long)b);
}

long long add_llong(long long a, long long b) {
  return (long long)((unsigned long long)a + (unsigned long long)b);
}

bool differ(bool a, bool b) {
  return a != b;
}

/* ---- For each element ---------------------------------------------------- */

double half(double x) {
  return x / 2;
}

float half_f32(float x) {
  return x / 2;
}

int increase(int x) {
  return (int)((unsigned)x + 1);
}

int64_t square(int64_t x) {
  return (int64_t)((uint64_t)x * (uint64_t)x);
}

uint8_t invert(uint8_t x) {
  return (uint8_t)~x;
}

bool is_even(int x) {
  return x % 2 == 0;
}

float lerp(float a, float b, float t) {
  return a + (b - a) * t;
}

/* ---- Registers and stack ------------------------------------------------- */

double mix(int8_t a, uint16_t b, float c, int64_t d, double e, bool f,
           uint8_t g) {
  return a + 2 * b + 4 * (double)c + 8 * (double)d + 16 * e + 32 * f + 64 * g;
}

double many(int a, double b, int c, double d, int e, double f, int g, double h,
            int i, double j, int k, double l, int m, double n, int o, double p,
            int q, double r, int s, double t) {
  return a - b + 2 * c - d + 3 * e - f + 4 * g - h + 5 * i - j + 6 * k - l +
         7 * m - n + 8 * o - p + 9 * q - r + 10 * s - t;
}

/* ---- Pointers ------------------------------------------------------------ */

double sum_f64(const double *x, int64_t n) {
  double sum = 0;
  for (int64_t k = 0; k < n; k++)
    sum += x[k];
  return sum;
}

float sum_f32(const float *x, int n) {
  float sum = 0;
  for (int k = 0; k < n; k++)
    sum += x[k];
  return sum;
}

int64_t sum_i32(const int32_t *x, size_t n) {
  int64_t sum = 0;
  for (size_t k = 0; k < n; k++)
    sum += x[k];
  return sum;
}

uint64_t sum_bytes(const void *data, size_t nbytes) {
  const uint8_t *bytes = data;
  uint64_t sum = 0;
  for (size_t k = 0; k < nbytes; k++)
    sum += bytes[k];
  return sum;
}

int64_t text_length(const char *text) {
  return (int64_t)strlen(text);
}

const char *name_of(int k) {
  static const char *const names[] = {"zero", "one", "two"};
  return k >= 0 && k < 3 ? names[k] : NULL;
}

double dot_(const int *n, const double *x, const double *y) {
  double sum = 0;
  for (int k = 0; k < *n; k++)
    sum += x[k] * y[k];
  return sum;
}

/* ---- Outputs ------------------------------------------------------------- */

/* As fast as the compiler makes it: the bench times it. */
__attribute__((optimize("O3"))) int
scale(const float *restrict x, float *restrict out, int64_t n, float factor) {
  for (int64_t k = 0; k < n; k++)
    out[k] = x[k] * factor;
  return factor == 0 ? 7 : 0;
}

void scale_in_place(float *x, int64_t n, float factor) {
  for (int64_t k = 0; k < n; k++)
    x[k] *= factor;
}

int min_max(const double *x, int64_t n, double *least, double *most) {
  if (n == 0) return 1;
  *least = *most = x[0];
  for (int64_t k = 1; k < n; k++) {
    if (x[k] < *least) *least = x[k];
    if (x[k] > *most) *most = x[k];
  }
  return 0;
}

bool reciprocal(double x, double *out) {
  *out = 1 / x;
  return x != 0;
}

const float *copy_unless_empty(const float *x, float *out, int64_t n) {
  if (n == 0) return NULL;
  memcpy(out, x, (size_t)n * sizeof *x);
  return out;
}

/* ---- Structs ------------------------------------------------------------- */

point mirror(point p) {
  return (point){p.y, p.x};
}

double norm(point p) {
  return sqrt(p.x * p.x + p.y * p.y);
}

double norm_of(const point *p) {
  return norm(*p);
}

int make_point(double x, point *out) {
  *out = (point){x, -x};
  return x < 0 ? -5 : 0;
}

pair swap_pair(pair p) {
  return (pair){(float)p.b, (int32_t)p.a};
}

tiny next_tiny(tiny t) {
  return (tiny){(int8_t)(t.a + 1), (uint16_t)(t.b + 1)};
}

box grow(box b, double by) {
  return (box){
      {b.from.x - by, b.from.y - by}, {b.to.x + by, b.to.y + by}, b.id + 1};
}

record rename_record(record r, const char *name) {
  memset(r.name, 0, sizeof r.name);
  memcpy(r.name, name, strnlen(name, sizeof r.name));
  for (int k = 0; k < 3; k++)
    r.values[k] = (int16_t)(r.values[k] * 2);
  r.weight += 1;
  return r;
}

/* ---- Failures ------------------------------------------------------------ */

void nothing(int x) {
  (void)x;
}

int status(int code, double *out) {
  *out = code;
  return code;
}

void add_to(int *sum, int x) {
  *sum += x;
}

const char *status_text(int code) {
  if (code == 77) return "a line\nand another\n";
  return code == 3 ? "the disk is full" : "unknown";
}

/* ---- A context ----------------------------------------------------------- */

struct counter {
  int64_t at;
  char text[64];
};

static int alive;

counter *counter_new(int64_t start, const char *name) {
  counter *c = calloc(1, sizeof *c);
  if (c == NULL) return NULL;
  c->at = start;
  strncpy(c->text, name, sizeof c->text - 1);
  alive++;
  return c;
}

counter *counter_fail(void) {
  return NULL;
}

int64_t counter_next(counter *c, int64_t step) {
  return c->at += step;
}

int counter_check(counter *c, int64_t most, double *out) {
  *out = (double)++c->at;
  return c->at > most ? 9 : 0;
}

const char *counter_text(const counter *c, int code) {
  return code == 9 ? c->text : "unknown";
}

void counter_free(counter *c) {
  alive--;
  free(c);
}

int counters_alive(void) {
  return alive;
}

/* ---- Trouble ------------------------------------------------------------- */

__attribute__((no_sanitize("undefined"))) int write_null(int x) {
  volatile int *volatile nowhere = NULL;
  /* cppcheck-suppress nullPointer */
  if (x >= 0) *nowhere = x;
  return x;
}

int end_by_abort(int x) {
  if (x >= 0) abort();
  return x;
}

int slow(int ms) {
  const struct timespec time = {ms / 1000, ms % 1000 * 1000000L};
  nanosleep(&time, NULL);
  return ms;
}
