/* SPDX-License-Identifier: MIT */
/* Packed chains: where the data of tensors goes, and comes from. */
#ifndef NEAP_CHAIN_PACK_H
#define NEAP_CHAIN_PACK_H

#include "chain/chain.h"

enum { NEAP__PACKED_HERE, NEAP__PACKED_SHARED };

/*
 * Writes where data is, or the data: large ones go to the file of memory. fd:
 * that of the file in which they lie from its start, or -1.
 */
void neap__packer_put_data(neap__packer *packer, const void *data,
                           uint64_t nbytes, int fd);
/* *mapped: set if it was mapped, for neap_heap_unmap(): from there to the end
   of the data. */
int neap__unpacker_take_data(neap__unpacker *in, uint64_t nbytes,
                             const uint8_t **data, void **mapped,
                             neap_error *error);
int neap__unpacker_damaged(neap_error *error);

/* A leaf of new memory, for the caller to fill. */
int neap__chain_tensor_new(const neap_tensor *tensor, uint8_t **data,
                           neap_chain **out, neap_error *error);
/* The file of memory of such a leaf, or -1; whether it is a neap_chain_block.
 */
int neap__chain_tensor_store(const neap_chain *chain, uint64_t *nbytes,
                             bool *is_block);

#endif
