/* SPDX-License-Identifier: MIT */
/*
 * A folder of snapshots: files named by the key of their chain, of which the
 * one that was used longest ago goes first. The time of use is the access time,
 * set by hand: the time of change tells a file from another one.
 */
#include "neap_lua.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"

enum { KEY_DIGITS = 32 };

typedef struct entry {
  char name[64];
  uint64_t nbytes;
  int64_t used_ns;
} entry;

typedef struct listing {
  entry *entries;
  size_t count, capacity;
} listing;

int neap_snapshots_make(const char *folder, neap_error *error) {
  if (mkdir(folder, 0777) == 0 || errno == EEXIST) return NEAP_OK;
  return neap__error_set(error, NEAP_ESYSTEM, errno,
                         "cannot make the folder %s", folder);
}

void neap_snapshots_touch(const char *path) {
  const struct timespec times[2] = {{.tv_nsec = UTIME_NOW},
                                    {.tv_nsec = UTIME_OMIT}};
  (void)utimensat(AT_FDCWD, path, times, 0);
}

/* KEY.neap, and KEY.neap.partial..., which a process that was killed left. */
static bool is_snapshot(const char *name) {
  static const char partial[] = ".neap.partial";
  if (strspn(name, "0123456789abcdef") != KEY_DIGITS) return false;
  return strcmp(name + KEY_DIGITS, ".neap") == 0 ||
         (strncmp(name + KEY_DIGITS, partial, sizeof partial - 1) == 0 &&
          strlen(name) < sizeof((entry *)0)->name);
}

static bool add(listing *list, int folder, const char *name) {
  struct stat about;
  if (fstatat(folder, name, &about, AT_SYMLINK_NOFOLLOW) != 0 ||
      !S_ISREG(about.st_mode))
    return true;
  if (list->count == list->capacity) {
    const size_t capacity = 2 * list->capacity + 16;
    entry *entries = realloc(list->entries, capacity * sizeof *entries);
    if (entries == NULL) return false;
    list->entries = entries;
    list->capacity = capacity;
  }
  entry *e = &list->entries[list->count++];
  strcpy(e->name, name); /* is_snapshot() knows its length */
  e->nbytes = (uint64_t)about.st_size;
  e->used_ns = about.st_atim.tv_sec * 1000000000LL + about.st_atim.tv_nsec;
  return true;
}

static int by_age(const void *a, const void *b) {
  const entry *x = a, *y = b;
  return (x->used_ns > y->used_ns) - (x->used_ns < y->used_ns);
}

/* Removes the oldest but `kept` until no more than bytes_max are left. */
static void remove_oldest(listing *list, int folder, const char *kept,
                          uint64_t bytes_max) {
  uint64_t total = 0;
  for (size_t k = 0; k < list->count; k++)
    total += list->entries[k].nbytes;
  if (list->count > 0)
    qsort(list->entries, list->count, sizeof *list->entries, by_age);
  for (size_t k = 0; k < list->count && total > bytes_max; k++) {
    const entry *e = &list->entries[k];
    if (strcmp(e->name, kept) != 0 && unlinkat(folder, e->name, 0) == 0)
      total -= e->nbytes;
  }
}

int neap_snapshots_evict(const char *folder, const char *kept,
                         uint64_t bytes_max, neap_error *error) {
  listing list = {0};
  bool has_memory = true;
  DIR *dir = opendir(folder);
  if (dir == NULL)
    return neap__error_set(error, NEAP_ESYSTEM, errno, "cannot list %s",
                           folder);
  for (struct dirent *found; has_memory && (found = readdir(dir)) != NULL;)
    if (is_snapshot(found->d_name))
      has_memory = add(&list, dirfd(dir), found->d_name);
  remove_oldest(&list, dirfd(dir), kept, bytes_max);
  closedir(dir);
  free(list.entries);
  if (has_memory) return NEAP_OK;
  return neap__error_set(error, NEAP_EMEMORY, 0, "cannot list %s: no memory",
                         folder);
}
