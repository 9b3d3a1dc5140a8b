/* SPDX-License-Identifier: MIT */
/*
 * Tokens of C. An error shows the line that the token is in, and a caret below
 * the token; of a long line, what is around it.
 */
#include "chain/scanner.h"

#include <ctype.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"

enum { SHOWN_BEFORE = 56, SHOWN = 72 }; /* bytes of a line, in a message */

static bool is_word(char c) {
  return c == '_' || isalnum((unsigned char)c) != 0;
}

static bool is_space(char c) {
  return c != '\0' && strchr(" \t\r\n\f\v", c) != NULL;
}

/* Skips spaces and comments. A comment that does not end is returned. */
static const char *skip_blank(const char *at) {
  for (;;) {
    while (is_space(*at))
      at++;
    if (at[0] == '/' && at[1] == '/') {
      at += strcspn(at, "\n");
    } else if (at[0] == '/' && at[1] == '*') {
      const char *end = strstr(at + 2, "*/");
      if (end == NULL) return at;
      at = end + 2;
    } else {
      return at;
    }
  }
}

static int digit_of(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return 16;
}

/* A whole number of C, without a suffix of letters; -1: none, or too large. */
static int64_t read_number(const char *at, size_t size) {
  int64_t base = 10, number = 0;
  size_t k = 0;
  if (size > 2 && at[0] == '0' && (at[1] == 'x' || at[1] == 'X')) {
    base = 16;
    k = 2;
  } else if (size > 1 && at[0] == '0') {
    base = 8;
    k = 1;
  }
  for (; k < size; k++) {
    const int digit = digit_of(at[k]);
    if (digit >= base) return -1;
    number = number * base + digit;
    if (number > INT32_MAX) return -1;
  }
  return number;
}

bool neap__scanner_next(neap__scanner *scanner) {
  neap__token *token = &scanner->token;
  const char *at = skip_blank(token->at + token->size);
  *token = (neap__token){NEAP__TOKEN_SIGN, at, 1, 0};
  if (*at == '\0') {
    *token = (neap__token){NEAP__TOKEN_END, at, 0, 0};
  } else if (is_word(*at)) {
    while (is_word(at[token->size]))
      token->size++;
    const bool is_number = isdigit((unsigned char)*at) != 0;
    token->kind = is_number ? NEAP__TOKEN_NUMBER : NEAP__TOKEN_WORD;
    if (is_number) token->number = read_number(at, token->size);
  } else if (strncmp(at, "...", 3) == 0) {
    token->size = 3;
  } else if (at[0] == '/' && at[1] == '*') {
    return neap__scanner_fail(scanner, token, NULL,
                              "a comment begins that does not end");
  } else if (strchr("*()[]{},;=-:", *at) == NULL) {
    const char *help =
        *at == '#' ? "leave out lines of the preprocessor" : NULL;
    return neap__scanner_fail(scanner, token, help,
                              "this character is in no declaration");
  }
  return true;
}

bool neap__scanner_begin(neap__scanner *scanner, const char *text,
                         const char *what, neap_error *error) {
  *scanner = (neap__scanner){.text = text, .what = what, .error = error};
  scanner->token.at = text;
  return neap__scanner_next(scanner);
}

bool neap__token_is(const neap__token *token, const char *text) {
  return strlen(text) == token->size &&
         strncmp(token->at, text, token->size) == 0;
}

/* ---- Errors -------------------------------------------------------------- */

static bool is_inside(char c) { /* a character, of UTF-8 */
  return ((unsigned char)c & 0xc0) == 0x80;
}

/* The line around `at`, and a caret below it. Text that is not UTF-8 may be cut
   anywhere. */
static void show(const char *text, const char *at, char *out, size_t room) {
  const char *from = at, *end = at;
  while (from > text && from[-1] != '\n' && at - from < SHOWN_BEFORE)
    from--;
  while (from < at && is_inside(*from))
    from++;
  while (*end != '\0' && *end != '\n' && end - from < SHOWN)
    end++;
  for (int k = 0; k < 3 && is_inside(*end); k++)
    end++;
  const int size = (int)(end - from);
  int column = 0;
  for (const char *c = from; c < at; c++)
    column += !is_inside(*c);
  snprintf(out, room, "%.*s\n  %*s^", size, from, column, "");
  for (int k = 0; k < size; k++)
    if ((unsigned char)out[k] < ' ' || out[k] == 0x7f) out[k] = ' ';
}

static int line_of(const char *text, const char *at) {
  int line = 1;
  for (; text < at; text++)
    line += *text == '\n';
  return line;
}

bool neap__scanner_fail(neap__scanner *scanner, const neap__token *token,
                        const char *help, const char *format, ...) {
  char why[512], where[32] = "", shown[4 * SHOWN];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(why, sizeof why, format, arguments);
  va_end(arguments);
  show(scanner->text, token->at, shown, sizeof shown);
  if (strchr(scanner->text, '\n') != NULL)
    snprintf(where, sizeof where, " in line %d",
             line_of(scanner->text, token->at));
  neap__error_set(scanner->error, NEAP_EINVAL, 0,
                  "cannot read %s%s: %s\n  %s%s%s", scanner->what, where, why,
                  shown, help != NULL ? "\nhelp: " : "",
                  help != NULL ? help : "");
  return false;
}
