/* SPDX-License-Identifier: MIT */
/* Stages: the memory with which one thread evaluates a node. */
#include <stdlib.h>

#include "base/error.h"
#include "chain/chain.h"

enum { ALIGNMENT = 64 };

/* ---- Opening and closing ---- */

/* Bytes of the widest row of a value in a tree, not looking below a batch: that
   reads by blocks of its own. */
static int64_t widest(const neap_chain *chain) {
  int64_t most = 1;
  for (int32_t k = 0; k < chain->layout.value_count; k++)
    if (chain->layout.values[k].nbytes > most)
      most = chain->layout.values[k].nbytes;
  if (chain->ops == &neap__chain_batch) return most;
  for (int32_t k = 0; k < chain->source_count; k++) {
    const int64_t below = widest(chain->sources[k]);
    if (below > most) most = below;
  }
  return most;
}

int32_t neap__stage_block(const neap_chain *chain) {
  const int64_t rows = NEAP__BLOCK_BYTES / widest(chain);
  return rows < 1                  ? 1
         : rows < NEAP__BLOCK_ROWS ? (int32_t)rows
                                   : NEAP__BLOCK_ROWS;
}

static int32_t values_below(const neap_chain *chain) {
  int32_t count = 0;
  for (int32_t k = 0; k < chain->source_count; k++)
    count += chain->sources[k]->layout.value_count;
  return count;
}

static bool allocate(neap__stage *stage) {
  const neap_chain *chain = stage->chain;
  const size_t sources = (size_t)chain->source_count;
  const size_t taken = (size_t)values_below(chain);
  const size_t values = (size_t)chain->layout.value_count;
  stage->scratch = calloc(values + 1, sizeof *stage->scratch);
  stage->sources = calloc(sources + 1, sizeof *stage->sources);
  stage->taken = calloc(taken + 1, sizeof *stage->taken);
  stage->own = calloc(1, chain->ops->own_bytes + 1);
  if (stage->scratch == NULL || stage->sources == NULL ||
      stage->taken == NULL || stage->own == NULL)
    return false;
  for (size_t k = 0; chain->ops->takes_rows && k < taken; k++) {
    stage->taken[k].rows =
        calloc((size_t)NEAP__BLOCK_ROWS, sizeof *stage->taken[k].rows);
    if (stage->taken[k].rows == NULL) return false;
  }
  return true;
}

/* A batch reads its source by blocks of its own. */
static int open_sources(neap__stage *stage, neap_error *error) {
  const neap_chain *chain = stage->chain;
  int rc = NEAP_OK;
  for (int32_t k = 0; k < chain->source_count && rc == NEAP_OK; k++) {
    const neap_chain *source = chain->sources[k];
    const bool is_batch = chain->ops == &neap__chain_batch;
    rc = neap__stage_open(&stage->sources[k], source,
                          is_batch ? neap__stage_block(source) : stage->block,
                          error);
  }
  return rc;
}

int neap__stage_open(neap__stage *stage, const neap_chain *chain, int32_t block,
                     neap_error *error) {
  *stage = (neap__stage){.chain = chain, .block = block};
  if (!allocate(stage)) {
    neap__error_set(error, NEAP_EMEMORY, 0,
                    "cannot read a chain: memory is short");
    return NEAP_EMEMORY;
  }
  const int rc = open_sources(stage, error);
  if (rc != NEAP_OK || chain->ops->open == NULL) return rc;
  stage->is_open = true;
  return chain->ops->open(stage, error);
}

void neap__stage_close(neap__stage *stage) {
  const neap_chain *chain = stage->chain;
  if (chain == NULL) return; /* it was not opened */
  if (stage->is_open && stage->own != NULL && chain->ops->close != NULL)
    chain->ops->close(stage);
  for (int32_t k = 0; stage->sources != NULL && k < chain->source_count; k++)
    neap__stage_close(&stage->sources[k]);
  for (int32_t k = 0; chain->ops->takes_rows && stage->taken != NULL &&
                      k < values_below(chain);
       k++)
    free(stage->taken[k].rows);
  for (int32_t k = 0; stage->scratch != NULL && k < chain->layout.value_count;
       k++)
    free(stage->scratch[k]);
  free(stage->scratch);
  free(stage->sources);
  free(stage->taken);
  free(stage->own);
  stage->chain = NULL;
}

/* ---- Rows ---- */

static int64_t aligned(int64_t nbytes) {
  return (nbytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

/* Scalars lie close together, tensors aligned. */
static int64_t step_of(const neap__value *value) {
  return value->is_scalar ? value->nbytes : aligned(value->nbytes);
}

uint8_t *neap__stage_place(neap__stage *stage, int32_t v, int32_t count,
                           neap__column *column, int64_t *step) {
  if (column->to != NULL) {
    *step = column->step;
    return column->to;
  }
  *step = step_of(&stage->chain->layout.values[v]);
  uint8_t *to = stage->scratch[v];
  if (to == NULL) {
    const int64_t nbytes = aligned(stage->block * *step) + ALIGNMENT;
    to = stage->scratch[v] = aligned_alloc(ALIGNMENT, (size_t)nbytes);
  }
  for (int32_t k = 0; to != NULL && k < count; k++)
    column->rows[k] = to + k * *step;
  return to;
}

/* ---- Times ---- */

int32_t neap__stage_read_timed(neap__stage *stage, neap__work *work,
                               const int64_t *index, int32_t count,
                               neap__column *columns) {
  const int32_t number = stage->chain->number;
  if (number < 1 || number >= work->watched)
    return stage->chain->ops->read(stage, work, index, count, columns);
  const int32_t before = neap_stopwatch_enter(work->watch, number);
  const int32_t good =
      stage->chain->ops->read(stage, work, index, count, columns);
  neap_stopwatch_count(work->watch, number, count - 1);
  neap_stopwatch_leave(work->watch, before);
  return good;
}

/* ---- Failures ---- */

void neap__work_fail(neap__work *work, const neap__stage *stage,
                     int64_t index) {
  const neap_chain *chain = stage->chain;
  work->index = index;
  work->stage = chain->stage != NULL ? chain->stage : chain->ops->name;
}

void neap__work_no_memory(neap__work *work, const neap__stage *stage,
                          int64_t index) {
  neap__error_set(&work->error, NEAP_EMEMORY, 0, "memory is short");
  neap__work_fail(work, stage, index);
}
