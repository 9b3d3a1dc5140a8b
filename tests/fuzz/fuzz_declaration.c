/* SPDX-License-Identifier: MIT */
/*
 * Declarations of C functions, and behind a 0 byte the text of a part that a
 * parameter is bound to. What is read must hold together: each type has a size,
 * members lie within their struct, one behind the other. What is not must be
 * refused with a place in the text.
 *
 * Every other input is made from words and signs of C. With --mistake a member
 * may not end where its struct does.
 */
#include "chain/declaration.h"
#include "chain/part.h"

#include "fuzz.h"

static size_t bytes_behind;

static void check_type(const neap__ctype *type, int depth);

static void check_struct(const neap__ctype *type, int depth) {
  size_t end = 0;
  for (size_t k = 0; k < type->member_count; k++) {
    const neap__member *member = &type->members[k];
    FUZZ_CHECK(member->name[0] != '\0');
    FUZZ_CHECK(member->offset >= end);
    FUZZ_CHECK(member->offset % member->type->alignment == 0);
    FUZZ_CHECK(member->type->size > 0);
    end = member->offset + member->type->size;
    FUZZ_CHECK(end + bytes_behind <= type->size);
    check_type(member->type, depth + 1);
  }
  FUZZ_CHECK(type->size <= NEAP__STRUCT_MAX + 16);
  FUZZ_CHECK(type->size == 0 || type->size % type->alignment == 0);
}

/* Structs may point at themselves: pointers are followed a few times. */
static void check_type(const neap__ctype *type, int depth) {
  neap__ctype_text text = {0};
  FUZZ_CHECK(strlen(neap__ctype_print(type, &text)) > 0);
  if (depth > 12) return;
  switch (type->kind) {
  case NEAP__POINTER: check_type(type->of, depth + 4); break;
  case NEAP__ARRAY:
    FUZZ_CHECK(type->size == type->count * type->of->size);
    check_type(type->of, depth + 1);
    break;
  case NEAP__STRUCT: check_struct(type, depth); break;
  default: FUZZ_CHECK(type->size <= 8);
  }
}

static void check_declaration(const neap__declaration *d, size_t size) {
  FUZZ_CHECK(strlen(d->name) > 0 && strlen(d->name) <= size);
  check_type(d->result, 0);
  for (int k = 0; k < d->parameter_count; k++) {
    FUZZ_CHECK(d->parameters[k].name[0] != '\0');
    FUZZ_CHECK(d->parameters[k].type->size > 0);
    check_type(d->parameters[k].type, 0);
  }
}

static void check_part(const char *text) {
  neap__part part;
  neap_error error;
  if (neap__part_parse(text, &part, "it", &error) != NEAP_OK) return;
  FUZZ_CHECK(part.dimension >= -1 && part.dimension < NEAP_DIMS_MAX);
  FUZZ_CHECK(strlen(part.field) < strlen(text) + 1);
  for (int k = 0; k < 40 && neap__part_extend(&part, text); k++)
    FUZZ_CHECK(strlen(part.field) < sizeof part.field);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  char *text = malloc(size + 1); /* so that each byte behind it is found */
  FUZZ_CHECK(text != NULL);
  memcpy(text, data, size);
  text[size] = '\0';
  neap__declaration *d;
  neap_error error = {0};
  if (neap__declaration_parse(text, "it", &d, &error) == NEAP_OK)
    check_declaration(d, size);
  else
    FUZZ_CHECK(d == NULL && strstr(error.text, "cannot read it") != NULL);
  neap__declaration_free(d);
  if (strlen(text) < size) check_part(text + strlen(text) + 1);
  free(text);
  return 0;
}

/* ---- Inputs -------------------------------------------------------------- */

static const char *const words[] = {
    "(",         ")",       "*",      ",",         ";",        "{",
    "}",         "[",       "]",      "3",         "65535",    "struct ",
    "typedef ",  "enum ",   "const ", "unsigned ", "signed ",  "char ",
    "short ",    "int ",    "long ",  "float ",    "double ",  "void ",
    "uint8_t ",  "size_t ", "bool ",  "...",       "a ",       "b ",
    "struct a ", "f(",      "/*",     "*/",        "//",       "\n",
    "=-1",       "union ",  "int x;", "\0data",    "shape[2]", ".item"};

/* Puts a word somewhere, or lets libFuzzer change bytes. */
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t size_max,
                               unsigned seed) {
  const char *word = words[(seed >> 8) % (sizeof words / sizeof words[0])];
  const size_t length = word[0] == '\0' ? 5 : strlen(word);
  const size_t at = size == 0 ? 0 : (seed >> 16) % (size + 1);
  if (seed % 2 == 0 || size + length > size_max)
    return LLVMFuzzerMutate(data, size, size_max);
  memmove(data + at + length, data + at, size - at);
  memcpy(data + at, word, length);
  return size + length;
}

static void write_seeds(const char *folder) {
  static const char *const seeds[] = {
      "unsigned long crc32(unsigned long crc, const uint8_t *buf, unsigned)",
      "typedef struct { double x, y; } point; point mirror(point p);",
      "struct a { char n[8]; struct { int x[2][3]; } b; }; int f(struct a x)",
      "typedef const struct a *c; int f(c x, char *const restrict y)",
      "enum e { A, B = 2 }; enum e f(double x[static 3], void *y[])",
      "struct a { struct a *next; bool b; }; /* it */ void f(struct a, int a)",
  };
  for (size_t k = 0; k < sizeof seeds / sizeof seeds[0]; k++) {
    char path[4096];
    snprintf(path, sizeof path, "%s/%zu", folder, k);
    FILE *file = fopen(path, "wb");
    FUZZ_CHECK(file != NULL);
    FUZZ_CHECK(fprintf(file, "%s%cimage.shape[2]", seeds[k], 0) > 0);
    fclose(file);
  }
}

int LLVMFuzzerInitialize(int *argc, char ***argv) {
  const char *folder = fuzz_option(*argc, *argv, "--seeds=");
  if (folder != NULL) {
    write_seeds(folder);
    exit(0);
  }
  if (fuzz_option(*argc, *argv, "--mistake") != NULL) bytes_behind = 1;
  return 0;
}
