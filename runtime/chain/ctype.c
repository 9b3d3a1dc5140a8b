/* SPDX-License-Identifier: MIT */
/*
 * Arithmetic types: those that C builds of words, and those that its headers
 * name. Each is one object, named by its plainest spelling.
 */
#include "chain/ctype.h"

#include <stdio.h>
#include <string.h>
#include <sys/types.h>
#include <time.h>
#include <wchar.h>

#define ARITHMETIC(symbol, type, of_kind) \
  static const neap__ctype symbol##_type = {.kind = of_kind, \
                                            .size = sizeof(type), \
                                            .alignment = _Alignof(type), \
                                            .name = #type}
#define IS_SIGNED(type) ((type)-1 < (type)1 ? NEAP__SIGNED : NEAP__UNSIGNED)

static const neap__ctype void_type = {.kind = NEAP__VOID, .name = "void"};
static const neap__ctype char_type = {.kind = IS_SIGNED(char),
                                      .is_char = true,
                                      .size = 1,
                                      .alignment = 1,
                                      .name = "char"};
static const neap__ctype bool_type = {.kind = NEAP__BOOLEAN,
                                      .size = sizeof(_Bool),
                                      .alignment = _Alignof(_Bool),
                                      .name = "bool"};
ARITHMETIC(schar, signed char, NEAP__SIGNED);
ARITHMETIC(uchar, unsigned char, NEAP__UNSIGNED);
ARITHMETIC(short, short, NEAP__SIGNED);
ARITHMETIC(ushort, unsigned short, NEAP__UNSIGNED);
ARITHMETIC(int, int, NEAP__SIGNED);
ARITHMETIC(uint, unsigned int, NEAP__UNSIGNED);
ARITHMETIC(long, long, NEAP__SIGNED);
ARITHMETIC(ulong, unsigned long, NEAP__UNSIGNED);
ARITHMETIC(llong, long long, NEAP__SIGNED);
ARITHMETIC(ullong, unsigned long long, NEAP__UNSIGNED);
ARITHMETIC(float, float, NEAP__FLOATING);
ARITHMETIC(double, double, NEAP__FLOATING);

/* ---- Words --------------------------------------------------------------- */

static int *place_of(neap__words *words, const char *text, size_t size) {
  const struct {
    const char *word;
    int *count;
  } known[] = {
      {"unsigned", &words->is_unsigned}, {"signed", &words->is_signed},
      {"short", &words->is_short},       {"long", &words->long_count},
      {"void", &words->is_void},         {"_Bool", &words->is_bool},
      {"bool", &words->is_bool},         {"char", &words->is_char},
      {"int", &words->is_int},           {"float", &words->is_float},
      {"double", &words->is_double},
  };
  for (size_t k = 0; k < sizeof known / sizeof known[0]; k++)
    if (strlen(known[k].word) == size &&
        strncmp(known[k].word, text, size) == 0)
      return known[k].count;
  return NULL;
}

bool neap__words_add(neap__words *words, const char *text, size_t size) {
  int *count = place_of(words, text, size);
  if (count == NULL) return false;
  *count += *count < 3; /* more is as wrong as 3 */
  return true;
}

bool neap__words_are_none(const neap__words *words) {
  static const neap__words none;
  return memcmp(words, &none, sizeof none) == 0;
}

static const neap__ctype *integer_of(const neap__words *words) {
  const bool is_unsigned = words->is_unsigned == 1;
  if (words->is_short == 1) return is_unsigned ? &ushort_type : &short_type;
  switch (words->long_count) {
  case 0: return is_unsigned ? &uint_type : &int_type;
  case 1: return is_unsigned ? &ulong_type : &long_type;
  default: return is_unsigned ? &ullong_type : &llong_type;
  }
}

const neap__ctype *neap__words_type(const neap__words *words) {
  const int signs = words->is_unsigned + words->is_signed;
  const int lengths = words->is_short + words->long_count;
  const int bases = words->is_void + words->is_bool + words->is_char +
                    words->is_int + words->is_float + words->is_double;
  if (bases > 1 || signs > 1 || words->is_short > 1 || words->long_count > 2 ||
      (words->is_short > 0 && words->long_count > 0))
    return NULL;
  if (words->is_char == 1 && lengths == 0)
    return signs == 0              ? &char_type
           : words->is_signed == 1 ? &schar_type
                                   : &uchar_type;
  if (words->is_int == 1 || (bases == 0 && signs + lengths > 0))
    return integer_of(words);
  if (signs > 0 || lengths > 0) return NULL;
  if (words->is_void == 1) return &void_type;
  if (words->is_bool == 1) return &bool_type;
  if (words->is_float == 1) return &float_type;
  return words->is_double == 1 ? &double_type : NULL;
}

/* ---- Names --------------------------------------------------------------- */

#define NAMED(type) \
  { #type, sizeof(type), IS_SIGNED(type) }

static const struct {
  const char *name;
  size_t size;
  neap__kind kind;
} names[] = {
    NAMED(int8_t),         NAMED(uint8_t),        NAMED(int16_t),
    NAMED(uint16_t),       NAMED(int32_t),        NAMED(uint32_t),
    NAMED(int64_t),        NAMED(uint64_t),       NAMED(size_t),
    NAMED(ssize_t),        NAMED(ptrdiff_t),      NAMED(intptr_t),
    NAMED(uintptr_t),      NAMED(intmax_t),       NAMED(uintmax_t),
    NAMED(off_t),          NAMED(time_t),         NAMED(wchar_t),
    NAMED(int_least8_t),   NAMED(uint_least8_t),  NAMED(int_least16_t),
    NAMED(uint_least16_t), NAMED(int_least32_t),  NAMED(uint_least32_t),
    NAMED(int_least64_t),  NAMED(uint_least64_t), NAMED(int_fast8_t),
    NAMED(uint_fast8_t),   NAMED(int_fast16_t),   NAMED(uint_fast16_t),
    NAMED(int_fast32_t),   NAMED(uint_fast32_t),  NAMED(int_fast64_t),
    NAMED(uint_fast64_t),
};

static const neap__ctype *of_size(size_t size, neap__kind kind) {
  const bool is_signed = kind == NEAP__SIGNED;
  switch (size) {
  case 1: return is_signed ? &schar_type : &uchar_type;
  case 2: return is_signed ? &short_type : &ushort_type;
  case 4: return is_signed ? &int_type : &uint_type;
  default: return is_signed ? &long_type : &ulong_type;
  }
}
_Static_assert(sizeof(long) == 8, "long is the type of 8 bytes");

const neap__ctype *neap__ctype_find(const char *name, size_t size) {
  for (size_t k = 0; k < sizeof names / sizeof names[0]; k++)
    if (strlen(names[k].name) == size &&
        strncmp(names[k].name, name, size) == 0)
      return of_size(names[k].size, names[k].kind);
  return NULL;
}

/* One swap of neighbours, or one letter too many, too few or wrong. */
static bool is_near(const char *a, size_t a_size, const char *b,
                    size_t b_size) {
  size_t head = 0, tail = 0;
  while (head < a_size && head < b_size && a[head] == b[head])
    head++;
  while (tail < a_size - head && tail < b_size - head &&
         a[a_size - 1 - tail] == b[b_size - 1 - tail])
    tail++;
  a_size -= head + tail;
  b_size -= head + tail;
  if (a_size == 2 && b_size == 2)
    return a[head] == b[head + 1] && a[head + 1] == b[head];
  return a_size <= 1 && b_size <= 1;
}

const char *neap__ctype_suggest(const char *name, size_t size) {
  static const char *const words[] = {"unsigned", "signed", "short", "long",
                                      "void",     "bool",   "char",  "int",
                                      "float",    "double", "const", "struct"};
  for (size_t k = 0; k < sizeof names / sizeof names[0]; k++)
    if (is_near(name, size, names[k].name, strlen(names[k].name)))
      return names[k].name;
  for (size_t k = 0; k < sizeof words / sizeof words[0]; k++)
    if (size > 2 && is_near(name, size, words[k], strlen(words[k])))
      return words[k];
  return NULL;
}

/* ---- Pointers, and messages ---------------------------------------------- */

bool neap__ctype_is_bytes(const neap__ctype *pointer) {
  const neap__ctype *of = pointer->of;
  return of->kind == NEAP__VOID ||
         (neap__ctype_is_integer(of) && of->size == 1);
}

bool neap__ctype_is_text(const neap__ctype *pointer) {
  return pointer->of->is_char;
}

const char *neap__ctype_print(const neap__ctype *type,
                              neap__ctype_text *buffer) {
  char stars[16] = "";
  size_t count = 0;
  const char *constant = "";
  while (type->kind == NEAP__POINTER && count + 1 < sizeof stars) {
    stars[count++] = '*';
    constant = type->is_constant ? "const " : "";
    type = type->of;
  }
  snprintf(buffer->bytes, sizeof buffer->bytes, "%s%s%s%s", constant,
           type->name != NULL ? type->name : "array", count > 0 ? " " : "",
           stars);
  return buffer->bytes;
}
