/* SPDX-License-Identifier: MIT */
/*
 * Why an item failed, copied out of its slot, so that the slot is free.
 *
 * A worker reports what a function of the chain raised as a table; what it says
 * is checked, and its indexes, which count from 1, are converted. If its
 * workers died, or it took too long, the run tells.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "host/loader.h"

enum { KIND, MESSAGE, STAGE, OUTER_STAGE, TRACEBACK, HELP, TEXTS };

static const char *const text_names[TEXTS] = {
    "kind", "message", "stage", "outer_stage", "traceback", "help",
};

struct neap__failed {
  neap_failure about;
  char *texts[TEXTS];
  bool is_left_out;
};

/* -- What a worker reports -- */

static int status_of_kind(const char *kind) {
  if (kind == NULL) return NEAP_EITEM;
  if (strcmp(kind, "room") == 0) return NEAP_EROOM;
  if (strcmp(kind, "memory") == 0) return NEAP_EMEMORY;
  return NEAP_EITEM;
}

static const char *kind_of_status(int status) {
  switch (status) {
  case NEAP_EDEATH: return "death";
  case NEAP_ETIMEOUT: return "timeout";
  case NEAP_EMEMORY: return "memory";
  case NEAP_EDAMAGED: return "damaged";
  default: return "item";
  }
}

static char *copy_text(const neap_run *run, const neap_cell *cell) {
  const char *text = neap_cell_string(run, cell, NULL);
  char *copy = text == NULL ? NULL : calloc(1, (size_t)cell->count + 1);
  if (copy != NULL) memcpy(copy, text, cell->count);
  return copy;
}

/* A whole number of a worker, from 1, as one from 0; or -1. */
static int64_t from_zero(const neap_cell *cell) {
  const double number = cell->number;
  const bool is_index =
      cell->type == NEAP_NUMBER && number >= 1 && number < 9e15;
  return is_index ? (int64_t)number - 1 : -1;
}

static void take_field(neap__failed *failed, const neap_run *run,
                       const char *name, const neap_cell *value) {
  neap_failure *about = &failed->about;
  for (int k = 0; k < TEXTS; k++)
    if (strcmp(name, text_names[k]) == 0 && failed->texts[k] == NULL)
      failed->texts[k] = copy_text(run, value);
  if (strcmp(name, "index") == 0) about->index = from_zero(value);
  if (strcmp(name, "outer_index") == 0) about->outer_index = from_zero(value);
  if (strcmp(name, "is_left_out") == 0)
    failed->is_left_out = value->type == NEAP_BOOLEAN && value->integer != 0;
  if (strcmp(name, "worker") == 0) {
    const int64_t worker = from_zero(value);
    about->worker = worker < NEAP_WORKERS_MAX ? (int32_t)worker : -1;
  }
}

static int read_report(neap__failed *failed, const neap_run *run,
                       const neap_cell *table, neap_error *error) {
  uint32_t list_count, pair_count;
  int rc = neap_cell_table(run, table, &list_count, &pair_count, error);
  for (uint32_t k = 0; k < pair_count && rc == NEAP_OK; k++) {
    neap_cell key, value;
    rc = neap_cell_pair(run, table, k, &key, &value, error);
    char *name =
        rc == NEAP_OK && key.type == NEAP_STRING ? copy_text(run, &key) : NULL;
    if (name != NULL) take_field(failed, run, name, &value);
    free(name);
  }
  return rc;
}

/* -- As a whole -- */

neap__failed *neap__failed_new(const neap_run *run, int32_t k,
                               const neap_pool_options *settings) {
  neap_cell cell;
  neap_error why = {0};
  neap__failed *failed = calloc(1, sizeof *failed);
  if (failed == NULL) return NULL;
  neap_failure *about = &failed->about;
  about->index = about->outer_index = -1;
  about->worker = -1;
  int rc = neap_run_failure(run, settings, &why);
  if (rc == NEAP_OK) rc = neap_run_cell(run, k, &cell, &why);
  if (rc == NEAP_OK) rc = read_report(failed, run, &cell, &why);
  if (rc != NEAP_OK && failed->texts[MESSAGE] == NULL)
    failed->texts[MESSAGE] = strdup(why.text);
  about->status = rc != NEAP_OK ? rc : status_of_kind(failed->texts[KIND]);
  about->kind =
      failed->texts[KIND] != NULL ? failed->texts[KIND] : kind_of_status(rc);
  about->message = failed->texts[MESSAGE] != NULL
                       ? failed->texts[MESSAGE]
                       : "its worker does not say why";
  about->stage = failed->texts[STAGE];
  about->outer_stage = failed->texts[OUTER_STAGE];
  about->traceback = failed->texts[TRACEBACK];
  about->help = failed->texts[HELP];
  return failed;
}

void neap__failed_free(neap__failed *failed) {
  if (failed == NULL) return;
  for (int k = 0; k < TEXTS; k++)
    free(failed->texts[k]);
  free(failed);
}

bool neap__failed_is_end(const neap__failed *failed) {
  return strcmp(failed->about.kind, "end") == 0;
}

bool neap__failed_is_left_out(const neap__failed *failed) {
  return failed->is_left_out;
}

const neap_failure *neap__failed_about(const neap__failed *failed) {
  return &failed->about;
}

/* Appends "\n  at index 3 of map (train.lua:12)". */
static void append_stage(char *text, size_t size, const char *what,
                         int64_t index, const char *stage) {
  const size_t used = strlen(text);
  if (stage == NULL) return;
  if (index >= 0)
    snprintf(text + used, size - used, "\n  %s index %lld of %s", what,
             (long long)index, stage);
  else
    snprintf(text + used, size - used, "\n  in %s", stage);
}

static void append(neap_error *error, const char *link, const char *text) {
  const size_t used = strlen(error->text);
  if (text != NULL)
    snprintf(error->text + used, sizeof error->text - used, "%s%s", link, text);
}

int neap__failed_tell(const neap__failed *failed, int64_t index,
                      neap_error *error) {
  const neap_failure *about = &failed->about;
  if (error == NULL) return about->status;
  neap__error_set(error, about->status, 0, "cannot compute item %lld: %s",
                  (long long)index, about->message);
  append_stage(error->text, sizeof error->text, "at", about->index,
               about->stage);
  append_stage(error->text, sizeof error->text, "for", about->outer_index,
               about->outer_stage);
  append(error, "\nhelp: ", about->help);
  append(error, "\n", about->traceback);
  return about->status;
}
