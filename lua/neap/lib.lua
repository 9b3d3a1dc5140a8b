-- SPDX-License-Identifier: MIT
--- Finds libneap, declares it to the FFI with its own words, and turns its
-- statuses into Lua errors.
-- @module neap.lib

local ffi = require("ffi")

local ABI = 1

ffi.cdef([[
  const char *neap_cdef(void);
  int neap_abi(void);
]])

local lib = {}

--- The folder that holds neap's Lua modules, with `neap/` in it.
lib.lua_dir = debug.getinfo(1, "S").source:match("^@(.*)/?neap/lib%.lua$")
lib.lua_dir = lib.lua_dir == "" and "." or lib.lua_dir:gsub("/$", "")

local function in_process()
  return ffi.C.neap_abi and ffi.C
end

-- The executable carries the library; a plain LuaJIT loads it: from where
-- NEAP_LIBRARY says, from beside these modules (a build tree, an installed
-- tree), or from where the system looks.
local function find()
  local found, here = pcall(in_process)
  if found then
    return here
  end
  local named = os.getenv("NEAP_LIBRARY")
  local tried = {}
  for _, path in ipairs(named and { named } or {
    lib.lua_dir .. "/../build/lib/libneap.so",
    lib.lua_dir .. "/../../../lib/libneap.so",
    "neap",
  }) do
    local ok, loaded = pcall(ffi.load, path)
    if ok then
      return loaded
    end
    tried[#tried + 1] = "\n  " .. tostring(loaded)
  end
  error("cannot load libneap: run make, or set NEAP_LIBRARY to libneap.so"
    .. table.concat(tried), 0)
end

local C = find()
if C.neap_abi() ~= ABI then
  error(("cannot use libneap: it has ABI %d, these Lua modules want %d")
    :format(C.neap_abi(), ABI), 0)
end
ffi.cdef(ffi.string(C.neap_cdef()))
for _, name in ipairs({
  "neap_error", "neap_tensor", "neap_random", "neap_value", "neap_tensor_cell",
  "neap_run", "neap_options", "neap_stats", "neap_task", "neap_window",
  "neap_stretch",
}) do
  if ffi.sizeof(name) ~= tonumber(C.neap_sizeof(name)) then
    error(("cannot use libneap: %s has %d bytes there, %d here"):format(
      name, tonumber(C.neap_sizeof(name)), ffi.sizeof(name)), 0)
  end
end

--- The library; `lib.C.neap_...`.
lib.C = C

--- The neap_error to pass as the last argument of a call.
lib.error = ffi.new("neap_error")

--- Answers a status of 0 or more, and raises the text of any other.
function lib.check(status)
  if status < 0 then
    error(ffi.string(lib.error.text), 0)
  end
  return status
end

local word = ffi.typeof("intptr_t")

--- Bytes from one address to another. LuaJIT's own difference of two pointers
-- is cut to 32 bits.
function lib.distance(from, to)
  return tonumber(ffi.cast(word, to) - ffi.cast(word, from))
end

return lib
