/* SPDX-License-Identifier: MIT */
/*
 * A host of loader files, in C, for tests: a folder for the files, and a count
 * of what a test leaves behind.
 */
#ifndef NEAP_TESTS_LOADER_H
#define NEAP_TESTS_LOADER_H

#include "host.h"

#include <ftw.h>
#include <poll.h>

typedef struct scene {
  footprint before;
  char folder[64];
  neap_options options;
  neap_parameter parameters[8];
} scene;

/* -- Before and after each test -- */

static inline int begin(void **state) {
  scene *s = calloc(1, sizeof *s);
  alarm(DEADLINE_S);
  s->before = measure_footprint();
  snprintf(s->folder, sizeof s->folder, "/tmp/neap-test-XXXXXX");
  assert_non_null(mkdtemp(s->folder));
  neap_options_init(&s->options);
  s->options.parameters = s->parameters;
  *state = s;
  return 0;
}

static inline int remove_one(const char *path, const struct stat *about,
                             int type, struct FTW *where) {
  (void)about, (void)type, (void)where;
  return remove(path);
}

static inline int finish(void **state) {
  scene *s = *state;
  nftw(s->folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
  assert_untouched(&s->before);
  alarm(0);
  free(s);
  return 0;
}

#define scene_test(function) \
  cmocka_unit_test_setup_teardown(function, begin, finish)

/* -- Files -- */

/* The path of a file of the scene; valid until the next call. */
static inline const char *path_of(const scene *s, const char *name) {
  static char path[PATH_MAX];
  snprintf(path, sizeof path, "%s/%s", s->folder, name);
  return path;
}

static inline const char *write_file(const scene *s, const char *name,
                                     const char *text) {
  const char *path = path_of(s, name);
  FILE *file = fopen(path, "we");
  assert_non_null(file);
  fputs(text, file);
  assert_int_equal(fclose(file), 0);
  return path;
}

static inline void give(scene *s, const char *name, const char *text) {
  s->parameters[s->options.parameter_count++] = (neap_parameter){name, text};
}

/* -- Loaders -- */

static inline neap_loader *open_text(scene *s, const char *text) {
  neap_loader *loader;
  neap_error error = {0};
  const char *path = write_file(s, "loader.lua", text);
  if (neap_open(path, &s->options, &loader, &error) != NEAP_OK)
    fail_msg("%s", error.text);
  assert_non_null(loader);
  return loader;
}

/* Opens a file that is refused with that status; *error tells why. */
static inline void refuse_text(scene *s, const char *text, int status,
                               neap_error *error) {
  neap_loader *loader;
  const char *path = write_file(s, "loader.lua", text);
  memset(error, 0, sizeof *error);
  const int rc = neap_open(path, &s->options, &loader, error);
  if (rc != status) fail_msg("%s: %s", neap_status_name(rc), error->text);
  assert_int_equal(error->status, status);
  assert_null(loader);
}

static inline void assert_says(const neap_error *error, const char *wanted) {
  if (strstr(error->text, wanted) == NULL)
    fail_msg("\"%s\" does not say: %s", error->text, wanted);
}

static inline neap_item *next_item(neap_loader *loader) {
  neap_item *item;
  neap_error error = {0};
  const int rc = neap_next(loader, &item, &error);
  if (rc != NEAP_OK) fail_msg("%s: %s", neap_status_name(rc), error.text);
  assert_non_null(item);
  return item;
}

static inline double number_of(const neap_item *item) {
  neap_value value;
  neap_error error = {0};
  double number = 0;
  if (neap_item_value(item, &value, &error) != NEAP_OK ||
      neap_value_number(&value, &number, &error) != NEAP_OK)
    fail_msg("%s", error.text);
  return number;
}

/* Reads the items `from` to `to` - 1: each is its index in Lua. */
static inline void read_numbers(neap_loader *loader, int64_t from, int64_t to) {
  for (int64_t i = from; i < to; i++) {
    neap_item *item = next_item(loader);
    assert_int_equal(neap_item_index(item), i);
    assert_true(number_of(item) == (double)(i + 1));
    assert_int_equal(neap_item_release(item), NEAP_OK);
  }
}

static inline void assert_over(neap_loader *loader) {
  neap_item *item;
  assert_int_equal(neap_next(loader, &item, NULL), NEAP_END);
  assert_null(item);
}

#define NUMBERS_OF(count) \
  "local neap = require('neap')\n" \
  "return neap.loader{\n" \
  "  build = function() return neap.range(" #count ") end,\n" \
  "  prefetch = {workers = 2},\n" \
  "}\n"

#endif
