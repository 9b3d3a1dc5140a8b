/* SPDX-License-Identifier: MIT */
/*
 * A host of native chains, for rows of the bench:
 *   native_reads WHAT processes|threads COUNT
 * prints of
 *   fashion   batches of 64 images a second, shuffled and normalised
 *   numbers   numbers a second, each through sqrt
 *   tensors   tensors of 602,112 bytes a second, converted from bytes
 *   first     milliseconds from prefetch to the first item
 *   memory    KiB of memory that one idle worker has for itself
 */
#include <string.h>

#include "limit.h"
#include "neap.h"

enum { BATCH = 64, ROW = 3 * 224 * 224, ROWS = 64 };

#define FOLDER "/usr/share/datasets/fashion-mnist/train-"

static neap_error error;

static void must(int status) {
  if (status >= 0) return;
  fprintf(stderr, "native_reads: %s\n", error.text);
  exit(1);
}

/* ---- Chains ---- */

static neap_chain *shuffle(neap_chain *chain) {
  neap_seq *order;
  must(neap_seq_leaf(neap_chain_length(chain), 0, &order, &error));
  must(neap_seq_shuffle(order, 1, &order, &error));
  must(neap_chain_arrange(order, &chain, 1, &chain, &error));
  return chain;
}

static neap_chain *fashion(void) {
  const char *const names[] = {"image", "label"};
  neap_chain *parts[2], *chain;
  must(neap_chain_idx(FOLDER "images-idx3-ubyte.gz", &parts[0], &error));
  must(neap_chain_idx(FOLDER "labels-idx1-ubyte.gz", &parts[1], &error));
  must(neap_chain_convert(parts[0], NEAP_FLOAT, 32, 1 / 255.0, 0, &parts[0],
                          &error));
  must(neap_chain_zip(parts, names, 2, &chain, &error));
  must(neap_chain_batch(shuffle(chain), BATCH, 1, &chain, &error));
  return chain;
}

static neap_chain *numbers(void) {
  neap_chain *chain;
  const neap_stage_options stage = {.lib = "libm.so.6",
                                    .declaration = "double sqrt(double)"};
  must(neap_chain_range(1, 1, NEAP_ENDLESS, &chain, &error));
  must(neap_chain_map(chain, &stage, &chain, &error));
  return chain;
}

static neap_chain *tensors(void) {
  int64_t shape[] = {ROWS, ROW};
  const neap_tensor tensor = {.data = calloc(ROWS, ROW),
                              .device_type = 1,
                              .ndim = 2,
                              .code = NEAP_UINT,
                              .bits = 8,
                              .lanes = 1,
                              .shape = shape};
  neap_chain *chain;
  neap_seq *order;
  must(neap_chain_tensor(&tensor, &chain, &error));
  must(neap_chain_convert(chain, NEAP_FLOAT, 32, 1 / 255.0, 0, &chain, &error));
  must(neap_seq_leaf(ROWS, 0, &order, &error));
  must(neap_seq_cycle(order, NEAP_ENDLESS, &order, &error));
  must(neap_chain_arrange(order, &chain, 1, &chain, &error));
  return chain;
}

static neap_chain *range(void) {
  neap_chain *chain;
  must(neap_chain_range(1, 1, 1000, &chain, &error));
  return chain;
}

/* ---- Reading ---- */

/* Reads items, of further epochs after the last; a second's worth. */
static double rate(neap_loader *loader, int64_t warm, int64_t count) {
  double since = 0;
  neap_item *item;
  for (int64_t k = 0, epoch = 1; k < warm + count; k++) {
    int status = neap_next(loader, &item, &error);
    if (status == NEAP_END) {
      must(neap_seek(loader, ++epoch, 0, &error));
      status = neap_next(loader, &item, &error);
    }
    must(status);
    neap_item_release(item);
    if (k + 1 == warm) since = limit_now_s();
  }
  return (double)count / (limit_now_s() - since);
}

/* Private memory of a process, in KiB. */
static double private_kib(int pid) {
  char path[64], line[256];
  long kib, sum = 0;
  snprintf(path, sizeof path, "/proc/%d/smaps_rollup", pid);
  FILE *file = fopen(path, "re");
  limit_need(file != NULL, path);
  while (fgets(line, sizeof line, file) != NULL)
    if (sscanf(line, "Private_%*[^:]: %ld", &kib) == 1) sum += kib;
  fclose(file);
  return (double)sum;
}

static double first(neap_chain *chain, neap_options *options) {
  neap_loader *loader;
  neap_item *item;
  const double since = limit_now_s();
  must(neap_chain_prefetch(chain, options, &loader, &error));
  must(neap_next(loader, &item, &error));
  const double ms = (limit_now_s() - since) * 1000;
  neap_item_release(item);
  neap_close(loader);
  return ms;
}

static double memory(neap_loader *loader) {
  neap_item *item;
  neap_stats stats;
  must(neap_next(loader, &item, &error));
  neap_item_release(item);
  must(neap_read_worker(loader, 0, &stats, &error));
  usleep(100000); /* all is read ahead */
  return private_kib(stats.pid);
}

static double measure(const char *what, neap_options *options) {
  neap_loader *loader;
  const int is_fashion = strcmp(what, "fashion") == 0;
  const int is_numbers = strcmp(what, "numbers") == 0;
  const int is_tensors = strcmp(what, "tensors") == 0;
  if (strcmp(what, "first") == 0) return first(range(), options);
  neap_chain *chain = is_fashion   ? fashion()
                      : is_numbers ? numbers()
                      : is_tensors ? tensors()
                                   : range();
  if (is_numbers) options->buffered = 100000;
  must(neap_chain_prefetch(chain, options, &loader, &error));
  const double result = is_fashion   ? rate(loader, 300, 3000)
                        : is_numbers ? rate(loader, 1000000, 10000000)
                        : is_tensors ? rate(loader, 500, 5000)
                                     : memory(loader);
  neap_close(loader);
  return result;
}

int main(int argc, char **argv) {
  neap_options options;
  const int workers = (int)limit_argument(
      argc, argv, 3, 3,
      "fashion|numbers|tensors|first|memory processes|threads"
      " COUNT");
  neap_options_init(&options);
  if (strcmp(argv[2], "threads") == 0)
    options.threads = workers;
  else
    options.workers = workers;
  printf("%.17g\n", measure(argv[1], &options));
  return 0;
}
