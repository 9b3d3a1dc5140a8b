/* SPDX-License-Identifier: MIT */
/* neap's Lua modules as bytecode in one file, for processes that start fast. */
#ifndef NEAP_BINDINGS_BUNDLE_H
#define NEAP_BINDINGS_BUNDLE_H

#include <lua.h>

/*
 * Makes `require` find in the bundle the modules of lua_dir whose files have
 * not changed since it was written. Does nothing without a valid bundle: then
 * `require` reads the files.
 */
void bundle_open(lua_State *L, const char *lua_dir);

/*
 * Writes the bundle of the modules in `root`, which will be in `lua_dir` when
 * they are used. Returns the exit status.
 */
int bundle_write(lua_State *L, const char *path, const char *lua_dir,
                 const char *root);

#endif
