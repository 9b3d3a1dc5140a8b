/* SPDX-License-Identifier: MIT */
/*
 * Matches a path and a pattern. A star tries the shortest text first and is
 * extended by one byte at a failure; only the last star of a component is ever
 * extended, so a component takes time in proportion to the product of both
 * lengths at most.
 */
#include "source/glob.h"

#include <stddef.h>
#include <string.h>

/* Whether a byte is in the set at `set`, behind its '['; *end: behind ']'. */
static int fits_set(const char *set, char byte, const char **end) {
  const int is_not = *set == '!' || *set == '^';
  const unsigned char c = (unsigned char)byte;
  int is_in = 0;
  const char *at = set + is_not;
  for (int is_first = 1; *at != '\0' && (is_first || *at != ']');
       is_first = 0) {
    const unsigned char low = (unsigned char)*at++;
    unsigned char high = low;
    if (*at == '-' && at[1] != ']' && at[1] != '\0') {
      high = (unsigned char)at[1];
      at += 2;
    }
    if (low <= c && c <= high) is_in = 1;
  }
  *end = *at == ']' ? at + 1 : NULL; /* NULL: no set, but a bracket */
  return is_in != is_not;
}

/* Whether the pattern's next element fits a byte; *next: behind it. */
static int fits_one(const char *pattern, char byte, const char **next) {
  *next = pattern + 1;
  if (*pattern == '?') return 1;
  if (*pattern == '[') {
    const char *end;
    const int is_in = fits_set(pattern + 1, byte, &end);
    if (end != NULL) {
      *next = end;
      return is_in;
    }
  }
  return *pattern == byte;
}

/* Whether the component that ends at `stop` fits that of the pattern. */
static int fits_component(const char *pattern, const char *end,
                          const char *path, const char *stop) {
  const char *star = NULL, *from = NULL;
  while (path < stop) {
    const char *next;
    if (pattern < end && *pattern == '*') {
      star = ++pattern;
      from = path;
    } else if (pattern < end && fits_one(pattern, *path, &next)) {
      pattern = next;
      path++;
    } else if (star != NULL) {
      pattern = star;
      path = ++from;
    } else {
      return 0;
    }
  }
  while (pattern < end && *pattern == '*')
    pattern++;
  return pattern == end;
}

static const char *component_end(const char *at) {
  const char *end = strchr(at, '/');
  return end == NULL ? at + strlen(at) : end;
}

static int is_any_folders(const char *pattern) {
  return strncmp(pattern, "**/", 3) == 0;
}

int neap__glob_fits(const char *pattern, const char *path) {
  const char *wide = NULL, *from = NULL; /* the last ** and its path */
  for (;;) {
    if (is_any_folders(pattern)) {
      wide = pattern += 3;
      from = path;
      continue;
    }
    const char *end = component_end(pattern), *stop = component_end(path);
    if (fits_component(pattern, end, path, stop) &&
        (*end == '\0') == (*stop == '\0')) {
      if (*end == '\0') return 1;
      pattern = end + 1;
      path = stop + 1;
    } else if (wide != NULL && *component_end(from) == '/') {
      pattern = wide;
      path = from = component_end(from) + 1;
    } else {
      return 0;
    }
  }
}

int neap__glob_depth(const char *pattern) {
  int depth = 1;
  for (; *pattern != '\0'; pattern = component_end(pattern)) {
    if (*pattern == '/') {
      depth++;
      pattern++;
    }
    if (is_any_folders(pattern)) return -1;
  }
  return depth;
}
