-- SPDX-License-Identifier: MIT
--- Which values a worker can find by name: modules, and what is in them.
-- The standard library goes first and the rest sorted, so that a value with
-- several names always travels by the same one.
-- @module neap.travel.names

local lib = require("neap.base.lib")
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

-- The file of a module that a worker finds too, or nil. Those of neap are not
-- looked for: that would take half a millisecond.
local function file_of(name)
  if name == "neap" then
    return lib.lua_dir .. "/neap/init.lua"
  elseif name:sub(1, 5) == "neap." then
    return ("%s/%s.lua"):format(lib.lua_dir, (name:gsub("%.", "/")))
  end
  return package.searchpath(name, package.path)
    or package.searchpath(name, package.cpath)
end

-- The names of the modules that a worker finds too, and the files of those.
local function modules()
  local list, others, files = {}, {}, {}
  for _, name in ipairs(STANDARD) do
    if package.loaded[name] then
      list[#list + 1] = name
    end
  end
  for _, name in ipairs(traverse.keys(package.loaded)) do
    local value = package.loaded[name]
    if type(name) == "string" and not is_standard[name] then
      local path = file_of(name)
      if path then
        files["@" .. path] = true
        others[#others + 1] = REFERENCES[type(value)] and name or nil
      end
    end
  end
  table.sort(others)
  for _, name in ipairs(others) do
    list[#list + 1] = name
  end
  return list, files
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

--- The names of all values that have one: `{module, field}`, or `{module}`.
local function names()
  local found = {}
  local list, files = modules()
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
  return found
end

return names
