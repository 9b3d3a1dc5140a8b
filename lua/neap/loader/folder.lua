-- SPDX-License-Identifier: MIT
--- The modules beside a loader file, which its `require` finds first.
--
-- A folder has modules of its own: two folders may each have a `common.lua`,
-- and the script that opens a loader a third. While code of a folder runs,
-- package.path begins with the folder, and package.loaded has its modules.
-- Workers get package.path as it is while the chain is packed.
-- @module neap.loader.folder

local ffi = require("ffi")
local traverse = require("neap.base.traverse")

ffi.cdef("char *realpath(const char *path, char *resolved);")

local PATH_MAX = 4096

local folder = {}

local loaded_of = {} -- folder -> its modules: name -> value

--- The absolute path of the folder of a file.
function folder.of(path)
  local buffer = ffi.new("char[?]", PATH_MAX)
  if ffi.C.realpath(path, buffer) == nil then
    return nil
  end
  return ffi.string(buffer):match("^(.*)/") or "."
end

local function templates(path)
  return ("%s/?.lua;%s/?/init.lua"):format(path, path)
end

-- Puts modules into package.loaded; returns what was there.
local function exchange(modules, names)
  local before = {}
  for _, name in ipairs(names) do
    before[name] = package.loaded[name]
    package.loaded[name] = modules[name]
  end
  return before
end

-- Modules that no folder has: those of Lua, LuaJIT and neap.
local function is_common(name)
  return package.loaded[name] == rawget(_G, name) or name == "_G"
    or name:find("^neap%f[.%z]") ~= nil or name:find("^jit%f[.%z]") ~= nil
    or name == "ffi" or name:find("^table%.") ~= nil
end

-- The names of the loaded modules that a folder has a file for.
local function own_names(path)
  local names, search = {}, templates(path)
  for _, name in ipairs(traverse.keys(package.loaded)) do
    if type(name) == "string" and not is_common(name)
      and package.searchpath(name, search) then
      names[#names + 1] = name
    end
  end
  return names
end

--- Makes `require` find the modules of a folder first.
-- @treturn table what leave() wants
function folder.enter(path)
  local own = loaded_of[path] or {}
  local inside = { path = path, before = package.path }
  inside.hidden = exchange({}, own_names(path))
  exchange(own, traverse.keys(own))
  package.path = templates(path) .. ";" .. package.path
  return inside
end

--- Makes `require` find what it found before.
function folder.leave(inside)
  package.path = inside.before
  local names = own_names(inside.path)
  loaded_of[inside.path] = exchange({}, names)
  exchange(inside.hidden, traverse.keys(inside.hidden))
end

--- Calls f(...) in a folder; raises what it raises.
function folder.run(path, f, ...)
  local inside = folder.enter(path)
  local ok, a, b = pcall(f, ...)
  folder.leave(inside)
  if not ok then
    error(a, 0)
  end
  return a, b
end

return folder
