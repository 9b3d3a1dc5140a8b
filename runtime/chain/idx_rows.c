/* SPDX-License-Identifier: MIT */
/* The rows of an IDX file, which is read when the chain is made. */
#include "chain/pack.h"

int neap_chain_idx(const char *path, neap_chain **out, neap_error *error) {
  neap_idx *idx;
  uint8_t *data;
  *out = NULL;
  int rc = neap_idx_open(path, &idx, error);
  if (rc != NEAP_OK) return rc;
  const neap_tensor *tensor = neap_idx_tensor(idx);
  rc = neap__chain_tensor_new(tensor, &data, out, error);
  if (rc == NEAP_OK)
    rc = neap_idx_read(idx, data, (uint64_t)neap_tensor_nbytes(tensor), error);
  if (rc != NEAP_OK) {
    neap_chain_free(*out);
    *out = NULL;
  }
  neap_idx_close(idx);
  return rc;
}
