/* SPDX-License-Identifier: MIT */
/* A reader: the stages of a chain, and what one thread computes with them. */
#ifndef NEAP_CHAIN_READING_H
#define NEAP_CHAIN_READING_H

#include "chain/chain.h"

struct neap_chain_reader {
  const neap_chain *chain;
  neap__stage stage;
  neap__work work;
  int32_t worker;
  int32_t block;         /* items of the next block */
  neap__column *columns; /* of the chain's values */
  const uint8_t **rows;  /* of an item */
  neap_stopwatch watch;
  double left; /* items up to the next one that is timed; 0: none is */
  int64_t index[NEAP__BLOCK_ROWS];
};

#endif
