/* SPDX-License-Identifier: MIT */
/*
 * Finds the records of a text: lines, or records of RFC 4180.
 *
 * The text comes in parts that fit a cache, by reads (not by a mapping, which
 * a file that shrinks would turn into SIGBUS), and is looked at 64 bytes at a
 * time: one mask of line ends, one of quotes. Text without quotes costs one
 * turn of a loop for each line.
 *
 * Writing the starts costs more than finding them where pages are touched for
 * the first time. So the caller allocates once, by the estimate of a sample,
 * and starts have 4 bytes where that is enough.
 */
#include "neap_lua.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "source/gzip.h"
#include "source/mask.h"

enum {
  PART = 128 << 10, /* bytes of text that are looked at in one go */
  EDGE = 64,
  SAMPLES = 8,           /* places that an estimate is made of ... */
  SAMPLE = 16 << 10,     /* ... with so many bytes each */
  POINT_EVERY = 1 << 20, /* bytes of text between entry points, at least */
  MARK = 3               /* bytes of UTF-8's byte order mark */
};

struct neap_scan {
  const neap_file *file;
  neap_scan_rules rules;
  int32_t width;
  int is_quoted;    /* the text so far ends within a quoted field */
  uint8_t before;   /* the byte before the next part */
  int64_t position; /* of the next part in the text */
  int64_t count;
  int64_t start;     /* of the record in work */
  int64_t opened_at; /* of the quote that opened a field last ... */
  int64_t closed_at; /* ... and of the one that closed it */
  int64_t room;
  int64_t held;           /* bytes of the part that are not looked at yet */
  neap__inflate *inflate; /* NULL: the file is plain */
  neap__point *points;
  uint8_t *windows;
  int64_t point_count;
  int64_t point_room;
  void *starts;
  uint8_t part[EDGE + PART + EDGE]; /* between them: the part */
};

/* ---- Opening ------------------------------------------------------------- */

static int64_t count_lines(const uint8_t *text, int64_t nbytes) {
  int64_t count = 0;
  const uint8_t *at = text;
  while ((at = memchr(at, '\n', (size_t)(text + nbytes - at))) != NULL) {
    count++;
    at++;
  }
  return count;
}

/* Lines in the file, judged by a sample; 2 % more than that. */
static int64_t estimate(neap_scan *scan) {
  const int64_t nbytes = neap_file_bytes(scan->file);
  const int64_t step = nbytes / SAMPLES;
  int64_t lines = 0, seen = 0;
  for (int k = 0; k < SAMPLES && step > SAMPLE; k++) {
    if (neap_file_read(scan->file, k * step, scan->part, SAMPLE, NULL) !=
        NEAP_OK)
      break; /* the pass will say why */
    lines += count_lines(scan->part, SAMPLE);
    seen += SAMPLE;
  }
  if (seen == 0) return nbytes;
  return (int64_t)(1.02 * (double)nbytes * (double)lines / (double)seen);
}

static int open_gzip(neap_scan *scan, neap_error *error) {
  scan->inflate = calloc(1, sizeof *scan->inflate);
  if (scan->inflate == NULL)
    return neap__error_set(error, NEAP_EMEMORY, 0, "cannot read %s: no memory",
                           neap_file_path(scan->file));
  scan->room = 2 * PART;
  scan->width = 8; /* its size is not known */
  return neap__inflate_begin(scan->inflate, scan->file, error);
}

int neap_scan_open(const neap_file *file, const neap_scan_rules *rules,
                   neap_scan **out, neap_error *error) {
  *out = NULL;
  neap_scan *scan = calloc(1, sizeof *scan);
  if (scan == NULL)
    return neap__error_set(error, NEAP_EMEMORY, 0, "cannot read %s: no memory",
                           neap_file_path(file));
  const int64_t nbytes = neap_file_bytes(file);
  scan->file = file;
  scan->rules = *rules;
  scan->closed_at = -2;
  scan->width = nbytes < UINT32_MAX ? 4 : 8;
  if (neap__is_gzip(file)) {
    const int rc = open_gzip(scan, error);
    if (rc != NEAP_OK) {
      neap_scan_close(scan);
      return rc;
    }
  } else {
    const int64_t guess = estimate(scan) + PART;
    scan->room = (guess < nbytes ? guess : nbytes) + 2;
  }
  *out = scan;
  return NEAP_OK;
}

/* ---- The pass ------------------------------------------------------------ */

static inline void put(neap_scan *scan, int is_wide, int64_t k, int64_t start) {
  if (is_wide)
    ((int64_t *)scan->starts)[k] = start;
  else
    ((uint32_t *)scan->starts)[k] = (uint32_t)start;
}

/* A line ends at `at`, the byte before it is `last`. */
static inline void end_record(neap_scan *scan, int is_wide, int64_t at,
                              uint8_t last) {
  const int64_t nbytes = at - scan->start;
  const int is_blank = nbytes == 0 || (nbytes == 1 && last == '\r');
  if (!scan->rules.skips_blank || !is_blank) scan->count++;
  scan->start = at + 1;
  put(scan, is_wide, scan->count, scan->start);
}

/* A quote opens a field where one begins; after it, "" is one quote of it. */
static inline void meet_quote(neap_scan *scan, int64_t at, uint8_t before) {
  if (scan->is_quoted) {
    scan->is_quoted = 0;
    scan->closed_at = at;
  } else if (before == scan->rules.delimiter || at == scan->start ||
             at == scan->closed_at + 1) {
    scan->is_quoted = 1;
    scan->opened_at = at;
  }
}

/* 64 bytes with quotes in or around them; p[-1] may be read. */
static void scan_quoted(neap_scan *scan, int is_wide, const uint8_t *p,
                        uint64_t ends, uint64_t quotes, int64_t position) {
  for (uint64_t any = ends | quotes; any != 0; any &= any - 1) {
    const int k = __builtin_ctzll(any);
    if (quotes >> k & 1)
      meet_quote(scan, position + k, p[k - 1]);
    else if (!scan->is_quoted)
      end_record(scan, is_wide, position + k, p[k - 1]);
  }
}

static inline __attribute__((always_inline)) void
scan_part(neap_scan *scan, const uint8_t *p, int64_t nbytes, const int is_wide,
          const int has_quotes) {
  const uint8_t quote = (uint8_t)scan->rules.quote;
  for (int64_t k = 0; k < nbytes; k += 64) {
    uint64_t ends = mask_of(p + k, '\n');
    const uint64_t quotes = has_quotes ? mask_of(p + k, quote) : 0;
    const int64_t position = scan->position + k;
    if (has_quotes && (quotes != 0 || scan->is_quoted)) {
      scan_quoted(scan, is_wide, p + k, ends, quotes, position);
      continue;
    }
    for (; ends != 0; ends &= ends - 1) {
      const int bit = __builtin_ctzll(ends);
      end_record(scan, is_wide, position + bit, p[k + bit - 1]);
    }
  }
}

/* Lines alone: nothing is looked at but their ends. */
static inline __attribute__((always_inline)) void
scan_lines(neap_scan *scan, const uint8_t *p, int64_t nbytes,
           const int is_wide) {
  int64_t count = scan->count;
  for (int64_t k = 0; k < nbytes; k += 64)
    for (uint64_t ends = mask_of(p + k, '\n'); ends != 0; ends &= ends - 1)
      put(scan, is_wide, ++count,
          scan->position + k + __builtin_ctzll(ends) + 1);
  scan->count = count;
}

/* Looks at the part that is held. */
static void look(neap_scan *scan) {
  const int64_t nbytes = scan->held;
  uint8_t *p = scan->part + EDGE;
  const int is_wide = scan->width == 8;
  p[-1] = scan->before;
  scan->before = p[nbytes - 1];
  const int64_t end = (nbytes + 63) / 64 * 64;
  memset(p + nbytes, 0, (size_t)(end - nbytes));
  if (scan->rules.quote >= 0) {
    is_wide ? scan_part(scan, p, nbytes, 1, 1)
            : scan_part(scan, p, nbytes, 0, 1);
  } else if (scan->rules.skips_blank) {
    is_wide ? scan_part(scan, p, nbytes, 1, 0)
            : scan_part(scan, p, nbytes, 0, 0);
  } else {
    is_wide ? scan_lines(scan, p, nbytes, 1) : scan_lines(scan, p, nbytes, 0);
  }
  scan->position += nbytes;
  scan->held = 0;
}

static int note_point(neap_scan *scan, neap_error *error) {
  const int64_t count = scan->point_count;
  if (count > 0 &&
      scan->inflate->position - scan->points[count - 1].position < POINT_EVERY)
    return NEAP_OK;
  if (count == scan->point_room) {
    const size_t room = 2 * (size_t)count + 8;
    void *points = realloc(scan->points, room * sizeof *scan->points);
    if (points != NULL) scan->points = points;
    void *windows = realloc(scan->windows, room * NEAP_GZIP_WINDOW);
    if (windows != NULL) scan->windows = windows;
    if (points == NULL || windows == NULL)
      return neap__error_set(error, NEAP_EMEMORY, 0,
                             "cannot read %s: no memory for its index",
                             neap_file_path(scan->file));
    scan->point_room = (int64_t)room;
  }
  scan->point_count +=
      neap__inflate_point(scan->inflate, &scan->points[count],
                          scan->windows + count * NEAP_GZIP_WINDOW);
  return NEAP_OK;
}

static int unpack_part(neap_scan *scan, neap_error *error) {
  while (scan->held < PART && !scan->inflate->is_end) {
    int64_t got;
    int rc = neap__inflate_read(scan->inflate, scan->part + EDGE + scan->held,
                                PART - scan->held, 1, &got, error);
    scan->held += got;
    if (rc == NEAP_OK) rc = note_point(scan, error);
    if (rc != NEAP_OK) return rc;
  }
  return NEAP_OK;
}

static int read_part(neap_scan *scan, neap_error *error) {
  if (scan->inflate != NULL) return unpack_part(scan, error);
  const int64_t left = neap_file_bytes(scan->file) - scan->position;
  const int64_t part = left < PART ? left : PART;
  const int rc = neap_file_read(scan->file, scan->position, scan->part + EDGE,
                                part, error);
  if (rc == NEAP_OK) scan->held = part;
  return rc;
}

static int64_t begin_of(const neap_scan *scan) {
  return scan->rules.skips_blank && scan->held >= MARK &&
                 memcmp(scan->part + EDGE, "\xef\xbb\xbf", MARK) == 0
             ? MARK
             : 0;
}

static int64_t last_start(const neap_scan *scan) {
  return scan->width == 8 ? ((const int64_t *)scan->starts)[scan->count]
                          : ((const uint32_t *)scan->starts)[scan->count];
}

/* The text is over: the last record may have no line end. */
static int finish(neap_scan *scan, neap_error *error) {
  if (scan->is_quoted)
    return neap__error_set(error, NEAP_EFORMAT, 0,
                           "cannot read %s: the quote at byte %lld, in record "
                           "%lld, is not closed",
                           neap_file_path(scan->file),
                           (long long)scan->opened_at + 1,
                           (long long)scan->count + 1);
  const int64_t nbytes = scan->position - last_start(scan);
  const int is_blank = nbytes == 0 || (scan->rules.skips_blank && nbytes == 1 &&
                                       scan->before == '\r');
  if (is_blank) return NEAP_OK;
  scan->count++;
  put(scan, scan->width == 8, scan->count, scan->position);
  return NEAP_OK;
}

int neap_scan_run(neap_scan *scan, void *starts, int64_t room,
                  neap_error *error) {
  scan->starts = starts;
  for (;;) {
    const int rc = scan->held == 0 ? read_part(scan, error) : NEAP_OK;
    if (rc != NEAP_OK) return rc;
    if (scan->count + scan->held + 2 > room) {
      scan->room =
          2 * room > scan->count + PART + 2 ? 2 * room : scan->count + PART + 2;
      return NEAP_AGAIN;
    }
    if (scan->position == 0) {
      scan->start = begin_of(scan);
      put(scan, scan->width == 8, 0, scan->start);
    }
    if (scan->held == 0) return finish(scan, error);
    look(scan);
  }
}

/* ---- What was found ------------------------------------------------------ */

int32_t neap_scan_width(const neap_scan *scan) {
  return scan->width;
}

int64_t neap_scan_room(const neap_scan *scan) {
  return scan->room;
}

int64_t neap_scan_count(const neap_scan *scan) {
  return scan->count;
}

int64_t neap_scan_bytes(const neap_scan *scan) {
  return scan->position;
}

int64_t neap_scan_points(const neap_scan *scan) {
  return scan->point_count;
}

void neap_scan_copy_points(const neap_scan *scan, int64_t *points,
                           uint8_t *windows) {
  if (scan->point_count == 0) return;
  const size_t count = (size_t)scan->point_count;
  memcpy(points, scan->points, count * sizeof *scan->points);
  memcpy(windows, scan->windows, count * NEAP_GZIP_WINDOW);
}

void neap_scan_close(neap_scan *scan) {
  if (scan == NULL) return;
  if (scan->inflate != NULL) neap__inflate_end(scan->inflate);
  free(scan->inflate);
  free(scan->points);
  free(scan->windows);
  free(scan);
}
