/* SPDX-License-Identifier: MIT */
/*
 * The limit of decoded images: processes that each read a JPEG, decode it by
 * libturbojpeg at the scale that the result needs, and resize and normalise it
 * into its row of a warm shared batch, until all batches are done. Prints
 * images a second.
 *
 * libturbojpeg is found as neap finds it: its headers need not be there.
 */
#include <dlfcn.h>
#include <stdatomic.h>
#include <string.h>

#include "limit.h"

#include "neap_lua.h"

enum { SIDE = 224, BATCH = 32, BUFFERS = 4, FILE_MAX = 1 << 20 };
enum { PIXELS = 3 * SIDE * SIDE, RGB = 0, SCALE = 2 };

static void *(*init)(void);
static int (*header)(void *, const uint8_t *, unsigned long, int *, int *,
                     int *, int *);
static int (*decompress)(void *, const uint8_t *, unsigned long, uint8_t *, int,
                         int, int, int, int);

static const char *folder;
static long files;
static float *memory;
static _Atomic long *next;

static void find(void *library, const char *name, void *function) {
  void *found = dlsym(library, name);
  limit_need(found != NULL, name);
  memcpy(function, &found, sizeof found);
}

static void load(void) {
  void *library = dlopen("libturbojpeg.so.0", RTLD_NOW);
  limit_need(library != NULL, "libturbojpeg.so.0");
  find(library, "tjInitDecompress", &init);
  find(library, "tjDecompressHeader3", &header);
  find(library, "tjDecompress2", &decompress);
}

static size_t read_file(long number, uint8_t *bytes) {
  char path[4096];
  snprintf(path, sizeof path, "%s/%ld.jpg", folder, number);
  FILE *file = fopen(path, "rb");
  limit_need(file != NULL, path);
  const size_t nbytes = fread(bytes, 1, FILE_MAX, file);
  fclose(file);
  return nbytes;
}

static void decode(void *handle, long number, uint8_t *bytes, uint8_t *pixels,
                   float *to) {
  const size_t nbytes = read_file(number, bytes);
  int width, height, sampling, colours;
  int64_t shape[] = {3, SIDE, SIDE};
  neap_tensor tensor = {.data = to,
                        .device_type = 1,
                        .ndim = 3,
                        .code = NEAP_FLOAT,
                        .bits = 32,
                        .lanes = 1,
                        .shape = shape};
  header(handle, bytes, nbytes, &width, &height, &sampling, &colours);
  width = (width + SCALE - 1) / SCALE;
  height = (height + SCALE - 1) / SCALE;
  limit_need(
      decompress(handle, bytes, nbytes, pixels, width, 0, height, RGB, 0) == 0,
      "tjDecompress2");
  neap_image image = {.pixels = pixels,
                      .height = height,
                      .width = width,
                      .channels = 3,
                      .orientation = 1,
                      .fit = NEAP_FIT_CROP,
                      .is_planar = 1,
                      .region = {0, 0, 1, 1}};
  for (int c = 0; c < 3; c++) {
    image.scale[c] = 1 / (255 * 0.225f);
    image.offset[c] = -0.45f / 0.225f;
  }
  limit_need(neap_image_fit(&image, &tensor, NULL) == NEAP_OK, "fit");
}

static void produce(long images) {
  void *handle = init();
  uint8_t *bytes = malloc(FILE_MAX);
  uint8_t *pixels = malloc(FILE_MAX);
  long k;
  while ((k = atomic_fetch_add(next, 1)) < images)
    decode(handle, k % files, bytes, pixels,
           memory + k % (BUFFERS * BATCH) * PIXELS);
}

static void run(long processes, long images) {
  atomic_store(next, 0);
  for (long p = 0; p < processes; p++)
    if (fork() == 0) {
      produce(images);
      _exit(0);
    }
  limit_await_children();
}

int main(int argc, char **argv) {
  const char *usage = "PROCESSES FILES BATCHES FOLDER";
  const long processes = limit_argument(argc, argv, 1, 4, usage);
  files = limit_argument(argc, argv, 2, 4, usage);
  const long batches = limit_argument(argc, argv, 3, 4, usage);
  folder = argv[4];
  load();
  next = limit_share(sizeof *next);
  memory = limit_share((size_t)BUFFERS * BATCH * PIXELS * sizeof *memory);
  run(processes, BUFFERS * BATCH);
  const double since = limit_now_s();
  run(processes, batches * BATCH);
  printf("%.9g\n", (double)(batches * BATCH) / (limit_now_s() - since));
  return 0;
}
