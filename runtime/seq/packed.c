/* SPDX-License-Identifier: MIT */
/*
 * Trees as bytes: the number of an adapter in the list, its length, and what it
 * writes itself.
 */
#include "base/error.h"
#include "neap_lua.h"
#include "seq/seq.h"

#include <stdlib.h>

#define LIST(name) &neap__seq_##name,

static const neap__seq_ops *const adapters[] = {NEAP__SEQ_ADAPTERS(LIST)};

enum { ADAPTERS = sizeof adapters / sizeof adapters[0] };

void neap__seq_pack(const neap_seq *seq, neap__bytes *out) {
  int64_t number = 0;
  while (adapters[number] != seq->ops)
    number++;
  neap__bytes_put_integer(out, number);
  neap__bytes_put_integer(out, seq->length);
  seq->ops->pack(seq, out);
}

int neap__seq_damaged(neap_error *error) {
  return neap__error_set(error, NEAP_EDAMAGED, 0,
                         "cannot read a packed tree of indexes: it is damaged, "
                         "or memory is short");
}

/* Each adapter checks the depth of its sources: damage cannot recurse beyond
   the bytes. */
int neap__seq_unpack(neap__cursor *in, neap_seq **out, neap_error *error) {
  *out = NULL;
  const int64_t number = neap__cursor_within(in, 0, ADAPTERS - 1);
  const int64_t length = neap__cursor_within(in, NEAP_ENDLESS, INT64_MAX);
  if (in->has_failed) return neap__seq_damaged(error);
  const int rc = adapters[number]->unpack(in, length, out, error);
  if (rc != NEAP_OK || !in->has_failed) return rc;
  neap_seq_free(*out);
  *out = NULL;
  return neap__seq_damaged(error);
}

int neap_seq_copy(const neap_seq *seq, neap_seq **out, neap_error *error) {
  neap__bytes bytes = {.is_local = true};
  *out = NULL;
  neap__seq_pack(seq, &bytes);
  neap__cursor in = {.data = bytes.data, .bytes = bytes.used, .is_local = true};
  const int rc = bytes.has_failed ? neap__seq_damaged(error)
                                  : neap__seq_unpack(&in, out, error);
  free(bytes.data);
  return rc;
}
