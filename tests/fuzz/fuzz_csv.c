/* SPDX-License-Identifier: MIT */
/*
 * Text files of records, plain and gzipped: the first bytes of an input choose
 * the rules and the types of columns, the rest is a file. What the scan finds
 * must lie in order within the text; each record, a block of exactly its size,
 * is taken apart and parsed.
 *
 * With --mistake a record may be read a little behind its end.
 */
#include "neap_lua.h"

#include <sys/mman.h>
#include <unistd.h>

#include "fuzz.h"

enum { HEAD = 3, RECORDS_MAX = 64, FIELDS = 8, TEXT_MAX = 1 << 20 };

static int64_t bytes_past_the_end;

static const struct {
  int32_t code;
  int32_t bits;
} kinds[] = {{NEAP_FLOAT, 64}, {NEAP_FLOAT, 32},  {NEAP_INT, 64},
             {NEAP_UINT, 8},   {NEAP_BFLOAT, 16}, {NEAP_CSV_TEXT, 8},
             {NEAP_BOOL, 8},   {NEAP_UINT, 64}};

typedef struct found {
  int64_t count;
  int64_t *starts;
  int64_t *points;
  uint8_t *windows;
  int64_t point_count;
} found;

static void *allocate(size_t nbytes) {
  void *memory = malloc(nbytes + 1);
  FUZZ_CHECK(memory != NULL);
  return memory;
}

/* The starts as the scan writes them, in a block that grows as it asks. */
static int run(neap_scan *scan, found *out, neap_error *error) {
  const size_t width = (size_t)neap_scan_width(scan);
  void *starts = NULL;
  int64_t room = 0;
  int rc;
  do {
    room = room == 0 ? 2 : neap_scan_room(scan);
    void *larger = realloc(starts, (size_t)room * width);
    FUZZ_CHECK(larger != NULL);
    starts = larger;
    rc = neap_scan_run(scan, starts, room, error);
  } while (rc == NEAP_AGAIN);
  out->count = rc == NEAP_OK ? neap_scan_count(scan) : 0;
  out->starts = allocate((size_t)(out->count + 1) * sizeof *out->starts);
  for (int64_t k = 0; rc == NEAP_OK && k <= out->count; k++)
    out->starts[k] =
        width == 8 ? ((int64_t *)starts)[k] : (int64_t)((uint32_t *)starts)[k];
  free(starts);
  return rc;
}

static void check_order(const neap_scan *scan, const found *f) {
  for (int64_t k = 0; k < f->count; k++)
    FUZZ_CHECK(f->starts[k] < f->starts[k + 1]);
  FUZZ_CHECK(f->starts[f->count] <= neap_scan_bytes(scan));
}

static int scan_file(const neap_file *file, const neap_scan_rules *rules,
                     found *out, neap_error *error) {
  neap_scan *scan;
  memset(out, 0, sizeof *out);
  if (neap_scan_open(file, rules, &scan, error) != NEAP_OK) return -1;
  const int rc = run(scan, out, error);
  if (rc == NEAP_OK) check_order(scan, out);
  out->point_count = neap_scan_points(scan);
  const size_t count = (size_t)out->point_count;
  out->points = allocate(count * 4 * sizeof *out->points);
  out->windows = allocate(count * NEAP_GZIP_WINDOW);
  neap_scan_copy_points(scan, out->points, out->windows);
  neap_scan_close(scan);
  return rc;
}

static void parse(const neap_csv *csv, const uint8_t *text, int64_t nbytes,
                  neap_error *error) {
  neap_csv_text fields[FIELDS];
  int32_t count;
  if (neap_csv_split(csv, text, nbytes, 1, fields, FIELDS, &count, error) ==
      NEAP_OK)
    for (int32_t k = 0; k < count && k < FIELDS; k++)
      FUZZ_CHECK(fields[k].start >= text &&
                 fields[k].start + fields[k].nbytes <= text + nbytes);
  neap_csv_parse(csv, text, nbytes, 1, 1, error);
}

static void parse_records(const neap_file *file, const found *f,
                          const neap_csv *csv, neap_error *error) {
  neap_gzip *gzip = NULL;
  const int is_gzip = f->point_count > 0;
  if (is_gzip)
    FUZZ_CHECK(neap_gzip_open(neap_file_path(file), NULL, f->points, f->windows,
                              f->point_count, &gzip, error) == NEAP_OK);
  /* From the last one to the first, so that gzip data is entered anew. */
  for (int64_t k = f->count - 1; k >= 0 && k >= f->count - RECORDS_MAX; k--) {
    const int64_t nbytes = f->starts[k + 1] - f->starts[k];
    if (nbytes > TEXT_MAX) continue;
    uint8_t *text = malloc((size_t)nbytes);
    FUZZ_CHECK(text != NULL);
    const int rc =
        is_gzip ? neap_gzip_read(gzip, f->starts[k], text, nbytes, error)
                : neap_file_read(file, f->starts[k], text, nbytes, error);
    FUZZ_CHECK(rc == NEAP_OK);
    parse(csv, text, nbytes + bytes_past_the_end, error);
    free(text);
  }
  neap_gzip_close(gzip);
}

static void read_file(const neap_file *file, const uint8_t *head) {
  static const char delimiters[] = ",;\t ", quotes[] = "\"'";
  const neap_scan_rules rules = {
      .quote = head[0] & 1 ? quotes[head[0] >> 1 & 1] : -1,
      .delimiter = delimiters[head[0] >> 2 & 3],
      .skips_blank = head[0] >> 4 & 1,
  };
  neap_csv_column columns[FIELDS];
  int32_t column_of[FIELDS];
  neap_csv_text cells[FIELDS];
  for (int32_t k = 0; k < FIELDS; k++) {
    const int kind = (head[1] + k) % FIELDS;
    columns[k] = (neap_csv_column){"x",
                                   &cells[k],
                                   7,
                                   head[2] >> k & 1,
                                   kinds[kind].code,
                                   kinds[kind].bits};
    column_of[k] = head[0] >> 7 && k == 1 ? -1 : k;
  }
  const neap_csv csv = {"file",          columns,
                        column_of,       1 + (head[0] >> 5 & 3) * 2,
                        rules.delimiter, rules.quote};
  neap_error error = {0};
  found f;
  if (scan_file(file, &rules, &f, &error) == NEAP_OK)
    parse_records(file, &f, &csv, &error);
  free(f.starts);
  free(f.points);
  free(f.windows);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  char path[64];
  neap_file *file;
  if (size < HEAD) return 0;
  const int fd = memfd_create("fuzz", 0);
  FUZZ_CHECK(fd >= 0 &&
             write(fd, data + HEAD, size - HEAD) == (ssize_t)(size - HEAD));
  snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
  FUZZ_CHECK(neap_file_open(path, NULL, &file, NULL) == NEAP_OK);
  read_file(file, data);
  neap_file_close(file);
  close(fd);
  return 0;
}

/* Honest inputs; gzipped ones are in the corpus. */
static void write_seeds(const char *folder) {
  static const char *const seeds[] = {
      "\x11\x02\x00label,price\r\n1,2.5\r\n-3,1e300\r\n",
      "\x31\x05\xff\xef\xbb\xbf\"a,\"\"b\n\",1.5,NA\n\n,,\r\n x ,-1,true\n",
      "\xb5\x01\x0fx;y;z\n1;0.12345678901234567;2\n3;4e-320;nan\n'5';6;'\n'",
      "\x40\x40\x40one line\nanother\n\nlast",
  };
  for (size_t k = 0; k < sizeof seeds / sizeof seeds[0]; k++) {
    char path[4096];
    snprintf(path, sizeof path, "%s/%zu", folder, k);
    FILE *file = fopen(path, "wb");
    FUZZ_CHECK(file != NULL);
    const size_t nbytes = HEAD + strlen(seeds[k] + HEAD);
    FUZZ_CHECK(fwrite(seeds[k], 1, nbytes, file) == nbytes);
    fclose(file);
  }
}

int LLVMFuzzerInitialize(int *argc, char ***argv) {
  const char *folder = fuzz_option(*argc, *argv, "--seeds=");
  if (folder != NULL) {
    write_seeds(folder);
    exit(0);
  }
  if (fuzz_option(*argc, *argv, "--mistake") != NULL) bytes_past_the_end = 8;
  return 0;
}
