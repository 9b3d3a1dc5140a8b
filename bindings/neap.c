/* SPDX-License-Identifier: MIT */
/*
 * The `neap` executable: LuaJIT with libneap. Its first argument selects a
 * role: a worker, which libneap starts; writing the bundle; or a command or
 * script. The first and the last load one of neap's modules and call it.
 */
#include "bundle.h"

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>

#include <errno.h>
#include <limits.h>
#include <luajit.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

#include "neap_lua.h"

enum { FAILED = 1, INTERRUPTED = 130, PARENTS_MAX = 4 };

struct command_line {
  int count;
  char **words;
  int status; /* to exit with */
  const struct role *role;
};

struct role {
  const char *word;    /* the first argument; NULL: any, or none */
  int count;           /* of the command line's words; 0: any */
  int memory_status;   /* exit status if memory is short */
  lua_CFunction panic; /* as for lua_atpanic */
  int (*check)(void);  /* NULL, or called first; 0: go on */
  void (*run)(lua_State *L, struct command_line *line); /* protected */
};

#ifdef __SANITIZE_ADDRESS__
/*
 * The sanitizer's options where ASAN_OPTIONS does not set them: a worker may
 * run without an environment. The leak check reports what only LuaJIT's heap
 * points to, which it does not search.
 */
__attribute__((visibility("default"))) const char *__asan_default_options(void);

const char *__asan_default_options(void) {
  return "detect_leaks=0";
}
#endif

/* Cuts off the last `/name`; false if there is none. */
static int cut_name(char *path) {
  char *slash = strrchr(path, '/');
  if (slash == NULL) return 0;
  *slash = '\0';
  return 1;
}

/*
 * Pushes the folder of neap's modules: `lua` or `share/lua/5.1` in one of the
 * folders above the program (build/bin/neap, or bin/neap if installed).
 */
static void push_lua_dir(lua_State *L) {
  static const char *const places[] = {"lua", "share/lua/5.1"};
  const char *named = secure_getenv("NEAP_LUA");
  if (named != NULL) {
    lua_pushstring(L, named);
    return;
  }
  char path[PATH_MAX];
  const ssize_t length = readlink("/proc/self/exe", path, sizeof path - 1);
  if (length < 0) {
    luaL_error(L, "cannot read /proc/self/exe: %s", strerror(errno));
  }
  path[length < 0 ? 0 : length] = '\0';
  lua_pushstring(L, path);
  for (int parents = 0; parents < PARENTS_MAX && cut_name(path); parents++) {
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
      const char *dir = lua_pushfstring(L, "%s/%s", path, places[i]);
      const char *module = lua_pushfstring(L, "%s/neap/main.lua", dir);
      const int is_there = access(module, R_OK) == 0;
      lua_pop(L, 1);
      if (is_there) return;
      lua_pop(L, 1);
    }
  }
  luaL_error(L, "cannot find neap's Lua modules near %s: set NEAP_LUA",
             lua_tostring(L, -1));
}

/* Prepends the folder on top of the stack to package.path. Pops it. */
static void prepend_path(lua_State *L) {
  const char *dir = lua_tostring(L, -1);
  bundle_open(L, dir);
  lua_getglobal(L, "package");
  lua_getfield(L, -1, "path");
  lua_pushfstring(L, "%s/?.lua;%s/?/init.lua;%s", dir, dir,
                  lua_tostring(L, -1));
  lua_setfield(L, -3, "path");
  lua_pop(L, 3);
}

static void push_module(lua_State *L, const char *name) {
  lua_getglobal(L, "require");
  lua_pushstring(L, name);
  lua_call(L, 1, 1);
}

static void push_arguments(lua_State *L, const struct command_line *line) {
  lua_createtable(L, line->count, 1);
  for (int i = 0; i < line->count; i++) {
    lua_pushstring(L, line->words[i]);
    lua_rawseti(L, -2, i);
  }
}

/* Calls a function with the arguments above it; its result is the status. */
static void call(lua_State *L, struct command_line *line, int argument_count) {
  lua_call(L, argument_count, 1);
  line->status = (int)lua_tointeger(L, -1);
}

static int check_worker(void) {
  neap_error why;
  if (neap_worker_check(&why) == NEAP_OK) return 0;
  fprintf(stderr, "neap: %s\n", why.text);
  return FAILED;
}

/* The allocator of the Lua state. */
static lua_Alloc allocate;

/*
 * Ends the worker in place of returning NULL. Where compiled code allocates,
 * LuaJIT before June 2023 raises the error from a stale frame: it crashes, or
 * goes on with a broken stack (luajit.md, short of memory).
 */
static void *allocate_or_exit(void *own, void *block, size_t size_before,
                              size_t size) {
  void *result = allocate(own, block, size_before, size);
  if (result == NULL && size > 0) _exit(NEAP_EXIT_MEMORY);
  return result;
}

/* From now on this process ends where its Lua state finds no memory. */
static int exit_without_memory(lua_State *L) {
  void *own;
  allocate = lua_getallocf(L, &own);
  lua_setallocf(L, allocate_or_exit, own);
  return 0;
}

/* neap --worker LUA_DIR */
static void run_worker(lua_State *L, struct command_line *line) {
  lua_pushstring(L, line->words[2]);
  prepend_path(L);
  push_module(L, "neap.worker");
  lua_pushcfunction(L, exit_without_memory);
  call(L, line, 1);
}

/* neap --bundle PATH LUA_DIR ROOT */
static void run_bundle(lua_State *L, struct command_line *line) {
  line->status =
      bundle_write(L, line->words[2], line->words[3], line->words[4]);
}

/*
 * Ctrl-C. The first one raises "interrupted!" in the script: where neap waits
 * for an item, the read returns; elsewhere a hook raises it at the next line of
 * the script's own code, never within neap's, whose state must stay whole. The
 * second one ends the process. Compiled code looks for no hook: a loop that was
 * compiled is left where it collects garbage or reads from workers.
 */
static lua_State *interrupted_state; /* for the handler, which gets nothing */
static char our_sources[2][PATH_MAX + 8]; /* "@/usr/share/lua/5.1/neap/" */
static volatile sig_atomic_t was_interrupted;

enum { HOOK_ALWAYS = LUA_MASKCALL | LUA_MASKRET | LUA_MASKCOUNT };

static bool is_of_script(const lua_Debug *at) {
  if (strcmp(at->what, "C") == 0 || strncmp(at->source, "=neap", 5) == 0)
    return false;
  for (size_t i = 0; i < sizeof our_sources / sizeof our_sources[0]; i++)
    if (strncmp(at->source, our_sources[i], strlen(our_sources[i])) == 0)
      return false;
  return true;
}

static void raise_interruption(lua_State *L, lua_Debug *at) {
  lua_getinfo(L, "Sl", at);
  if (!is_of_script(at)) {
    /* So that the interpreter runs what comes, and calls this hook. */
    luaJIT_setmode(L, 0, LUAJIT_MODE_ENGINE | LUAJIT_MODE_FLUSH);
    return;
  }
  lua_sethook(L, NULL, 0, 0);
  (void)neap_interrupt_take();
  lua_pushfstring(L, "%s:%d: interrupted!", at->short_src, at->currentline);
  lua_error(L);
}

static void on_interrupt(int signal) {
  (void)signal;
  was_interrupted = 1;
  neap_interrupt();
  lua_sethook(interrupted_state, raise_interruption, HOOK_ALWAYS, 1);
}

/* Without SA_RESTART: the signal ends a wait. */
static void handle_interrupts(lua_State *L, const char *lua_dir) {
  struct sigaction before,
      action = {.sa_handler = on_interrupt, .sa_flags = (int)SA_RESETHAND};
  char path[PATH_MAX]; /* as the bundle has it */
  snprintf(our_sources[0], sizeof our_sources[0], "@%s/neap/", lua_dir);
  snprintf(our_sources[1], sizeof our_sources[1], "@%s/neap/",
           realpath(lua_dir, path) != NULL ? path : lua_dir);
  interrupted_state = L;
  /* In the background of a shell, it is ignored. */
  if (sigaction(SIGINT, NULL, &before) == 0 && before.sa_handler == SIG_DFL)
    sigaction(SIGINT, &action, NULL);
}

/* A shell learns by the signal that it was Ctrl-C, and ends its own loop. */
static void die_of_interruption(void) {
  signal(SIGINT, SIG_DFL);
  raise(SIGINT);
}

/* neap [COMMAND or SCRIPT ...] */
static void run_main(lua_State *L, struct command_line *line) {
  push_lua_dir(L);
  handle_interrupts(L, lua_tostring(L, -1));
  prepend_path(L);
  push_module(L, "neap.main");
  push_arguments(L, line);
  lua_pushvalue(L, -1);
  lua_setglobal(L, "arg");
  call(L, line, 1);
}

/*
 * LuaJIT calls this where it cannot raise an error; then the process ends. See
 * luajit.md, machine code.
 */
static int panic(lua_State *L) {
  const char *message = lua_tostring(L, -1);
  fprintf(stderr, "neap: cannot go on: %s\n",
          message == NULL ? "(no message)" : message);
  exit(FAILED);
}

/* The host then reports that the item ran out of memory, not a death. */
static int panic_worker(lua_State *L) {
  if (errno == ENOMEM) _exit(NEAP_EXIT_MEMORY);
  return panic(L);
}

static const struct role roles[] = {
    {"--worker", 3, NEAP_EXIT_MEMORY, panic_worker, check_worker, run_worker},
    {"--bundle", 5, FAILED, panic, NULL, run_bundle},
    {NULL, 0, FAILED, panic, NULL, run_main},
};

static const struct role *find_role(int count, char **words) {
  const struct role *role = roles;
  while (role->word != NULL &&
         (count != role->count || strcmp(words[1], role->word) != 0))
    role++;
  return role;
}

/* Runs protected, with the command line as its argument. */
static int run(lua_State *L) {
  struct command_line *line = lua_touserdata(L, 1);
  if (line->role->check != NULL && line->role->check() != 0) return 0;
  if (getauxval(AT_SECURE) != 0) { /* a setuid host's LUA_PATH is not its own */
    lua_pushboolean(L, 1);
    lua_setfield(L, LUA_REGISTRYINDEX, "LUA_NOENV");
  }
  luaL_openlibs(L);
  line->role->run(L, line);
  return 0;
}

/* neap.main reports errors of scripts; what arrives here is neap's own. */
static int explain(lua_State *L) {
  if (luaL_callmeta(L, 1, "__tostring")) lua_replace(L, 1);
  const char *message = lua_tostring(L, 1);
  luaL_traceback(L, L, message == NULL ? "(no message)" : message, 1);
  return 1;
}

int main(int argc, char **argv) {
  struct command_line line = {argc, argv, FAILED, find_role(argc, argv)};
  lua_State *L = luaL_newstate();
  if (L == NULL) {
    fputs("neap: cannot open a Lua state: memory is short\n", stderr);
    return FAILED;
  }
  lua_atpanic(L, line.role->panic);
  lua_pushcfunction(L, explain);
  lua_pushcfunction(L, run);
  lua_pushlightuserdata(L, &line);
  const int rc = lua_pcall(L, 1, 0, 1);
  if (rc != 0) {
    fprintf(stderr, "neap: %s\n", lua_tostring(L, -1));
    line.status = rc == LUA_ERRMEM ? line.role->memory_status : FAILED;
  }
  lua_close(L);
  if (was_interrupted && line.status == INTERRUPTED) die_of_interruption();
  return line.status;
}
