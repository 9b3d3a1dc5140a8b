/* SPDX-License-Identifier: MIT */
/* Memory for the texts of a block: parts that are twice as large each time. */
#include "chain/texts.h"

#include <stdlib.h>
#include <string.h>

enum { PART_BYTES = 4096 };

struct neap__texts_part {
  neap__texts_part *next;
  size_t used;
  size_t room;
  char text[];
};

static void free_from(neap__texts_part *part) {
  while (part != NULL) {
    neap__texts_part *next = part->next;
    free(part);
    part = next;
  }
}

void neap__texts_clear(neap__texts *texts) {
  neap__texts_part *largest = texts->first;
  if (largest == NULL) return;
  free_from(largest->next);
  largest->next = NULL;
  largest->used = 0;
}

void neap__texts_fini(neap__texts *texts) {
  free_from(texts->first);
  texts->first = NULL;
}

static neap__texts_part *add_part(neap__texts *texts, size_t count) {
  neap__texts_part *before = texts->first;
  size_t room = before == NULL ? PART_BYTES : 2 * before->room;
  if (room < count) room = count;
  neap__texts_part *part = calloc(1, sizeof *part + room);
  if (part == NULL) return NULL;
  *part = (neap__texts_part){.next = before, .room = room};
  texts->first = part;
  return part;
}

const char *neap__texts_add(neap__texts *texts, const char *text,
                            size_t count) {
  neap__texts_part *part = texts->first;
  if (part == NULL || count + 1 > part->room - part->used)
    part = add_part(texts, count + 1);
  if (part == NULL) return NULL;
  char *to = part->text + part->used;
  memcpy(to, text, count);
  to[count] = '\0';
  part->used += count + 1;
  return to;
}
