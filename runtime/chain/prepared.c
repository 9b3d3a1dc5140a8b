/* SPDX-License-Identifier: MIT */
/* Makes of a declaration what libffi takes, and the cells of the arguments. */
#include "chain/prepared.h"

#include <stdio.h>
#include <string.h>

#include "base/error.h"

static ffi_type *type_of(neap__blocks *blocks, const neap__ctype *type);

static ffi_type *integer_of(const neap__ctype *type) {
  const bool is_signed = type->kind == NEAP__SIGNED;
  switch (type->size) {
  case 1: return is_signed ? &ffi_type_sint8 : &ffi_type_uint8;
  case 2: return is_signed ? &ffi_type_sint16 : &ffi_type_uint16;
  case 4: return is_signed ? &ffi_type_sint32 : &ffi_type_uint32;
  default: return is_signed ? &ffi_type_sint64 : &ffi_type_uint64;
  }
}

/* libffi has no arrays: their elements stand one by one. */
static size_t count_elements(const neap__ctype *type) {
  size_t count = 0;
  for (size_t k = 0; k < type->member_count; k++) {
    const neap__ctype *member = type->members[k].type;
    count += member->kind == NEAP__ARRAY ? member->count : 1;
  }
  return count;
}

/* NULL: no memory. */
static ffi_type *struct_of(neap__blocks *blocks, const neap__ctype *type) {
  const size_t count = count_elements(type);
  ffi_type *made = neap__blocks_new(blocks, sizeof *made);
  ffi_type **elements =
      neap__blocks_new(blocks, (count + 1) * sizeof *elements);
  if (made == NULL || elements == NULL) return NULL;
  *made = (ffi_type){0, 0, FFI_TYPE_STRUCT, elements};
  for (size_t k = 0; k < type->member_count; k++) {
    const neap__ctype *member = type->members[k].type;
    const bool is_array = member->kind == NEAP__ARRAY;
    ffi_type *element = type_of(blocks, is_array ? member->of : member);
    if (element == NULL) return NULL;
    for (size_t i = is_array ? member->count : 1; i > 0; i--)
      *elements++ = element;
  }
  return made;
}

static ffi_type *type_of(neap__blocks *blocks, const neap__ctype *type) {
  switch (type->kind) {
  case NEAP__VOID: return &ffi_type_void;
  case NEAP__BOOLEAN: return &ffi_type_uint8;
  case NEAP__SIGNED:
  case NEAP__UNSIGNED: return integer_of(type);
  case NEAP__FLOATING:
    return type->size == sizeof(float) ? &ffi_type_float : &ffi_type_double;
  case NEAP__STRUCT: return struct_of(blocks, type);
  case NEAP__ARRAY:
  case NEAP__POINTER: break;
  }
  return &ffi_type_pointer;
}

/* ---- Cells --------------------------------------------------------------- */

/* A cell has 16 bytes at least: libffi writes words. */
static void *new_cell(neap__blocks *blocks, const neap__ctype *type) {
  return neap__blocks_new(blocks, type->size > 16 ? type->size : 16);
}

static bool make_cells(neap__prepared *p, neap__blocks *blocks) {
  const neap__declaration *d = p->declaration;
  for (int k = 0; k < d->parameter_count; k++) {
    const neap__ctype *type = d->parameters[k].type;
    p->values[k] = new_cell(blocks, type);
    if (p->values[k] == NULL) return false;
  }
  p->result = new_cell(blocks, d->result);
  return p->result != NULL;
}

static int fail_memory(const neap__prepared *p, neap_error *error) {
  return neap__error_set(error, NEAP_EMEMORY, 0, "cannot call %s: no memory",
                         p->declaration->name);
}

static int make_cif(neap__prepared *p, neap__blocks *blocks,
                    neap_error *error) {
  const neap__declaration *d = p->declaration;
  const unsigned count = (unsigned)d->parameter_count;
  ffi_type **types = neap__blocks_new(blocks, (count + 1) * sizeof *types);
  ffi_type *result = type_of(blocks, d->result);
  bool is_short = types == NULL || result == NULL;
  for (unsigned k = 0; !is_short && k < count; k++) {
    types[k] = type_of(blocks, d->parameters[k].type);
    is_short = types[k] == NULL;
  }
  if (is_short) return fail_memory(p, error);
  if (ffi_prep_cif(&p->cif, FFI_DEFAULT_ABI, count, result, types) == FFI_OK)
    return NEAP_OK;
  return neap__error_set(error, NEAP_EINVAL, 0,
                         "cannot call %s: libffi does not take its types",
                         d->name);
}

/* ---- Places -------------------------------------------------------------- */

typedef struct listing {
  neap__prepared *prepared;
  neap__blocks *blocks;
  int through;
  bool is_short; /* of memory */
  bool is_full;  /* or memory is short */
} listing;

static void add_places(listing *l, const char *path, const neap__ctype *type,
                       void *cell);

static void add_members(listing *l, const char *path, const neap__ctype *type,
                        char *cell) {
  char longer[256];
  for (size_t k = 0; k < type->member_count && !l->is_full; k++) {
    const neap__member *member = &type->members[k];
    const int size =
        snprintf(longer, sizeof longer, "%s.%s", path, member->name);
    l->is_full = size >= (int)sizeof longer;
    add_places(l, longer, member->type, cell + member->offset);
  }
}

static void add_places(listing *l, const char *path, const neap__ctype *type,
                       void *cell) {
  neap__prepared *p = l->prepared;
  if (type->kind == NEAP__STRUCT) {
    add_members(l, path, type, cell);
    return;
  }
  char *copy = neap__blocks_copy(l->blocks, path, strlen(path));
  l->is_short |= copy == NULL;
  l->is_full |= copy == NULL || p->place_count == NEAP__PLACES_MAX;
  if (l->is_full) return;
  p->places[p->place_count++] = (neap__place){
      .path = copy, .type = type, .cell = cell, .through = l->through};
}

/* Of a pointer, the last place. */
static void add_pointee(listing *l, const char *path, const neap__ctype *type) {
  if (type->kind != NEAP__STRUCT || type->size == 0) return;
  neap__place *pointer = &l->prepared->places[l->prepared->place_count - 1];
  pointer->pointee = new_cell(l->blocks, type);
  l->is_short = l->is_full = pointer->pointee == NULL;
  l->through = l->prepared->place_count - 1;
  if (!l->is_full) add_members(l, path, type, pointer->pointee);
}

static int make_places(neap__prepared *p, neap__blocks *blocks,
                       neap_error *error) {
  const neap__declaration *d = p->declaration;
  listing l = {.prepared = p, .blocks = blocks, .through = -1};
  p->places = neap__blocks_new(blocks, NEAP__PLACES_MAX * sizeof *p->places);
  l.is_short = l.is_full = p->places == NULL;
  for (int k = 0; k < d->parameter_count && !l.is_full; k++) {
    const neap__parameter *parameter = &d->parameters[k];
    l.through = -1;
    add_places(&l, parameter->name, parameter->type, p->values[k]);
    if (parameter->type->kind == NEAP__POINTER && !l.is_full)
      add_pointee(&l, parameter->name, parameter->type->of);
  }
  if (!l.is_full) return NEAP_OK;
  if (l.is_short) return fail_memory(p, error);
  return neap__error_set(
      error, NEAP_EINVAL, 0,
      "cannot call %s: its structs have more than %d members "
      "or names that are too long",
      d->name, NEAP__PLACES_MAX);
}

/* ---- All of it ----------------------------------------------------------- */

int neap__prepared_init(neap__prepared *out, neap__blocks *blocks,
                        void *library, const char *name, const char *text,
                        const char *what, neap_error *error) {
  int rc = neap__declaration_parse(text, what, &out->declaration, error);
  if (rc != NEAP_OK) return rc;
  rc = neap__shared_library_find(library, name, out->declaration->name,
                                 &out->function, error);
  if (rc != NEAP_OK) return rc;
  if (!make_cells(out, blocks)) return fail_memory(out, error);
  if ((rc = make_cif(out, blocks, error)) != NEAP_OK) return rc;
  neap__registers_assign(&out->registers, out->declaration, out->values);
  return make_places(out, blocks, error);
}

/* libffi gets a copy of the list: for x86-64, libffi 3.4 overwrites the entries
   of structs with addresses on its own stack. */
void neap__prepared_call_any(neap__prepared *prepared) {
  void *values[NEAP__PARAMETERS_MAX];
  memcpy(values, prepared->values, prepared->cif.nargs * sizeof values[0]);
  ffi_call(&prepared->cif, prepared->function, prepared->result, values);
}

void neap__prepared_fini(neap__prepared *prepared) {
  neap__declaration_free(prepared->declaration);
  prepared->declaration = NULL;
}
