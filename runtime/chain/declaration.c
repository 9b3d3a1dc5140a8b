/* SPDX-License-Identifier: MIT */
/*
 * The parser of declarations: recursive descent, one function for each rule.
 * All that it makes lies in one block, whose tables have fixed sizes. A
 * function returns false after an error, which has been reported.
 */
#include "chain/declaration.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "chain/scanner.h"

enum {
  TYPES_MAX = 256,  /* pointers, arrays, structs */
  NAMES_MAX = 256,  /* typedefs and tags */
  FIELDS_MAX = 512, /* members of all structs */
  NESTING_MAX = 8,  /* structs within structs */
};

typedef struct named {
  const char *name;
  bool is_tag; /* of a struct; else a typedef */
  bool is_constant;
  const neap__ctype *type;
} named;

/* A type with what `const` says of it. */
typedef struct qualified {
  const neap__ctype *type;
  bool is_constant;
} qualified;

typedef struct parser {
  neap__declaration declaration; /* first: it is what is freed */
  neap__scanner scanner;
  neap__ctype types[TYPES_MAX];
  int type_count;
  named names[NAMES_MAX];
  int name_count;
  neap__member fields[FIELDS_MAX];
  int field_count;
  int nesting;
  char *texts; /* names, one after another */
} parser;

/* ---- Tokens -------------------------------------------------------------- */

static bool is(const parser *p, const char *text) {
  return neap__token_is(&p->scanner.token, text);
}

static bool is_word(const parser *p) {
  return p->scanner.token.kind == NEAP__TOKEN_WORD;
}

static bool next(parser *p) {
  return neap__scanner_next(&p->scanner);
}

/* Points at the token that is read next. */
static bool fail(parser *p, const char *help, const char *why) {
  return neap__scanner_fail(&p->scanner, &p->scanner.token, help, "%s", why);
}

static bool fail_expected(parser *p, const char *what) {
  const neap__token *token = &p->scanner.token;
  if (token->kind == NEAP__TOKEN_END)
    return neap__scanner_fail(&p->scanner, token, NULL,
                              "expected %s, and the text ends", what);
  return neap__scanner_fail(&p->scanner, token, NULL, "expected %s, not '%.*s'",
                            what, (int)(token->size < 40 ? token->size : 40),
                            token->at);
}

static bool expect(parser *p, const char *sign) {
  char what[16];
  snprintf(what, sizeof what, "'%s'", sign);
  return is(p, sign) ? next(p) : fail_expected(p, what);
}

/* A word that is no type, as a name; it lives as long as the declaration. */
static bool read_name(parser *p, const char *what, const char **out) {
  const neap__token token = p->scanner.token;
  if (!is_word(p)) return fail_expected(p, what);
  char *name = p->texts;
  memcpy(name, token.at, token.size);
  name[token.size] = '\0';
  p->texts += token.size + 1;
  *out = name;
  return next(p);
}

/* Skips qualifiers; *is_constant becomes true at a const. */
static bool skip_qualifiers(parser *p, bool *is_constant) {
  static const char *const words[] = {"const",      "volatile",     "restrict",
                                      "__restrict", "__restrict__", "__const",
                                      "extern",     "register"};
  for (size_t k = 0; k < sizeof words / sizeof words[0];) {
    if (is(p, words[k])) {
      if (strstr(words[k], "const") != NULL) *is_constant = true;
      if (!next(p)) return false;
      k = 0;
    } else {
      k++;
    }
  }
  return true;
}

/* ---- Types --------------------------------------------------------------- */

static neap__ctype *new_type(parser *p, neap__kind kind) {
  if (p->type_count == TYPES_MAX) {
    fail(p, NULL, "too many types");
    return NULL;
  }
  neap__ctype *type = &p->types[p->type_count++];
  type->kind = kind;
  return type;
}

static named *find_name(parser *p, bool is_tag, const char *name, size_t size) {
  for (int k = 0; k < p->name_count; k++) {
    named *known = &p->names[k];
    if (known->is_tag == is_tag && strlen(known->name) == size &&
        strncmp(known->name, name, size) == 0)
      return known;
  }
  return NULL;
}

static bool add_name(parser *p, named name) {
  if (p->name_count == NAMES_MAX) return fail(p, NULL, "too many names");
  p->names[p->name_count++] = name;
  return true;
}

static bool parse_type(parser *p, qualified *out);

/* Stars, and what const says of what they point at. */
static bool parse_stars(parser *p, qualified *type) {
  while (is(p, "*")) {
    neap__ctype *pointer = new_type(p, NEAP__POINTER);
    if (pointer == NULL) return false;
    pointer->size = sizeof(void *);
    pointer->alignment = _Alignof(void *);
    pointer->of = type->type;
    pointer->is_constant = type->is_constant;
    *type = (qualified){pointer, false};
    if (!next(p) || !skip_qualifiers(p, &type->is_constant)) return false;
  }
  if (is(p, "("))
    return fail(p, NULL, "pointers to functions and arrays are refused");
  return true;
}

static bool make_array(parser *p, int64_t count, const neap__token *at,
                       qualified *type) {
  const size_t size = type->type->size;
  if (count < 1 || (size_t)count > NEAP__STRUCT_MAX / (size > 0 ? size : 1))
    return neap__scanner_fail(&p->scanner, at, NULL,
                              "an array in a struct has 1 to 65536 bytes");
  neap__ctype *array = new_type(p, NEAP__ARRAY);
  if (array == NULL) return false;
  array->of = type->type;
  array->count = (size_t)count;
  array->size = size * (size_t)count;
  array->alignment = type->type->alignment;
  type->type = array;
  return true;
}

/* [4][3]: the elements of all dimensions, one after another. */
static bool parse_member_arrays(parser *p, qualified *type) {
  int64_t count = 1;
  const neap__token first = p->scanner.token;
  if (!is(p, "[")) return true;
  while (is(p, "[")) {
    if (!next(p)) return false;
    const neap__token size = p->scanner.token;
    if (size.kind != NEAP__TOKEN_NUMBER || size.number < 1)
      return fail_expected(p, "the array's size, a whole number above 0");
    count = count > NEAP__STRUCT_MAX ? count : count * size.number;
    if (!next(p) || !expect(p, "]")) return false;
  }
  return make_array(p, count, &first, type);
}

/* Those of a parameter, which is a pointer. */
static bool parse_parameter_arrays(parser *p, qualified *type) {
  if (!is(p, "[")) return true;
  while (is(p, "[")) {
    while (!is(p, "]")) {
      if (p->scanner.token.kind == NEAP__TOKEN_END)
        return fail_expected(p, "']'");
      if (!next(p)) return false;
    }
    if (!next(p)) return false;
  }
  neap__ctype *pointer = new_type(p, NEAP__POINTER);
  if (pointer == NULL) return false;
  pointer->size = sizeof(void *);
  pointer->alignment = _Alignof(void *);
  pointer->of = type->type;
  pointer->is_constant = type->is_constant;
  *type = (qualified){pointer, false};
  return true;
}

/* ---- Structs and enums --------------------------------------------------- */

static bool add_member(parser *p, neap__ctype *of, neap__member *members,
                       const neap__member *member, const neap__token *at) {
  const neap__ctype *type = member->type;
  if (type->size == 0)
    return neap__scanner_fail(&p->scanner, at, NULL,
                              "the type of a member is not defined here");
  for (size_t k = 0; k < of->member_count; k++)
    if (strcmp(members[k].name, member->name) == 0)
      return neap__scanner_fail(&p->scanner, at, NULL,
                                "there are two members '%s'", member->name);
  if (of->member_count == NEAP__MEMBERS_MAX)
    return neap__scanner_fail(&p->scanner, at, NULL, "too many members");
  neap__member *added = &members[of->member_count++];
  *added = *member;
  added->offset = (of->size + type->alignment - 1) & ~(type->alignment - 1);
  of->size = added->offset + type->size;
  if (type->alignment > of->alignment) of->alignment = type->alignment;
  if (of->size > NEAP__STRUCT_MAX)
    return neap__scanner_fail(&p->scanner, at, NULL,
                              "a struct has 65536 bytes at most");
  return true;
}

/* double x, *y[4]; */
static bool parse_members(parser *p, neap__ctype *of, neap__member *members) {
  qualified base;
  if (!parse_type(p, &base)) return false;
  for (;;) {
    qualified type = base;
    neap__member member = {0};
    if (!parse_stars(p, &type)) return false;
    const neap__token at = p->scanner.token;
    if (!read_name(p, "the name of a member", &member.name) ||
        !parse_member_arrays(p, &type))
      return false;
    if (is(p, ":")) return fail(p, NULL, "bit-fields are refused");
    member.type = type.type;
    if (!add_member(p, of, members, &member, &at)) return false;
    if (!is(p, ",")) return expect(p, ";");
    if (!next(p)) return false;
  }
}

/* The members go to the end of the table when all are known: those of a struct
   within it come first. */
static bool keep_members(parser *p, neap__ctype *type,
                         const neap__member *members) {
  const int count = (int)type->member_count;
  if (p->field_count + count > FIELDS_MAX)
    return fail(p, NULL, "too many members");
  memcpy(p->fields + p->field_count, members, (size_t)count * sizeof *members);
  type->members = p->fields + p->field_count;
  p->field_count += count;
  type->size = (type->size + type->alignment - 1) & ~(type->alignment - 1);
  return true;
}

static bool parse_body(parser *p, neap__ctype *type) {
  neap__member members[NEAP__MEMBERS_MAX];
  neap__ctype made = *type; /* not defined until its body ends */
  made.alignment = 1;
  if (++p->nesting > NESTING_MAX)
    return fail(p, NULL, "structs are nested too deeply");
  if (!expect(p, "{")) return false;
  do {
    if (!parse_members(p, &made, members)) return false;
  } while (!is(p, "}"));
  p->nesting--;
  if (!keep_members(p, &made, members)) return false;
  *type = made;
  return next(p);
}

/* The struct of a tag; a new one, not defined, if there was none. */
static neap__ctype *find_struct(parser *p, const char *tag) {
  const named *known = find_name(p, true, tag, strlen(tag));
  if (known != NULL) return (neap__ctype *)known->type;
  neap__ctype *type = new_type(p, NEAP__STRUCT);
  if (type == NULL) return NULL;
  type->name = tag;
  return add_name(p, (named){tag, true, false, type}) ? type : NULL;
}

static bool parse_struct(parser *p, const neap__ctype **out) {
  const char *tag = NULL;
  if (is_word(p) && !read_name(p, "a tag", &tag)) return false;
  if (tag == NULL && !is(p, "{")) return fail_expected(p, "a tag or '{'");
  neap__ctype *type =
      tag != NULL ? find_struct(p, tag) : new_type(p, NEAP__STRUCT);
  if (type == NULL) return false;
  if (tag == NULL) type->name = "struct";
  *out = type;
  if (!is(p, "{")) return true;
  if (type->size > 0) return fail(p, NULL, "this struct is defined twice");
  return parse_body(p, type);
}

/* {A, B = 2, C}: the names mean nothing here. */
static bool skip_enumerators(parser *p) {
  do {
    const char *name;
    if (!next(p)) return false; /* the brace, or a comma */
    if (is(p, "}")) break;
    if (!read_name(p, "the name of a constant", &name)) return false;
    if (is(p, "=")) {
      if (!next(p) || (is(p, "-") && !next(p))) return false;
      if (p->scanner.token.kind != NEAP__TOKEN_NUMBER)
        return fail_expected(p, "a whole number");
      if (!next(p)) return false;
    }
  } while (is(p, ","));
  return expect(p, "}");
}

static bool parse_enum(parser *p, const neap__ctype **out) {
  const char *tag = NULL;
  *out = neap__ctype_find("int32_t", strlen("int32_t"));
  if (is_word(p) && !read_name(p, "a tag", &tag)) return false;
  if (tag == NULL && !is(p, "{")) return fail_expected(p, "a tag or '{'");
  return is(p, "{") ? skip_enumerators(p) : true;
}

/* ---- What a declaration begins with ---------------------------------------
 */

static bool fail_unknown(parser *p, const char *why) {
  const neap__token *token = &p->scanner.token;
  const int size = (int)(token->size < 60 ? token->size : 60);
  char help[256];
  const char *near = neap__ctype_suggest(token->at, token->size);
  if (why != NULL)
    return neap__scanner_fail(&p->scanner, token, NULL, "%s", why);
  neap__scanner ahead = p->scanner;
  ahead.error = NULL;
  if (neap__scanner_next(&ahead) && ahead.token.kind == NEAP__TOKEN_END)
    snprintf(help, sizeof help, "a declaration is as \"double sin(double x)\"");
  else if (near != NULL)
    snprintf(help, sizeof help, "did you mean '%s'?", near);
  else
    snprintf(help, sizeof help,
             "say what it is before the function, as in \"typedef unsigned "
             "long %.*s;\", or \"typedef struct %.*s %.*s;\" where only "
             "pointers to it are used",
             size, token->at, size, token->at, size, token->at);
  return neap__scanner_fail(&p->scanner, token, help, "unknown type '%.*s'",
                            size, token->at);
}

/* Words that C knows, and neap does not. */
static const char *refusal(const parser *p) {
  static const struct {
    const char *word, *why;
  } refused[] = {
      {"union", "unions are refused"},
      {"_Complex", "complex numbers are refused"},
      {"__int128", "__int128 is refused"},
      {"va_list", "variable arguments are refused"},
      {"static", "a static function is in no library"},
      {"inline", "an inline function is in no library"},
      {"__attribute__", "attributes are refused"},
      {"_Atomic", "_Atomic is refused"},
  };
  for (size_t k = 0; k < sizeof refused / sizeof refused[0]; k++)
    if (is(p, refused[k].word)) return refused[k].why;
  return NULL;
}

/* Reads words of an arithmetic type, among qualifiers. */
static bool parse_words(parser *p, qualified *out) {
  const neap__token first = p->scanner.token;
  neap__words words = {0};
  while (is_word(p) &&
         neap__words_add(&words, p->scanner.token.at, p->scanner.token.size))
    if (!next(p) || !skip_qualifiers(p, &out->is_constant)) return false;
  if (neap__words_are_none(&words)) return true;
  if (words.long_count > 0 && words.is_double > 0)
    return neap__scanner_fail(&p->scanner, &first, NULL,
                              "long double is refused");
  out->type = neap__words_type(&words);
  return out->type != NULL || neap__scanner_fail(&p->scanner, &first, NULL,
                                                 "these words are no type");
}

static bool parse_named(parser *p, qualified *out) {
  const neap__token token = p->scanner.token;
  const named *known = find_name(p, false, token.at, token.size);
  if (known != NULL) {
    out->type = known->type;
    out->is_constant |= known->is_constant;
  } else {
    out->type = neap__ctype_find(token.at, token.size);
  }
  return out->type != NULL ? next(p) : fail_unknown(p, refusal(p));
}

/* const unsigned long; struct point {...}; uint8_t */
static bool parse_type(parser *p, qualified *out) {
  *out = (qualified){NULL, false};
  if (!skip_qualifiers(p, &out->is_constant)) return false;
  if (!is_word(p)) return fail_expected(p, "a type");
  const bool is_enum = is(p, "enum");
  if (is_enum || is(p, "struct")) {
    if (!next(p)) return false;
    if (!(is_enum ? parse_enum : parse_struct)(p, &out->type)) return false;
  } else {
    if (!parse_words(p, out)) return false;
    if (out->type == NULL && !parse_named(p, out)) return false;
  }
  return skip_qualifiers(p, &out->is_constant);
}

static bool parse_typedef(parser *p) {
  qualified base;
  if (!next(p) || !parse_type(p, &base)) return false;
  for (;;) {
    qualified type = base;
    named made = {0};
    if (!parse_stars(p, &type)) return false;
    const neap__token at = p->scanner.token;
    if (!read_name(p, "the name of the type", &made.name)) return false;
    if (is(p, "(")) return fail(p, NULL, "types of functions are refused");
    if (is(p, "[")) return fail(p, NULL, "types of arrays are refused");
    const named *known = find_name(p, false, made.name, strlen(made.name));
    if (known != NULL && known->type != type.type)
      return neap__scanner_fail(&p->scanner, &at, NULL,
                                "this type is defined twice");
    made.type = type.type;
    made.is_constant = type.is_constant;
    if (!add_name(p, made)) return false;
    if (!is(p, ",")) return expect(p, ";");
    if (!next(p)) return false;
  }
}

/* ---- The function -------------------------------------------------------- */

static bool name_parameter(parser *p, neap__parameter *parameter,
                           const neap__token *at) {
  neap__declaration *d = &p->declaration;
  if (parameter->name == NULL) { /* its number has at most 2 digits */
    parameter->name = p->texts;
    p->texts += 1 + snprintf(p->texts, 3, "%d", d->parameter_count + 1);
  }
  for (int k = 0; k < d->parameter_count; k++)
    if (strcmp(d->parameters[k].name, parameter->name) == 0)
      return neap__scanner_fail(&p->scanner, at, NULL,
                                "there are two parameters '%s'",
                                parameter->name);
  return true;
}

static bool parse_parameter(parser *p) {
  neap__declaration *d = &p->declaration;
  neap__parameter parameter = {0};
  qualified type;
  if (is(p, "...")) return fail(p, NULL, "variable arguments are refused");
  const neap__token first = p->scanner.token;
  if (!parse_type(p, &type) || !parse_stars(p, &type)) return false;
  const neap__token at = is_word(p) ? p->scanner.token : first;
  if (is_word(p) && !read_name(p, "a name", &parameter.name)) return false;
  if (is(p, "(")) return fail(p, NULL, "pointers to functions are refused");
  if (!parse_parameter_arrays(p, &type)) return false;
  if (type.type->size == 0)
    return neap__scanner_fail(&p->scanner, &first, NULL,
                              "the type of this parameter is not defined here");
  if (d->parameter_count == NEAP__PARAMETERS_MAX)
    return neap__scanner_fail(&p->scanner, &first, NULL, "too many parameters");
  if (!name_parameter(p, &parameter, &at)) return false;
  parameter.type = type.type;
  d->parameters[d->parameter_count++] = parameter;
  return true;
}

/* (void) is a type of size 0, followed by the end. */
static bool is_void_alone(const parser *p) {
  if (!is(p, "void")) return false;
  neap__scanner ahead = p->scanner;
  ahead.error = NULL;
  return neap__scanner_next(&ahead) && neap__token_is(&ahead.token, ")");
}

static bool parse_parameters(parser *p) {
  if (!expect(p, "(")) return false;
  if (is_void_alone(p) && !next(p)) return false;
  if (is(p, ")")) return next(p);
  for (;;) {
    if (!parse_parameter(p)) return false;
    if (is(p, ")")) return next(p);
    if (!is(p, ",")) return fail_expected(p, "',' or ')'");
    if (!next(p)) return false;
  }
}

static bool parse_end(parser *p) {
  if (is(p, "{"))
    return fail(p, "to compile C from a file: source = \"kernel.c\"",
                "expected a declaration, not the function's body");
  if (is(p, ";") && !next(p)) return false;
  if (p->scanner.token.kind != NEAP__TOKEN_END)
    return fail(p, "types come first, the function last",
                "expected the end of the text, after the function");
  return true;
}

static bool parse_function(parser *p, qualified type,
                           const neap__token *first) {
  neap__declaration *d = &p->declaration;
  if (!parse_stars(p, &type) ||
      !read_name(p, "the name of the function", &d->name))
    return false;
  if (type.type->kind != NEAP__VOID && type.type->size == 0)
    return neap__scanner_fail(&p->scanner, first, NULL,
                              "the type of the result is not defined here");
  d->result = type.type;
  return parse_parameters(p) && parse_end(p);
}

static bool parse(parser *p) {
  for (;;) {
    qualified type;
    if (p->scanner.token.kind == NEAP__TOKEN_END)
      return fail_expected(p, "a function");
    if (is(p, "typedef")) {
      if (!parse_typedef(p)) return false;
      continue;
    }
    const neap__token first = p->scanner.token;
    if (!parse_type(p, &type)) return false;
    if (!is(p, ";")) return parse_function(p, type, &first);
    if (!next(p)) return false; /* struct point {...}; */
  }
}

/* ---- In one block -------------------------------------------------------- */

int neap__declaration_parse(const char *text, const char *what,
                            neap__declaration **out, neap_error *error) {
  *out = NULL;
  const size_t size = strlen(text);
  if (size > NEAP__TEXT_MAX)
    return neap__error_set(error, NEAP_EINVAL, 0,
                           "cannot read %s: it has %zu bytes, more than %d",
                           what, size, NEAP__TEXT_MAX);
  /* Names end in a 0 byte each; unnamed parameters need up to 3. */
  parser *p = calloc(1, sizeof *p + 2 * size + 3 * NEAP__PARAMETERS_MAX + 1);
  if (p == NULL)
    return neap__error_set(error, NEAP_EMEMORY, 0, "cannot read %s: no memory",
                           what);
  p->texts = (char *)(p + 1);
  if (!neap__scanner_begin(&p->scanner, text, what, error) || !parse(p)) {
    free(p);
    return NEAP_EINVAL;
  }
  *out = &p->declaration;
  return NEAP_OK;
}

void neap__declaration_free(neap__declaration *declaration) {
  free(declaration);
}
