/* SPDX-License-Identifier: MIT */
/*
 * Launches workers: finds the program, and runs it with what it inherits.
 *
 * With posix_spawn the child shares the host's memory until exec, so the start
 * takes the same time in a host of any size, and copies no lock. The child
 * starts with default signal dispositions and an empty signal mask.
 */
#include "pool/process.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"

extern char **environ;

static bool is_executable(const char *path) {
  return access(path, X_OK) == 0;
}

/* The folder of the file at path, or "". */
static void folder_of(const char *path, char *folder, size_t size) {
  const char *slash = strrchr(path, '/');
  snprintf(folder, size, "%.*s", slash == NULL ? 0 : (int)(slash - path), path);
}

/*
 * The file that contains libneap, or NULL. If that is the program, returns
 * `self`: dladdr() returns argv[0] then, which may be any text.
 */
static const char *library_file(const char *self) {
  Dl_info library, program;
  if (dladdr((void *)(uintptr_t)neap__spawn_find, &library) == 0) return NULL;
  const bool is_program =
      dladdr((void *)(uintptr_t)getauxval(AT_PHDR), &program) != 0 &&
      program.dli_fbase == library.dli_fbase;
  return is_program ? self : library.dli_fname;
}

/*
 * bin/neap beside the library's folder, or beside the lib/ above it: it may be
 * in lib64/, lib/x86_64-linux-gnu/ (Debian) or lib/lua/5.1/ (LuaRocks).
 */
static bool find_beside_library(const char *library, char *path, size_t size) {
  char folder[PATH_MAX];
  const char *lib = NULL;
  folder_of(library, folder, sizeof folder);
  snprintf(path, size, "%s/../bin/neap", folder);
  if (is_executable(path)) return true;
  for (const char *c = library; (c = strstr(c, "/lib/")) != NULL; c++)
    lib = c;
  if (lib == NULL) return false;
  snprintf(path, size, "%.*s/bin/neap", (int)(lib - library), library);
  return is_executable(path);
}

/* This executable if its name is neap, or the one installed with libneap. */
static bool find_beside(char *path, size_t size) {
  char folder[PATH_MAX];
  char self[PATH_MAX];
  const ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
  self[length < 0 ? 0 : length] = '\0';
  if (length > 0) {
    folder_of(self, folder, sizeof folder);
    snprintf(path, size, "%s/neap", folder);
    if (strcmp(path, self) == 0) return true;
  }
  const char *library = library_file(self);
  return library != NULL && find_beside_library(library, path, size);
}

static bool find_on_path(char *path, size_t size) {
  const char *folders = secure_getenv("PATH");
  while (folders != NULL && *folders != '\0') {
    const size_t length = strcspn(folders, ":");
    snprintf(path, size, "%.*s/neap", (int)length, folders);
    if (length > 0 && is_executable(path)) return true;
    folders += length + (folders[length] == ':');
  }
  return false;
}

int neap__spawn_find(const char *path_given, char *path, size_t size,
                     neap_error *error) {
  if (path_given == NULL) path_given = secure_getenv("NEAP_WORKER");
  if (path_given != NULL) {
    snprintf(path, size, "%s", path_given);
    if (is_executable(path)) return NEAP_OK;
    return neap__error_set(error, NEAP_EWORKER, errno,
                           "cannot start workers: no neap executable at %s",
                           path);
  }
  if (find_beside(path, size) || find_on_path(path, size)) return NEAP_OK;
  return neap__error_set(
      error, NEAP_EWORKER, 0,
      "cannot start workers: no neap executable beside libneap or on PATH\n"
      "help: set NEAP_WORKER to its path");
}

/* Copies a list of strings that ends with NULL, as one block; or NULL. */
static char **copy_strings(const char *const *list) {
  size_t count = 0, bytes = 0;
  for (; list[count] != NULL; count++)
    bytes += strlen(list[count]) + 1;
  char **copy = calloc(1, (count + 1) * sizeof *copy + bytes);
  char *to = copy == NULL ? NULL : (char *)(copy + count + 1);
  for (size_t k = 0; copy != NULL && k < count; k++) {
    copy[k] = to;
    to = stpcpy(to, list[k]) + 1;
  }
  return copy;
}

/* From the neap executable to neap-native beside it. */
static int find_native(char *path, size_t size, neap_error *error) {
  char neap[PATH_MAX];
  snprintf(neap, sizeof neap, "%s", path);
  const char *slash = strrchr(neap, '/');
  const int folder = slash == NULL ? 0 : (int)(slash - neap) + 1;
  snprintf(path, size, "%.*sneap-native", folder, neap);
  if (is_executable(path)) return NEAP_OK;
  return neap__error_set(error, NEAP_EWORKER, errno,
                         "cannot start workers of a native chain: no "
                         "neap-native beside %s\n"
                         "help: install neap as a whole, or compute on threads",
                         neap);
}

int neap_has_native(const char *path_given) {
  char path[PATH_MAX];
  return neap__spawn_find(path_given, path, sizeof path, NULL) == NEAP_OK &&
         find_native(path, sizeof path, NULL) == NEAP_OK;
}

int neap__launcher_open(neap__launcher *launcher, const neap_launch *launch,
                        neap_error *error) {
  static const char *const native_arguments[] = {"neap-native", NULL};
  int rc = neap__spawn_find(launch->path, launcher->path, sizeof launcher->path,
                            error);
  if (rc == NEAP_OK && launch->is_native)
    rc = find_native(launcher->path, sizeof launcher->path, error);
  if (rc != NEAP_OK) return rc;
  launcher->arguments =
      copy_strings(launch->is_native ? native_arguments : launch->arguments);
  if (launch->environment != NULL)
    launcher->environment = copy_strings(launch->environment);
  if (launcher->arguments != NULL &&
      (launcher->environment != NULL || launch->environment == NULL))
    return NEAP_OK;
  return neap__error_set(error, NEAP_EMEMORY, 0,
                         "cannot start workers: memory is short");
}

void neap__launcher_close(neap__launcher *launcher) {
  free(launcher->arguments);
  free(launcher->environment);
}

/* Sets a worker's descriptors up. Returns an errno, or 0. */
static int add_descriptors(posix_spawn_file_actions_t *actions,
                           const int inherit[NEAP__FD_COUNT], int stderr_fd) {
  int failure =
      posix_spawn_file_actions_adddup2(actions, stderr_fd, STDERR_FILENO);
  for (int fd = NEAP__FD_CONTROL; fd < NEAP__FD_COUNT && failure == 0; fd++)
    failure = inherit[fd] >= 0
                  ? posix_spawn_file_actions_adddup2(actions, inherit[fd], fd)
                  : posix_spawn_file_actions_addclose(actions, fd);
  return failure;
}

static void reset_signals(posix_spawnattr_t *attributes) {
  sigset_t signals;
  sigfillset(&signals);
  posix_spawnattr_setsigdefault(attributes, &signals);
  sigemptyset(&signals);
  posix_spawnattr_setsigmask(attributes, &signals);
  posix_spawnattr_setflags(attributes,
                           POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
}

/* Returns an errno, or 0. */
static int start(const neap__launcher *launcher,
                 const int inherit[NEAP__FD_COUNT], int stderr_fd, pid_t *pid) {
  char *const *environment =
      launcher->environment != NULL ? launcher->environment : environ;
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  int failure = posix_spawn_file_actions_init(&actions);
  if (failure != 0) return failure;
  failure = posix_spawnattr_init(&attributes);
  if (failure == 0) {
    reset_signals(&attributes);
    failure = add_descriptors(&actions, inherit, stderr_fd);
    if (failure == 0)
      failure = posix_spawn(pid, launcher->path, &actions, &attributes,
                            launcher->arguments, environment);
    posix_spawnattr_destroy(&attributes);
  }
  posix_spawn_file_actions_destroy(&actions);
  return failure;
}

int neap__launcher_spawn(const neap__launcher *launcher,
                         const int inherit[NEAP__FD_COUNT], int stderr_fd,
                         pid_t *pid, int *pidfd, neap_error *error) {
  *pidfd = -1;
  const int failure = start(launcher, inherit, stderr_fd, pid);
  if (failure != 0)
    return neap__error_set(error, NEAP_EWORKER, failure,
                           "cannot start workers: %s", launcher->path);
  *pidfd = (int)syscall(SYS_pidfd_open, *pid, 0);
  if (*pidfd < 0) {
    const int reason = errno;
    if (reason != ESRCH) {
      kill(*pid, SIGKILL);
      waitpid(*pid, NULL, 0);
    }
    return neap__error_set(error, NEAP_EWORKER, reason,
                           "cannot watch worker %d", (int)*pid);
  }
  fcntl(*pidfd, F_SETFD, FD_CLOEXEC);
  return NEAP_OK;
}
