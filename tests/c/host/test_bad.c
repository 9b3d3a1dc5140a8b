/* SPDX-License-Identifier: MIT */
/*
 * Loader files and builders that do what they should not: one message and a
 * status each, and nothing is left behind. The program is a builder, too: one
 * that misbehaves as MODE in its environment says.
 */
#include "loader.h"

#include <signal.h>
#include <sys/socket.h>

#include "host/plan.h"
#include "pool/process.h"

/* -- Files that raise -- */

static void names_the_file_and_the_line(void **state) {
  static const struct {
    const char *text;
    const char *says;
  } files[] = {
      {"x =", "loader.lua:1: unexpected symbol near '<eof>'"},
      {"\n\nerror('boom')", "loader.lua:3: boom\nstack traceback:\n"},
      {"error({code = 3})", "loader.lua: it raised a table {code = 3}"},
      {"error(nil)", "error() was called without a message"},
      {"return", "it returned nothing, not a loader\nhelp: return what"},
      {"return 3", "it returned 3, not a loader"},
      {"return require('none')", "module 'none' not found"},
      {"local neap = require('neap')\n"
       "return neap.loader{build = function() return 3 end}",
       "loader.lua:2: build returned 3, not a sequence"},
      {"local neap = require('neap')\n"
       "return neap.loader{build = function()\n"
       "  local batches = neap.range(3):batch(0)\n"
       "  return batches\n"
       "end}",
       "loader.lua:3: bad argument #1 to 'batch'"},
      {"local neap = require('neap')\n"
       "return neap.loader{build = print, prefetch = {workerz = 2}}",
       "unknown option 'workerz'"},
      {"local neap = require('neap')\n"
       "local file = io.tmpfile()\n"
       "return neap.range(3):map(function(i) file:write(i) end)",
       "its upvalue 'file' is a file"},
  };
  neap_error error;
  for (size_t k = 0; k < sizeof files / sizeof *files; k++) {
    refuse_text(*state, files[k].text, NEAP_EBUILD, &error);
    assert_says(&error, "cannot open the loader ");
    assert_says(&error, files[k].says);
  }
}

static void says_that_there_is_no_file(void **state) {
  neap_loader *loader;
  neap_error error;
  (void)state;
  assert_int_equal(neap_open("/none/x.lua", NULL, &loader, &error),
                   NEAP_EBUILD);
  assert_string_equal(error.text, "cannot open the loader /none/x.lua: No such "
                                  "file or directory");
  assert_int_equal(neap_open("/tmp", NULL, &loader, &error), NEAP_EBUILD);
  assert_string_equal(error.text,
                      "cannot open the loader /tmp: Is a directory");
  assert_int_equal(neap_open("/none/x.lua", NULL, &loader, NULL), NEAP_EBUILD);
}

#define WITH_PARAMETERS \
  "local neap = require('neap')\n" \
  "return neap.loader{\n" \
  "  params = {batch = 4, split = {default = 'a', choices = {'a', 'b'}}},\n" \
  "  build = function(p) return neap.range(p.batch) end,\n" \
  "}\n"

static void refuses_parameters(void **state) {
  static const struct {
    neap_parameter parameter;
    const char *says;
  } given[] = {
      {{"bach", "4"},
       "loader.lua:2: unknown parameter 'bach'; known are batch, split\n"
       "help: did you mean 'batch'?"},
      {{"batch", "many"},
       "loader.lua:2: parameter 'batch': integer expected, got \"many\""},
      {{"batch", "1.5"}, "parameter 'batch': integer expected, got 1.5"},
      {{"split", "c"}, "parameter 'split': one of a, b expected, got \"c\""},
  };
  scene *s = *state;
  neap_error error;
  for (size_t k = 0; k < sizeof given / sizeof *given; k++) {
    s->parameters[0] = given[k].parameter;
    s->options.parameter_count = 1;
    refuse_text(s, WITH_PARAMETERS, NEAP_EINVAL, &error);
    assert_says(&error, given[k].says);
  }
}

static void refuses_options(void **state) {
  scene *s = *state;
  neap_error error;
  s->options.buffered = 0;
  refuse_text(s, NUMBERS_OF(3), NEAP_EINVAL, &error);
  assert_says(&error, "option 'buffered': positive integer expected, got 0");
  s->options.buffered = NEAP_UNSET;
  s->options.workers = 100000;
  refuse_text(s, NUMBERS_OF(3), NEAP_EINVAL, &error);
  assert_says(&error, "workers must be 1 to 512");
  s->options.workers = 1;
  s->options.slot_bytes = 5;
  refuse_text(s, NUMBERS_OF(3), NEAP_EINVAL, &error);
  assert_says(&error, "slot_bytes must be 2^16 to 2^46");
}

static void refuses_arguments(void **state) {
  scene *s = *state;
  neap_error error;
  neap_loader *loader;
  s->options.abi++;
  refuse_text(s, NUMBERS_OF(3), NEAP_EINVAL, &error);
  assert_says(&error, "the host's neap_options are of ABI 1 and have ");
  assert_says(&error, "this library (neap ");
  neap_options_init(&s->options);
  s->options.bytes -= 8;
  refuse_text(s, NUMBERS_OF(3), NEAP_EINVAL, &error);
  neap_options_init(&s->options);
  assert_int_equal(neap_open(NULL, &s->options, &loader, &error), NEAP_EINVAL);
  assert_string_equal(error.text,
                      "cannot open a loader: path must not be NULL");
  s->options.parameter_count = 1;
  refuse_text(s, NUMBERS_OF(3), NEAP_EINVAL, &error);
  assert_says(&error, "parameters must not be NULL");
  s->options.parameters = s->parameters;
  refuse_text(s, NUMBERS_OF(3), NEAP_EINVAL, &error);
  assert_says(&error, "a parameter's name and text must not be NULL");
}

/* -- Files that do not return -- */

static void says_how_the_builder_ended(void **state) {
  neap_error error;
  refuse_text(*state, "os.exit(3)", NEAP_EBUILD, &error);
  assert_says(&error, "the process that ran it ended with exit status 3");
  refuse_text(*state,
              "io.stderr:write('last words\\n')\n"
              "require('ffi').cdef('int kill(int, int); int getpid(void);')\n"
              "require('ffi').C.kill(require('ffi').C.getpid(), 9)",
              NEAP_EBUILD, &error);
  assert_says(&error, "was ended by signal 9 (Killed), and wrote:\nlast words");
}

static void ends_a_builder_that_hangs(void **state) {
  scene *s = *state;
  neap_error error;
  s->options.build_timeout_ns = 300000000;
  refuse_text(s, "while true do end", NEAP_ETIMEOUT, &error);
  assert_says(&error, "it was not built within 0.3 seconds\nhelp: ");
  refuse_text(s,
              "return require('neap').loader{build = function()\n"
              "  for i = 1, math.huge do end\n"
              "end}",
              NEAP_ETIMEOUT, &error);
  refuse_text(s, "io.popen('sleep 1000; true'):read('*a')", NEAP_ETIMEOUT,
              &error);
}

/* A file that forks; `child` and `parent` are what the two do. */
static const char *forking(const char *child, const char *parent) {
  static char text[1024];
  snprintf(text, sizeof text,
           "require('ffi').cdef('int fork(void); int usleep(unsigned);')\n"
           "local C = require('ffi').C\n"
           "if C.fork() == 0 then %s else %s end\n"
           "return require('neap').range(10)",
           child, parent);
  return text;
}

static void survives_a_fork(void **state) {
  scene *s = *state;
  neap_error error;
  neap_loader *loader = open_text(s, forking("", ""));
  read_numbers(loader, 0, 10);
  neap_close(loader);
  loader = open_text(s, forking("os.exit(1)", ""));
  read_numbers(loader, 0, 10);
  neap_close(loader);
  refuse_text(s, forking("while true do end", "os.exit(4)"), NEAP_EBUILD,
              &error);
  assert_says(&error, "ended with exit status 4");
  refuse_text(s, forking("", "os.exit(5)"), NEAP_EBUILD, &error);
  s->options.build_timeout_ns = 300000000;
  refuse_text(s, forking("while true do end", "while true do end"),
              NEAP_ETIMEOUT, &error);
}

/* Makes a file the descriptor fd. Returns a copy of what it was. */
static int divert(int fd, const char *path) {
  const int saved = fcntl(fd, F_DUPFD_CLOEXEC, 10);
  const int file = open(path, O_CREAT | O_TRUNC | O_RDWR | O_CLOEXEC, 0600);
  dup2(file, fd);
  close(file);
  return saved;
}

static void restore(int fd, int saved) {
  dup2(saved, fd);
  close(saved);
}

static void sends_what_a_file_prints_to_stderr(void **state) {
  scene *s = *state;
  char out[PATH_MAX], err[PATH_MAX], text[256] = "";
  snprintf(out, sizeof out, "%s", path_of(s, "out"));
  snprintf(err, sizeof err, "%s", path_of(s, "err"));
  fflush(stdout);
  const int saved_out = divert(STDOUT_FILENO, out);
  const int saved_err = divert(STDERR_FILENO, err);
  neap_loader *loader = open_text(s, "print('hello')\n"
                                     "os.execute('echo from the shell')\n"
                                     "assert(io.read() == nil)\n"
                                     "return require('neap').range(3)");
  neap_close(loader);
  restore(STDOUT_FILENO, saved_out);
  restore(STDERR_FILENO, saved_err);
  FILE *file = fopen(err, "re");
  assert_true(fread(text, 1, sizeof text - 1, file) > 0);
  fclose(file);
  assert_string_equal(text, "hello\nfrom the shell\n");
  struct stat about;
  assert_int_equal(stat(out, &about), 0);
  assert_int_equal(about.st_size, 0);
}

/* -- Executables -- */

static void says_that_there_is_no_executable(void **state) {
  scene *s = *state;
  neap_error error;
  s->options.executable = "/none/neap";
  refuse_text(s, NUMBERS_OF(3), NEAP_EWORKER, &error);
  assert_says(&error, "no neap executable at /none/neap");
  s->options.executable = "/bin/false";
  refuse_text(s, NUMBERS_OF(3), NEAP_EBUILD, &error);
  assert_says(&error, "the process that ran it ended with exit status 1");
}

/* A builder that misbehaves. */
static int misbehave(const char *mode) {
  const char why[] = "nthe executable is of another version";
  neap__hello hello;
  if (recv(NEAP__FD_SOCKET, &hello, sizeof hello, 0) != sizeof hello) return 9;
  if (strcmp(mode, "other") == 0)
    (void)!send(NEAP__FD_SOCKET, why, sizeof why - 1, 0);
  if (strcmp(mode, "nonsense") == 0) (void)!send(NEAP__FD_SOCKET, "xyz", 3, 0);
  if (strcmp(mode, "no plan") == 0) (void)!send(NEAP__FD_SOCKET, "p", 1, 0);
  if (strcmp(mode, "short refusal") == 0)
    (void)!send(NEAP__FD_SOCKET, "e", 1, 0);
  if (strcmp(mode, "empty") == 0) (void)!send(NEAP__FD_SOCKET, "", 0, 0);
  if (strcmp(mode, "hang up") == 0) {
    close(NEAP__FD_SOCKET);
    sleep_us(100000);
  }
  if (strcmp(mode, "hang") == 0) pause();
  return 7;
}

static void refuses_builders_that_misbehave(void **state) {
  static const struct {
    const char *mode;
    int status;
    const char *says;
  } modes[] = {
      {"MODE=other", NEAP_EWORKER, "the executable is of another version"},
      {"MODE=nonsense", NEAP_EDAMAGED, "sent a damaged answer"},
      {"MODE=no plan", NEAP_EDAMAGED, "sent a damaged answer"},
      {"MODE=short refusal", NEAP_EDAMAGED, "sent a damaged answer"},
      {"MODE=empty", NEAP_EBUILD, "ended with exit status 7"},
      {"MODE=hang up", NEAP_EBUILD, "ended with exit status 7"},
      {"MODE=", NEAP_EBUILD, "ended with exit status 7"},
      {"MODE=hang", NEAP_ETIMEOUT, "was not built within 0.2 seconds"},
  };
  scene *s = *state;
  neap_error error;
  static char self[PATH_MAX];
  const ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
  assert_true(length > 0);
  self[length] = '\0';
  s->options.executable = self;
  for (size_t k = 0; k < sizeof modes / sizeof *modes; k++) {
    const char *environment[] = {modes[k].mode, NULL};
    s->options.environment = environment;
    s->options.build_timeout_ns =
        modes[k].status == NEAP_ETIMEOUT ? 200000000 : NEAP_UNSET;
    refuse_text(s, "", modes[k].status, &error);
    assert_says(&error, modes[k].says);
  }
}

static void says_why_workers_do_not_start(void **state) {
  neap_error error;
  neap_item *item;
  neap_loader *loader = open_text(
      *state, "return require('neap').range(5):prefetch{workers = 1,\n"
              "  on_start = function() error('no data') end}");
  assert_int_equal(neap_next(loader, &item, &error), NEAP_EWORKER);
  assert_null(item);
  assert_says(&error, "cannot start workers: ");
  assert_says(&error, "no data");
  assert_int_equal(neap_try_next(loader, &item, NULL), NEAP_EWORKER);
  neap_close(loader);
}

int main(int count, char **words) {
  const struct CMUnitTest tests[] = {
      scene_test(names_the_file_and_the_line),
      scene_test(says_that_there_is_no_file),
      scene_test(refuses_parameters),
      scene_test(refuses_options),
      scene_test(refuses_arguments),
      scene_test(says_how_the_builder_ended),
      scene_test(ends_a_builder_that_hangs),
      scene_test(survives_a_fork),
      scene_test(sends_what_a_file_prints_to_stderr),
      scene_test(says_that_there_is_no_executable),
      scene_test(refuses_builders_that_misbehave),
      scene_test(says_why_workers_do_not_start),
  };
  const char *mode = getenv("MODE");
  if (count == 2 && strcmp(words[1], "--build") == 0)
    return misbehave(mode == NULL ? "" : mode);
  return cmocka_run_group_tests(tests, start_threads, NULL);
}
