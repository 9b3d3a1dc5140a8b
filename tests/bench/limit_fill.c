/* SPDX-License-Identifier: MIT */
/*
 * The limit of tensors built in their slots: processes that write f32 rows
 * into warm shared buffers, one after another, with libneap's own loops, and
 * hand them to nobody. Prints rows a second.
 *
 * Rows of 602,112 bytes (3 x 224 x 224); ROWS of them make a buffer. "fill"
 * sets a row to one value; "convert" makes it from a u8 row, of SOURCE rows.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "limit.h"

#include "neap_lua.h"

enum { ROW = 3 * 224 * 224 };

typedef struct meeting {
  pthread_barrier_t barrier; /* of all processes, at begin and end */
  _Atomic long next;         /* the row to write next */
  double began_s;            /* by who wrote the first */
} meeting;

static meeting *call_meeting(unsigned processes) {
  meeting *m = limit_share(sizeof *m);
  pthread_barrierattr_t shared;
  limit_need(pthread_barrierattr_init(&shared) == 0 &&
                 pthread_barrierattr_setpshared(&shared,
                                                PTHREAD_PROCESS_SHARED) == 0 &&
                 pthread_barrier_init(&m->barrier, &shared, processes) == 0,
             "barrier");
  return m;
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
  meeting *const m = call_meeting((unsigned)processes + 1);
  memset(memory, 1, (size_t)rows * ROW * sizeof *memory);
  memset(source, 1, (size_t)sources * ROW);

  for (int p = 0; p < processes; p++)
    if (fork() == 0) {
      for (long k = 0; k < rows; k++) /* maps them in this process, too */
        write_row(memory + k * ROW, NULL, k);
      pthread_barrier_wait(&m->barrier);
      for (long k; (k = atomic_fetch_add(&m->next, 1)) < total;) {
        if (k == 0) m->began_s = limit_now_s();
        write_row(memory + k % rows * ROW,
                  is_fill ? NULL : source + k % sources * ROW, k);
      }
      pthread_barrier_wait(&m->barrier);
      _exit(0);
    }
  pthread_barrier_wait(&m->barrier);
  pthread_barrier_wait(&m->barrier);
  const double seconds = limit_now_s() - m->began_s;
  limit_await_children();
  printf("%.9g\n", (double)total / seconds);
  return 0;
}
