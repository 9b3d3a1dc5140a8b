/* SPDX-License-Identifier: MIT */
/*
 * The limits of text: limit_text lines FILE reads a file in parts and calls
 * memchr() for each line; limit_text csv FILE parses numbers by hand, of a file
 * that has nothing but digits, points, minus signs, commas and line ends after
 * its first line. Prints the milliseconds.
 */
#include <fcntl.h>
#include <string.h>

#include "limit.h"

enum { PART = 128 << 10 };

static const double powers[] = {1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8};

static long count_lines(int fd) {
  static char part[PART];
  long count = 0;
  ssize_t got;
  for (off_t at = 0; (got = pread(fd, part, PART, at)) > 0; at += got) {
    const char *p = part, *end = part + got;
    while ((p = memchr(p, '\n', (size_t)(end - p))) != NULL) {
      count++;
      p++;
    }
  }
  return count;
}

static const char *take(const char *p, uint64_t *digits) {
  for (; (unsigned)(*p - '0') <= 9; p++)
    *digits = *digits * 10 + (unsigned)(*p - '0');
  return p;
}

/* Each number goes to its column, which is as long as the file has bytes. */
static long parse(int fd) {
  const size_t nbytes = (size_t)lseek(fd, 0, SEEK_END);
  char *text = malloc(nbytes + 1);
  float *to = malloc(nbytes * sizeof *to);
  limit_need(text != NULL && to != NULL, "malloc");
  limit_need(pread(fd, text, nbytes, 0) == (ssize_t)nbytes, "pread");
  text[nbytes] = '\0';
  const char *p = strchr(text, '\n') + 1, *end = text + nbytes;
  long count = 0;
  while (p < end) {
    uint64_t digits = 0;
    const int is_negative = *p == '-';
    p = take(p + is_negative, &digits);
    const char *point = p;
    if (*p == '.') p = take(p + 1, &digits);
    const double value =
        (double)digits / powers[p == point ? 0 : p - point - 1];
    to[count++] = (float)(is_negative ? -value : value);
    p++; /* a comma, or a line end */
  }
  free(text);
  free(to);
  return count;
}

int main(int argc, char **argv) {
  if (argc != 3) {
    fprintf(stderr, "usage: %s lines|csv FILE\n", argv[0]);
    return 2;
  }
  const int fd = open(argv[2], O_RDONLY);
  limit_need(fd >= 0, argv[2]);
  const double since = limit_now_s();
  const long count = strcmp(argv[1], "csv") == 0 ? parse(fd) : count_lines(fd);
  limit_need(count > 0, "nothing");
  printf("%.3f\n", (limit_now_s() - since) * 1e3);
  return 0;
}
