/* SPDX-License-Identifier: MIT */
/*
 * IDX files, the format of MNIST: two zero bytes, a type, the number of
 * dimensions, a big-endian 32-bit size for each, then the elements, also
 * big-endian. zlib reads both plain and gzipped files, and tells which.
 *
 * A file is untrusted input: the sizes in its header are checked against the
 * file's size before the caller allocates by them.
 */
#include "neap.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "base/error.h"

enum {
  GZ_BUFFER = 256 << 10,
  READ_MAX = 1 << 30,      /* zlib counts a read in an int */
  DEFLATE_RATIO_MAX = 1032 /* unpacked bytes for a byte of deflate */
};

struct neap_idx {
  gzFile file;
  char *path;
  uint64_t file_bytes; /* on disk; 0 where it is no regular file */
  int is_read;
  neap_tensor tensor;
  int64_t shape[NEAP_DIMS_MAX];
  int64_t strides[NEAP_DIMS_MAX];
};

static int refuse(const neap_idx *idx, const char *why, neap_error *error) {
  return neap__error_set(error, NEAP_EFORMAT, 0, "cannot read %s: %s",
                         idx->path, why);
}

/* Reads nbytes, or fewer where the file ends; *got says how many. */
static int read_some(neap_idx *idx, void *data, uint64_t nbytes, uint64_t *got,
                     neap_error *error) {
  *got = 0;
  while (*got < nbytes) {
    const uint64_t left = nbytes - *got;
    const unsigned part = left < READ_MAX ? (unsigned)left : READ_MAX;
    const int n = gzread(idx->file, (char *)data + *got, part);
    int code;
    const char *why = gzerror(idx->file, &code);
    if (code == Z_ERRNO)
      return neap__error_set(error, NEAP_ESYSTEM, errno, "cannot read %s",
                             idx->path);
    if (code == Z_BUF_ERROR)
      return refuse(idx, "its gzip data is truncated", error);
    if (code == Z_MEM_ERROR)
      return neap__error_set(error, NEAP_EMEMORY, 0, "cannot read %s: %s",
                             idx->path, "no memory to unpack it");
    if (code != Z_OK) {
      const char *after = strstr(why, ">: "); /* "<fd:3>: ", for the path */
      return neap__error_set(error, NEAP_EFORMAT, 0,
                             "cannot read %s: its gzip data is corrupt (%s)",
                             idx->path, after == NULL ? why : after + 3);
    }
    if (n <= 0) break;
    *got += (uint64_t)n;
  }
  return NEAP_OK;
}

static int read_magic(neap_idx *idx, neap_error *error) {
  unsigned char magic[4];
  uint64_t got;
  const int rc = read_some(idx, magic, sizeof magic, &got, error);
  if (rc != NEAP_OK) return rc;
  if (got < sizeof magic)
    return neap__error_set(error, NEAP_EFORMAT, 0,
                           "cannot read %s: not an IDX file, it ends after "
                           "%d bytes",
                           idx->path, (int)got);
  idx->tensor.lanes = 1;
  idx->tensor.device_type = 1;
  idx->tensor.ndim = magic[3];
  switch (magic[0] != 0 || magic[1] != 0 ? 0 : magic[2]) {
  case 0x08: idx->tensor.code = NEAP_UINT, idx->tensor.bits = 8; break;
  case 0x09: idx->tensor.code = NEAP_INT, idx->tensor.bits = 8; break;
  case 0x0B: idx->tensor.code = NEAP_INT, idx->tensor.bits = 16; break;
  case 0x0C: idx->tensor.code = NEAP_INT, idx->tensor.bits = 32; break;
  case 0x0D: idx->tensor.code = NEAP_FLOAT, idx->tensor.bits = 32; break;
  case 0x0E: idx->tensor.code = NEAP_FLOAT, idx->tensor.bits = 64; break;
  default:
    return neap__error_set(error, NEAP_EFORMAT, 0,
                           "cannot read %s: not an IDX file, it begins with "
                           "%02x %02x %02x %02x",
                           idx->path, magic[0], magic[1], magic[2], magic[3]);
  }
  if (idx->tensor.ndim == 0 || idx->tensor.ndim > NEAP_DIMS_MAX)
    return neap__error_set(error, NEAP_EFORMAT, 0,
                           "cannot read %s: it has %d dimensions, not 1 to %d",
                           idx->path, (int)idx->tensor.ndim,
                           (int)NEAP_DIMS_MAX);
  return NEAP_OK;
}

static int read_shape(neap_idx *idx, neap_error *error) {
  uint32_t sizes[NEAP_DIMS_MAX];
  const int32_t ndim = idx->tensor.ndim;
  const uint64_t nbytes = (uint64_t)ndim * sizeof sizes[0];
  uint64_t got;
  const int rc = read_some(idx, sizes, nbytes, &got, error);
  if (rc != NEAP_OK) return rc;
  if (got < nbytes) return refuse(idx, "it ends within its header", error);
  for (int32_t k = 0; k < ndim; k++)
    idx->shape[k] = be32toh(sizes[k]);
  idx->tensor.shape = idx->shape;
  idx->tensor.strides = idx->strides;
  if (neap_tensor_strides(ndim, idx->shape, idx->strides) < 0)
    return refuse(idx, "its sizes multiply to more than 2^53", error);
  return NEAP_OK;
}

/* Compares the header with the file's size, or its bound if gzipped. */
static int check_size(neap_idx *idx, neap_error *error) {
  const uint64_t header = 4 + 4 * (uint64_t)idx->tensor.ndim;
  const uint64_t nbytes = (uint64_t)neap_tensor_nbytes(&idx->tensor);
  const int is_plain = gzdirect(idx->file);
  const uint64_t room =
      is_plain ? idx->file_bytes : idx->file_bytes * DEFLATE_RATIO_MAX;
  if (idx->file_bytes == 0) return NEAP_OK;
  if (header + nbytes > room)
    return neap__error_set(error, NEAP_EFORMAT, 0,
                           "cannot read %s: its sizes ask for %llu bytes, the "
                           "file %s %llu",
                           idx->path, (unsigned long long)(header + nbytes),
                           is_plain ? "has" : "can hold at most",
                           (unsigned long long)room);
  if (is_plain && header + nbytes < room)
    return neap__error_set(error, NEAP_EFORMAT, 0,
                           "cannot read %s: %llu bytes follow after its end",
                           idx->path,
                           (unsigned long long)(room - header - nbytes));
  return NEAP_OK;
}

static int open_file(neap_idx *idx, neap_error *error) {
  struct stat about;
  const int fd = open(idx->path, O_RDONLY | O_CLOEXEC);
  if (fd < 0)
    return neap__error_set(error, NEAP_ESYSTEM, errno, "cannot open %s",
                           idx->path);
  const int system = fstat(fd, &about) != 0   ? errno
                     : S_ISDIR(about.st_mode) ? EISDIR
                                              : 0;
  if (system != 0) {
    close(fd);
    return neap__error_set(error, NEAP_ESYSTEM, system, "cannot open %s",
                           idx->path);
  }
  if (S_ISREG(about.st_mode)) idx->file_bytes = (uint64_t)about.st_size;
  idx->file = gzdopen(fd, "rb");
  if (idx->file == NULL) {
    close(fd);
    return neap__error_set(error, NEAP_EMEMORY, 0, "cannot open %s: no memory",
                           idx->path);
  }
  gzbuffer(idx->file, GZ_BUFFER);
  return NEAP_OK;
}

int neap_idx_open(const char *path, neap_idx **out, neap_error *error) {
  int rc;
  *out = NULL;
  neap_idx *idx = calloc(1, sizeof *idx);
  if (idx == NULL || (idx->path = strdup(path)) == NULL) {
    rc = neap__error_set(error, NEAP_EMEMORY, 0, "cannot open %s: no memory",
                         path);
    goto fail;
  }
  if ((rc = open_file(idx, error)) != NEAP_OK) goto fail;
  if ((rc = read_magic(idx, error)) != NEAP_OK) goto fail;
  if ((rc = read_shape(idx, error)) != NEAP_OK) goto fail;
  if ((rc = check_size(idx, error)) != NEAP_OK) goto fail;
  *out = idx;
  return NEAP_OK;

fail:
  neap_idx_close(idx);
  return rc;
}

const neap_tensor *neap_idx_tensor(const neap_idx *idx) {
  return &idx->tensor;
}

static void to_native(void *data, int64_t count, int bits) {
  uint16_t *p16 = data;
  uint32_t *p32 = data;
  uint64_t *p64 = data;
  switch (bits) {
  case 16:
    for (int64_t k = 0; k < count; k++)
      p16[k] = be16toh(p16[k]);
    break;
  case 32:
    for (int64_t k = 0; k < count; k++)
      p32[k] = be32toh(p32[k]);
    break;
  case 64:
    for (int64_t k = 0; k < count; k++)
      p64[k] = be64toh(p64[k]);
    break;
  default: break; /* bytes have one order */
  }
}

int neap_idx_read(neap_idx *idx, void *data, uint64_t nbytes,
                  neap_error *error) {
  const uint64_t expected = (uint64_t)neap_tensor_nbytes(&idx->tensor);
  char after;
  uint64_t got;
  int rc;
  if (idx->is_read || nbytes != expected)
    return neap__error_set(error, NEAP_EINVAL, 0,
                           "cannot read %s: its %llu bytes are read once, "
                           "in one call",
                           idx->path, (unsigned long long)expected);
  idx->is_read = 1;
  if ((rc = read_some(idx, data, nbytes, &got, error)) != NEAP_OK) return rc;
  if (got < nbytes)
    return neap__error_set(error, NEAP_EFORMAT, 0,
                           "cannot read %s: it ends after %llu of %llu bytes",
                           idx->path, (unsigned long long)got,
                           (unsigned long long)nbytes);
  /* Reading on also makes zlib compare the checksum. */
  if ((rc = read_some(idx, &after, 1, &got, error)) != NEAP_OK) return rc;
  if (got > 0) return refuse(idx, "bytes follow after its end", error);
  to_native(data, neap_tensor_count(&idx->tensor), idx->tensor.bits);
  return NEAP_OK;
}

void neap_idx_close(neap_idx *idx) {
  if (idx == NULL) return;
  if (idx->file != NULL) gzclose(idx->file);
  free(idx->path);
  free(idx);
}
