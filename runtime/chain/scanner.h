/* SPDX-License-Identifier: MIT */
/*
 * The words and signs of a C declaration, one at a time, and errors that point
 * at one of them.
 */
#ifndef NEAP_CHAIN_SCANNER_H
#define NEAP_CHAIN_SCANNER_H

#include <stdbool.h>

#include "neap.h"

typedef enum neap__token_kind {
  NEAP__TOKEN_END,
  NEAP__TOKEN_WORD,
  NEAP__TOKEN_NUMBER,
  NEAP__TOKEN_SIGN, /* one character, or "..." */
} neap__token_kind;

typedef struct neap__token {
  neap__token_kind kind;
  const char *at;
  size_t size;
  int64_t number; /* -1: too large */
} neap__token;

typedef struct neap__scanner {
  const char *text;
  const char *what; /* "the declaration", for messages */
  neap_error *error;
  neap__token token; /* the one that is read next */
} neap__scanner;

/* Each returns false after an error, which it has reported. */
bool neap__scanner_begin(neap__scanner *scanner, const char *text,
                         const char *what, neap_error *error);
bool neap__scanner_next(neap__scanner *scanner);

bool neap__token_is(const neap__token *token, const char *text);

/* Reports an error, pointing at a token; help may be NULL. Returns false. */
bool neap__scanner_fail(neap__scanner *scanner, const neap__token *token,
                        const char *help, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

#endif
