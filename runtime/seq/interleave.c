/* SPDX-License-Identifier: MIT */
/*
 * One item of each source in turn; a source that has ended drops out.
 *
 * With the sources sorted by length, a *stage* lasts from the end of one source
 * to the end of the next: it has items of the same sources in turn. (This is
 * the method of SeqTools' interleave.)
 */
#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "seq/parts.h"

struct stage {
  int64_t start; /* of the interleaved sequence */
  int64_t taken; /* items of each source before it */
  int32_t alive; /* sources that have not ended */
  int32_t first; /* index of its first source in `turns` */
};

struct interleave {
  neap__parts parts;
  struct stage *stages; /* stage_count of them */
  int32_t *turns;       /* the sources of each stage, in order; allocated
                           with the stages */
  int32_t stage_count;
};

static const struct stage *find(const struct interleave *self, int64_t index) {
  int32_t low = 0, high = self->stage_count;
  while (high - low > 1) {
    const int32_t middle = low + (high - low) / 2;
    if (self->stages[middle].start <= index)
      low = middle;
    else
      high = middle;
  }
  return &self->stages[low];
}

static int is_in(const struct interleave *self, const struct stage *stage,
                 int64_t index) {
  const struct stage *end = self->stages + self->stage_count;
  return index >= stage->start && (stage + 1 == end || index < stage[1].start);
}

static void resolve(const neap_seq *seq, int64_t epoch, int64_t *index,
                    int32_t *leaf, int64_t count) {
  const struct interleave *self = (const struct interleave *)seq;
  int32_t part[NEAP__SEQ_RUN_MAX];
  const struct stage *stage = self->stages;
  int64_t from = -2, turn = 0, round = 0;
  for (int64_t k = 0; k < count; k++) {
    /* The next index needs no division. */
    const bool follows = index[k] == from + 1 && is_in(self, stage, index[k]);
    if (follows && ++turn == stage->alive) {
      turn = 0;
      round++;
    } else if (!follows) {
      if (!is_in(self, stage, index[k])) stage = find(self, index[k]);
      turn = (index[k] - stage->start) % stage->alive;
      round = (index[k] - stage->start) / stage->alive;
    }
    from = index[k];
    part[k] = self->turns[stage->first + turn];
    index[k] = stage->taken + round;
  }
  neap__parts_resolve(&self->parts, epoch, part, index, leaf, count);
}

static void fini(neap_seq *seq) {
  free(((struct interleave *)seq)->stages);
  neap__parts_fini(seq);
}

static bool allocate(struct interleave *self, size_t stages) {
  const size_t turns = stages * (size_t)self->parts.count;
  self->stages =
      calloc(1, stages * sizeof *self->stages + turns * sizeof *self->turns);
  if (self->stages == NULL) return false;
  self->turns = (int32_t *)(void *)(self->stages + stages);
  return true;
}

static void pack(const neap_seq *seq, neap__bytes *out) {
  const struct interleave *self = (const struct interleave *)seq;
  const size_t stages = (size_t)self->stage_count;
  neap__parts_pack(&self->parts, out);
  neap__bytes_put_integer(out, self->stage_count);
  neap__bytes_put(out, self->stages, stages * sizeof *self->stages);
  neap__bytes_put(out, self->turns,
                  stages * (size_t)self->parts.count * sizeof *self->turns);
}

/* Whether the stages are those of so many sources, in order. */
static bool are_stages_sound(const struct interleave *self) {
  const int32_t count = self->parts.count;
  int64_t start = 0;
  for (int32_t k = 0; k < self->stage_count; k++) {
    const struct stage *stage = &self->stages[k];
    if (stage->start < start || stage->alive < 1 || stage->alive > count ||
        stage->first < 0 || stage->first > k * count)
      return false;
    start = stage->start;
  }
  for (int32_t k = 0; k < self->stage_count * count; k++)
    if (self->turns[k] < 0 || self->turns[k] >= count) return false;
  return true;
}

static int unpack(neap__cursor *in, int64_t length, neap_seq **out,
                  neap_error *error) {
  neap_seq *seq;
  const int rc = neap__parts_unpack(&neap__seq_interleave, in, &seq, error);
  if (rc != NEAP_OK) return rc;
  struct interleave *self = (struct interleave *)seq;
  const int32_t count = self->parts.count;
  const size_t stages = (size_t)neap__cursor_within(in, 0, count + 1);
  const size_t turns = stages * (size_t)count * sizeof *self->turns;
  const void *from = neap__cursor_take(in, stages * sizeof *self->stages);
  const void *turns_from = neap__cursor_take(in, turns);
  if (turns_from != NULL && allocate(self, stages + 1)) {
    memcpy(self->stages, from, stages * sizeof *self->stages);
    memcpy(self->turns, turns_from, turns);
    self->stage_count = (int32_t)stages;
    seq->length = length;
    *out = seq;
    if (are_stages_sound(self)) return NEAP_OK;
  }
  *out = NULL;
  neap_seq_free(seq);
  return neap__seq_damaged(error);
}

const neap__seq_ops neap__seq_interleave = {
    .deed = "interleave",
    .size = sizeof(struct interleave),
    .resolve = resolve,
    .each_leaf = neap__parts_each_leaf,
    .pack = pack,
    .unpack = unpack,
    .fini = fini,
};

/* The shortest length above `taken`, or INT64_MAX for endless ones. */
static int64_t next_end(const neap__parts *parts, int64_t taken) {
  int64_t end = INT64_MAX;
  for (int32_t k = 0; k < parts->count; k++) {
    const int64_t length = parts->sources[k]->length;
    if (length > taken && length < end) end = length;
  }
  return end;
}

static int32_t list_alive(const neap__parts *parts, int64_t taken,
                          int32_t *turns) {
  int32_t alive = 0;
  for (int32_t k = 0; k < parts->count; k++) {
    const int64_t length = parts->sources[k]->length;
    if (length > taken || length == NEAP_ENDLESS) turns[alive++] = k;
  }
  return alive;
}

/* At most one stage per distinct length, endless included. */
static int32_t count_stages(const neap__parts *parts) {
  int32_t stages = 0;
  int64_t taken = 0, end;
  for (; (end = next_end(parts, taken)) != INT64_MAX; taken = end)
    stages++;
  return stages + 1;
}

static int lay_out(struct interleave *self, neap_error *error) {
  int64_t start = 0, taken = 0, items;
  int32_t first = 0;
  for (;;) {
    const int32_t alive = list_alive(&self->parts, taken, self->turns + first);
    if (alive == 0) break;
    self->stages[self->stage_count++] =
        (struct stage){start, taken, alive, first};
    const int64_t end = next_end(&self->parts, taken);
    if (end == INT64_MAX) { /* only endless ones are left */
      self->parts.base.length = NEAP_ENDLESS;
      return NEAP_OK;
    }
    if (__builtin_mul_overflow(end - taken, alive, &items) ||
        __builtin_add_overflow(start, items, &start))
      return neap__error_set(error, NEAP_EINVAL, 0,
                             "cannot interleave: the length overflows 64 bits");
    first += alive;
    taken = end;
  }
  self->parts.base.length = start;
  return NEAP_OK;
}

int neap_seq_interleave(neap_seq *const *sources, int32_t count, neap_seq **out,
                        neap_error *error) {
  neap_seq *seq;
  int rc = neap__parts_new(&neap__seq_interleave, sources, count, &seq, error);
  *out = NULL; /* which may be one of the sources' */
  if (rc != NEAP_OK) return rc;
  struct interleave *self = (struct interleave *)seq;
  const size_t stages = (size_t)count_stages(&self->parts);
  if (!allocate(self, stages)) {
    rc = neap__error_set(error, NEAP_EMEMORY, 0,
                         "cannot interleave: memory is short");
    goto fail;
  }
  if ((rc = lay_out(self, error)) != NEAP_OK) goto fail;
  neap__parts_free_leaves(&self->parts);
  *out = seq;
  return NEAP_OK;

fail:
  neap_seq_free(seq);
  return rc;
}
