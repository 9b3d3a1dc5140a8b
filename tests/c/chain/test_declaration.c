/* SPDX-License-Identifier: MIT */
/* Declarations: what they mean, and where errors point. */
#include "chain/declaration.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h>

#include <cmocka.h>

static neap__declaration *parse(const char *text) {
  neap__declaration *d;
  neap_error error;
  if (neap__declaration_parse(text, "the declaration", &d, &error) != NEAP_OK)
    fail_msg("%s", error.text);
  return d;
}

/* ---- Types --------------------------------------------------------------- */

typedef struct number {
  const char *text;
  neap__kind kind;
  size_t size;
} number;

#define INTEGER(type) \
  { #type, (type)-1 < (type)1 ? NEAP__SIGNED : NEAP__UNSIGNED, sizeof(type) }

static void numbers_have_the_size_that_the_compiler_gives(void **state) {
  static const number numbers[] = {
      INTEGER(char),
      INTEGER(signed char),
      INTEGER(unsigned char),
      INTEGER(short),
      INTEGER(unsigned short),
      INTEGER(short int),
      INTEGER(signed short int),
      INTEGER(int),
      INTEGER(signed),
      INTEGER(unsigned),
      INTEGER(unsigned int),
      INTEGER(long),
      INTEGER(long int),
      INTEGER(unsigned long),
      INTEGER(long unsigned int),
      INTEGER(int unsigned long),
      INTEGER(long long),
      INTEGER(long int long),
      INTEGER(unsigned long long),
      INTEGER(long unsigned long int),
      INTEGER(int8_t),
      INTEGER(uint8_t),
      INTEGER(int16_t),
      INTEGER(uint16_t),
      INTEGER(int32_t),
      INTEGER(uint32_t),
      INTEGER(int64_t),
      INTEGER(uint64_t),
      INTEGER(size_t),
      INTEGER(ssize_t),
      INTEGER(ptrdiff_t),
      INTEGER(intptr_t),
      INTEGER(uintptr_t),
      INTEGER(off_t),
      INTEGER(intmax_t),
      INTEGER(uint_fast16_t),
      {"float", NEAP__FLOATING, sizeof(float)},
      {"double", NEAP__FLOATING, sizeof(double)},
      {"_Bool", NEAP__BOOLEAN, sizeof(_Bool)},
      {"bool", NEAP__BOOLEAN, sizeof(_Bool)},
      {"enum { A, B = 2, C = -1, }", NEAP__SIGNED, sizeof(int)},
      {"const volatile int", NEAP__SIGNED, sizeof(int)},
      {"unsigned const int", NEAP__UNSIGNED, sizeof(int)},
  };
  (void)state;
  for (size_t k = 0; k < sizeof numbers / sizeof numbers[0]; k++) {
    char text[100];
    snprintf(text, sizeof text, "%s f(%s x)", numbers[k].text, numbers[k].text);
    neap__declaration *d = parse(text);
    assert_string_equal(d->name, "f");
    assert_int_equal(d->parameter_count, 1);
    assert_int_equal(d->result->kind, numbers[k].kind);
    assert_int_equal(d->result->size, numbers[k].size);
    assert_ptr_equal(d->parameters[0].type, d->result);
    neap__declaration_free(d);
  }
}

static void check_parameter(const char *text, const char *printed) {
  neap__ctype_text buffer = {0};
  char whole[300];
  snprintf(whole, sizeof whole, "typedef struct s s; void f(%s);", text);
  neap__declaration *d = parse(whole);
  assert_string_equal(neap__ctype_print(d->parameters[0].type, &buffer),
                      printed);
  neap__declaration_free(d);
}

static void pointers_say_what_they_point_at(void **state) {
  (void)state;
  check_parameter("const char *x", "const char *");
  check_parameter("char const *restrict x", "const char *");
  check_parameter("char *const x", "char *");
  check_parameter("const uint8_t *", "const unsigned char *");
  check_parameter("const void **x", "const void **");
  check_parameter("s *x", "s *");
  check_parameter("const struct other *x", "const other *");
  check_parameter("double x[]", "double *");
  check_parameter("const double x[3][4]", "const double *");
  check_parameter("int n[static 3]", "int *");
}

static void names_are_those_of_the_text(void **state) {
  (void)state;
  neap__declaration *d =
      parse("/* of zlib */ extern unsigned long crc32 (unsigned long crc,\n"
            "  // the data\n  const uint8_t *buf, unsigned) ;  ");
  assert_string_equal(d->name, "crc32");
  assert_int_equal(d->parameter_count, 3);
  assert_string_equal(d->parameters[0].name, "crc");
  assert_string_equal(d->parameters[1].name, "buf");
  assert_string_equal(d->parameters[2].name, "3");
  neap__declaration_free(d);
  d = parse("double *f(void)");
  assert_int_equal(d->parameter_count, 0);
  assert_int_equal(d->result->kind, NEAP__POINTER);
  neap__declaration_free(d);
  d = parse("void f()");
  assert_int_equal(d->parameter_count, 0);
  assert_int_equal(d->result->kind, NEAP__VOID);
  neap__declaration_free(d);
}

/* ---- Structs ------------------------------------------------------------- */

typedef struct inner {
  char c;
  double d;
} inner;

typedef struct outer {
  int8_t a;
  inner b;
  int16_t c[3];
  const char *d;
  float e, f;
  int8_t g[2][3];
} outer;

static const char outer_text[] =
    "typedef struct inner { char c; double d; } inner;\n"
    "struct outer { int8_t a; inner b; int16_t c[3]; const char *d;\n"
    "  float e, f; int8_t g[2][3]; };\n"
    "double f(struct outer o, const struct outer *p)";

static void structs_lie_as_the_compiler_lays_them(void **state) {
  static const size_t offsets[] = {offsetof(outer, a), offsetof(outer, b),
                                   offsetof(outer, c), offsetof(outer, d),
                                   offsetof(outer, e), offsetof(outer, f),
                                   offsetof(outer, g)};
  (void)state;
  neap__declaration *d = parse(outer_text);
  const neap__ctype *type = d->parameters[0].type;
  assert_int_equal(type->kind, NEAP__STRUCT);
  assert_int_equal(type->size, sizeof(outer));
  assert_int_equal(type->alignment, _Alignof(outer));
  assert_int_equal(type->member_count, 7);
  for (size_t k = 0; k < 7; k++)
    assert_int_equal(type->members[k].offset, offsets[k]);
  assert_string_equal(type->members[6].name, "g");
  assert_int_equal(type->members[6].type->count, 6);
  assert_int_equal(type->members[1].type->members[1].offset,
                   offsetof(inner, d));
  assert_ptr_equal(d->parameters[1].type->of, type);
  neap__declaration_free(d);
}

static void a_struct_may_point_at_itself(void **state) {
  (void)state;
  neap__declaration *d = parse("typedef struct node node;"
                               "struct node { const node *next; int x; };"
                               "int f(node *n)");
  const neap__ctype *node = d->parameters[0].type->of;
  assert_int_equal(node->size, 16);
  assert_ptr_equal(node->members[0].type->of, node);
  neap__declaration_free(d);
}

/* ---- Errors -------------------------------------------------------------- */

typedef struct mistake {
  const char *text, *why;
  int column; /* of the caret, from 0 */
} mistake;

static const mistake mistakes[] = {
    {"", "expected a function, and the text ends", 0},
    {"int", "expected the name of the function, and the text ends", 3},
    {"int f", "expected '(', and the text ends", 5},
    {"int f(", "expected a type, and the text ends", 6},
    {"int f(int x", "expected ',' or ')', and the text ends", 11},
    {"int f(int x y)", "expected ',' or ')', not 'y'", 12},
    {"int f(int x) int", "expected the end of the text, after the function",
     13},
    {"int f(int x) {", "expected a declaration, not the function's body", 13},
    {"uLong f(int x)", "unknown type 'uLong'", 0},
    {"int f(int x, uInt y)", "unknown type 'uInt'", 13},
    {"int f(int x, ...)", "variable arguments are refused", 13},
    {"int f(int (*call)(int))", "pointers to functions and arrays are refused",
     10},
    {"int f(int call(int))", "pointers to functions are refused", 14},
    {"typedef int f(int);", "types of functions are refused", 13},
    {"long double f(int x)", "long double is refused", 0},
    {"double long f(int x)", "long double is refused", 0},
    {"int f(union u x)", "unions are refused", 6},
    {"static int f(int x)", "a static function is in no library", 0},
    {"unsigned float f(int x)", "these words are no type", 0},
    {"int f(short long x)", "these words are no type", 6},
    {"int f(long long long x)", "these words are no type", 6},
    {"int f(int int x)", "these words are no type", 6},
    {"int f(void x)", "the type of this parameter is not defined here", 6},
    {"int f(struct s x)", "the type of this parameter is not defined here", 6},
    {"struct s f(int x)", "the type of the result is not defined here", 0},
    {"int f(int x, int x)", "there are two parameters 'x'", 17},
    {"struct s { int x, x; }; int f(struct s a)", "there are two members 'x'",
     18},
    {"struct s { int x : 3; }; int f(int x)", "bit-fields are refused", 17},
    {"struct s { int x[]; }; int f(int x)",
     "expected the array's size, a whole number above 0, not ']'", 17},
    {"struct s { int x[100000]; }; int f(int x)",
     "an array in a struct has 1 to 65536 bytes", 16},
    {"struct s { struct s x; }; int f(int x)",
     "the type of a member is not defined here", 20},
    {"struct s { int x; }; struct s { int y; }; int f(int x)",
     "this struct is defined twice", 30},
    {"typedef int t; typedef long t; int f(t x)", "this type is defined twice",
     28},
    {"int f(int x) @", "this character is in no declaration", 13},
    {"#include <zlib.h>", "this character is in no declaration", 0},
    {"int /* f(int x)", "a comment begins that does not end", 4},
};

static void errors_point_at_the_place(void **state) {
  (void)state;
  for (size_t k = 0; k < sizeof mistakes / sizeof mistakes[0]; k++) {
    const mistake *m = &mistakes[k];
    neap__declaration *d;
    neap_error error;
    char text[400];
    assert_int_equal(
        neap__declaration_parse(m->text, "the declaration", &d, &error),
        NEAP_EINVAL);
    assert_null(d);
    snprintf(text, sizeof text, "cannot read the declaration: %s\n  %s\n  %*s^",
             m->why, m->text, m->column, "");
    error.text[strlen(text) < sizeof error.text ? strlen(text) : 0] = '\0';
    assert_string_equal(error.text, text);
  }
}

static void check_error(const char *text, const char *expected) {
  neap__declaration *d;
  neap_error error;
  assert_int_equal(neap__declaration_parse(text, "the declaration", &d, &error),
                   NEAP_EINVAL);
  assert_string_equal(error.text, expected);
}

static void errors_show_their_line_alone(void **state) {
  (void)state;
  check_error("typedef struct {\n\tdouble x, y;\n} point;\n"
              "double norm(point p, Point q);",
              "cannot read the declaration in line 4: unknown type 'Point'\n"
              "  double norm(point p, Point q);\n"
              "                       ^\n"
              "help: say what it is before the function, as in \"typedef "
              "unsigned long Point;\", or \"typedef struct Point Point;\" "
              "where only pointers to it are used");
  check_error("int f(unit8_t x)",
              "cannot read the declaration: unknown type 'unit8_t'\n"
              "  int f(unit8_t x)\n"
              "        ^\n"
              "help: did you mean 'uint8_t'?");
  check_error("sin", "cannot read the declaration: unknown type 'sin'\n"
                     "  sin\n"
                     "  ^\n"
                     "help: a declaration is as \"double sin(double x)\"");
  check_error("int f(\tint \xc3\xa4 x)",
              "cannot read the declaration: this character is in no "
              "declaration\n"
              "  int f( int \xc3\xa4 x)\n"
              "             ^");
}

static void long_lines_are_cut(void **state) {
  char text[4000], *at = text;
  neap__declaration *d;
  neap_error error;
  (void)state;
  at += sprintf(at, "int f(");
  for (int k = 0; k < 30; k++)
    at += sprintf(at, "const unsigned long long parameter_%d, ", k);
  sprintf(at, "what x, int y, int and_so_on, int to_the_end_of_a_long_line)");
  assert_int_equal(neap__declaration_parse(text, "the declaration", &d, &error),
                   NEAP_EINVAL);
  const char *line = strchr(error.text, '\n') + 1;
  const char *caret = strchr(line, '\n') + 1;
  assert_true(caret - line < 140);
  assert_memory_equal(line + (strchr(caret, '^') - caret), "what x", 6);
  memset(text, '\x89', 1000); /* no UTF-8 */
  text[1000] = '\0';
  assert_int_equal(neap__declaration_parse(text, "the declaration", &d, &error),
                   NEAP_EINVAL);
  assert_true(strlen(error.text) < 300);
}

static void there_are_limits(void **state) {
  static char text[1 << 18];
  neap__declaration *d;
  neap_error error;
  char *at = text;
  (void)state;
  at += sprintf(at, "int f(int");
  for (int k = 0; k < 40; k++)
    at += sprintf(at, ", int");
  sprintf(at, ")");
  assert_int_equal(neap__declaration_parse(text, "it", &d, &error),
                   NEAP_EINVAL);
  assert_non_null(strstr(error.text, "too many parameters"));
  at = text;
  for (int k = 0; k < 20; k++)
    at += sprintf(at, "struct { ");
  assert_int_equal(neap__declaration_parse(text, "it", &d, &error),
                   NEAP_EINVAL);
  assert_non_null(strstr(error.text, "nested too deeply"));
  memset(text, ' ', sizeof text - 1);
  assert_int_equal(neap__declaration_parse(text, "it", &d, &error),
                   NEAP_EINVAL);
  assert_string_equal(error.text,
                      "cannot read it: it has 262143 bytes, more than 65536");
  memset(text, '*', 60000);
  memcpy(text, "int ", 4);
  text[60000] = '\0';
  assert_int_equal(neap__declaration_parse(text, "it", &d, &error),
                   NEAP_EINVAL);
  assert_non_null(strstr(error.text, "too many types"));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(numbers_have_the_size_that_the_compiler_gives),
      cmocka_unit_test(pointers_say_what_they_point_at),
      cmocka_unit_test(names_are_those_of_the_text),
      cmocka_unit_test(structs_lie_as_the_compiler_lays_them),
      cmocka_unit_test(a_struct_may_point_at_itself),
      cmocka_unit_test(errors_point_at_the_place),
      cmocka_unit_test(errors_show_their_line_alone),
      cmocka_unit_test(long_lines_are_cut),
      cmocka_unit_test(there_are_limits),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
