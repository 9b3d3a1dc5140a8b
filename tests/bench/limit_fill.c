/* SPDX-License-Identifier: MIT */
/*
 * The limit of tensors built in their slots: processes that write f32 rows
 * into warm shared buffers, one after another, with libneap's own loops, and
 * hand them to nobody. Prints rows a second.
 *
 * Rows of 602,112 bytes (3 x 224 x 224); ROWS of them make a buffer. "fill"
 * sets a row to one value; "convert" makes it from a u8 row, of SOURCE rows.
 */
#include <stdatomic.h>
#include <string.h>

#include "limit.h"

#include "neap.h"

enum { ROW = 3 * 224 * 224 };

typedef struct meeting {
  _Atomic int begin, end; /* processes that have come there */
  _Atomic long next;      /* the row to write next */
} meeting;

static void meet(_Atomic int *arrived, int count) {
  atomic_fetch_add(arrived, 1);
  while (atomic_load(arrived) < count)
    usleep(100);
}

static neap_tensor row_at(void *data, int64_t *shape, uint8_t code,
                          uint8_t bits) {
  *shape = ROW;
  return (neap_tensor){.data = data,
                       .device_type = 1,
                       .ndim = 1,
                       .code = code,
                       .bits = bits,
                       .lanes = 1,
                       .shape = shape};
}

static void write_row(float *data, uint8_t *source, long k) {
  int64_t shape;
  neap_tensor to = row_at(data, &shape, NEAP_FLOAT, 32);
  if (source == NULL) {
    neap_tensor_fill(&to, (double)k, NULL);
  } else {
    const neap_tensor from = row_at(source, &shape, NEAP_UINT, 8);
    neap_tensor_convert(&from, &to, 1.0 / 255, 0, NULL);
  }
}

int main(int argc, char **argv) {
  const char *usage = "fill|convert PROCESSES BUFFERS ROWS SOURCE TOTAL";
  const int processes = (int)limit_argument(argc, argv, 2, 6, usage);
  const long buffers = limit_argument(argc, argv, 3, 6, usage);
  const long rows = buffers * limit_argument(argc, argv, 4, 6, usage);
  const long sources = limit_argument(argc, argv, 5, 6, usage);
  const long total = limit_argument(argc, argv, 6, 6, usage);
  const int is_fill = strcmp(argv[1], "fill") == 0;
  float *const memory = limit_share((size_t)rows * ROW * sizeof *memory);
  uint8_t *source = limit_share((size_t)sources * ROW);
  meeting *const shared = limit_share(sizeof *shared);
  memset(memory, 1, (size_t)rows * ROW * sizeof *memory);
  memset(source, 1, (size_t)sources * ROW);

  for (int p = 0; p < processes; p++)
    if (fork() == 0) {
      for (long k = 0; k < rows; k++) /* maps them in this process, too */
        write_row(memory + k * ROW, NULL, k);
      meet(&shared->begin, processes + 1);
      for (long k; (k = atomic_fetch_add(&shared->next, 1)) < total;)
        write_row(memory + k % rows * ROW,
                  is_fill ? NULL : source + k % sources * ROW, k);
      meet(&shared->end, processes + 1);
      _exit(0);
    }
  meet(&shared->begin, processes + 1);
  const double since = limit_now_s();
  meet(&shared->end, processes + 1);
  const double seconds = limit_now_s() - since;
  limit_await_children();
  printf("%.9g\n", (double)total / seconds);
  return 0;
}
