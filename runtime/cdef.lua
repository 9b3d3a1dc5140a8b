-- SPDX-License-Identifier: MIT
-- The text of build/gen/cdef.c, which premake5.lua writes: the version, and
-- what the headers declare, for Lua to read from the library.

-- Without comments, since each process that loads neap parses it.
local function declarations(header)
  return (header:match("/%* cdef: begin %*/(.-)/%* cdef: end %*/")
    :gsub("/%*.-%*/", ""):gsub("[ \n]*\n", "\n"))
end

local TEXT = [[
/* Made by runtime/cdef.lua: the version, and what the headers declare. */
#include "base/library.h"
#include "neap_lua.h"
/* One string, longer than C11 makes every compiler take. */
#pragma GCC diagnostic ignored "-Woverlength-strings"

const char *neap_cdef(void) {
  return "%s";
}

const neap__size neap__sizes[] = {
%s    {NULL, 0},
};

const char *neap_version(void) {
  return "%s";
}
]]

-- Returns the text, of the texts of neap.h and neap_lua.h.
return function(neap_h, neap_lua_h, version)
  local cdef, sizes = declarations(neap_h) .. declarations(neap_lua_h), ""
  for name in cdef:gmatch("\ntypedef struct (neap_[%w_]+) {") do
    sizes = sizes .. ('    {"%s", sizeof(%s)},\n'):format(name, name)
  end
  cdef = cdef:gsub("[\\\"]", "\\%0"):gsub("\n", '\\n"\n  "') .. "\\n"
  return TEXT:format(cdef, sizes, version)
end
