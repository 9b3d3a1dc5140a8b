/* SPDX-License-Identifier: MIT */
/*
 * Descriptions of tensors: elements, bytes and strides, and a copy for DLPack.
 * Operations on elements are in convert.c.
 */
#include "neap.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"

enum { ALIGNMENT = 64 };

static const int64_t count_max = (int64_t)1 << 53;

int64_t neap_tensor_count(const neap_tensor *tensor) {
  int64_t count = 1;
  for (int32_t k = 0; k < tensor->ndim; k++)
    count *= tensor->shape[k];
  return count;
}

int64_t neap_tensor_nbytes(const neap_tensor *tensor) {
  return neap_tensor_count(tensor) * (tensor->bits / 8);
}

/* A dimension of 0 makes the count 0; an overflow of the others is still -1. */
int64_t neap_tensor_strides(int32_t ndim, const int64_t *shape,
                            int64_t *strides) {
  int64_t stride = 1;
  int64_t count = 1;
  NEAP_ASSERT(ndim >= 0 && ndim <= NEAP_DIMS_MAX);
  for (int32_t k = ndim - 1; k >= 0; k--) {
    const int64_t size = shape[k];
    if (strides != NULL) strides[k] = count;
    if (size < 0 || (size > 0 && stride > count_max / size)) return -1;
    if (size > 0) stride *= size;
    count *= size;
  }
  return count;
}

/* One allocation: this, then the elements at the next multiple of 64. */
typedef struct copied_tensor {
  neap_managed_tensor managed;
  int64_t shape[NEAP_DIMS_MAX];
  int64_t strides[NEAP_DIMS_MAX];
} copied_tensor;

enum {
  HEADER = (sizeof(copied_tensor) + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT
};

static void delete_copy(neap_managed_tensor *self) {
  free(self); /* the first member of its copied_tensor */
}

int neap_tensor_dlpack(const neap_tensor *tensor, neap_managed_tensor **out,
                       neap_error *error) {
  *out = NULL;
  if (tensor->ndim < 0 || tensor->ndim > NEAP_DIMS_MAX ||
      neap_tensor_strides(tensor->ndim, tensor->shape, NULL) < 0)
    return neap__error_set(error, NEAP_EINVAL, 0,
                           "cannot copy a tensor: its shape is not valid");
  const size_t nbytes = (size_t)neap_tensor_nbytes(tensor);
  const size_t whole =
      HEADER + (nbytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
  copied_tensor *copy = aligned_alloc(ALIGNMENT, whole);
  if (copy == NULL)
    return neap__error_set(error, NEAP_EMEMORY, 0,
                           "cannot copy a tensor of %zu bytes: no memory",
                           nbytes);
  memset(copy, 0, sizeof *copy);
  copy->managed.tensor = *tensor;
  copy->managed.tensor.data = (char *)copy + HEADER;
  copy->managed.tensor.byte_offset = 0;
  copy->managed.tensor.shape = copy->shape;
  copy->managed.tensor.strides = copy->strides;
  copy->managed.deleter = delete_copy;
  for (int32_t k = 0; k < tensor->ndim; k++)
    copy->shape[k] = tensor->shape[k];
  neap_tensor_strides(tensor->ndim, copy->shape, copy->strides);
  if (nbytes > 0)
    memcpy(copy->managed.tensor.data,
           (const char *)tensor->data + tensor->byte_offset, nbytes);
  *out = &copy->managed;
  return NEAP_OK;
}
