/* SPDX-License-Identifier: MIT */
/*
 * What an operation reads: a tensor of any dtype that is stretched to the shape
 * of the result, block by block, in the type that the operation computes in.
 */
#ifndef NEAP_TENSOR_OPERAND_H
#define NEAP_TENSOR_OPERAND_H

#include "tensor/dtype.h"

/*
 * What an operation computes in: f32 for dtypes of 8 bits and f32, i64 and u64
 * for themselves, f64 for all others. So no integer is rounded before the end.
 * What u8 can do without leaving it is several times as fast.
 * NEAP__RAW is the dtype itself, for what only moves elements.
 */
typedef enum neap__kind {
  NEAP__F32,
  NEAP__F64,
  NEAP__I64,
  NEAP__U64,
  NEAP__U8,
  NEAP__KINDS,
  NEAP__RAW = NEAP__KINDS
} neap__kind;

neap__kind neap__kind_of(const neap__dtype *type);
/* Whether the elements lie in memory as the kind has them. */
bool neap__kind_is_direct(neap__kind kind, const neap__dtype *type);

enum { NEAP__BLOCK_BYTES = NEAP__BLOCK * (int)sizeof(double) };

/*
 * The tensor's sizes are those of the result or 1, counted from the last one.
 * Sizes and strides are those of the result, neighbours merged where one stride
 * does for both.
 */
typedef struct neap__operand {
  const neap__dtype *type;
  const char *data;
  neap__kind kind;
  int32_t ndim;
  int64_t sizes[NEAP_DIMS_MAX];
  int64_t strides[NEAP_DIMS_MAX]; /* in elements; 0: stretched */
  int64_t period;     /* elements after which it repeats; 0: it does not */
  bool is_direct;     /* its elements lie as the kind has them */
  bool is_whole;      /* of the result's shape: nothing is stretched */
  bool is_number;     /* for all elements, in `raw` as the kind has it */
  bool is_loaded;     /* `loaded` is every block */
  const char *filled; /* `raw` is this element, again and again; or NULL */
  _Alignas(64) char raw[NEAP__BLOCK_BYTES];
  _Alignas(64) char loaded[NEAP__BLOCK_BYTES];
} neap__operand;

/* Returns whether the tensor fits the shape. */
bool neap__operand_init(neap__operand *operand, const neap_tensor *tensor,
                        const neap__dtype *type, neap__kind kind,
                        const neap_tensor *shape);
/* A number for all elements, as the kind has it. */
void neap__operand_init_number(neap__operand *operand, const neap__dtype *type,
                               neap__kind kind, double number);
/* Bytes of an element, as the kind has it. */
int64_t neap__operand_size(const neap__operand *operand);
/*
 * Says how many elements a block has: as many as fit NEAP__BLOCK_BYTES, unless
 * the operand is whole and direct. What repeats within a block is loaded once.
 */
void neap__operand_settle(neap__operand *operand, int64_t block);
/* Elements first .. first + count of the result, count up to a block. */
const void *neap__operand_block(neap__operand *operand, int64_t first,
                                int64_t count);

#endif
