/* SPDX-License-Identifier: MIT */
/*
 * Files that are read by position. An index of a file (its lines, its records)
 * is worth something only as long as the file stays as it was, so a file has an
 * identity: size, time of change, inode and device. A worker opens the file by
 * its path and compares.
 *
 * Reading is pread straight to where the bytes belong. A mapping would save a
 * copy, but a file that shrinks under it kills the process by SIGBUS.
 */
#include "source/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"

enum { READ_MAX = 1 << 30 }; /* bytes; Linux reads up to 2 GiB in one call */

struct neap_file {
  int fd;
  char *path;
  neap_identity identity;
};

static int no_memory(const char *path, neap_error *error) {
  return neap__error_set(error, NEAP_EMEMORY, 0, "cannot open %s: no memory",
                         path);
}

static neap_identity identity_of(const struct stat *about) {
  return (neap_identity){
      .nbytes = about->st_size,
      .mtime_ns = about->st_mtim.tv_sec * 1000000000LL + about->st_mtim.tv_nsec,
      .inode = about->st_ino,
      .device = about->st_dev,
  };
}

/* O_NONBLOCK: opening a pipe must not wait for its writer. */
static int open_regular(neap_file *file, neap_error *error) {
  struct stat about;
  file->fd = open(file->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (file->fd < 0 || fstat(file->fd, &about) != 0)
    return neap__error_set(error, NEAP_ESYSTEM, errno, "cannot open %s",
                           file->path);
  if (S_ISDIR(about.st_mode))
    return neap__error_set(error, NEAP_ESYSTEM, EISDIR, "cannot open %s",
                           file->path);
  if (!S_ISREG(about.st_mode))
    return neap__error_set(error, NEAP_EFORMAT, 0,
                           "cannot open %s: it is no regular file", file->path);
  file->identity = identity_of(&about);
  return NEAP_OK;
}

static int compare(const neap_file *file, const neap_identity *expected,
                   neap_error *error) {
  const neap_identity *found = &file->identity;
  if (expected == NULL ||
      (expected->nbytes == found->nbytes && expected->inode == found->inode &&
       expected->mtime_ns == found->mtime_ns &&
       expected->device == found->device))
    return NEAP_OK;
  return neap__error_set(error, NEAP_EFORMAT, 0,
                         "cannot read %s: the file has changed since the "
                         "sequence was made\nhelp: make the sequence anew",
                         file->path);
}

int neap_file_open(const char *path, const neap_identity *expected,
                   neap_file **out, neap_error *error) {
  int rc;
  *out = NULL;
  neap_file *file = calloc(1, sizeof *file);
  if (file == NULL) return no_memory(path, error);
  file->fd = -1;
  file->path = strdup(path);
  if (file->path == NULL) {
    rc = no_memory(path, error);
    goto fail;
  }
  if ((rc = open_regular(file, error)) != NEAP_OK) goto fail;
  if ((rc = compare(file, expected, error)) != NEAP_OK) goto fail;
  *out = file;
  return NEAP_OK;

fail:
  neap_file_close(file);
  return rc;
}

const neap_identity *neap_file_identity(const neap_file *file) {
  return &file->identity;
}

int64_t neap_file_bytes(const neap_file *file) {
  return file->identity.nbytes;
}

const char *neap_file_path(const neap_file *file) {
  return file->path;
}

int neap__file_descriptor(const neap_file *file) {
  return file->fd;
}

int neap__file_recheck(const neap_file *file, neap_error *error) {
  struct stat about;
  if (fstat(file->fd, &about) != 0)
    return neap__error_set(error, NEAP_ESYSTEM, errno, "cannot read %s",
                           file->path);
  const neap_identity now = identity_of(&about);
  return compare(file, &now, error);
}

int neap_file_read(const neap_file *file, int64_t offset, void *to,
                   int64_t nbytes, neap_error *error) {
  for (int64_t done = 0; done < nbytes;) {
    const int64_t left = nbytes - done;
    const size_t part = (size_t)(left < READ_MAX ? left : READ_MAX);
    const ssize_t got =
        pread(file->fd, (char *)to + done, part, (off_t)(offset + done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0)
      return neap__error_set(error, NEAP_ESYSTEM, errno, "cannot read %s",
                             file->path);
    if (got == 0)
      return neap__error_set(error, NEAP_EFORMAT, 0,
                             "cannot read %s: it is shorter than it was, and "
                             "ends before byte %lld",
                             file->path, (long long)(offset + done + 1));
    done += got;
  }
  return NEAP_OK;
}

void neap_file_close(neap_file *file) {
  if (file == NULL) return;
  if (file->fd >= 0) close(file->fd);
  free(file->path);
  free(file);
}
