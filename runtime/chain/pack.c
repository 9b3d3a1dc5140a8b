/* SPDX-License-Identifier: MIT */
/*
 * Chains as bytes: for each node, sources first, the number of its kind, its
 * name, and what it writes itself.
 *
 * Large tensors lie in one file of memory, which the workers inherit. It is the
 * file of the largest tensor that was read from disk, which is not copied; the
 * data of others follow there. Where tensors lie in a heap of the caller's,
 * that is the file, and all else is in the bytes.
 */
#include "chain/pack.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "chain/store.h"

/* Tensors up to so many bytes are in the bytes. */
enum { HERE_MAX = 64 << 10 };
/* "nepchain", at the start of the bytes. */
#define MAGIC 0x6e69616863706570

#define LIST(name) &neap__chain_##name,

static const neap__chain_ops *const kinds[] = {NEAP__CHAIN_NODES(LIST)};

enum { KINDS = sizeof kinds / sizeof kinds[0] };

/* ---- Data ---- */

/* False if the data is to be in the bytes. */
static bool share(neap__packer *packer, const void *data, uint64_t nbytes,
                  int fd, uint64_t *offset) {
  *offset = 0;
  if (packer->has_blocks || nbytes <= HERE_MAX) return false;
  if (fd >= 0 && fd == packer->fd) return true;
  if (packer->fd < 0) packer->fd = packer->own_fd = neap__store_new();
  return packer->fd >= 0 && neap__store_append(packer->fd, &packer->end, data,
                                               nbytes, offset) == 0;
}

void neap__packer_put_data(neap__packer *packer, const void *data,
                           uint64_t nbytes, int fd) {
  uint64_t offset;
  const bool is_shared = share(packer, data, nbytes, fd, &offset);
  neap__bytes_put_integer(&packer->bytes,
                          is_shared ? NEAP__PACKED_SHARED : NEAP__PACKED_HERE);
  if (is_shared) {
    neap__bytes_put_integer(&packer->bytes, (int64_t)offset);
    return;
  }
  neap__bytes_align(&packer->bytes);
  neap__bytes_put(&packer->bytes, data, nbytes);
}

int neap__unpacker_take_data(neap__unpacker *in, uint64_t nbytes,
                             const uint8_t **data, void **mapped,
                             neap_error *error) {
  *data = NULL;
  *mapped = NULL;
  const int64_t place =
      neap__cursor_within(&in->cursor, NEAP__PACKED_HERE, NEAP__PACKED_SHARED);
  if (place == NEAP__PACKED_HERE) {
    neap__cursor_align(&in->cursor);
    *data = neap__cursor_take(&in->cursor, nbytes);
    return *data != NULL ? NEAP_OK : neap__unpacker_damaged(error);
  }
  const int64_t offset = neap__cursor_within(&in->cursor, 0, INT64_MAX);
  if (in->cursor.has_failed) return neap__unpacker_damaged(error);
  /* A view begins anywhere in its block; a mapping begins with a page. */
  const uint64_t skipped = (uint64_t)offset % (uint64_t)sysconf(_SC_PAGESIZE);
  const int rc = neap_heap_map(in->fd, (uint64_t)offset - skipped,
                               nbytes + skipped, mapped, error);
  if (rc == NEAP_OK) *data = (const uint8_t *)*mapped + skipped;
  return rc;
}

/* ---- Packing ---- */

/* Finds the largest store, and whether there are blocks of a heap. */
static void look(const neap_chain *chain, neap__packer *packer,
                 uint64_t *most) {
  uint64_t nbytes;
  bool is_block;
  if (chain->ops == &neap__chain_tensor) {
    const int fd = neap__chain_tensor_store(chain, &nbytes, &is_block);
    if (is_block) packer->has_blocks = true;
    if (fd >= 0 && nbytes > *most) {
      packer->fd = fd;
      *most = packer->end = nbytes;
    }
  }
  for (int32_t k = 0; k < chain->source_count; k++)
    look(chain->sources[k], packer, most);
}

static void put(const neap_chain *chain, neap__packer *out) {
  int64_t kind = 0;
  while (kinds[kind] != chain->ops)
    kind++;
  neap__bytes_put_integer(&out->bytes, kind);
  neap__bytes_put_integer(&out->bytes, chain->source_count);
  for (int32_t k = 0; k < chain->source_count; k++)
    put(chain->sources[k], out);
  neap__bytes_put_text(&out->bytes, chain->stage);
  neap__bytes_put_integer(&out->bytes, chain->number);
  chain->ops->pack(chain, out);
}

int neap_chain_pack(const neap_chain *chain, void **bytes, uint64_t *nbytes,
                    int *heap_fd, neap_error *error) {
  neap__packer packer = {.fd = -1, .own_fd = -1};
  uint64_t most = HERE_MAX;
  int rc = NEAP_OK;
  *bytes = NULL;
  *nbytes = 0;
  *heap_fd = -1;
  look(chain, &packer, &most);
  neap__bytes_put_integer(&packer.bytes, MAGIC);
  put(chain, &packer);
  if (packer.bytes.has_failed)
    rc = neap__error_set(error, NEAP_EMEMORY, 0,
                         "cannot pack a chain: memory is short");
  else if (!packer.has_blocks && packer.fd >= 0 &&
           (*heap_fd = neap__store_share(packer.fd)) < 0)
    rc = neap__error_set(error, NEAP_ESYSTEM, errno, "cannot pack a chain");
  if (packer.own_fd >= 0) close(packer.own_fd);
  if (rc != NEAP_OK) {
    free(packer.bytes.data);
    return rc;
  }
  *bytes = packer.bytes.data;
  *nbytes = packer.bytes.used;
  return NEAP_OK;
}

/* ---- Unpacking ---- */

int neap__unpacker_damaged(neap_error *error) {
  return neap__error_set(error, NEAP_EDAMAGED, 0,
                         "cannot read a packed chain: it is damaged, or of "
                         "another version");
}

static int take(neap__unpacker *in, int depth, neap_chain **out,
                neap_error *error);

/* Takes the sources of a node; frees them if one fails. */
static int take_sources(neap__unpacker *in, int depth, neap_chain **sources,
                        int32_t count, neap_error *error) {
  for (int32_t k = 0; k < count; k++) {
    const int rc = take(in, depth + 1, &sources[k], error);
    if (rc == NEAP_OK) continue;
    while (k-- > 0)
      neap_chain_free(sources[k]);
    return rc;
  }
  return NEAP_OK;
}

static int take(neap__unpacker *in, int depth, neap_chain **out,
                neap_error *error) {
  neap__cursor *cursor = &in->cursor;
  *out = NULL;
  const int64_t kind = neap__cursor_within(cursor, 0, KINDS - 1);
  const int32_t count =
      (int32_t)neap__cursor_within(cursor, 0, NEAP__CHAIN_SOURCES_MAX);
  neap_chain **sources = calloc((size_t)count + 1, sizeof(neap_chain *));
  if (cursor->has_failed || sources == NULL || depth > NEAP__CHAIN_DEPTH_MAX) {
    free(sources);
    return neap__unpacker_damaged(error);
  }
  int rc = take_sources(in, depth, sources, count, error);
  const char *stage = rc == NEAP_OK ? neap__cursor_text(cursor) : NULL;
  const int64_t number =
      rc == NEAP_OK ? neap__cursor_within(cursor, 0, INT32_MAX) : 0;
  if (rc == NEAP_OK) rc = kinds[kind]->unpack(in, sources, count, out, error);
  free(sources);
  if (rc == NEAP_OK && cursor->has_failed) {
    neap_chain_free(*out);
    *out = NULL;
    return neap__unpacker_damaged(error);
  }
  if (rc == NEAP_OK && stage != NULL) neap_chain_name(*out, stage);
  if (rc == NEAP_OK) neap_chain_number(*out, (int32_t)number);
  return rc;
}

int neap_chain_unpack(const void *bytes, uint64_t nbytes, int heap_fd,
                      neap_chain **out, neap_error *error) {
  neap__unpacker in = {.cursor = {.data = bytes, .bytes = nbytes},
                       .fd = heap_fd};
  *out = NULL;
  if (neap__cursor_integer(&in.cursor) != MAGIC)
    return neap__unpacker_damaged(error);
  return take(&in, 1, out, error);
}
