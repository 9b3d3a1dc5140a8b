/* SPDX-License-Identifier: MIT */
/* neap's Lua modules as bytecode in one file, for processes that start fast. */
#ifndef NEAP_BINDINGS_BUNDLE_H
#define NEAP_BINDINGS_BUNDLE_H

#include <lua.h>

/*
 * Lets `require` find in the bundle those modules of lua_dir whose files are
 * just what they were when it was written. Without a fitting bundle it does
 * nothing: the files themselves are always right.
 */
void bundle_open(lua_State *L, const char *lua_dir);

/*
 * Writes the bundle of the modules that lie in `root` now and will lie in
 * `lua_dir` when they are used. Answers the status to exit with.
 */
int bundle_write(lua_State *L, const char *path, const char *lua_dir,
                 const char *root);

#endif
