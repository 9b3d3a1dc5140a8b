/* SPDX-License-Identifier: MIT */
/* The types of C, as a declaration names them, with their size on this machine.
 */
#ifndef NEAP_CHAIN_CTYPE_H
#define NEAP_CHAIN_CTYPE_H

#include <stdbool.h>

#include "neap.h"

typedef enum neap__kind {
  NEAP__VOID,
  NEAP__BOOLEAN,
  NEAP__SIGNED,
  NEAP__UNSIGNED,
  NEAP__FLOATING,
  NEAP__POINTER,
  NEAP__ARRAY, /* in a struct */
  NEAP__STRUCT,
} neap__kind;

typedef struct neap__member neap__member;
typedef struct neap__ctype neap__ctype;

struct neap__ctype {
  neap__kind kind;
  bool is_char;     /* char, which pointers to text point at */
  bool is_constant; /* a pointer: what it points at */
  size_t size;      /* 0: void, or a struct that is not defined */
  size_t alignment;
  const neap__ctype *of; /* a pointer or an array: its elements */
  size_t count;          /* elements of an array */
  const neap__member *members;
  size_t member_count;
  const char *name; /* of arithmetic types, void and structs: "unsigned int" */
};

struct neap__member {
  const char *name;
  const neap__ctype *type;
  size_t offset;
};

/* The words of an arithmetic type, counted. */
typedef struct neap__words {
  int is_unsigned, is_signed, is_short, long_count;
  int is_void, is_bool, is_char, is_int, is_float, is_double;
} neap__words;

/* Counts a word; false: it is no word of an arithmetic type. */
bool neap__words_add(neap__words *words, const char *text, size_t size);
bool neap__words_are_none(const neap__words *words);
/* The type that the words name in any order, or NULL. */
const neap__ctype *neap__words_type(const neap__words *words);

/* The type that a C header names so: "uint8_t", "size_t"; or NULL. */
const neap__ctype *neap__ctype_find(const char *name, size_t size);
/* The known name that is nearest to a wrong one, or NULL. */
const char *neap__ctype_suggest(const char *name, size_t size);

static inline bool neap__ctype_is_integer(const neap__ctype *type) {
  return type->kind == NEAP__SIGNED || type->kind == NEAP__UNSIGNED;
}

/* A number or a truth. */
static inline bool neap__ctype_is_scalar(const neap__ctype *type) {
  return type->kind >= NEAP__BOOLEAN && type->kind <= NEAP__FLOATING;
}

/* Whether it points at bytes: any void, char or 8-bit integer. */
bool neap__ctype_is_bytes(const neap__ctype *pointer);
/* Whether it points at char. */
bool neap__ctype_is_text(const neap__ctype *pointer);

typedef struct neap__ctype_text {
  char bytes[160];
} neap__ctype_text;

/* "const unsigned char *", for messages. */
const char *neap__ctype_print(const neap__ctype *type,
                              neap__ctype_text *buffer);

#endif
