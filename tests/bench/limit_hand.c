/* SPDX-License-Identifier: MIT */
/*
 * The limit of tensors that are filled ahead and read: processes that write
 * rows of 602,112 bytes into warm shared buffers, as those of limit_fill.c do,
 * and one that reads a word of each, or with SUM sums its bytes, in order.
 * Prints rows a second.
 *
 * Who fills takes a ticket, waits for room, fills the ticket's buffer and marks
 * it; the reader sleeps until the row that it wants is marked. Nobody may die.
 */
#include <limits.h>
#include <stdbool.h>

#include "limit.h"

#include "base/futex.h"
#include "neap_lua.h"

enum { ROW = 3 * 224 * 224, BUFFERS_MAX = 1024, ROUNDS_WARM = 3 };

typedef struct word {
  _Alignas(64) _Atomic uint32_t value;
} word;

typedef struct meeting {
  word next;                /* the ticket to give */
  word taken;               /* rows that were read */
  word wanted;              /* the row awaited, from 1; 0: none */
  word filled[BUFFERS_MAX]; /* the row that it holds, from 1 */
} meeting;

static meeting *m;
static float *memory;
static uint32_t buffers, ahead, total;
static bool sums;

static void fill(uint32_t row) {
  int64_t shape = ROW;
  neap_tensor to = {.data = memory + (size_t)(row % buffers) * ROW,
                    .device_type = 1,
                    .ndim = 1,
                    .code = NEAP_FLOAT,
                    .bits = 32,
                    .lanes = 1,
                    .shape = &shape};
  neap_tensor_fill(&to, (double)row, NULL);
}

static void produce(void) {
  uint32_t row, taken;
  while ((row = atomic_fetch_add(&m->next.value, 1)) < total) {
    while (row - (taken = atomic_load(&m->taken.value)) >= ahead)
      neap__futex_wait(&m->taken.value, taken);
    fill(row);
    atomic_store(&m->filled[row % buffers].value, row + 1);
    uint32_t wish = row + 1;
    if (atomic_compare_exchange_strong(&m->wanted.value, &wish, 0))
      neap__futex_wake(&m->wanted.value);
  }
}

static bool is_there(uint32_t row) {
  return atomic_load(&m->filled[row % buffers].value) == row + 1;
}

static void sum(uint32_t row) {
  int64_t shape = ROW * (int64_t)sizeof(float);
  int64_t result = 0;
  const neap_tensor from = {.data = memory + (size_t)(row % buffers) * ROW,
                            .device_type = 1,
                            .ndim = 1,
                            .code = NEAP_UINT,
                            .bits = 8,
                            .lanes = 1,
                            .shape = &shape};
  neap_tensor to = {.data = &result,
                    .device_type = 1,
                    .code = NEAP_INT,
                    .bits = 64,
                    .lanes = 1};
  limit_need(neap_tensor_sum(&from, -1, &to, NULL) == NEAP_OK, "sum");
}

static void take(uint32_t row) {
  while (!is_there(row)) {
    atomic_store(&m->wanted.value, row + 1);
    if (!is_there(row)) neap__futex_wait(&m->wanted.value, row + 1);
  }
  limit_need(memory[(size_t)(row % buffers) * ROW] == (float)row, "row");
  if (sums) sum(row);
  atomic_store(&m->taken.value, row + 1);
  if (atomic_load(&m->next.value) > row + ahead) /* somebody waits for room */
    syscall(SYS_futex, &m->taken.value, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

int main(int argc, char **argv) {
  const char *usage = "PROCESSES BUFFERS AHEAD TOTAL SUM";
  const long processes = limit_argument(argc, argv, 1, 5, usage);
  buffers = (uint32_t)limit_argument(argc, argv, 2, 5, usage);
  ahead = (uint32_t)limit_argument(argc, argv, 3, 5, usage);
  const uint32_t warm = ROUNDS_WARM * buffers;
  total = warm + (uint32_t)limit_argument(argc, argv, 4, 5, usage);
  sums = limit_argument(argc, argv, 5, 5, usage) != 0;
  limit_need(ahead <= buffers && buffers <= BUFFERS_MAX, "BUFFERS");
  m = limit_share(sizeof *m);
  memory = limit_share((size_t)buffers * ROW * sizeof *memory);
  for (long p = 0; p < processes; p++)
    if (fork() == 0) {
      produce();
      _exit(0);
    }
  for (uint32_t row = 0; row < warm; row++)
    take(row);
  const double since = limit_now_s();
  for (uint32_t row = warm; row < total; row++)
    take(row);
  const double seconds = limit_now_s() - since;
  limit_await_children();
  printf("%.9g\n", (double)(total - warm) / seconds);
  return 0;
}
