/* SPDX-License-Identifier: MIT */
/*
 * Learns to tell clothes apart, by softmax regression, on batches that a loader
 * file describes and worker processes compute.
 *
 *   cc -O2 train.c $(pkg-config --cflags --libs neap) -lm -o train
 *   ./train ../loaders/fashion_mnist.lua [EPOCHS [name=value...]]
 */
#include <math.h>
#include <neap.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { PIXELS = 28 * 28, CLASSES = 10, COLUMNS = 16, PARAMETERS_MAX = 16 };

static const float RATE = 0.1f;

/* weights[k][c]: of pixel k for class c. Columns beyond the classes are 0. */
static float weights[PIXELS][COLUMNS];

/* -- Loaders --------------------------------------------------------------- */

static void fail(const neap_error *error) {
  fprintf(stderr, "train: %s\n", error->text);
  exit(1);
}

/* Opens the file with a parameter of ours and those of the command line, such
   as "batch=64". */
static neap_loader *open_loader(const char *path, const char *split,
                                char *const *words, int count) {
  neap_parameter parameters[PARAMETERS_MAX + 1] = {{"split", split}};
  neap_options options;
  neap_loader *loader;
  neap_error error;
  neap_options_init(&options);
  options.parameters = parameters;
  options.parameter_count = 1;
  for (int k = 0; k < count && k < PARAMETERS_MAX; k++) {
    char *name = strdup(words[k]), *equals = strchr(name, '=');
    if (equals == NULL) continue;
    *equals = '\0';
    parameters[options.parameter_count++] =
        (neap_parameter){name, equals + 1}; /* kept until exit */
  }
  if (neap_open(path, &options, &loader, &error) != NEAP_OK) fail(&error);
  return loader;
}

/* What an item of the loader file has, in place: valid until its release. */
typedef struct batch {
  const float *images; /* count x PIXELS */
  const double *labels;
  int64_t count;
} batch;

/* A field that is a tensor of that dtype and number of dimensions. */
static const void *read_field(const neap_value *table, const char *name,
                              int bits, int ndim, int64_t *rows) {
  neap_value field;
  neap_view view;
  neap_error error;
  if (neap_value_field(table, name, &field, &error) != NEAP_OK ||
      neap_value_tensor(&field, &view, &error) != NEAP_OK)
    fail(&error);
  if (view.tensor.code != NEAP_FLOAT || view.tensor.bits != bits ||
      view.tensor.ndim != ndim || (ndim == 2 && view.shape[1] != PIXELS)) {
    fprintf(stderr, "train: cannot use %s: of another dtype or shape\n", name);
    exit(1);
  }
  *rows = view.shape[0];
  return view.tensor.data;
}

static batch read_batch(const neap_item *item) {
  batch b;
  neap_value value;
  neap_error error;
  if (neap_item_value(item, &value, &error) != NEAP_OK) fail(&error);
  b.labels = read_field(&value, "label", 64, 1, &b.count);
  b.images = read_field(&value, "image", 32, 2, &b.count);
  return b;
}

/* -- Softmax regression ---------------------------------------------------- */

/* Returns the likeliest class, and the probability of each. */
static int classify(const float *pixels, float odds[COLUMNS]) {
  float scores[COLUMNS] = {0}, sum = 0;
  int best = 0;
  for (int k = 0; k < PIXELS; k++)
    for (int c = 0; c < COLUMNS; c++)
      scores[c] += weights[k][c] * pixels[k];
  for (int c = 1; c < CLASSES; c++)
    if (scores[c] > scores[best]) best = c;
  for (int c = 0; c < CLASSES; c++)
    sum += odds[c] = expf(scores[c] - scores[best]);
  for (int c = 0; c < COLUMNS; c++)
    odds[c] = c < CLASSES ? odds[c] / sum : 0;
  return best;
}

/* One step of descent for each image. Returns the sum of the losses. */
static double learn(const batch *b) {
  double loss = 0;
  for (int64_t i = 0; i < b->count; i++) {
    float step[COLUMNS];
    const float *pixels = b->images + i * PIXELS;
    const int label = (int)b->labels[i];
    classify(pixels, step);
    loss -= log(step[label] + 1e-30);
    step[label] -= 1;
    for (int c = 0; c < COLUMNS; c++)
      step[c] *= -RATE / (float)b->count;
    for (int k = 0; k < PIXELS; k++)
      for (int c = 0; c < COLUMNS; c++)
        weights[k][c] += step[c] * pixels[k];
  }
  return loss;
}

static double count_right(const batch *b) {
  float odds[COLUMNS];
  int right = 0;
  for (int64_t i = 0; i < b->count; i++)
    right += classify(b->images + i * PIXELS, odds) == (int)b->labels[i];
  return right;
}

/* -- The loop -------------------------------------------------------------- */

/* Calls use() on all batches of an epoch. Returns the mean over the images. */
static double mean_over(neap_loader *loader, int64_t epoch,
                        double (*use)(const batch *)) {
  neap_item *item;
  neap_error error;
  double sum = 0;
  int64_t images = 0;
  int rc = neap_seek(loader, epoch, 0, &error);
  if (rc != NEAP_OK) fail(&error);
  while ((rc = neap_next(loader, &item, &error)) == NEAP_OK) {
    const batch b = read_batch(item);
    sum += use(&b);
    images += b.count;
    neap_item_release(item);
  }
  if (rc != NEAP_END) fail(&error);
  return sum / (double)images;
}

static double now_s(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

int main(int argc, char **argv) {
  const int64_t epochs = argc > 2 ? atoi(argv[2]) : 5;
  const int count = argc > 3 ? argc - 3 : 0;
  if (argc < 2 || epochs < 1) {
    fprintf(stderr, "train: usage: train FILE [EPOCHS [name=value...]]\n");
    return 2;
  }
  neap_loader *train = open_loader(argv[1], "train", argv + 3, count);
  neap_loader *test = open_loader(argv[1], "t10k", argv + 3, count);
  neap_stats stats;
  const double start = now_s();
  for (int64_t e = 1; e <= epochs; e++)
    printf("epoch %d: loss %.4f\n", (int)e, mean_over(train, e, learn));
  neap_read_stats(train, &stats, NULL);
  printf("waited %.2f of %.2f s for data\n",
         (double)stats.consumer_wait_ns / 1e9, now_s() - start);
  printf("accuracy on the test images: %.4f\n",
         mean_over(test, 1, count_right));
  neap_close(train);
  neap_close(test);
  return 0;
}
