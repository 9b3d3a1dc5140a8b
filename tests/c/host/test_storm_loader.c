/* SPDX-License-Identifier: MIT */
/*
 * Loaders, of Lua and of native chains, under random use: reads of all kinds,
 * seeks, items that are held and released by other threads, tensors that are
 * lent, workers that are killed. Each item must be the one that was asked for.
 * The seed is printed; --long takes longer.
 */
#include "loader.h"

enum { THREADS = 2, PLACES = 48, STEPS = 4000, STEPS_LONG = 100000 };

static int steps = STEPS;

#define MIXED \
  "local neap = require('neap')\n" \
  "return neap.range(300):map(function(i)\n" \
  "  if i % 5 == 0 then\n" \
  "    local t = neap.tensor('f64', {i})\n" \
  "    t:fill(i)\n" \
  "    return t\n" \
  "  end\n" \
  "  return i\n" \
  "end):prefetch{workers = 2, retries = 1000}\n"

enum source { LUA, PROCESSES, THREADS_OF_HOST };

/* What is held: an item, or a tensor that is lent. */
typedef struct held {
  neap_item *item;
  neap_managed_tensor *lent;
  double wanted;
} held;

typedef struct storm {
  pthread_mutex_t lock;
  held places[PLACES];
  bool is_over;
  unsigned seed;
  enum source kind;
} storm;

static unsigned draw(unsigned *seed, unsigned below) {
  *seed = *seed * 1103515245u + 12345u;
  return *seed / 65536u % below;
}

static double first_of(const neap_item *item) {
  neap_value value;
  neap_view view;
  double number = -1;
  assert_int_equal(neap_item_value(item, &value, NULL), NEAP_OK);
  if (neap_value_type(&value) != NEAP_TENSOR) {
    assert_int_equal(neap_value_number(&value, &number, NULL), NEAP_OK);
    return number;
  }
  assert_int_equal(neap_value_tensor(&value, &view, NULL), NEAP_OK);
  const double *data = view.tensor.data;
  assert_true(data[0] == data[view.shape[0] - 1]);
  return data[0];
}

static void give_back(held *one) {
  if (one->lent != NULL) {
    assert_true(*(const double *)one->lent->tensor.data == one->wanted);
    one->lent->deleter(one->lent);
  }
  if (one->item != NULL) {
    assert_true(first_of(one->item) == one->wanted);
    assert_int_equal(neap_item_release(one->item), NEAP_OK);
    assert_int_equal(neap_item_release(one->item), NEAP_EINVAL);
  }
  *one = (held){.item = NULL};
}

/* Takes what is held at a place. */
static held take(storm *s, unsigned place) {
  pthread_mutex_lock(&s->lock);
  held one = s->places[place];
  s->places[place] = (held){.item = NULL};
  pthread_mutex_unlock(&s->lock);
  return one;
}

static void *give_back_at_random(void *argument) {
  storm *s = argument;
  unsigned seed = (unsigned)(uintptr_t)&seed; /* of this thread */
  for (;;) {
    pthread_mutex_lock(&s->lock);
    const bool is_over = s->is_over;
    pthread_mutex_unlock(&s->lock);
    if (is_over) return NULL;
    held one = take(s, draw(&seed, PLACES));
    give_back(&one);
    sched_yield();
  }
}

/* Keeps an item, or a tensor of it, and gives back what was there. */
static void keep(storm *s, neap_item *item) {
  held one = {.item = item, .wanted = first_of(item)};
  neap_value value;
  const unsigned place = draw(&s->seed, PLACES);
  neap_item_value(item, &value, NULL);
  if (neap_value_type(&value) == NEAP_TENSOR && draw(&s->seed, 2) == 0) {
    assert_int_equal(neap_item_dlpack(item, &value, &one.lent, NULL), NEAP_OK);
    if (draw(&s->seed, 2) == 0) {
      neap_item_release(item);
      one.item = NULL;
    }
  }
  held before = take(s, place);
  give_back(&before);
  pthread_mutex_lock(&s->lock);
  before = s->places[place];
  s->places[place] = one;
  pthread_mutex_unlock(&s->lock);
  give_back(&before);
}

static void kill_one(neap_loader *loader, unsigned worker) {
  neap_stats stats;
  neap_read_worker(loader, (int32_t)worker, &stats, NULL);
  if (stats.pid > 0) kill(stats.pid, SIGKILL);
}

static int read_one(storm *s, neap_loader *loader, int64_t *wanted,
                    neap_item **item, neap_error *error) {
  switch (draw(&s->seed, 4)) {
  case 0: return neap_try_next(loader, item, error);
  case 1:
    *wanted = draw(&s->seed, 300);
    return neap_get(loader, *wanted, item, error);
  default: return neap_next(loader, item, error);
  }
}

static void step(storm *s, neap_loader *loader) {
  neap_item *item;
  neap_error error;
  int64_t wanted = neap_position(loader);
  if (draw(&s->seed, 400) == 0 && s->kind != THREADS_OF_HOST)
    kill_one(loader, draw(&s->seed, 2));
  if (draw(&s->seed, 30) == 0) {
    wanted = draw(&s->seed, 301);
    assert_int_equal(neap_seek(loader, 1 + draw(&s->seed, 2), wanted, NULL),
                     NEAP_OK);
  }
  const int rc = read_one(s, loader, &wanted, &item, &error);
  if (rc == NEAP_OK) {
    assert_int_equal(neap_item_index(item), wanted);
    assert_true(first_of(item) == (double)(wanted + 1));
    keep(s, item);
  } else if (rc == NEAP_END) {
    neap_seek(loader, 1, 0, NULL);
  } else if (rc == NEAP_EHELD) {
    held one = take(s, draw(&s->seed, PLACES));
    give_back(&one);
  } else if (rc != NEAP_AGAIN) {
    fail_msg("%s", error.text);
  }
}

/* The same numbers, in tensors, through a function of the C library. */
static neap_loader *open_native(scene *s, enum source kind) {
  neap_chain *chain;
  neap_loader *loader;
  neap_error error = {0};
  const neap_stage_options stage = {.lib = "libm.so.6",
                                    .declaration = "double fabs(double)"};
  neap_options_init(&s->options);
  s->options.retries = 1000;
  if (kind == PROCESSES)
    s->options.workers = 2;
  else
    s->options.threads = 2;
  if (neap_chain_range(1, 1, 300, &chain, &error) != NEAP_OK ||
      neap_chain_map(chain, &stage, &chain, &error) != NEAP_OK ||
      neap_chain_batch(chain, 1, 0, &chain, &error) != NEAP_OK ||
      neap_chain_prefetch(chain, &s->options, &loader, &error) != NEAP_OK)
    fail_msg("%s", error.text);
  return loader;
}

static void survives_a_storm(void **state, enum source kind, bool has_fd) {
  pthread_t threads[THREADS];
  storm s = {.lock = PTHREAD_MUTEX_INITIALIZER,
             .kind = kind,
             .seed = (unsigned)now_ms() * 2654435761u};
  int fd;
  printf("seed %u\n", s.seed);
  for (int k = 0; k < THREADS; k++)
    pthread_create(&threads[k], NULL, give_back_at_random, &s);
  for (int left = steps; left > 0;) {
    neap_loader *loader =
        kind == LUA ? open_text(*state, MIXED) : open_native(*state, kind);
    if (has_fd) assert_int_equal(neap_fd(loader, &fd, NULL), NEAP_OK);
    const int some = steps / 4;
    for (int k = 0; k < some; k++)
      step(&s, loader);
    left -= some;
    neap_close(loader); /* while others hold its items */
  }
  pthread_mutex_lock(&s.lock);
  s.is_over = true;
  pthread_mutex_unlock(&s.lock);
  for (int k = 0; k < THREADS; k++)
    pthread_join(threads[k], NULL);
  for (int k = 0; k < PLACES; k++)
    give_back(&s.places[k]);
}

static void survives_a_storm_of_reads(void **state) {
  survives_a_storm(state, LUA, false);
}

static void survives_a_storm_with_a_descriptor(void **state) {
  survives_a_storm(state, LUA, true);
}

static void native_workers_survive_a_storm(void **state) {
  survives_a_storm(state, PROCESSES, false);
}

static void threads_survive_a_storm(void **state) {
  survives_a_storm(state, THREADS_OF_HOST, false);
}

static void threads_survive_a_storm_with_a_descriptor(void **state) {
  survives_a_storm(state, THREADS_OF_HOST, true);
}

static int begin_storm(void **state) {
  const int rc = begin(state);
  alarm(steps == STEPS ? 2 * DEADLINE_S : 1500);
  return rc;
}

int main(int count, char **words) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(survives_a_storm_of_reads, begin_storm,
                                      finish),
      cmocka_unit_test_setup_teardown(survives_a_storm_with_a_descriptor,
                                      begin_storm, finish),
      cmocka_unit_test_setup_teardown(native_workers_survive_a_storm,
                                      begin_storm, finish),
      cmocka_unit_test_setup_teardown(threads_survive_a_storm, begin_storm,
                                      finish),
      cmocka_unit_test_setup_teardown(threads_survive_a_storm_with_a_descriptor,
                                      begin_storm, finish),
  };
  if (count > 1 && strcmp(words[1], "--long") == 0) steps = STEPS_LONG;
  return cmocka_run_group_tests(tests, start_threads, NULL);
}
