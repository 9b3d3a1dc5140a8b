/* SPDX-License-Identifier: MIT */
/*
 * Hosts of every kind. Each runs in a process of its own, with a deadline: some
 * change what a process has only one of.
 */
#include "loader.h"

#include <dirent.h>
#include <sched.h>
#include <signal.h>
#include <sys/utsname.h>

enum { HOST_S = 30, SKIPPED = 77 };

/* Runs a host in a child; it must return 0. */
static void in_child(scene *s, int (*run)(scene *s)) {
  int status;
  fflush(NULL);
  const pid_t child = fork();
  assert_true(child >= 0);
  if (child == 0) {
    alarm(HOST_S);
    _exit(run(s));
  }
  assert_int_equal(waitpid(child, &status, 0), child);
  if (WIFEXITED(status) && WEXITSTATUS(status) == SKIPPED) skip();
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
    fail_msg("the host ended with wait status %x", (unsigned)status);
}

#define TWENTY \
  "local neap = require('neap')\n" \
  "return neap.range(20):map(function(i) return i end):prefetch{workers = " \
  "2}\n"

/* In a child, where cmocka's checks cannot report: 0, or where it failed. */
#define check(condition) \
  do { \
    if (!(condition)) { \
      fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
      return 1; \
    } \
  } while (0)

static neap_loader *open_file(scene *s, const char *text) {
  neap_loader *loader;
  neap_error error;
  const char *path = write_file(s, "loader.lua", text);
  if (neap_open(path, &s->options, &loader, &error) != NEAP_OK)
    fprintf(stderr, "%s\n", error.text);
  return loader;
}

static int read_items(neap_loader *loader, int64_t from, int64_t to) {
  for (int64_t i = from; i < to; i++) {
    neap_item *item;
    neap_value value;
    neap_error error;
    double number;
    if (neap_next(loader, &item, &error) != NEAP_OK) {
      fprintf(stderr, "%s\n", error.text);
      return 1;
    }
    check(neap_item_index(item) == i);
    check(neap_item_value(item, &value, NULL) == NEAP_OK);
    check(neap_value_number(&value, &number, NULL) == NEAP_OK);
    check(number == (double)(i + 1));
    check(neap_item_release(item) == NEAP_OK);
  }
  return 0;
}

static int use_loader(scene *s) {
  neap_loader *loader = open_file(s, TWENTY);
  check(loader != NULL);
  check(read_items(loader, 0, 20) == 0);
  neap_item *item;
  check(neap_next(loader, &item, NULL) == NEAP_END);
  neap_close(loader);
  return 0;
}

/* -- SIGCHLD -- */

static atomic_int children_heard;

static void hear_child(int signal_number) {
  (void)signal_number;
  atomic_fetch_add(&children_heard, 1);
}

static int with_a_handler(scene *s) {
  signal(SIGCHLD, hear_child);
  check(use_loader(s) == 0);
  check(atomic_load(&children_heard) > 0);
  return 0;
}

static void reap_all(int signal_number) {
  const int before = errno;
  (void)signal_number;
  while (waitpid(-1, NULL, WNOHANG) > 0)
    continue;
  errno = before;
}

static int with_a_reaping_handler(scene *s) {
  signal(SIGCHLD, reap_all);
  for (int k = 0; k < 5; k++)
    check(use_loader(s) == 0);
  return 0;
}

static void *wait_for_all(void *argument) {
  atomic_bool *is_over = argument;
  while (!atomic_load(is_over))
    if (waitpid(-1, NULL, 0) < 0) sleep_us(100);
  return NULL;
}

static int with_a_waiting_thread(scene *s) {
  pthread_t thread;
  atomic_bool is_over = false;
  check(pthread_create(&thread, NULL, wait_for_all, &is_over) == 0);
  for (int k = 0; k < 5; k++)
    check(use_loader(s) == 0);
  atomic_store(&is_over, true);
  pthread_join(thread, NULL);
  return 0;
}

#define DIES_AT_FIVE \
  "local ffi = require('ffi')\n" \
  "return require('neap').range(20):map(function(i)\n" \
  "  pcall(ffi.cdef, 'void _exit(int status);')\n" \
  "  if i == 5 then ffi.C._exit(3) end\n" \
  "  return i\n" \
  "end):prefetch{workers = 2, retries = 0}\n"

/* Reads past an item of which its worker dies; *error is its error. */
static int read_past_death(scene *s, neap_error *error) {
  neap_item *item;
  neap_loader *loader = open_file(s, DIES_AT_FIVE);
  check(loader != NULL);
  check(read_items(loader, 0, 4) == 0);
  check(neap_next(loader, &item, error) == NEAP_EDEATH);
  neap_item_release(item);
  check(read_items(loader, 5, 20) == 0);
  neap_close(loader);
  return 0;
}

/* Whether an error tells how the worker ended; Linux tells from 6.15 on. */
static bool tells_exit_status(const neap_error *error) {
  struct utsname system;
  int major = 0, minor = 0;
  uname(&system);
  sscanf(system.release, "%d.%d", &major, &minor);
  const bool is_new = major > 6 || (major == 6 && minor >= 15);
  return strstr(error->text, is_new ? "the last by exit status 3"
                                    : "a worker died of this item") != NULL;
}

static int that_ignores_children(scene *s) {
  neap_error error;
  neap_loader *loader;
  signal(SIGCHLD, SIG_IGN);
  check(use_loader(s) == 0);
  check(read_past_death(s, &error) == 0);
  check(tells_exit_status(&error));
  check(neap_open(write_file(s, "exit.lua", "os.exit(3)"), &s->options, &loader,
                  &error) == NEAP_EBUILD);
  return 0;
}

static int that_waits_for_children(scene *s) {
  neap_error error;
  signal(SIGCHLD, SIG_DFL);
  check(read_past_death(s, &error) == 0);
  check(strstr(error.text, "exit status 3") != NULL);
  return 0;
}

/* -- Threads and forks -- */

/* Opens the scene's file, which is there. */
static int use_again(scene *s) {
  neap_loader *loader;
  char path[PATH_MAX];
  snprintf(path, sizeof path, "%s/loader.lua", s->folder);
  check(neap_open(path, &s->options, &loader, NULL) == NEAP_OK);
  const int rc = read_items(loader, 0, 20);
  neap_close(loader);
  return rc;
}

static void *use_in_thread(void *argument) {
  return (void *)(intptr_t)use_again(argument);
}

static int with_many_threads(scene *s) {
  enum { THREADS = 8 };
  pthread_t threads[THREADS];
  void *result;
  int failures = 0;
  check(use_loader(s) == 0);
  for (int k = 0; k < THREADS; k++)
    check(pthread_create(&threads[k], NULL, use_in_thread, s) == 0);
  for (int k = 0; k < THREADS; k++) {
    pthread_join(threads[k], &result);
    failures += result != NULL;
  }
  check(failures == 0);
  return 0;
}

typedef struct handed {
  scene *scene;
  neap_loader *loader;
} handed;

static void *open_in_thread(void *argument) {
  handed *h = argument;
  h->loader = open_file(h->scene, TWENTY);
  return NULL;
}

/* The workers do not end with the thread that opened the loader. */
static int that_opens_in_a_thread(scene *s) {
  pthread_t thread;
  handed h = {s, NULL};
  check(pthread_create(&thread, NULL, open_in_thread, &h) == 0);
  pthread_join(thread, NULL);
  check(h.loader != NULL);
  check(read_items(h.loader, 0, 20) == 0);
  neap_close(h.loader);
  return 0;
}

static int child_of(neap_loader *loader, neap_item *held) {
  neap_item *item;
  neap_error error;
  int fd;
  check(neap_next(loader, &item, &error) == NEAP_ECLOSED);
  check(item == NULL);
  check(strstr(error.text, "this process was forked off") != NULL);
  check(strstr(error.text, "\nhelp: open a loader in this process") != NULL);
  check(neap_get(loader, 0, &item, NULL) == NEAP_ECLOSED);
  check(neap_seek(loader, 1, 0, NULL) == NEAP_ECLOSED);
  check(neap_fd(loader, &fd, NULL) == NEAP_ECLOSED);
  check(neap_item_release(held) == NEAP_OK);
  neap_close(loader);
  return 0;
}

/* Whether a thread of this process has given itself the name. */
static bool has_thread(const char *name) {
  char path[300], line[32];
  bool is_there = false;
  DIR *tasks = opendir("/proc/self/task");
  for (struct dirent *e; tasks != NULL && (e = readdir(tasks)) != NULL;) {
    snprintf(path, sizeof path, "/proc/self/task/%s/comm", e->d_name);
    FILE *file = fopen(path, "r");
    if (file == NULL) continue;
    if (fgets(line, sizeof line, file) != NULL)
      is_there = is_there || strncmp(line, name, strlen(name)) == 0;
    fclose(file);
  }
  if (tasks != NULL) closedir(tasks);
  return is_there;
}

/*
 * Forks once the thread of the descriptor runs: the address sanitizer of GCC 12
 * may hold the lock of its allocator while a thread starts, and a fork copies
 * it held: the next allocation of the child would wait for ever.
 */
static int that_forks(scene *s) {
  int status, fd;
  neap_loader *loader = open_file(s, TWENTY);
  check(loader != NULL);
  check(read_items(loader, 0, 5) == 0);
  check(neap_fd(loader, &fd, NULL) == NEAP_OK);
  neap_item *held;
  check(neap_next(loader, &held, NULL) == NEAP_OK);
  while (!has_thread("neap-ready"))
    sched_yield();
  const pid_t child = fork();
  if (child == 0) {
    alarm(HOST_S);
    if (child_of(loader, held) != 0) _exit(1);
#ifdef __SANITIZE_THREAD__ /* it allows a forked child no threads */
    _exit(0);
#endif
    _exit(use_loader(s)); /* one of its own */
  }
  check(waitpid(child, &status, 0) == child);
  check(status == 0);
  check(neap_item_release(held) == NEAP_OK);
  check(read_items(loader, 6, 20) == 0);
  neap_close(loader);
  return 0;
}

/* -- Signals and descriptors -- */

static int with_sigpipe_at_default(scene *s) {
  neap_error error;
  neap_loader *loader;
  signal(SIGPIPE, SIG_DFL);
  check(use_loader(s) == 0);
  /* a builder that ends at once has closed its socket */
  s->options.executable = "/bin/true";
  check(neap_open(write_file(s, "x.lua", ""), &s->options, &loader, &error) ==
        NEAP_EBUILD);
  return 0;
}

static int with_closed_stdio(scene *s) {
  close(STDIN_FILENO);
  close(STDOUT_FILENO);
  check(use_loader(s) == 0);
  check(fcntl(STDIN_FILENO, F_GETFD) < 0);
  check(fcntl(STDOUT_FILENO, F_GETFD) < 0);
  const int saved = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 10);
  close(STDERR_FILENO);
  const int rc = use_loader(s);
  dup2(saved, STDERR_FILENO);
  check(rc == 0);
  return 0;
}

static int with_all_signals_blocked(scene *s) {
  sigset_t all, now;
  sigfillset(&all);
  sigdelset(&all, SIGALRM);
  sigprocmask(SIG_SETMASK, &all, NULL);
  check(use_loader(s) == 0);
  sigprocmask(SIG_BLOCK, NULL, &now);
  check(sigismember(&now, SIGTERM) == 1);
  return 0;
}

static void *send_signals(void *argument) {
  atomic_bool *is_over = argument;
  while (!atomic_load(is_over)) {
    kill(getpid(), SIGUSR1);
    sleep_us(50);
  }
  return NULL;
}

static int with_signals_all_the_time(scene *s) {
  pthread_t thread;
  atomic_bool is_over = false;
  const struct sigaction action = {.sa_handler = hear_child}; /* no restart */
  sigaction(SIGUSR1, &action, NULL);
  check(pthread_create(&thread, NULL, send_signals, &is_over) == 0);
  for (int k = 0; k < 5; k++)
    check(use_loader(s) == 0);
  atomic_store(&is_over, true);
  pthread_join(thread, NULL);
  return 0;
}

static int as_process_1(scene *s) {
  int status;
  if (unshare(CLONE_NEWPID) != 0 && unshare(CLONE_NEWUSER | CLONE_NEWPID) != 0)
    return SKIPPED;
  const pid_t first = fork();
  if (first == 0) {
    alarm(HOST_S);
    _exit(getpid() == 1 ? use_loader(s) : 2);
  }
  check(waitpid(first, &status, 0) == first);
  check(status == 0);
  return 0;
}

/* -- Ends -- */

/* A host that is killed while a file is built takes the builder with it. */
static int that_is_killed_while_it_opens(scene *s) {
  int ends[2], status;
  char word;
  check(pipe(ends) == 0);
  const pid_t killed = fork();
  if (killed == 0) {
    close(ends[0]);
    (void)open_file(s, "io.stderr:write('x') while true do end");
    _exit(0);
  }
  close(ends[1]);
  sleep_us(200000);
  kill(killed, SIGKILL);
  check(waitpid(killed, &status, 0) == killed);
  check(read(ends[0], &word, 1) == 0); /* nobody has the other end */
  return 0;
}

static neap_loader *volatile left_open; /* reachable, so no leak */

static int that_ends_without_closing(scene *s) {
  int status;
  const pid_t killed = fork();
  if (killed == 0) {
    left_open = open_file(s, TWENTY);
    exit(read_items(left_open, 0, 3));
  }
  check(waitpid(killed, &status, 0) == killed);
  check(status == 0);
  return 0;
}

static int with_two_loaders(scene *s) {
  neap_loader *one = open_file(s, TWENTY), *other = open_file(s, TWENTY);
  for (int64_t k = 0; k < 20; k++) {
    check(read_items(one, k, k + 1) == 0);
    check(read_items(other, k, k + 1) == 0);
  }
  neap_close(one);
  neap_close(other);
  return 0;
}

#define host_test(run) \
  static void test_##run(void **state) { \
    in_child(*state, run); \
  }

host_test(with_a_handler) host_test(with_a_reaping_handler)
    host_test(with_a_waiting_thread) host_test(that_ignores_children)
        host_test(that_waits_for_children) host_test(with_many_threads)
            host_test(that_opens_in_a_thread) host_test(that_forks)
                host_test(with_sigpipe_at_default) host_test(with_closed_stdio)
                    host_test(with_all_signals_blocked)
                        host_test(with_signals_all_the_time)
                            host_test(as_process_1)
                                host_test(that_is_killed_while_it_opens)
                                    host_test(that_ends_without_closing)
                                        host_test(with_two_loaders)

                                            int main(void) {
  const struct CMUnitTest tests[] = {
      scene_test(test_with_a_handler),
      scene_test(test_with_a_reaping_handler),
      scene_test(test_with_a_waiting_thread),
      scene_test(test_that_ignores_children),
      scene_test(test_that_waits_for_children),
      scene_test(test_with_many_threads),
      scene_test(test_that_opens_in_a_thread),
      scene_test(test_that_forks),
      scene_test(test_with_sigpipe_at_default),
      scene_test(test_with_closed_stdio),
      scene_test(test_with_all_signals_blocked),
      scene_test(test_with_signals_all_the_time),
      scene_test(test_as_process_1),
      scene_test(test_that_is_killed_while_it_opens),
      scene_test(test_that_ends_without_closing),
      scene_test(test_with_two_loaders),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
