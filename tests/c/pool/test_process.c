/* SPDX-License-Identifier: MIT */
/*
 * Which executable a host starts as its workers: above all, that nobody else
 * says so to a host with more rights than its caller.
 */
#include "pool/process.h"

#include "host.h"

#include <sys/auxv.h>

enum { NOBODY = 65534, IS_PLAIN = 100 };

/* A folder in which each way to name an executable leads to bin/neap. */
typedef struct trap {
  char folder[PATH_MAX];
  char copy[PATH_MAX]; /* of this program, setuid root */
  char bin[PATH_MAX];
  char neap[PATH_MAX];
  char lib[PATH_MAX];
  char argument[PATH_MAX]; /* argv[0], in lib */
} trap;

static void name(char path[PATH_MAX], const trap *t, const char *end) {
  assert_in_range(snprintf(path, PATH_MAX, "%s/%s", t->folder, end), 1,
                  PATH_MAX - 1);
}

static void copy_file(const char *from, const char *to, mode_t mode) {
  char bytes[1 << 16];
  ssize_t count;
  const int in = open(from, O_RDONLY | O_CLOEXEC);
  const int out = open(to, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  assert_true(in >= 0 && out >= 0);
  while ((count = read(in, bytes, sizeof bytes)) > 0)
    assert_int_equal(write(out, bytes, (size_t)count), count);
  assert_int_equal(count, 0);
  assert_int_equal(fchmod(out, mode), 0);
  close(in);
  close(out);
}

static void set_trap(trap *t, const host *h) {
  strcpy(t->folder, "/tmp/neap-process-XXXXXX");
  assert_non_null(mkdtemp(t->folder));
  assert_int_equal(chmod(t->folder, 0755), 0);
  name(t->copy, t, "copy");
  name(t->bin, t, "bin");
  name(t->neap, t, "bin/neap");
  name(t->lib, t, "lib");
  name(t->argument, t, "lib/host");
  copy_file(h->executable, t->copy, 04755);
  assert_int_equal(mkdir(t->bin, 0755), 0);
  assert_int_equal(mkdir(t->lib, 0755), 0);
  copy_file("/bin/true", t->neap, 0755);
}

static void remove_trap(const trap *t) {
  unlink(t->neap);
  rmdir(t->bin);
  rmdir(t->lib);
  unlink(t->copy);
  rmdir(t->folder);
}

/* What a host does: as its exit status, whether it took what it was offered. */
static int find_main(const char *offered) {
  char path[PATH_MAX];
  if (getuid() != geteuid() && getauxval(AT_SECURE) == 0) return IS_PLAIN;
  const int rc = neap__spawn_find(NULL, path, sizeof path, NULL);
  char *found = rc == NEAP_OK ? realpath(path, NULL) : NULL;
  const int is_taken = found != NULL && strcmp(found, offered) == 0;
  free(found);
  return is_taken;
}

/* Runs the copy as a user, with an environment of one variable or none. */
static int run(const trap *t, uid_t user, const char *variable,
               const char *argument) {
  int status;
  char word[PATH_MAX + 64] = "NONE=";
  char find[] = "--find", first[PATH_MAX], offered[PATH_MAX];
  if (variable != NULL)
    snprintf(word, sizeof word, "%s=%s", variable,
             strcmp(variable, "PATH") == 0 ? t->bin : t->neap);
  strcpy(first, argument);
  strcpy(offered, t->neap);
  char *const arguments[] = {first, find, offered, NULL};
  char *const environment[] = {word, NULL};
  const pid_t child = fork();
  if (child == 0) {
    if (user != 0 && setresuid(user, user, user) != 0) _exit(101);
    execve(t->copy, arguments, environment);
    _exit(102);
  }
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_true(WIFEXITED(status));
  return WEXITSTATUS(status);
}

static void the_environment_names_the_executable(void **state) {
  host *h = *state;
  trap t;
  set_trap(&t, h);
  const uid_t self = geteuid();
  const int by_name = run(&t, self, "NEAP_WORKER", t.copy);
  const int by_path = run(&t, self, "PATH", t.copy);
  const int by_nothing = run(&t, self, NULL, t.copy);
  remove_trap(&t);
  assert_int_equal(by_name, 1);
  assert_int_equal(by_path, 1);
  assert_int_equal(by_nothing, 0);
}

static void a_programs_name_names_no_executable(void **state) {
  host *h = *state;
  trap t;
  set_trap(&t, h);
  const int by_argument = run(&t, geteuid(), NULL, t.argument);
  remove_trap(&t);
  assert_int_equal(by_argument, 0);
}

/* Moves the copy to a folder; whether it finds the executable from there. */
static int finds_from(trap *t, const char *place) {
  char folder[PATH_MAX], moved[PATH_MAX];
  name(folder, t, place);
  mkdir(folder, 0755);
  assert_in_range(snprintf(moved, sizeof moved, "%s/host", folder), 1,
                  PATH_MAX - 1);
  assert_int_equal(rename(t->copy, moved), 0);
  strcpy(t->copy, moved);
  return run(t, geteuid(), NULL, moved) == 1;
}

/* The copy stands for libneap, which is in it. */
static void a_library_finds_the_executable_installed_with_it(void **state) {
  enum { PLACES = 4 };
  static const char *const places[PLACES] = {"lib", "lib64", "lib/x86_64-gnu",
                                             "lib/lua"};
  host *h = *state;
  trap t;
  int found = 0;
  set_trap(&t, h);
  for (int k = 0; k < PLACES; k++)
    found += finds_from(&t, places[k]);
  unlink(t.copy);
  for (int k = 1; k < PLACES; k++) {
    char folder[PATH_MAX];
    name(folder, &t, places[k]);
    rmdir(folder);
  }
  remove_trap(&t);
  assert_int_equal(found, PLACES);
}

static void a_setuid_host_believes_nobody(void **state) {
  host *h = *state;
  trap t;
  if (geteuid() != 0) skip();
  set_trap(&t, h);
  const int by_nothing = run(&t, NOBODY, NULL, t.copy);
  const int by_name = run(&t, NOBODY, "NEAP_WORKER", t.copy);
  const int by_path = run(&t, NOBODY, "PATH", t.copy);
  const int by_argument = run(&t, NOBODY, NULL, t.argument);
  remove_trap(&t);
  if (by_nothing == IS_PLAIN) skip(); /* /tmp is mounted nosuid */
  assert_int_equal(by_nothing, 0);
  assert_int_equal(by_name, 0);
  assert_int_equal(by_path, 0);
  assert_int_equal(by_argument, 0);
}

int main(int argc, char **argv) {
  if (argc > 2 && strcmp(argv[1], "--find") == 0) _exit(find_main(argv[2]));
  const struct CMUnitTest tests[] = {
      test(the_environment_names_the_executable),
      test(a_programs_name_names_no_executable),
      test(a_library_finds_the_executable_installed_with_it),
      test(a_setuid_host_believes_nobody),
  };
  return cmocka_run_group_tests(tests, start_threads, NULL);
}
