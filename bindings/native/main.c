/* SPDX-License-Identifier: MIT */
/*
 * neap-native: a worker without LuaJIT, which libneap starts for chains whose
 * every stage is native. It reads the chain that the host packed, then fills
 * slots with items until the host stops it.
 */
#include <stdio.h>
#include <string.h>

#include "neap_lua.h"

enum { FAILED = 1 };

#ifdef __SANITIZE_ADDRESS__
/* A worker ends with what it has attached to. */
__attribute__((visibility("default"))) const char *__asan_default_options(void);

const char *__asan_default_options(void) {
  return "detect_leaks=0";
}
#endif

typedef struct program {
  neap_worker *worker;
  neap_chain *chain;
  neap_chain_reader *reader;
} program;

static int open_chain(program *p, neap_error *error) {
  uint64_t nbytes;
  const void *bytes = neap_worker_chain(p->worker, &nbytes);
  int rc = neap_chain_unpack(bytes, nbytes, neap_worker_heap_fd(p->worker),
                             &p->chain, error);
  if (rc == NEAP_OK) rc = neap_worker_limit(p->worker, error);
  if (rc == NEAP_OK)
    rc = neap_chain_reader_open(p->chain, neap_worker_number(p->worker),
                                &p->reader, error);
  if (rc != NEAP_OK) return rc;
  neap_chain_reader_time(p->reader, neap_worker_stages(p->worker),
                         neap_worker_stage_count(p->worker));
  neap_native *native;
  for (int32_t k = 0; (native = neap_chain_reader_native(p->reader, k)) != NULL;
       k++)
    neap_worker_note(p->worker, native);
  return NEAP_OK;
}

/* Tells the host why this worker cannot start. */
static int refuse(program *p, const neap_error *why) {
  char text[sizeof why->text];
  snprintf(text, sizeof text, "cannot start workers: %.1900s", why->text);
  (void)neap_worker_ready(p->worker, text, NULL);
  return FAILED;
}

static int fill(program *p, neap_task *task, neap_error *error) {
  neap_writer writer;
  int rc =
      neap_writer_begin(&writer, task->base, task->bytes, task->count, error);
  if (rc == NEAP_OK)
    rc = neap_chain_fill(p->reader, task->epoch, task->first, task->count,
                         &writer, task->progress, error);
  if (rc != NEAP_OK) return rc;
  task->undone = writer.undone;
  neap_worker_publish(p->worker, task, neap_writer_end(&writer));
  return NEAP_OK;
}

static int serve(program *p, neap_error *error) {
  neap_task task;
  int rc;
  memset(&task, 0, sizeof task);
  while ((rc = neap_worker_next(p->worker, &task, error)) == NEAP_OK)
    if ((rc = fill(p, &task, error)) != NEAP_OK) break;
  return rc == NEAP_END ? NEAP_OK : rc;
}

static int explain(const neap_error *why) {
  fprintf(stderr, "neap-native: %s\n", why->text);
  return FAILED;
}

int main(void) {
  program p = {.worker = NULL};
  neap_error error;
  if (neap_worker_attach(&p.worker, &error) != NEAP_OK) return explain(&error);
  setvbuf(stdout, NULL, _IOLBF, BUFSIZ);
  if (open_chain(&p, &error) != NEAP_OK) return refuse(&p, &error);
  if (neap_worker_ready(p.worker, NULL, &error) != NEAP_OK ||
      serve(&p, &error) != NEAP_OK)
    return explain(&error);
  neap_chain_reader_close(p.reader);
  neap_chain_free(p.chain);
  return 0;
}
