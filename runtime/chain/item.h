/* SPDX-License-Identifier: MIT */
/* Writes items of a chain, and their failures, into a slot. */
#ifndef NEAP_CHAIN_ITEM_H
#define NEAP_CHAIN_ITEM_H

#include "chain/chain.h"

/*
 * Writes item k of the writer's run. rows: that of each value. index: of the
 * item. NEAP_EROOM, and nothing is put, if it does not fit.
 */
int neap__chain_put_item(neap_writer *writer, int32_t k,
                         const neap_chain *chain, int64_t epoch, int64_t index,
                         const uint8_t *const *rows, neap_error *error);

/*
 * The same of a failure, as a worker of Lua reports it. index: of the item that
 * was read. worker: its number, from 0; or -1.
 */
int neap__chain_put_failure(neap_writer *writer, int32_t k,
                            const neap_chain *chain, const neap__work *work,
                            int64_t index, int32_t worker, neap_error *error);

/* A failure that tells only that the slot is full, in so many bytes. */
enum { NEAP__NO_ROOM_BYTES = 512 };
int neap__chain_put_no_room(neap_writer *writer, int32_t k, neap_error *error);

#endif
