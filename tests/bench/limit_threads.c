/* SPDX-License-Identifier: MIT */
/*
 * The limit of batches of a native chain: threads that convert shuffled images
 * of Fashion-MNIST into buffers, and one that takes the batches in order. What
 * one writes by hand for this data set alone. Prints batches a second.
 *
 * Who fills takes a ticket, waits for room, fills the ticket's buffer and marks
 * it; the reader sleeps until the batch that it wants is marked.
 */
#include <pthread.h>
#include <stdatomic.h>

#include "limit.h"

#include "base/futex.h"
#include "neap.h"

enum { IMAGES = 60000, PIXELS = 28 * 28, BATCH = 64, BUFFERS = 64, AHEAD = 16 };
enum { BATCHES = IMAGES / BATCH, WARM = 300, COUNT = 3000 };

#define FOLDER "/usr/share/datasets/fashion-mnist/train-"

typedef struct batch {
  _Alignas(64) float images[BATCH][PIXELS];
  double labels[BATCH];
  _Alignas(64) _Atomic uint32_t filled; /* the batch, from 1 */
} batch;

static uint8_t (*images)[PIXELS], *labels;
static int32_t (*order)[IMAGES]; /* of each epoch */
static float values[256];
static batch *buffers;
static _Atomic uint32_t next, taken, wanted;

static void *read_all(const char *path, size_t nbytes) {
  neap_idx *idx;
  void *data = malloc(nbytes);
  limit_need(neap_idx_open(path, &idx, NULL) == NEAP_OK, path);
  limit_need(neap_idx_read(idx, data, nbytes, NULL) == NEAP_OK, path);
  neap_idx_close(idx);
  return data;
}

static void fill(uint32_t ticket) {
  batch *to = &buffers[ticket % BUFFERS];
  const int32_t *from =
      order[ticket / BATCHES] + (size_t)(ticket % BATCHES) * BATCH;
  for (int k = 0; k < BATCH; k++) {
    const uint8_t *image = images[from[k]];
    for (int p = 0; p < PIXELS; p++)
      to->images[k][p] = values[image[p]];
    to->labels[k] = labels[from[k]];
  }
}

static void *produce(void *argument) {
  uint32_t ticket, now;
  while ((ticket = atomic_fetch_add(&next, 1)) < WARM + COUNT) {
    while (ticket - (now = atomic_load(&taken)) >= AHEAD)
      neap__futex_wait(&taken, now);
    fill(ticket);
    atomic_store(&buffers[ticket % BUFFERS].filled, ticket + 1);
    uint32_t wish = ticket + 1;
    if (atomic_compare_exchange_strong(&wanted, &wish, 0))
      neap__futex_wake(&wanted);
  }
  return argument;
}

static void take(uint32_t ticket) {
  _Atomic uint32_t *filled = &buffers[ticket % BUFFERS].filled;
  while (atomic_load(filled) != ticket + 1) {
    atomic_store(&wanted, ticket + 1);
    if (atomic_load(filled) == ticket + 1) break;
    neap__futex_wait(&wanted, ticket + 1);
  }
  atomic_fetch_add(&taken, 1);
  neap__futex_wake(&taken);
}

static void prepare(void) {
  const int epochs = (WARM + COUNT) / BATCHES + 1;
  images = read_all(FOLDER "images-idx3-ubyte.gz", sizeof *images * IMAGES);
  labels = read_all(FOLDER "labels-idx1-ubyte.gz", IMAGES);
  order = calloc((size_t)epochs, sizeof *order);
  buffers = aligned_alloc(64, sizeof *buffers * BUFFERS);
  for (int e = 0; e < epochs; e++)
    for (int i = 0; i < IMAGES; i++)
      order[e][i] = (int32_t)neap_shuffle_item(IMAGES, 1, e + 1, i);
  for (int k = 0; k < 256; k++)
    values[k] = (float)(k * (1 / 255.0));
  for (int k = 0; k < BUFFERS; k++)
    atomic_store(&buffers[k].filled, 0);
}

int main(int argc, char **argv) {
  pthread_t threads[64];
  const long count = limit_argument(argc, argv, 1, 1, "THREADS");
  double since = 0;
  prepare();
  for (long k = 0; k < count; k++)
    limit_need(pthread_create(&threads[k], NULL, produce, NULL) == 0, "thread");
  for (uint32_t ticket = 0; ticket < WARM + COUNT; ticket++) {
    take(ticket);
    if (ticket + 1 == WARM) since = limit_now_s();
  }
  printf("%.17g\n", COUNT / (limit_now_s() - since));
  for (long k = 0; k < count; k++)
    pthread_join(threads[k], NULL);
  return 0;
}
