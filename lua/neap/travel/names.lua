-- SPDX-License-Identifier: MIT
--- Which values a worker can find by name: modules, and what is in them.
-- The standard library goes first and the rest sorted, so that a value with
-- several names always travels by the same one.
-- @module neap.travel.names

local traverse = require("neap.base.traverse")

local STANDARD = {
  "_G", "bit", "coroutine", "debug", "ffi", "io", "jit", "jit.opt",
  "jit.profile", "jit.util", "math", "os", "package", "string",
  "string.buffer", "table", "table.clear", "table.new",
}
local is_standard = {}
for _, name in ipairs(STANDARD) do
  is_standard[name] = true
end

local REFERENCES = {
  table = true, ["function"] = true, userdata = true, cdata = true,
}

-- The files of modules that were found, for these paths: looking for them takes
-- most of the time.
local found_files, found_for = {}, ""

-- Returns the file of a module, and whether it is in Lua; nil if there is none.
local function file_of(name)
  local paths = package.path .. "\n" .. package.cpath
  if paths ~= found_for then
    found_files, found_for = {}, paths
  end
  local file = found_files[name]
  if not file then
    local path = package.searchpath(name, package.path)
    file = { path = path or package.searchpath(name, package.cpath),
      is_lua = path ~= nil }
    found_files[name] = file.path and file
  end
  return file.path, file.is_lua
end

-- The names of the modules that a worker finds too; the files of those; which
-- of them are tables that a file in Lua makes, and not neap's.
local function modules()
  local list, others, files, changeable = {}, {}, {}, {}
  for _, name in ipairs(STANDARD) do
    if package.loaded[name] then
      list[#list + 1] = name
    end
  end
  for _, name in ipairs(traverse.keys(package.loaded)) do
    local value = package.loaded[name]
    if type(name) == "string" and not is_standard[name] then
      local path, is_lua = file_of(name)
      if path then
        changeable[name] = is_lua and type(value) == "table"
          and not name:find("^neap%f[.%z]") or nil
        files["@" .. path] = true
        others[#others + 1] = REFERENCES[type(value)] and name or nil
      end
    end
  end
  table.sort(others)
  for _, name in ipairs(others) do
    list[#list + 1] = name
  end
  return list, files, changeable
end

-- Of the standard library: what is built in, since a worker lacks what a script
-- added. Built-in functions have no line. In _G only functions count: other
-- values there are modules or the script's.
local function is_built_in(module, value)
  if type(value) == "function" then
    return debug.getinfo(value, "S").linedefined < 0
  end
  return module ~= "_G"
end

-- Of other modules: C functions, Lua functions from a module's file, classes
-- (they must be those that the module's functions know), userdata and cdata. A
-- plain table is data, and travels as it is now.
local function is_of_module(value, files)
  if type(value) == "function" then
    local info = debug.getinfo(value, "S")
    return info.linedefined < 0 or files[info.source]
  end
  return type(value) ~= "table" or rawget(value, "__index") ~= nil
end

local function fields(module, files)
  local list = {}
  for _, field in ipairs(traverse.keys(package.loaded[module])) do
    local value = rawget(package.loaded[module], field)
    if type(field) == "string" and REFERENCES[type(value)] then
      local has_name
      if is_standard[module] then
        has_name = is_built_in(module, value)
      else
        has_name = is_of_module(value, files)
      end
      list[#list + 1] = has_name and field or nil
    end
  end
  table.sort(list)
  return list
end

--- The names of all values that have one: `{module, field}`, or `{module}`; and
-- the files of modules, as sources of functions; and which modules are tables
-- whose changes travel.
local function names()
  local found = {}
  local list, files, changeable = modules()
  for _, module in ipairs(list) do
    local value = package.loaded[module]
    found[value] = found[value] or { module }
  end
  for _, module in ipairs(list) do
    local values = package.loaded[module]
    if type(values) == "table" then
      for _, field in ipairs(fields(module, files)) do
        local value = values[field]
        found[value] = found[value] or { module, field }
      end
    end
  end
  return found, files, changeable
end

return names
