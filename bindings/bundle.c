/* SPDX-License-Identifier: MIT */
/*
 * neap's Lua modules as bytecode in one file, for processes that start fast:
 * parsing the modules is most of a worker's start.
 *
 * The file, lib/neap.bundle beside bin/, is mapped, so that all processes
 * share it. Each entry has the size and time of its module's file, and is
 * ignored if that file is missing or differs. The bytecode has its debug
 * information and the path of the file.
 *
 * LuaJIT does not check bytecode. So the bundle is used only if nobody but
 * root, the user or the owner of the executable can have written it, and
 * checksums find disk errors. Otherwise the modules' files are used.
 */
#include "bundle.h"

#include <fcntl.h>
#include <ftw.h>
#include <lauxlib.h>
#include <limits.h>
#include <luajit.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#define MAGIC "neap bundle 2, " LUAJIT_VERSION

enum { NAME_MAX_BYTES = 64, MODULES_MAX = 256 };

struct entry {
  char name[NAME_MAX_BYTES]; /* "neap.adapter.map" */
  int64_t size;              /* of the module's file */
  int64_t mtime_ns;
  uint64_t offset; /* of its bytecode, from the start */
  uint64_t bytes;
  uint64_t checksum; /* of its bytecode */
};

struct head {
  char magic[64];
  uint64_t checksum; /* of the rest of the head */
  uint64_t count;
  char lua_dir[PATH_MAX];
  struct entry entries[MODULES_MAX];
};

_Static_assert(sizeof MAGIC <= sizeof((struct head *)0)->magic, "too long");

static uint64_t checksum_of(const void *data, uint64_t bytes) {
  return crc32_z(0, data, bytes);
}

static uint64_t checksum_of_head(const struct head *head) {
  return checksum_of(&head->count, sizeof *head - offsetof(struct head, count));
}

/* "neap.base.lib" in dir: dir/neap/base/lib.lua; "neap": dir/neap/init.lua */
static void path_of(const char *dir, const char *name, char *path) {
  const int is_root = strcmp(name, "neap") == 0;
  const size_t start = strlen(dir) + 1;
  snprintf(path, PATH_MAX, "%s/%s%s.lua", dir, name, is_root ? "/init" : "");
  for (size_t k = start; k < start + strlen(name) && path[k] != '\0'; k++)
    if (path[k] == '.') path[k] = '/';
}

static int stamp(const char *path, struct entry *entry) {
  struct stat about;
  if (stat(path, &about) != 0) return 0;
  entry->size = about.st_size;
  entry->mtime_ns =
      (int64_t)about.st_mtim.tv_sec * 1000000000 + about.st_mtim.tv_nsec;
  return 1;
}

/* -- Reading -- */

/*
 * Whether nobody but root, this user and the executable's owner can have
 * written it. The group may write to a folder, as a umask of 002 lets it: a
 * file that a member puts there has another owner.
 */
static bool is_trusted(const struct stat *about, const struct stat *program) {
  const mode_t others = S_ISDIR(about->st_mode) ? S_IWOTH : S_IWGRP | S_IWOTH;
  return (about->st_mode & others) == 0 &&
         (about->st_uid == 0 || about->st_uid == geteuid() ||
          about->st_uid == program->st_uid);
}

/* Opens the bundle, or returns -1. O_NONBLOCK: it might be a pipe. */
static int open_bundle(struct stat *about) {
  struct stat program, folder;
  char path[PATH_MAX];
  const ssize_t length = readlink("/proc/self/exe", path, sizeof path - 32);
  if (length < 0) return -1;
  path[length] = '\0';
  char *slash = strrchr(path, '/');
  if (slash == NULL || stat("/proc/self/exe", &program) != 0) return -1;
  memcpy(slash, "/../lib", sizeof "/../lib");
  const int lib = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (lib < 0) return -1;
  int fd = openat(lib, "neap.bundle",
                  O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
  if (fd >= 0 && !(fstat(lib, &folder) == 0 && fstat(fd, about) == 0 &&
                   S_ISREG(about->st_mode) && is_trusted(&folder, &program) &&
                   is_trusted(about, &program))) {
    close(fd);
    fd = -1;
  }
  close(lib);
  return fd;
}

static const struct head *map_bundle(uint64_t *bytes) {
  struct stat about;
  const int fd = open_bundle(&about);
  if (fd < 0) return NULL;
  void *map = MAP_FAILED;
  if (about.st_size >= (off_t)sizeof(struct head))
    map = mmap(NULL, (size_t)about.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
  close(fd);
  if (map == MAP_FAILED) return NULL;
  *bytes = (uint64_t)about.st_size;
  return map;
}

static bool is_sound(const struct head *head, uint64_t bytes) {
  if (strncmp(head->magic, MAGIC, sizeof head->magic) != 0 ||
      head->checksum != checksum_of_head(head) || head->count > MODULES_MAX)
    return false;
  for (uint64_t k = 0; k < head->count; k++)
    if (head->entries[k].offset > bytes ||
        head->entries[k].bytes > bytes - head->entries[k].offset)
      return false;
  return true;
}

/* Pushes a module's chunk from its bytecode, or its file if that is damaged. */
static int load_chunk(lua_State *L, const struct head *head,
                      const struct entry *entry) {
  char path[PATH_MAX];
  const char *code = (const char *)head + entry->offset;
  if (checksum_of(code, entry->bytes) == entry->checksum)
    return luaL_loadbuffer(L, code, entry->bytes, entry->name);
  path_of(head->lua_dir, entry->name, path);
  return luaL_loadfile(L, path);
}

/* The loader of one module; its upvalue is the entry, its argument the name. */
static int load_entry(lua_State *L) {
  const struct head *head = lua_touserdata(L, lua_upvalueindex(1));
  const struct entry *entry = lua_touserdata(L, lua_upvalueindex(2));
  if (load_chunk(L, head, entry) != 0) return lua_error(L);
  lua_pushvalue(L, 1);
  lua_call(L, 1, 1);
  return 1;
}

void bundle_open(lua_State *L, const char *lua_dir) {
  char path[PATH_MAX];
  uint64_t bytes;
  const struct head *head = map_bundle(&bytes);
  if (head == NULL) return;
  if (!is_sound(head, bytes) || realpath(lua_dir, path) == NULL ||
      strcmp(path, head->lua_dir) != 0) {
    munmap((void *)(uintptr_t)head, bytes);
    return;
  }
  lua_getglobal(L, "package");
  lua_getfield(L, -1, "preload");
  for (uint64_t k = 0; k < head->count; k++) {
    const struct entry *entry = &head->entries[k];
    struct entry now;
    path_of(lua_dir, entry->name, path);
    if (!stamp(path, &now) || now.size != entry->size ||
        now.mtime_ns != entry->mtime_ns)
      continue;
    lua_pushlightuserdata(L, (void *)(uintptr_t)head);
    lua_pushlightuserdata(L, (void *)(uintptr_t)entry);
    lua_pushcclosure(L, load_entry, 2);
    lua_setfield(L, -2, entry->name);
  }
  lua_pop(L, 2);
}

/* -- Writing -- */

/* nftw() passes no argument to its function. */
static struct head *writing;
static size_t root_length;

static int add_file(const char *path, const struct stat *about, int type,
                    struct FTW *where) {
  const char *name = path + root_length + 1;
  const size_t length = strlen(name);
  (void)about, (void)where;
  if (type != FTW_F || length < 5 || strcmp(name + length - 4, ".lua") != 0)
    return 0;
  struct entry *entry = &writing->entries[writing->count];
  if (writing->count == MODULES_MAX || length - 4 >= NAME_MAX_BYTES) return -1;
  memcpy(entry->name, name, length - 4);
  for (char *c = entry->name; *c != '\0'; c++)
    if (*c == '/') *c = '.';
  if (strcmp(entry->name, "neap.init") == 0) entry->name[4] = '\0';
  writing->count++;
  return 0;
}

struct output {
  FILE *file;
  struct entry *entry;
};

static int append(lua_State *L, const void *code, size_t bytes, void *to) {
  const struct output *output = to;
  struct entry *entry = output->entry;
  (void)L;
  entry->checksum = crc32_z(entry->checksum, code, bytes);
  entry->bytes += bytes;
  return fwrite(code, 1, bytes, output->file) != bytes;
}

/* Compiles a file, with the path at which it will be used as its name. */
static int write_entry(lua_State *L, FILE *file, const char *root,
                       const char *lua_dir, struct entry *entry) {
  char path[PATH_MAX], chunk_name[PATH_MAX + 1] = "@", *text = NULL;
  size_t length = 0;
  path_of(root, entry->name, path);
  path_of(lua_dir, entry->name, chunk_name + 1);
  FILE *source = fopen(path, "re");
  if (source == NULL || !stamp(path, entry)) return -1;
  const ssize_t got = getdelim(&text, &length, '\0', source);
  fclose(source);
  int rc = got < 0 ? -1 : luaL_loadbuffer(L, text, (size_t)got, chunk_name);
  free(text);
  entry->offset = (uint64_t)ftell(file);
  if (rc == 0) rc = lua_dump(L, append, &(struct output){file, entry});
  lua_settop(L, 0);
  return rc;
}

static int fill_bundle(lua_State *L, FILE *file, struct head *head,
                       const char *root, const char *lua_dir) {
  char folder[PATH_MAX];
  snprintf(folder, sizeof folder, "%s/neap", root);
  writing = head;
  root_length = strlen(root);
  if (nftw(folder, add_file, 8, FTW_PHYS) != 0) return -1;
  if (fwrite(head, sizeof *head, 1, file) != 1) return -1;
  for (uint64_t k = 0; k < head->count; k++)
    if (write_entry(L, file, root, lua_dir, &head->entries[k]) != 0) return -1;
  head->checksum = checksum_of_head(head);
  rewind(file);
  return fwrite(head, sizeof *head, 1, file) == 1 ? 0 : -1;
}

int bundle_write(lua_State *L, const char *path, const char *lua_dir,
                 const char *root) {
  char fresh[PATH_MAX];
  struct head *head = calloc(1, sizeof *head);
  snprintf(fresh, sizeof fresh, "%s.new", path);
  FILE *file = fopen(fresh, "wbe");
  int rc = -1;
  if (head != NULL && file != NULL) {
    memcpy(head->magic, MAGIC, sizeof MAGIC);
    snprintf(head->lua_dir, sizeof head->lua_dir, "%s", lua_dir);
    rc = fill_bundle(L, file, head, root, lua_dir);
    /* With any umask: all may read it, its owner may write it. */
    if (rc == 0) rc = fchmod(fileno(file), 0644);
  }
  if (file != NULL && fclose(file) != 0) rc = -1;
  if (rc == 0) rc = rename(fresh, path);
  if (rc != 0) {
    fprintf(stderr, "neap: cannot write %s\n", path);
    remove(fresh);
  }
  free(head);
  return rc == 0 ? 0 : 1;
}
