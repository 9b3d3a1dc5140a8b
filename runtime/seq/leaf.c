/* SPDX-License-Identifier: MIT */
/* A leaf of a tree: a length and a number. */
#include "seq/seq.h"

#include <inttypes.h>

#include "base/error.h"

static void resolve(const neap_seq *seq, int64_t epoch, int64_t *index,
                    int32_t *leaf, int64_t count) {
  (void)epoch, (void)index;
  if (leaf == NULL) return;
  for (int64_t k = 0; k < count; k++)
    leaf[k] = seq->leaf;
}

static void stride(const neap_seq *seq, int64_t epoch, neap__span *span) {
  (void)epoch;
  span->step = 1;
  span->period = 0;
  span->count =
      seq->length == NEAP_ENDLESS ? INT64_MAX : seq->length - span->index;
  span->leaf = seq->leaf;
}

static void fini(neap_seq *seq) {
  (void)seq;
}

static void pack(const neap_seq *seq, neap__bytes *out) {
  neap__bytes_put_integer(out, seq->leaf);
}

static int unpack(neap__cursor *in, int64_t length, neap_seq **out,
                  neap_error *error) {
  const int64_t leaf = neap__cursor_within(in, INT32_MIN, INT32_MAX);
  return neap_seq_leaf(length, (int32_t)leaf, out, error);
}

static int each_leaf(const neap_seq *seq, neap__leaf_visit *visit, void *host,
                     neap_error *error) {
  return visit(host, seq->leaf, seq->length, error);
}

const neap__seq_ops neap__seq_leaf = {
    .deed = "make a leaf",
    .size = sizeof(neap_seq),
    .resolve = resolve,
    .stride = stride,
    .each_leaf = each_leaf,
    .pack = pack,
    .unpack = unpack,
    .fini = fini,
};

int neap_seq_leaf(int64_t length, int32_t leaf, neap_seq **out,
                  neap_error *error) {
  *out = NULL;
  if (length < 0 && length != NEAP_ENDLESS) {
    return neap__error_set(error, NEAP_EINVAL, 0,
                           "cannot %s: its length is %" PRId64,
                           neap__seq_leaf.deed, length);
  }
  neap_seq *seq;
  const int rc = neap__seq_new(&neap__seq_leaf, NULL, 0, &seq, error);
  if (rc != NEAP_OK) return rc;
  seq->length = length;
  seq->leaf = leaf;
  *out = seq;
  return NEAP_OK;
}
