/* SPDX-License-Identifier: MIT */
/*
 * Functions of many signatures, for the tests of native stages: C calls them as
 * they are, LuaJIT's FFI and neap by these declarations. So they are bare C,
 * each function on lines of its own up to a semicolon.
 */
#ifndef NEAP_TESTS_SIGNATURES_H
#define NEAP_TESTS_SIGNATURES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* clang-format off */
/* structs: begin */
typedef struct point { double x, y; } point;
typedef struct pair { float a; int32_t b; } pair;
typedef struct tiny { int8_t a; uint16_t b; } tiny;
typedef struct box { point from, to; int64_t id; } box;
typedef struct record { char name[8]; int16_t values[3]; double weight; } record;
typedef struct counter counter;
/* structs: end */

/* functions: begin */
int8_t add_i8(int8_t a, int8_t b);
uint8_t add_u8(uint8_t a, uint8_t b);
int16_t add_i16(int16_t a, int16_t b);
uint16_t add_u16(uint16_t a, uint16_t b);
int32_t add_i32(int32_t a, int32_t b);
uint32_t add_u32(uint32_t a, uint32_t b);
int64_t add_i64(int64_t a, int64_t b);
uint64_t add_u64(uint64_t a, uint64_t b);
char add_char(char a, char b);
short add_short(short a, short b);
unsigned short int add_ushort(unsigned short a, unsigned short b);
long add_long(long a, long b);
unsigned long add_ulong(unsigned long a, unsigned long b);
long long add_llong(long long a, long long b);
size_t add_size(size_t a, size_t b);
float add_f32(float a, float b);
double add_f64(double a, double b);
bool differ(bool a, bool b);

double half(double x);
float half_f32(float x);
int increase(int x);
int64_t square(int64_t x);
uint8_t invert(uint8_t x);
bool is_even(int x);
float lerp(float a, float b, float t);

double mix(int8_t a, uint16_t b, float c, int64_t d, double e, bool f, uint8_t g);
double many(int a, double b, int c, double d, int e, double f, int g, double h, int i, double j, int k, double l, int m, double n, int o, double p, int q, double r, int s, double t);

double sum_f64(const double *x, int64_t n);
float sum_f32(const float *x, int n);
int64_t sum_i32(const int32_t *x, size_t n);
uint64_t sum_bytes(const void *data, size_t nbytes);
int64_t text_length(const char *text);
const char *name_of(int k);
double dot_(const int *n, const double *x, const double *y);

int scale(const float *x, float *out, int64_t n, float factor);
void scale_in_place(float *x, int64_t n, float factor);
int min_max(const double *x, int64_t n, double *least, double *most);
bool reciprocal(double x, double *out);
const float *copy_unless_empty(const float *x, float *out, int64_t n);

point mirror(point p);
double norm(point p);
double norm_of(const point *p);
int make_point(double x, point *out);
pair swap_pair(pair p);
tiny next_tiny(tiny t);
box grow(box b, double by);
record rename_record(record r, const char *name);

void nothing(int x);
int status(int code, double *out);
void add_to(int *sum, int x);
const char *status_text(int code);

counter *counter_new(int64_t start, const char *name);
counter *counter_fail(void);
int64_t counter_next(counter *c, int64_t step);
int counter_check(counter *c, int64_t most, double *out);
const char *counter_text(const counter *c, int code);
void counter_free(counter *c);
int counters_alive(void);

int write_null(int x);
int end_by_abort(int x);
int slow(int ms);
/* functions: end */
/* clang-format on */

#endif
