/* SPDX-License-Identifier: MIT */
/*
 * A C host, for the rows of hosts.lua. Prints one number:
 *
 *   host_reads next LOADER       nanoseconds that neap_next takes for an item
 *                                that is ready, and its release
 *   host_reads tensors LOADER    items a second, each read
 *   host_reads first LOADER N    milliseconds from neap_open with N workers to
 *                                the first item
 *   host_reads malloc            nanoseconds of a malloc and a free
 *   host_reads memory            KiB of private memory, before a loader is open
 */
#include <inttypes.h>
#include <string.h>

#include "limit.h"
#include "neap.h"

enum { WARM = 500, RUNS = 400 };

static neap_loader *open_loader(const char *path, int32_t workers) {
  neap_options options;
  neap_loader *loader;
  neap_error error;
  neap_options_init(&options);
  options.workers = workers;
  if (neap_open(path, &options, &loader, &error) == NEAP_OK) return loader;
  fprintf(stderr, "%s\n", error.text);
  exit(1);
}

static neap_item *next_item(neap_loader *loader) {
  neap_item *item;
  neap_error error;
  const int rc = neap_next(loader, &item, &error);
  if (rc == NEAP_OK) return item;
  fprintf(stderr, "%s\n", rc == NEAP_END ? "too few items" : error.text);
  exit(1);
}

/* The rest of a run is ready when its first item is there. */
static double read_ready(const char *path) {
  neap_loader *loader = open_loader(path, NEAP_UNSET);
  double least = 1e9;
  for (int run = 0; run < RUNS; run++) {
    neap_item_release(next_item(loader));
    const double since = limit_now_s();
    for (int k = 0; k < 1022; k++)
      neap_item_release(next_item(loader));
    const double ns = (limit_now_s() - since) / 1022 * 1e9;
    if (ns < least) least = ns;
    neap_item_release(next_item(loader));
  }
  neap_close(loader);
  return least;
}

static double read_tensors(const char *path) {
  neap_loader *loader = open_loader(path, NEAP_UNSET);
  const int64_t count = neap_length(loader);
  double since = 0;
  for (int64_t i = 0; i < count; i++) {
    neap_value value;
    neap_view view;
    neap_item *item = next_item(loader);
    if (i == WARM) since = limit_now_s();
    limit_need(neap_item_value(item, &value, NULL) == NEAP_OK &&
                   neap_value_tensor(&value, &view, NULL) == NEAP_OK &&
                   *(const float *)view.tensor.data == (float)(i + 1),
               "item");
    neap_item_release(item);
  }
  const double seconds = limit_now_s() - since;
  neap_close(loader);
  return (double)(count - WARM) / seconds;
}

static double first_item(const char *path, int32_t workers) {
  const double since = limit_now_s();
  neap_loader *loader = open_loader(path, workers);
  neap_item_release(next_item(loader));
  const double ms = (limit_now_s() - since) * 1e3;
  neap_close(loader);
  return ms;
}

static double allocate(void) {
  enum { TIMES = 1000000 };
  const double since = limit_now_s();
  for (int k = 0; k < TIMES; k++) {
    void *volatile block = malloc(128);
    free(block);
  }
  return (limit_now_s() - since) / TIMES * 1e9;
}

/* The sum of the private pages, clean and dirty, in KiB. */
static double private_kib(void) {
  char line[256];
  long kib, sum = 0;
  FILE *file = fopen("/proc/self/smaps_rollup", "re");
  limit_need(file != NULL, "smaps_rollup");
  while (fgets(line, sizeof line, file) != NULL)
    if (sscanf(line, "Private_%*[CD]%*[a-z]: %ld", &kib) == 1) sum += kib;
  fclose(file);
  return (double)sum;
}

int main(int argc, char **argv) {
  const char *what = argc > 1 ? argv[1] : "";
  double result = 0;
  if (strcmp(what, "next") == 0 && argc == 3)
    result = read_ready(argv[2]);
  else if (strcmp(what, "tensors") == 0 && argc == 3)
    result = read_tensors(argv[2]);
  else if (strcmp(what, "first") == 0 && argc == 4)
    result = first_item(argv[2], (int32_t)atoi(argv[3]));
  else if (strcmp(what, "malloc") == 0)
    result = allocate();
  else if (strcmp(what, "memory") == 0)
    result = neap_version() == NULL ? 0 : private_kib();
  else
    limit_argument(argc, argv, 1, -1,
                   "next|tensors|first|malloc|memory [LOADER [N]]");
  printf("%.9g\n", result);
  return 0;
}
