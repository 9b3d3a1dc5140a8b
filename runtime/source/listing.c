/* SPDX-License-Identifier: MIT */
/*
 * The files under a folder. The entries of each folder are sorted before the
 * walk goes down, those that are folders as if their name ended with a slash:
 * then paths come in the order of their bytes, and nothing but the entries of
 * the folders that the walk is in is ever sorted or kept beside the result.
 */
#include "neap_lua.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "source/glob.h"

enum { PATH_BYTES = 4096, DEPTH_MAX = 256 };

/* Bytes that grow. */
typedef struct buffer {
  char *data;
  size_t used;
  size_t room;
} buffer;

typedef struct entry {
  uint64_t key;     /* the first 8 bytes of the name, as a number to compare */
  const char *name; /* with the slash of a folder */
  uint32_t length;
} entry;

struct neap_listing {
  buffer paths;
  buffer starts; /* int64_t each */
  buffer groups; /* int32_t each */
  buffer names;  /* of groups; the start of each is in group_starts */
  buffer group_starts;
  int64_t count;
  int32_t group_count;
  int32_t group; /* that the walk is in; 0: none */
  const char *folder;
  const char *patterns;
  int32_t pattern_count;
  int depth_max; /* components of paths; -1: any */
  int depth;
  size_t length; /* of path */
  char path[PATH_BYTES];
  struct {
    dev_t device;
    ino_t inode;
  } above[DEPTH_MAX]; /* the folders that the walk is in */
};

static int no_memory(const neap_listing *listing, neap_error *error) {
  return neap__error_set(error, NEAP_EMEMORY, 0, "cannot list %s: no memory",
                         listing->folder);
}

static int append(buffer *to, const void *bytes, size_t nbytes) {
  if (to->used + nbytes > to->room) {
    const size_t room = 2 * (to->used + nbytes) + 4096;
    char *data = realloc(to->data, room);
    if (data == NULL) return 0;
    to->data = data;
    to->room = room;
  }
  if (nbytes > 0) memcpy(to->data + to->used, bytes, nbytes);
  to->used += nbytes;
  return 1;
}

/* Where the walk is, for messages and for the system. */
static const char *where(const neap_listing *listing, const char *name,
                         char *text, size_t room) {
  const size_t length = strlen(listing->folder);
  const int is_below = listing->length > 0 || *name != '\0';
  const char *slash = is_below && listing->folder[length - 1] != '/' ? "/" : "";
  snprintf(text, room, "%s%s%.*s%s", listing->folder, slash,
           (int)listing->length, listing->path, name);
  return text;
}

static int refuse(const neap_listing *listing, const char *name, int system,
                  neap_error *error) {
  char text[PATH_BYTES];
  return neap__error_set(error, NEAP_ESYSTEM, system, "cannot list %s",
                         where(listing, name, text, sizeof text));
}

/* ---- One folder ---------------------------------------------------------- */

static uint64_t key_of(const char *name, uint32_t length) {
  uint64_t key = 0;
  for (uint32_t k = 0; k < 8; k++)
    key = key << 8 | (k < length ? (unsigned char)name[k] : 0);
  return key;
}

static int compare(const void *a, const void *b) {
  const entry *left = a, *right = b;
  if (left->key != right->key) return left->key < right->key ? -1 : 1;
  const uint32_t shorter =
      left->length < right->length ? left->length : right->length;
  const int order = memcmp(left->name, right->name, shorter);
  if (order != 0) return order;
  return (left->length > right->length) - (left->length < right->length);
}

/* 1: a folder, 0: a file, -1: neither; or, below that, a status. */
static int kind_of(const neap_listing *listing, int fd, const struct dirent *at,
                   neap_error *error) {
  struct stat about;
  if (at->d_type == DT_DIR) return 1;
  if (at->d_type == DT_REG) return 0;
  if (at->d_type != DT_LNK && at->d_type != DT_UNKNOWN) return -1;
  if (fstatat(fd, at->d_name, &about, 0) != 0)
    return refuse(listing, at->d_name, errno, error) - 1;
  return S_ISDIR(about.st_mode) ? 1 : S_ISREG(about.st_mode) ? 0 : -1;
}

/* Appends the names of a folder, each with its slash and a NUL. */
static int read_names(neap_listing *listing, DIR *dir, buffer *names,
                      size_t *count, neap_error *error) {
  for (;;) {
    errno = 0;
    const struct dirent *at = readdir(dir);
    if (at == NULL) break;
    if (at->d_name[0] == '.') continue;
    const int kind = kind_of(listing, dirfd(dir), at, error);
    if (kind < -1) return kind + 1;
    if (kind == -1) continue;
    const size_t length = strlen(at->d_name);
    if (!append(names, at->d_name, length) ||
        !append(names, kind == 1 ? "/" : "", kind == 1 ? 2 : 1))
      return no_memory(listing, error);
    ++*count;
  }
  return errno == 0 ? NEAP_OK : refuse(listing, "", errno, error);
}

static entry *sorted(const buffer *names, size_t count) {
  entry *entries = malloc((count + 1) * sizeof *entries);
  const char *at = names->data;
  for (size_t k = 0; entries != NULL && k < count; k++) {
    entries[k].name = at;
    entries[k].length = (uint32_t)strlen(at);
    entries[k].key = key_of(at, entries[k].length);
    at += entries[k].length + 1;
  }
  if (entries != NULL) qsort(entries, count, sizeof *entries, compare);
  return entries;
}

/* ---- The walk ------------------------------------------------------------ */

static int fits(const neap_listing *listing) {
  const char *pattern = listing->patterns;
  for (int32_t k = 0; k < listing->pattern_count; k++) {
    if (neap__glob_fits(pattern, listing->path)) return 1;
    pattern += strlen(pattern) + 1;
  }
  return listing->pattern_count == 0;
}

static int add_file(neap_listing *listing, neap_error *error) {
  const int64_t start = (int64_t)listing->paths.used;
  if (!fits(listing)) return NEAP_OK;
  if (!append(&listing->paths, listing->path, listing->length) ||
      !append(&listing->starts, &start, sizeof start) ||
      !append(&listing->groups, &listing->group, sizeof listing->group))
    return no_memory(listing, error);
  listing->count++;
  return NEAP_OK;
}

static int begin_group(neap_listing *listing, const entry *folder,
                       neap_error *error) {
  const size_t start = listing->names.used;
  if (!append(&listing->group_starts, &start, sizeof start) ||
      !append(&listing->names, folder->name, folder->length - 1) ||
      !append(&listing->names, "", 1))
    return no_memory(listing, error);
  listing->group = ++listing->group_count;
  return NEAP_OK;
}

static int walk(neap_listing *listing, int parent, const char *name,
                neap_error *error);

static int visit(neap_listing *listing, int fd, const entry *found,
                 neap_error *error) {
  const size_t length = listing->length;
  int rc = NEAP_OK;
  const int is_folder = found->name[found->length - 1] == '/';
  if (length + found->length >= PATH_BYTES)
    return refuse(listing, "", ENAMETOOLONG, error);
  if (is_folder && listing->depth_max >= 0 &&
      listing->depth >= listing->depth_max)
    return NEAP_OK;
  if (is_folder && listing->depth == 1) rc = begin_group(listing, found, error);
  memcpy(listing->path + length, found->name, found->length + 1);
  listing->length += found->length;
  if (rc == NEAP_OK)
    rc = is_folder ? walk(listing, fd, found->name, error)
                   : add_file(listing, error);
  listing->length = length;
  listing->path[length] = '\0';
  if (listing->depth == 1) listing->group = 0;
  return rc;
}

/* Whether the folder is one of those that the walk is in. */
static int check_loop(neap_listing *listing, int fd, neap_error *error) {
  struct stat about;
  if (fstat(fd, &about) != 0) return refuse(listing, "", errno, error);
  for (int k = 0; k < listing->depth; k++)
    if (listing->above[k].device == about.st_dev &&
        listing->above[k].inode == about.st_ino)
      return refuse(listing, "", ELOOP, error);
  if (listing->depth == DEPTH_MAX)
    return refuse(listing, "", ENAMETOOLONG, error);
  listing->above[listing->depth].device = about.st_dev;
  listing->above[listing->depth].inode = about.st_ino;
  return NEAP_OK;
}

static int walk_open(neap_listing *listing, DIR *dir, neap_error *error) {
  buffer names = {0};
  size_t count = 0;
  int rc = read_names(listing, dir, &names, &count, error);
  entry *entries = rc == NEAP_OK ? sorted(&names, count) : NULL;
  if (rc == NEAP_OK && entries == NULL) rc = no_memory(listing, error);
  for (size_t k = 0; rc == NEAP_OK && k < count; k++)
    rc = visit(listing, dirfd(dir), &entries[k], error);
  free(entries);
  free(names.data);
  return rc;
}

static int walk(neap_listing *listing, int parent, const char *name,
                neap_error *error) {
  const int fd =
      openat(parent, name, O_RDONLY | O_CLOEXEC | O_DIRECTORY | O_NONBLOCK);
  if (fd < 0) return refuse(listing, "", errno, error);
  int rc = check_loop(listing, fd, error);
  DIR *dir = rc == NEAP_OK ? fdopendir(fd) : NULL;
  if (rc == NEAP_OK && dir == NULL) rc = refuse(listing, "", errno, error);
  if (dir == NULL) {
    close(fd);
    return rc;
  }
  listing->depth++;
  rc = walk_open(listing, dir, error);
  listing->depth--;
  closedir(dir);
  return rc;
}

static int depth_of(const char *patterns, int32_t count) {
  int most = count == 0 ? -1 : 0;
  for (int32_t k = 0; k < count; k++) {
    const int depth = neap__glob_depth(patterns);
    if (depth < 0) return -1;
    if (depth > most) most = depth;
    patterns += strlen(patterns) + 1;
  }
  return most;
}

int neap_listing_open(const char *folder, const char *patterns,
                      int32_t pattern_count, neap_listing **out,
                      neap_error *error) {
  *out = NULL;
  neap_listing *listing = calloc(1, sizeof *listing);
  if (listing == NULL)
    return neap__error_set(error, NEAP_EMEMORY, 0, "cannot list %s: no memory",
                           folder);
  listing->folder = folder;
  listing->patterns = patterns;
  listing->pattern_count = pattern_count;
  listing->depth_max = depth_of(patterns, pattern_count);
  const int rc = walk(listing, AT_FDCWD, folder, error);
  if (rc != NEAP_OK) {
    neap_listing_close(listing);
    return rc;
  }
  *out = listing;
  return NEAP_OK;
}

/* ---- What was found ------------------------------------------------------ */

int64_t neap_listing_count(const neap_listing *listing) {
  return listing->count;
}

int64_t neap_listing_bytes(const neap_listing *listing) {
  return (int64_t)listing->paths.used;
}

static void copy(void *to, const buffer *from) {
  if (from->used > 0) memcpy(to, from->data, from->used);
}

void neap_listing_copy(const neap_listing *listing, char *paths,
                       int64_t *starts, int32_t *groups) {
  copy(paths, &listing->paths);
  copy(starts, &listing->starts);
  copy(groups, &listing->groups);
  starts[listing->count] = (int64_t)listing->paths.used;
}

int32_t neap_listing_group_count(const neap_listing *listing) {
  return listing->group_count;
}

const char *neap_listing_group(const neap_listing *listing, int32_t k) {
  size_t start;
  memcpy(&start, listing->group_starts.data + (size_t)k * sizeof start,
         sizeof start);
  return listing->names.data + start;
}

void neap_listing_close(neap_listing *listing) {
  if (listing == NULL) return;
  free(listing->paths.data);
  free(listing->starts.data);
  free(listing->groups.data);
  free(listing->names.data);
  free(listing->group_starts.data);
  free(listing);
}
