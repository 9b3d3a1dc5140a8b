/* SPDX-License-Identifier: MIT */
/* IDX files: every type, plain and gzipped, and every way to be broken. */
#include "neap.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include <cmocka.h>

#define BYTES(...) \
  (const unsigned char[]) { \
    __VA_ARGS__ \
  }

static char folder[] = "/tmp/neap-idx-XXXXXX";
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

static void write_plain(const void *data, size_t nbytes) {
  FILE *file = fopen(path, "wb");
  assert_non_null(file);
  assert_int_equal(fwrite(data, 1, nbytes, file), nbytes);
  assert_int_equal(fclose(file), 0);
}

static void write_gzipped(const void *data, size_t nbytes) {
  gzFile file = gzopen(path, "wb");
  assert_non_null(file);
  assert_int_equal(gzwrite(file, data, (unsigned)nbytes), nbytes);
  assert_int_equal(gzclose(file), Z_OK);
}

static int descriptor_count(void) {
  int count = 0;
  DIR *list = opendir("/proc/self/fd");
  while (readdir(list) != NULL)
    count++;
  closedir(list);
  return count;
}

/* That the file cannot be opened or read, and that the text says so. */
static void assert_broken(const char *text) {
  const int before = descriptor_count();
  neap_error error = {0};
  neap_idx *idx;
  int rc = neap_idx_open(path, &idx, &error);
  if (rc == NEAP_OK) {
    const uint64_t nbytes = (uint64_t)neap_tensor_nbytes(neap_idx_tensor(idx));
    void *data = malloc(nbytes + 1);
    rc = neap_idx_read(idx, data, nbytes, &error);
    free(data);
    neap_idx_close(idx);
  } else {
    assert_null(idx);
  }
  assert_true(rc < 0);
  assert_non_null(strstr(error.text, path));
  if (strstr(error.text, text) == NULL)
    fail_msg("got '%s', want '%s'", error.text, text);
  assert_int_equal(descriptor_count(), before);
}

static void read_all(void *data, uint64_t nbytes, int code, int bits) {
  neap_idx *idx;
  neap_error error;
  if (neap_idx_open(path, &idx, &error) != NEAP_OK) fail_msg("%s", error.text);
  const neap_tensor *tensor = neap_idx_tensor(idx);
  assert_int_equal(tensor->code, code);
  assert_int_equal(tensor->bits, bits);
  assert_int_equal(tensor->ndim, 1);
  assert_null(tensor->data);
  assert_int_equal(neap_tensor_nbytes(tensor), nbytes);
  if (neap_idx_read(idx, data, nbytes, &error) != NEAP_OK)
    fail_msg("%s", error.text);
  neap_idx_close(idx);
}

static void reads_every_type(void **state) {
  (void)state;
  uint8_t u8[2];
  int8_t i8[2];
  int16_t i16[2];
  int32_t i32[1];
  float f32[1];
  double f64[1];
  write_plain(BYTES(0, 0, 0x08, 1, 0, 0, 0, 2, 1, 255), 10);
  read_all(u8, sizeof u8, NEAP_UINT, 8);
  assert_int_equal(u8[1], 255);
  write_plain(BYTES(0, 0, 0x09, 1, 0, 0, 0, 2, 1, 255), 10);
  read_all(i8, sizeof i8, NEAP_INT, 8);
  assert_int_equal(i8[1], -1);
  write_plain(BYTES(0, 0, 0x0B, 1, 0, 0, 0, 2, 1, 2, 255, 254), 12);
  read_all(i16, sizeof i16, NEAP_INT, 16);
  assert_int_equal(i16[0], 0x0102);
  assert_int_equal(i16[1], -2);
  write_plain(BYTES(0, 0, 0x0C, 1, 0, 0, 0, 1, 1, 2, 3, 4), 12);
  read_all(i32, sizeof i32, NEAP_INT, 32);
  assert_int_equal(i32[0], 0x01020304);
  write_plain(BYTES(0, 0, 0x0D, 1, 0, 0, 0, 1, 0x3f, 0xc0, 0, 0), 12);
  read_all(f32, sizeof f32, NEAP_FLOAT, 32);
  assert_true(f32[0] == 1.5f);
  write_plain(BYTES(0, 0, 0x0E, 1, 0, 0, 0, 1, 0xc0, 4, 0, 0, 0, 0, 0, 0), 16);
  read_all(f64, sizeof f64, NEAP_FLOAT, 64);
  assert_true(f64[0] == -2.5);
}

static void reads_gzipped_files_and_shapes(void **state) {
  (void)state;
  neap_idx *idx;
  uint8_t data[6];
  write_gzipped(BYTES(0, 0, 8, 2, 0, 0, 0, 2, 0, 0, 0, 3, 1, 2, 3, 4, 5, 6),
                18);
  assert_int_equal(neap_idx_open(path, &idx, NULL), NEAP_OK);
  const neap_tensor *tensor = neap_idx_tensor(idx);
  assert_int_equal(tensor->ndim, 2);
  assert_int_equal(tensor->shape[0], 2);
  assert_int_equal(tensor->shape[1], 3);
  assert_int_equal(tensor->strides[0], 3);
  assert_int_equal(neap_idx_read(idx, data, sizeof data, NULL), NEAP_OK);
  assert_memory_equal(data, BYTES(1, 2, 3, 4, 5, 6), 6);
  assert_int_equal(neap_idx_read(idx, data, sizeof data, NULL), NEAP_EINVAL);
  neap_idx_close(idx);
}

static void reads_a_file_of_no_items(void **state) {
  (void)state;
  write_plain(BYTES(0, 0, 8, 1, 0, 0, 0, 0), 8);
  read_all(NULL, 0, NEAP_UINT, 8);
}

static void refuses_what_is_no_file(void **state) {
  (void)state;
  unlink(path);
  assert_broken("No such file or directory");
  assert_int_equal(mkdir(path, 0700), 0);
  assert_broken("Is a directory");
  assert_int_equal(rmdir(path), 0);
}

static void refuses_what_is_no_idx(void **state) {
  (void)state;
  write_plain("\x89PNG....", 8);
  assert_broken("not an IDX file, it begins with 89 50 4e 47");
  write_plain(BYTES(0, 0, 0x0A, 1), 4);
  assert_broken("not an IDX file, it begins with 00 00 0a 01");
  write_plain("", 0);
  assert_broken("not an IDX file, it ends after 0 bytes");
  write_gzipped("\0\0", 2);
  assert_broken("not an IDX file, it ends after 2 bytes");
}

static void refuses_bad_dimensions(void **state) {
  (void)state;
  write_plain(BYTES(0, 0, 8, 0, 1), 5);
  assert_broken("it has 0 dimensions, not 1 to 8");
  write_plain(BYTES(0, 0, 8, 9, 1), 5);
  assert_broken("it has 9 dimensions, not 1 to 8");
  write_plain(BYTES(0, 0, 8, 2, 0, 0, 0, 1, 0), 9);
  assert_broken("it ends within its header");
}

static void refuses_sizes_beyond_the_file(void **state) {
  (void)state;
  const unsigned char overflow[] = {0,   0,   8,   2,   255, 255,
                                    255, 255, 255, 255, 255, 255};
  const unsigned char large[] = {0, 0, 8, 1, 255, 255, 255, 255, 1, 2};
  const unsigned char lie[] = {0, 0, 8, 1, 0, 0, 0, 100, 1, 2};
  write_plain(overflow, sizeof overflow);
  assert_broken("its sizes multiply to more than 2^53");
  write_plain(large, sizeof large);
  assert_broken("its sizes ask for 4294967303 bytes, the file has 10");
  write_gzipped(large, sizeof large);
  assert_broken("its sizes ask for 4294967303 bytes, the file can hold");
  write_gzipped(lie, sizeof lie);
  assert_broken("it ends after 2 of 100 bytes");
}

static void refuses_data_after_the_end(void **state) {
  (void)state;
  const unsigned char longer[] = {0, 0, 8, 1, 0, 0, 0, 1, 1, 2};
  write_plain(longer, sizeof longer);
  assert_broken("1 bytes follow after its end");
  write_gzipped(longer, sizeof longer);
  assert_broken("bytes follow after its end");
}

/* Noise, so that the compressed file is long enough to be cut anywhere. */
static size_t write_noise(unsigned char *packed, size_t room) {
  static unsigned char data[8 + 100000] = {0, 0, 8, 1, 0, 1, 0x86, 0xa0};
  uint32_t x = 1;
  for (size_t k = 8; k < sizeof data; k++) {
    x = x * 1664525 + 1013904223;
    data[k] = (unsigned char)(x >> 24);
  }
  write_gzipped(data, sizeof data);
  FILE *file = fopen(path, "rb");
  const size_t size = fread(packed, 1, room, file);
  fclose(file);
  return size;
}

static void refuses_truncated_gzip(void **state) {
  (void)state;
  static unsigned char packed[200000];
  const size_t size = write_noise(packed, sizeof packed);
  write_plain(packed, size / 2);
  assert_broken("its gzip data is truncated");
  write_plain(packed, size - 3);
  assert_broken("its gzip data is truncated");
}

static void refuses_corrupt_gzip(void **state) {
  (void)state;
  static unsigned char packed[200000];
  const size_t size = write_noise(packed, sizeof packed);
  packed[size - 6] ^= 1; /* in the checksum */
  write_plain(packed, size);
  assert_broken("its gzip data is corrupt (incorrect data check)");
  packed[size - 6] ^= 1;
  packed[size / 2] ^= 1;
  write_plain(packed, size);
  assert_broken("its gzip data is corrupt (");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(reads_every_type),
      cmocka_unit_test(reads_gzipped_files_and_shapes),
      cmocka_unit_test(reads_a_file_of_no_items),
      cmocka_unit_test(refuses_what_is_no_file),
      cmocka_unit_test(refuses_what_is_no_idx),
      cmocka_unit_test(refuses_bad_dimensions),
      cmocka_unit_test(refuses_sizes_beyond_the_file),
      cmocka_unit_test(refuses_data_after_the_end),
      cmocka_unit_test(refuses_truncated_gzip),
      cmocka_unit_test(refuses_corrupt_gzip),
  };
  return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
