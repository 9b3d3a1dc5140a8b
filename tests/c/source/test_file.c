/* SPDX-License-Identifier: MIT */
/* Files that are read by position: identity, and every way not to be read. */
#include "neap_lua.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[] = "/tmp/neap-file-XXXXXX";
static char path[64];

static int make_folder(void **state) {
  (void)state;
  if (mkdtemp(folder) == NULL) return -1;
  snprintf(path, sizeof path, "%s/file", folder);
  return 0;
}

static int remove_folder(void **state) {
  (void)state;
  unlink(path);
  return rmdir(folder);
}

static void write_text(const char *text) {
  FILE *file = fopen(path, "wb");
  assert_non_null(file);
  assert_true(fputs(text, file) >= 0);
  assert_int_equal(fclose(file), 0);
}

static void assert_text(const neap_error *error, const char *text) {
  assert_non_null(strstr(error->text, path));
  if (strstr(error->text, text) == NULL) fail_msg("%s", error->text);
}

static void reads_by_position(void **state) {
  (void)state;
  neap_error error = {0};
  neap_file *file;
  char part[4] = "";
  write_text("0123456789");
  assert_int_equal(neap_file_open(path, NULL, &file, &error), NEAP_OK);
  assert_int_equal(neap_file_bytes(file), 10);
  assert_string_equal(neap_file_path(file), path);
  assert_int_equal(neap_file_read(file, 4, part, 3, &error), NEAP_OK);
  assert_string_equal(part, "456");
  assert_int_equal(neap_file_read(file, 99, part, 0, &error), NEAP_OK);
  assert_int_equal(neap_file_read(file, 8, part, 3, &error), NEAP_EFORMAT);
  assert_text(&error, "ends before byte 11");
  assert_int_equal(neap_file_read(file, -1, part, 3, &error), NEAP_ESYSTEM);
  assert_text(&error, "Invalid argument");
  neap_file_close(file);
}

static void another_file_is_refused(void **state) {
  (void)state;
  neap_error error = {0};
  neap_file *file;
  write_text("one");
  assert_int_equal(neap_file_open(path, NULL, &file, &error), NEAP_OK);
  const neap_identity identity = *neap_file_identity(file);
  neap_file_close(file);
  assert_int_equal(neap_file_open(path, &identity, &file, &error), NEAP_OK);
  neap_file_close(file);
  write_text("four");
  assert_int_equal(neap_file_open(path, &identity, &file, &error),
                   NEAP_EFORMAT);
  assert_null(file);
  assert_text(&error, "has changed");
}

static void refuses_what_is_no_file(void **state) {
  (void)state;
  neap_error error = {0};
  neap_file *file;
  unlink(path);
  assert_int_equal(neap_file_open(path, NULL, &file, &error), NEAP_ESYSTEM);
  assert_text(&error, "No such file");
  assert_int_equal(mkdir(path, 0700), 0);
  assert_int_equal(neap_file_open(path, NULL, &file, &error), NEAP_ESYSTEM);
  assert_text(&error, "Is a directory");
  assert_int_equal(rmdir(path), 0);
  assert_int_equal(mkfifo(path, 0600), 0);
  assert_int_equal(neap_file_open(path, NULL, &file, &error), NEAP_EFORMAT);
  assert_text(&error, "no regular file");
  assert_null(file);
  neap_file_close(NULL);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(reads_by_position),
      cmocka_unit_test(another_file_is_refused),
      cmocka_unit_test(refuses_what_is_no_file),
  };
  return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
