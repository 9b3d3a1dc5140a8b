/* SPDX-License-Identifier: MIT */
/*
 * A loader without Lua: images of clothes from raw files, shuffled, normalised
 * and batched by libneap alone, in worker processes, then on threads. Both give
 * the same batches.
 *
 *   cc -O2 batches.c $(pkg-config --cflags --libs neap) -o batches
 *   ./batches [FOLDER [EPOCHS]]
 */
#include <neap.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { BATCH = 64, PIXELS = 28 * 28, SEED = 1, WORKERS = 2 };

/* Mean and deviation of the pixels, from 0 to 1. */
static const double MEAN = 0.2860, DEVIATION = 0.3530;

static neap_error error;

/* For calls that return a status: what failed ends this program. */
static void must(int status) {
  if (status >= 0) return;
  fprintf(stderr, "batches: %s\n", error.text);
  exit(1);
}

/* -- The chain ------------------------------------------------------------- */

static neap_chain *idx_of(const char *folder, const char *name) {
  char path[4096];
  neap_chain *chain;
  snprintf(path, sizeof path, "%s/%s", folder, name);
  must(neap_chain_idx(path, &chain, &error));
  return chain;
}

/* Each constructor takes its sources, so only the last chain is ours. */
static neap_chain *batches_of(const char *folder) {
  static const char *const names[] = {"image", "label"};
  neap_chain *parts[2], *chain;
  neap_seq *order;
  parts[0] = idx_of(folder, "train-images-idx3-ubyte.gz");
  parts[1] = idx_of(folder, "train-labels-idx1-ubyte.gz");
  must(neap_chain_convert(parts[0], NEAP_FLOAT, 32, 1 / 255.0 / DEVIATION,
                          -MEAN / DEVIATION, &parts[0], &error));
  must(neap_chain_zip(parts, names, 2, &chain, &error));
  must(neap_seq_leaf(neap_chain_length(chain), 0, &order, &error));
  must(neap_seq_shuffle(order, SEED, &order, &error));
  must(neap_chain_arrange(order, &chain, 1, &chain, &error));
  must(neap_chain_batch(chain, BATCH, 0, &chain, &error));
  return chain;
}

/* -- Reading --------------------------------------------------------------- */

/* FNV-1a over words of 4 bytes. */
static uint64_t add(uint64_t sum, const void *data, size_t bytes) {
  const unsigned char *at = data;
  for (size_t k = 0; k + 4 <= bytes; k += 4) {
    uint32_t word;
    memcpy(&word, at + k, sizeof word);
    sum = (sum ^ word) * 0x100000001b3u;
  }
  return sum;
}

static uint64_t add_field(uint64_t sum, const neap_value *table,
                          const char *name) {
  neap_value field;
  neap_view view;
  must(neap_value_field(table, name, &field, &error));
  must(neap_value_tensor(&field, &view, &error));
  return add(sum, view.tensor.data, (size_t)neap_tensor_nbytes(&view.tensor));
}

/* Reads all epochs; returns their checksum. */
static uint64_t read_epochs(neap_loader *loader, int epochs) {
  uint64_t sum = 0xcbf29ce484222325u;
  neap_item *item;
  neap_value batch;
  for (int epoch = 1; epoch <= epochs; epoch++) {
    int status;
    must(neap_seek(loader, epoch, 0, &error));
    while ((status = neap_next(loader, &item, &error)) == NEAP_OK) {
      must(neap_item_value(item, &batch, &error));
      sum = add_field(sum, &batch, "image");
      sum = add_field(sum, &batch, "label");
      neap_item_release(item);
    }
    must(status);
  }
  return sum;
}

static double seconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static uint64_t run(const char *folder, int epochs, int on_threads) {
  neap_options options;
  neap_loader *loader;
  neap_options_init(&options);
  if (on_threads)
    options.threads = WORKERS;
  else
    options.workers = WORKERS;
  must(neap_chain_prefetch(batches_of(folder), &options, &loader, &error));
  const double began = seconds();
  const uint64_t sum = read_epochs(loader, epochs);
  const double batches = (double)neap_length(loader) * epochs;
  printf("%d %s: %.0f batches/s, checksum %016llx\n", WORKERS,
         on_threads ? "threads" : "processes", batches / (seconds() - began),
         (unsigned long long)sum);
  neap_close(loader);
  return sum;
}

int main(int argc, char **argv) {
  const char *folder = argc > 1 ? argv[1] : "/usr/share/datasets/fashion-mnist";
  const int epochs = argc > 2 ? atoi(argv[2]) : 2;
  const uint64_t processes = run(folder, epochs, 0);
  const uint64_t threads = run(folder, epochs, 1);
  puts(processes == threads ? "the same batches" : "the batches differ");
  return processes == threads ? 0 : 1;
}
