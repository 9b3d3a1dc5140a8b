/* SPDX-License-Identifier: MIT */
/*
 * Writes item values into a slot: cells first, then strings, tensors and tables
 * one after another. `used` only grows, unless an item or a put is undone.
 */
#include "neap_lua.h"

#include <stdbool.h>
#include <string.h>

#include "base/error.h"

enum { ALIGNMENT = 16, DATA_ALIGNMENT = 64 };

/* Reserved for failures: 4096 bytes, or this part of a small slot. */
enum { FAILURE_BYTES_MAX = 4096, FAILURE_PART = 16 };

static int no_room(const neap_writer *writer, neap_error *error) {
  return neap__error_set(error, NEAP_EROOM, 0,
                         "the item is larger than a slot of %llu bytes\n"
                         "help: set the option slot_bytes of prefetch higher, "
                         "or raise the limit of address space (ulimit -v), "
                         "which may have made slots small",
                         (unsigned long long)writer->bytes);
}

static bool take(neap_writer *writer, uint64_t bytes, uint64_t alignment,
                 uint64_t *offset) {
  const uint64_t start = (writer->used + alignment - 1) & ~(alignment - 1);
  if (start > writer->limit || bytes > writer->limit - start) return false;
  *offset = start;
  writer->used = start + bytes;
  return true;
}

/* Whether the data lies in the used part of the slot, and where. */
static bool is_in_slot(const neap_writer *writer, const void *data,
                       uint64_t bytes, uint64_t *offset) {
  *offset = (uint64_t)((uintptr_t)data - (uintptr_t)writer->base);
  return *offset <= writer->used && bytes <= writer->used - *offset;
}

/* Finds the data in the slot, or copies it there. */
static bool place(neap_writer *writer, const void *data, uint64_t bytes,
                  uint64_t alignment, uint64_t *offset) {
  if (is_in_slot(writer, data, bytes, offset)) return true;
  if (!take(writer, bytes, alignment, offset)) return false;
  if (bytes > 0) memmove(writer->base + *offset, data, bytes);
  return true;
}

int neap_writer_begin(neap_writer *writer, void *slot, uint64_t bytes,
                      int32_t count, neap_error *error) {
  const uint64_t used = (uint64_t)count * sizeof(neap_value);
  *writer =
      (neap_writer){.cells = slot, .base = slot, .bytes = bytes, .used = used};
  neap_writer_end_item(writer);
  if (used <= writer->limit) return NEAP_OK;
  const int rc = no_room(writer, error);
  *writer = (neap_writer){0};
  return rc;
}

void neap_writer_end_item(neap_writer *writer) {
  const uint64_t part = writer->bytes / FAILURE_PART;
  writer->item = writer->used;
  writer->limit =
      writer->bytes - (part < FAILURE_BYTES_MAX ? part : FAILURE_BYTES_MAX);
  writer->allocated = writer->delivered = writer->in_place = 0;
}

void neap_writer_undo_item(neap_writer *writer) {
  if (writer->used > writer->undone) writer->undone = writer->used;
  writer->used = writer->item;
  writer->allocated = writer->delivered = writer->in_place = 0;
}

uint64_t neap_writer_end(neap_writer *writer) {
  const uint64_t used = writer->used;
  *writer = (neap_writer){0};
  return used;
}

void *neap_writer_allocate(neap_writer *writer, uint64_t bytes,
                           neap_error *error) {
  uint64_t offset;
  if (take(writer, bytes, DATA_ALIGNMENT, &offset)) {
    writer->allocated += (double)bytes;
    return writer->base + offset;
  }
  no_room(writer, error);
  return NULL;
}

int neap_writer_put_string(neap_writer *writer, neap_value *cell,
                           const char *text, uint32_t bytes,
                           neap_error *error) {
  uint64_t offset;
  if (!place(writer, text, bytes, ALIGNMENT, &offset))
    return no_room(writer, error);
  *cell = (neap_value){NEAP_STRING, bytes, {.offset = offset}};
  return NEAP_OK;
}

int neap_writer_put_tensor(neap_writer *writer, neap_value *cell,
                           const neap_tensor *tensor, neap_error *error) {
  const uint64_t used = writer->used;
  const uint64_t bytes = (uint64_t)neap_tensor_nbytes(tensor);
  uint64_t data, offset;
  const bool is_in_place = is_in_slot(writer, tensor->data, bytes, &data);
  if (!place(writer, tensor->data, bytes, DATA_ALIGNMENT, &data) ||
      !take(writer, sizeof(neap_tensor_cell), ALIGNMENT, &offset)) {
    writer->used = used;
    return no_room(writer, error);
  }
  neap_tensor_cell *about = (void *)(writer->base + offset);
  *about = (neap_tensor_cell){.code = tensor->code,
                              .bits = tensor->bits,
                              .ndim = (uint16_t)tensor->ndim,
                              .offset = data};
  memcpy(about->shape, tensor->shape,
         (size_t)tensor->ndim * sizeof *about->shape);
  writer->delivered += (double)bytes;
  if (is_in_place) writer->in_place += (double)bytes;
  *cell = (neap_value){NEAP_TENSOR, 0, {.offset = offset}};
  return NEAP_OK;
}

neap_value *neap_writer_put_table(neap_writer *writer, neap_value *cell,
                                  uint32_t type, uint32_t list_count,
                                  uint32_t pair_count, neap_error *error) {
  const uint64_t count = 1 + (uint64_t)list_count + 2 * (uint64_t)pair_count;
  uint64_t offset;
  if (type == NEAP_FAILURE) writer->limit = writer->bytes;
  if (!take(writer, count * sizeof *cell, ALIGNMENT, &offset)) {
    no_room(writer, error);
    return NULL;
  }
  neap_value *head = (void *)(writer->base + offset);
  *head = (neap_value){NEAP_TABLE, list_count, {.offset = pair_count}};
  *cell = (neap_value){type, list_count, {.offset = offset}};
  return head + 1;
}
