/* SPDX-License-Identifier: MIT */
/* What the text of an argument means. */
#include "chain/part.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"

static const struct {
  const char *word;
  neap__what what;
  bool has_field;
} words[] = {
    {"item", NEAP__ITEM, true},        {"data", NEAP__DATA, true},
    {"count", NEAP__COUNT, true},      {"nbytes", NEAP__NBYTES, true},
    {"shape", NEAP__SHAPE, true},      {"index", NEAP__INDEX, false},
    {"epoch", NEAP__EPOCH, false},     {"seed", NEAP__SEED, false},
    {"context", NEAP__CONTEXT, false}, {"null", NEAP__NULL, false},
};

/* shape[2]: the dimension from 0; shape: -1. False: neither. */
static bool read_dimension(const char *text, int32_t *out) {
  *out = -1;
  if (text[0] == '\0') return true;
  if (text[0] != '[' || text[1] < '1' || text[1] > '0' + NEAP_DIMS_MAX ||
      strcmp(text + 2, "]") != 0)
    return false;
  *out = text[1] - '1';
  return true;
}

static int find_word(const char *text, neap__part *out) {
  for (size_t k = 0; k < sizeof words / sizeof words[0]; k++) {
    const size_t size = strlen(words[k].word);
    const bool is_shape = words[k].what == NEAP__SHAPE;
    if (strncmp(text, words[k].word, size) != 0) continue;
    if (is_shape ? !read_dimension(text + size, &out->dimension)
                 : text[size] != '\0')
      continue;
    return (int)k;
  }
  return -1;
}

int neap__part_parse(const char *text, neap__part *out, const char *stage,
                     neap_error *error) {
  *out = (neap__part){.what = NEAP__ITEM, .has_field = true, .dimension = -1};
  const char *dot = strrchr(text, '.');
  const int word = find_word(dot == NULL ? text : dot + 1, out);
  size_t size = strlen(text); /* of the field's path */
  if (word >= 0 && (dot == NULL || words[word].has_field)) {
    out->what = words[word].what;
    out->has_field = words[word].has_field;
    size = dot == NULL ? 0 : (size_t)(dot - text);
  }
  const bool is_bad = size >= sizeof out->field || text[0] == '\0' ||
                      text[0] == '.' || text[strlen(text) - 1] == '.' ||
                      memchr(text, '[', size) != NULL;
  if (is_bad)
    return neap__error_set(
        error, NEAP_EINVAL, 0,
        "cannot bind %s: \"%.80s\" is no part of an item\nhelp: parts are "
        "\"item\", \"data\", \"count\", \"nbytes\", \"shape[1]\" to "
        "\"shape[8]\", also of a field as in \"image.data\"; \"index\", "
        "\"epoch\", \"seed\", \"context\" and \"null\"",
        stage, text);
  memcpy(out->field, text, size);
  return NEAP_OK;
}

bool neap__part_extend(neap__part *part, const char *field) {
  const size_t used = strlen(part->field), room = sizeof part->field - used;
  const int size =
      snprintf(part->field + used, room, "%s%s", used > 0 ? "." : "", field);
  return (size_t)size < room;
}
