-- SPDX-License-Identifier: MIT
--- Finds libneap, declares its functions to the FFI from the text that the
-- library carries, and turns its statuses into Lua errors.
-- @module neap.base.lib

local ffi = require("ffi")

local ABI = 1

ffi.cdef([[
  const char *neap_cdef(void);
  const char *neap_version(void);
  int neap_abi(void);
]])

local lib = {}

--- The folder that holds neap's Lua modules, with `neap/` in it.
lib.lua_dir = debug.getinfo(1, "S").source:match("^@(.*)/?neap/base/lib%.lua$")
lib.lua_dir = lib.lua_dir == "" and "." or lib.lua_dir:gsub("/$", "")

local function in_process()
  return ffi.C.neap_abi and ffi.C
end

-- The executable contains the library. A plain LuaJIT loads it from the path in
-- NEAP_LIBRARY, from beside these modules (in a build tree or an installed
-- tree), or from the system's folders.
local function find()
  local found, here = pcall(in_process)
  if found then
    return here, "/proc/self/exe"
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
      return loaded, path
    end
    tried[#tried + 1] = "\n  " .. tostring(loaded)
  end
  error("cannot load libneap: none of these can be used" .. table.concat(tried)
    .. "\nhelp: run make, or set NEAP_LIBRARY to libneap.so", 0)
end

local C, C_path = find()

-- An old library has no neap_version().
local function version_of_library()
  return ffi.string(C.neap_version())
end

local function resolve(path)
  ffi.cdef("char *realpath(const char *path, char *resolved);")
  return ffi.string(ffi.C.realpath(path, ffi.new("char[4096]")))
end

local function refuse(why, ...)
  local has_version, version = pcall(version_of_library)
  local is_found, path = pcall(resolve, C_path)
  error(("cannot use libneap: %s\n  the library: neap %s, %s\n"
    .. "  the Lua modules: neap %s, %s\n"
    .. "help: use the neap executable, or libneap.so (NEAP_LIBRARY), that came "
    .. "with these modules"):format(why:format(...),
      has_version and version or "(unknown)", is_found and path or C_path,
      require("neap.base.version"), lib.lua_dir), 0)
end

if C.neap_abi() ~= ABI then
  refuse("it has ABI %d, these Lua modules want %d", C.neap_abi(), ABI)
end
local declarations = ffi.string(C.neap_cdef())
ffi.cdef(declarations)
for name in declarations:gmatch("\ntypedef struct (neap_[%w_]+) {") do
  if ffi.sizeof(name) ~= tonumber(C.neap_sizeof(name)) then
    refuse("%s has %d bytes there, %d here", name,
      tonumber(C.neap_sizeof(name)), ffi.sizeof(name))
  end
end

--- The library: `lib.C.neap_...`.
lib.C = C

--- The neap_error to pass as the last argument of a call.
lib.error = ffi.new("neap_error")

-- What C reports, as a value to raise: `status`, `message`.
-- neap.base.errors makes an error object of it where the item is known.
local Failure = {}

function Failure.__tostring(failure)
  return failure.message
end

--- Makes a failure: of a status and a message, or of what lib.error holds.
function lib.failure(status, message)
  return setmetatable({
    status = status or lib.error.status,
    message = message or ffi.string(lib.error.text),
  }, Failure)
end

--- The status of a value that was raised; nil if it is not a failure of C's.
function lib.status_of(value)
  return getmetatable(value) == Failure and value.status or nil
end

--- Returns a status of 0 or more, and raises any other as a failure.
function lib.check(status)
  if status < 0 then
    error(lib.failure(), 0)
  end
  return status
end

local word = ffi.typeof("intptr_t")

--- Returns the bytes from one address to another (see luajit.md, *32-bit
-- differences*).
function lib.distance(from, to)
  return tonumber(ffi.cast(word, to) - ffi.cast(word, from))
end

return lib
