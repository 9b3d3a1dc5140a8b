/* SPDX-License-Identifier: MIT */
/*
 * Loaders of native chains, on processes and on threads: the same items, seeks,
 * reads by index, failures and deaths, and what closing leaves behind.
 */
#include "loader.h"

#include <math.h>

enum { ITEMS = 2000, ROWS = 500, SIDE = 12 };

static float rows[ROWS][SIDE];

/* -- Chains -- */

#define must(call) \
  do { \
    neap_error told_error = {0}; \
    neap_error *const told = &told_error; \
    if ((call) != NEAP_OK) fail_msg("%s: %s", #call, told->text); \
  } while (0)

static neap_chain *range_of(int64_t count) {
  neap_chain *chain;
  must(neap_chain_range(1, 1, count, &chain, told));
  return chain;
}

static neap_chain *map_of(neap_chain *source, const char *library,
                          const char *declaration) {
  neap_chain *chain;
  const neap_stage_options stage = {
      .lib = library, .declaration = declaration, .where = "a.c:1"};
  must(neap_chain_map(source, &stage, &chain, told));
  return chain;
}

static neap_chain *shuffle_of(neap_chain *source) {
  neap_seq *tree;
  neap_chain *chain;
  must(neap_seq_leaf(neap_chain_length(source), 0, &tree, told));
  must(neap_seq_shuffle(tree, 5, &tree, told));
  must(neap_chain_arrange(tree, &source, 1, &chain, told));
  return chain;
}

/* Batches of shuffled rows, converted. */
static neap_chain *batches_of(int64_t size) {
  int64_t shape[] = {ROWS, SIDE};
  const neap_tensor tensor = {.data = rows,
                              .device_type = 1,
                              .ndim = 2,
                              .code = NEAP_FLOAT,
                              .bits = 32,
                              .lanes = 1,
                              .shape = shape};
  neap_chain *chain;
  for (int k = 0; k < ROWS * SIDE; k++)
    rows[k / SIDE][k % SIDE] = (float)k;
  must(neap_chain_tensor(&tensor, &chain, told));
  chain = map_of(shuffle_of(chain), "libm.so.6", "float sqrtf(float)");
  must(neap_chain_convert(chain, NEAP_FLOAT, 64, 0.5, 1, &chain, told));
  must(neap_chain_batch(chain, size, 0, &chain, told));
  return chain;
}

static neap_loader *prefetch(scene *s, neap_chain *chain) {
  neap_loader *loader;
  must(neap_chain_prefetch(chain, &s->options, &loader, told));
  assert_non_null(loader);
  return loader;
}

static void on_threads(scene *s, int32_t count) {
  s->options.workers = NEAP_UNSET;
  s->options.threads = count;
}

static void on_processes(scene *s, int32_t count) {
  s->options.workers = count;
  s->options.threads = NEAP_UNSET;
}

/* -- Reading -- */

static void read_range(neap_loader *loader, int64_t from, int64_t to) {
  for (int64_t i = from; i < to; i++) {
    neap_item *item = next_item(loader);
    assert_int_equal(neap_item_index(item), i);
    assert_true(number_of(item) == sqrt((double)(i + 1)));
    assert_int_equal(neap_item_release(item), NEAP_OK);
  }
}

/* The sum of all batches of an epoch, each weighted by its index. */
static double read_batches(neap_loader *loader) {
  neap_item *item;
  double sum = 0;
  while (neap_next(loader, &item, NULL) == NEAP_OK) {
    neap_value value;
    neap_view view;
    must(neap_item_value(item, &value, told));
    must(neap_value_tensor(&value, &view, told));
    assert_int_equal(view.tensor.ndim, 2);
    const double *data = view.tensor.data;
    for (int64_t k = 0; k < view.shape[0] * view.shape[1]; k++)
      sum += data[k] * (double)(neap_item_index(item) + k % 7 + 1);
    neap_item_release(item);
  }
  return sum;
}

static double expected_sum(int64_t epoch, int64_t size) {
  double sum = 0;
  for (int64_t i = 0; i < ROWS; i++)
    for (int64_t k = 0; k < SIDE; k++) {
      const int64_t row = neap_shuffle_item(ROWS, 5, epoch, i);
      const int64_t at = i % size * SIDE + k;
      sum += (sqrtf((float)(row * SIDE + k)) * 0.5 + 1) *
             (double)(i / size + at % 7 + 1);
    }
  return sum;
}

/* -- Tests; each runs on both -- */

static void numbers_come_in_order(scene *s) {
  neap_loader *loader =
      prefetch(s, map_of(range_of(ITEMS), "libm.so.6", "double sqrt(double)"));
  assert_true(neap_length(loader) == ITEMS);
  read_range(loader, 0, ITEMS);
  assert_over(loader);
  must(neap_seek(loader, 2, 700, told));
  read_range(loader, 700, 900);
  must(neap_seek(loader, 1, 20, told));
  read_range(loader, 20, 60);
  for (int64_t i = 0; i < 50; i++) {
    neap_item *item;
    must(neap_get(loader, i * 31, &item, told));
    assert_true(number_of(item) == sqrt((double)(i * 31 + 1)));
    neap_item_release(item);
  }
  read_range(loader, 60, 300);
  neap_stats stats;
  must(neap_read_stats(loader, &stats, told));
  assert_true(stats.items >= ITEMS && stats.workers == 2);
  neap_close(loader); /* in the middle */
}

static void batches_are_those_of_a_plain_loop(scene *s) {
  neap_loader *loader = prefetch(s, batches_of(64));
  assert_true(neap_length(loader) == (ROWS + 63) / 64);
  for (int64_t epoch = 1; epoch < 4; epoch++) {
    must(neap_seek(loader, epoch, 0, told));
    assert_float_equal(read_batches(loader), expected_sum(epoch, 64), 1e-6);
  }
  neap_close(loader);
}

/* From 256 on, a number does not fit the parameter. */
static void a_failure_is_one_item(scene *s) {
  const neap_argument arguments[] = {{.parameter = "x", .part = "item"}};
  const neap_stage_options stage = {.lib = "libc.so.6",
                                    .declaration = "int toupper(uint8_t x)",
                                    .arguments = arguments,
                                    .argument_count = 1,
                                    .where = "a.c:9"};
  neap_chain *chain;
  must(neap_chain_map(range_of(300), &stage, &chain, told));
  neap_loader *loader = prefetch(s, chain);
  for (int64_t i = 0; i < 300; i++) {
    neap_item *item;
    neap_failure why;
    neap_error error = {0};
    const int rc = neap_next(loader, &item, &error);
    assert_int_equal(rc, i < 255 ? NEAP_OK : NEAP_EITEM);
    if (rc != NEAP_OK) {
      assert_int_equal(neap_item_error(item, &why), NEAP_EITEM);
      assert_true(why.index == i && why.worker >= 0);
      assert_string_equal(why.stage, "map (a.c:9)");
      assert_says(&error, "of map (a.c:9)");
    }
    neap_item_release(item);
  }
  assert_over(loader);
  neap_close(loader);
}

static void a_descriptor_tells_of_items(scene *s) {
  int fd;
  neap_item *item;
  neap_loader *loader =
      prefetch(s, map_of(range_of(500), "libm.so.6", "double sqrt(double)"));
  must(neap_fd(loader, &fd, told));
  for (int64_t read = 0;;) {
    struct pollfd ready = {.fd = fd, .events = POLLIN};
    assert_int_equal(poll(&ready, 1, 10000), 1);
    int rc;
    while ((rc = neap_try_next(loader, &item, NULL)) == NEAP_OK) {
      assert_int_equal(neap_item_index(item), read++);
      neap_item_release(item);
    }
    if (rc == NEAP_END) break;
    assert_int_equal(rc, NEAP_AGAIN);
  }
  neap_close(loader);
}

static void items_outlive_the_loader(scene *s) {
  neap_item *items[10];
  neap_loader *loader =
      prefetch(s, map_of(range_of(100), "libm.so.6", "double sqrt(double)"));
  for (int k = 0; k < 10; k++)
    items[k] = next_item(loader);
  neap_close(loader);
  for (int k = 0; k < 10; k++) {
    assert_true(number_of(items[k]) == sqrt(k + 1));
    assert_int_equal(neap_item_release(items[k]), NEAP_OK);
  }
}

static void a_forked_child_may_close(scene *s) {
  neap_loader *loader =
      prefetch(s, map_of(range_of(ITEMS), "libm.so.6", "double sqrt(double)"));
  read_range(loader, 0, 50);
  const pid_t child = fork();
  if (child == 0) {
    neap_item *item;
    const int rc = neap_next(loader, &item, NULL);
    neap_close(loader);
    _exit(rc == NEAP_ECLOSED ? 0 : 1);
  }
  int status;
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_int_equal(status, 0);
  read_range(loader, 50, 200);
  neap_close(loader);
}

#define ON_BOTH(name) \
  static void name##_on_processes(void **state) { \
    on_processes(*state, 2); \
    name(*state); \
  } \
  static void name##_on_threads(void **state) { \
    on_threads(*state, 2); \
    name(*state); \
  }

#define BOTH(name) \
  scene_test(name##_on_processes), scene_test(name##_on_threads)

ON_BOTH(numbers_come_in_order)
ON_BOTH(batches_are_those_of_a_plain_loop)
ON_BOTH(a_failure_is_one_item)
ON_BOTH(a_descriptor_tells_of_items)
ON_BOTH(items_outlive_the_loader)
ON_BOTH(a_forked_child_may_close)

/* -- Threads alone -- */

/* How many threads that compute block all signals. */
static int blocking_threads(void) {
  char line[256], path[64];
  int count = 0;
  DIR *folder = opendir("/proc/self/task");
  assert_non_null(folder);
  for (const struct dirent *task; (task = readdir(folder)) != NULL;) {
    unsigned long long mask = 0;
    bool is_worker = false;
    snprintf(path, sizeof path, "/proc/self/task/%.20s/status", task->d_name);
    FILE *file = fopen(path, "re");
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
      is_worker |= strcmp(line, "Name:\tneap-worker\n") == 0;
      sscanf(line, "SigBlk: %llx", &mask);
    }
    if (file != NULL) fclose(file);
    count += is_worker && (mask >> (SIGINT - 1) & 1) != 0 &&
             (mask >> (SIGTERM - 1) & 1) != 0;
  }
  closedir(folder);
  return count;
}

static void threads_block_signals_and_start_no_process(void **state) {
  scene *s = *state;
  neap_stats stats;
  on_threads(s, 3);
  neap_loader *loader = prefetch(s, range_of(100));
  neap_item_release(next_item(loader));
  await(blocking_threads() == 3);
  assert_no_child();
  must(neap_read_stats(loader, &stats, told));
  assert_int_equal(stats.workers, 3);
  neap_close(loader);
}

/* -- Processes alone -- */

static bool maps(int32_t pid, const char *name) {
  char path[64], line[1024];
  bool is_there = false;
  snprintf(path, sizeof path, "/proc/%d/maps", (int)pid);
  FILE *file = fopen(path, "re");
  assert_non_null(file);
  while (fgets(line, sizeof line, file) != NULL)
    is_there |= strstr(line, name) != NULL;
  fclose(file);
  return is_there;
}

static void workers_map_no_luajit(void **state) {
  scene *s = *state;
  neap_stats stats;
  on_processes(s, 1);
  neap_loader *loader = prefetch(s, range_of(10));
  neap_item_release(next_item(loader));
  must(neap_read_worker(loader, 0, &stats, told));
  assert_true(stats.pid > 0);
  assert_true(maps(stats.pid, "/neap-native"));
  assert_false(maps(stats.pid, "luajit"));
  assert_false(maps(stats.pid, "/bin/neap\n"));
  neap_close(loader);
}

static void a_death_names_the_function(void **state) {
  scene *s = *state;
  neap_item *item;
  neap_error error = {0};
  on_processes(s, 2);
  s->options.retries = 1;
  s->options.chunk = 4;
  /* raise() of 0 does nothing, that of 9 kills. */
  neap_chain *chain;
  must(neap_chain_range(0, 0.25, 40, &chain, told));
  must(neap_chain_batch(chain, 1, 0, &chain, told));
  must(neap_chain_convert(chain, NEAP_INT, 32, 1, -0.4, &chain, told));
  chain = map_of(chain, "libc.so.6", "int raise(int signal)");
  neap_loader *loader = prefetch(s, chain);
  for (int64_t i = 0; i < 20; i++) {
    const int rc = neap_next(loader, &item, &error);
    assert_int_equal(neap_item_index(item), i);
    if (i >= 4) {
      assert_int_equal(rc, NEAP_EDEATH);
      assert_says(&error, "a worker died of this item, 2 times; the last by "
                          "signal ");
      assert_says(&error, ", while it called raise of libc.so.6");
    }
    neap_item_release(item);
    if (i == 5) break;
  }
  neap_close(loader);
}

static void a_timeout_names_the_function(void **state) {
  scene *s = *state;
  neap_item *item;
  neap_error error = {0};
  on_processes(s, 1);
  s->options.timeout_ns = 50 * 1000000;
  neap_loader *loader = prefetch(
      s, map_of(range_of(1), "libc.so.6", "unsigned sleep(unsigned seconds)"));
  assert_int_equal(neap_next(loader, &item, &error), NEAP_ETIMEOUT);
  assert_says(&error, "while it called sleep of libc.so.6");
  neap_item_release(item);
  neap_close(loader);
}

/* -- What is refused -- */

static void refuse(scene *s, const char *text) {
  neap_loader *loader;
  neap_error error = {0};
  assert_true(neap_chain_prefetch(range_of(5), &s->options, &loader, &error) <
              0);
  assert_null(loader);
  assert_says(&error, text);
}

static void options_that_do_not_fit_are_refused(void **state) {
  scene *s = *state;
  neap_loader *loader;
  neap_error error = {0};
  assert_int_equal(neap_chain_prefetch(NULL, NULL, &loader, &error),
                   NEAP_EINVAL);
  on_threads(s, 2);
  s->options.timeout_ns = 1;
  refuse(s, "timeout_ns is of worker processes");
  s->options.timeout_ns = 0;
  s->options.memory_bytes = 1 << 30;
  refuse(s, "memory_bytes is of worker processes");
  s->options.memory_bytes = 0;
  on_threads(s, 1000);
  refuse(s, "workers must be 1 to 512");
  on_threads(s, -1);
  refuse(s, "threads must be 0 or more");
  on_processes(s, 1);
  s->options.concurrency = 2;
  refuse(s, "concurrency is of loader files: native stages do not wait");
  s->options.concurrency = NEAP_UNSET;
  give(s, "batch", "3");
  refuse(s, "parameters are those of a loader file");
  s->options.parameter_count = 0;
  s->options.executable = "/bin/sh";
  refuse(s, "no neap-native beside /bin/sh");
  on_threads(s, 2);
  const char *path = write_file(s, "loader.lua", NUMBERS_OF(3));
  assert_int_equal(neap_open(path, &s->options, &loader, &error), NEAP_EINVAL);
  assert_says(&error, "neap_chain_prefetch()");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      BOTH(numbers_come_in_order),
      BOTH(batches_are_those_of_a_plain_loop),
      BOTH(a_failure_is_one_item),
      BOTH(a_descriptor_tells_of_items),
      BOTH(items_outlive_the_loader),
      BOTH(a_forked_child_may_close),
      scene_test(threads_block_signals_and_start_no_process),
      scene_test(workers_map_no_luajit),
      scene_test(a_death_names_the_function),
      scene_test(a_timeout_names_the_function),
      scene_test(options_that_do_not_fit_are_refused),
  };
  return cmocka_run_group_tests(tests, start_threads, NULL);
}
