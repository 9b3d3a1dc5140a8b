/* SPDX-License-Identifier: MIT */
/*
 * What reads bytes in Lua, with any bytes: `fuzz_lua --script=FILE ...`. The
 * script answers three functions:
 *   read(address, size)   reads the bytes and looks at all that came of them;
 *                         answers whether they could be read; what it raises
 *                         is a bug, and so is a crash
 *   mutate(text, seed)    answers another input, of the same kind
 *   seeds()               answers a list of inputs that are honest
 * and with --seeds=FOLDER the last are written there, and that is all. With
 * --mistake the script takes one check out of the reader.
 *
 * libFuzzer sees only C. So two states read each input: the one interprets,
 * and a hook counts which line followed which, in counters that libFuzzer
 * takes for its own; the other compiles, as hosts do. They must agree.
 */
#include "fuzz.h"

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>

enum {
  COUNTERS = 1 << 14,
  READS_MAX = 20000, /* of a state: types and traces are never given back */
  READS_PER_COLLECTION = 16,
  READ = 1, /* the script's functions, on the stack */
  MUTATE = 2,
  SEEDS = 3
};

__attribute__((
    section("__libfuzzer_extra_counters"))) static uint8_t counters[COUNTERS];
static uint32_t last_line;

static const char *script;
static int is_mistaken;

typedef struct reader {
  lua_State *L;
  int is_compiling;
  int reads;
} reader;

static reader readers[2] = {{.is_compiling = 0}, {.is_compiling = 1}};

/* -- States -- */

static void count_line(lua_State *L, lua_Debug *about) {
  lua_getinfo(L, "S", about);
  uint32_t line = (uint32_t)about->currentline * 0x9e3779b1u;
  for (const char *c = about->short_src; *c != '\0'; c++)
    line = (line ^ (uint8_t)*c) * 0x01000193u;
  counters[(line ^ last_line) % COUNTERS]++;
  last_line = line >> 1;
}

/* Each object is a block of its own, whose ends the address sanitizer knows. */
static void *allocate(void *data, void *block, size_t old, size_t size) {
  (void)data, (void)old;
  if (size > 0) return realloc(block, size);
  free(block);
  return NULL;
}

static void fail(lua_State *L) {
  fprintf(stderr, "%s: %s\n", script, lua_tostring(L, -1));
  abort();
}

static int explain(lua_State *L) {
  luaL_traceback(L, L, lua_tostring(L, 1), 1);
  return 1;
}

static void open_reader(reader *r) {
  lua_State *L = lua_newstate(allocate, NULL);
  FUZZ_CHECK(L != NULL);
  luaL_openlibs(L);
  if (luaL_dostring(L, r->is_compiling
                           ? "jit.opt.start('hotloop=2', 'hotexit=2')"
                           : "jit.off()") != 0)
    fail(L);
  lua_pushcfunction(L, explain);
  if (luaL_loadfile(L, script) != 0) fail(L);
  lua_pushboolean(L, is_mistaken);
  if (lua_pcall(L, 1, 3, 1) != 0) fail(L);
  lua_remove(L, 1);
  r->L = L;
  r->reads = 0;
}

static void close_reader(reader *r) {
  lua_close(r->L);
  r->L = NULL;
}

static int call(lua_State *L, int arguments) {
  const int handler = lua_gettop(L) - arguments;
  lua_pushcfunction(L, explain);
  lua_insert(L, handler);
  if (lua_pcall(L, arguments, 1, handler) != 0) fail(L);
  lua_remove(L, handler);
  return lua_toboolean(L, -1);
}

/* -- Seeds -- */

static void write_seeds(lua_State *L, const char *folder) {
  char path[4096];
  lua_pushvalue(L, SEEDS);
  call(L, 0);
  for (int k = 1; k <= (int)lua_objlen(L, -1); k++) {
    size_t size;
    lua_rawgeti(L, -1, k);
    const char *text = lua_tolstring(L, -1, &size);
    snprintf(path, sizeof path, "%s/seed-%02d", folder, k);
    FILE *file = fopen(path, "wb");
    FUZZ_CHECK(file != NULL && fwrite(text, 1, size, file) == size);
    FUZZ_CHECK(fclose(file) == 0);
    lua_pop(L, 1);
  }
}

/* -- What libFuzzer calls -- */

int LLVMFuzzerInitialize(int *argc, char ***argv) {
  script = fuzz_option(*argc, *argv, "--script=");
  FUZZ_CHECK(script != NULL);
  is_mistaken = fuzz_option(*argc, *argv, "--mistake") != NULL;
  open_reader(&readers[0]);
  open_reader(&readers[1]);
  const char *folder = fuzz_option(*argc, *argv, "--seeds=");
  if (folder != NULL) {
    write_seeds(readers[0].L, folder);
    exit(0);
  }
  return 0;
}

static int read_input(reader *r, const uint8_t *data, size_t size) {
  lua_State *L = r->L;
  lua_pushvalue(L, READ);
  lua_pushlightuserdata(L, (void *)(uintptr_t)data);
  lua_pushinteger(L, (lua_Integer)size);
  /* A state's life ends with a collection too. */
  lua_pushboolean(L, ++r->reads % READS_PER_COLLECTION == 0);
  if (!r->is_compiling) lua_sethook(L, count_line, LUA_MASKLINE, 0);
  last_line = 0;
  const int is_good = call(L, 3);
  lua_sethook(L, NULL, 0, 0);
  lua_settop(L, SEEDS);
  return is_good;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  int is_good[2];
  for (int k = 0; k < 2; k++) {
    is_good[k] = read_input(&readers[k], data, size);
    if (readers[k].reads < READS_MAX) continue;
    close_reader(&readers[k]);
    open_reader(&readers[k]);
  }
  FUZZ_CHECK(is_good[0] == is_good[1]);
  return 0;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t size_max,
                               unsigned seed) {
  if (seed % 3 == 0) return LLVMFuzzerMutate(data, size, size_max);
  lua_State *L = readers[0].L;
  lua_pushvalue(L, MUTATE);
  lua_pushlstring(L, (const char *)data, size);
  lua_pushinteger(L, (lua_Integer)(seed / 3));
  call(L, 2);
  size_t changed;
  const char *text = lua_tolstring(L, -1, &changed);
  if (changed > size_max) changed = size_max;
  memcpy(data, text, changed);
  lua_settop(L, SEEDS);
  return changed;
}
