-- SPDX-License-Identifier: MIT
--- What the tables of a module hold now. A worker loads a module afresh; what
-- the script changed in it since is not known, so all that can be sent is sent,
-- and the worker's tables are made equal (neap.travel.merge).
--
-- A *shadow* is what is sent of a table: {set =, sub =, keep =}. `set` has the
-- numbers, strings, booleans, and functions of the script; `sub` the shadows of
-- plain tables; `keep` the keys of all else, which is the worker's own.
-- @module neap.travel.changes

local bytecode = require("neap.travel.bytecode")
local traverse = require("neap.base.traverse")

local changes = {}

-- A module with more fields than this in its tables, or tables as deep, is data
-- that is loaded, not settings: then only its outermost table is sent, or
-- nothing if that is as large. A string counts as one field, and one more for
-- so many bytes.
local FIELDS_MAX, DEPTH_MAX = 10000, 100
local FIELD_BYTES = 64

local PLAIN = { number = true, string = true, boolean = true }

-- Whether a function was put into a module by a script. (A module may make
-- functions by loadstring.)
local function is_of_script(f, files)
  local source = debug.getinfo(f, "S").source
  return not files[source] and (source:sub(1, 1) == "@"
    or source == "=(command line)" or source == "=stdin")
end

local function is_set(value, builder)
  return PLAIN[type(value)] or type(value) == "function"
    and not builder.names[value] and is_of_script(value, builder.files)
end

local function is_sub(value, builder)
  return type(value) == "table" and not builder.names[value]
    and builder.is_deep and debug.getmetatable(value) == nil
end

local shadow_of -- below

local function put(builder, shadow, key, value)
  if is_set(value, builder) then
    shadow.set[key] = value
  elseif is_sub(value, builder) then
    shadow.sub[key] = builder.shadows[value] or shadow_of(builder, value)
  else
    shadow.keep[key] = true
  end
end

-- Returns nil if there are too many fields.
function shadow_of(builder, t)
  local shadow = { set = {}, sub = {}, keep = {} }
  builder.shadows[t] = shadow
  builder.depth = builder.depth + 1
  if builder.depth > DEPTH_MAX then
    builder.count = math.huge
  end
  for _, key in ipairs(traverse.keys(t)) do
    local value = rawget(t, key)
    builder.count = builder.count + 1
      + (type(value) == "string" and #value / FIELD_BYTES or 0)
    if builder.count > FIELDS_MAX then
      return nil
    elseif PLAIN[type(key)] then
      put(builder, shadow, key, value)
    end
  end
  builder.depth = builder.depth - 1
  return builder.count <= FIELDS_MAX and shadow or nil
end

--- The shadow of a module's table; nil if nothing is sent.
-- @tparam table module
-- @tparam table names of neap.travel.names
-- @tparam table files of modules
function changes.of(module, names, files)
  local function try(is_deep)
    return shadow_of({
      names = names, files = files, is_deep = is_deep,
      shadows = {}, count = 0, depth = 0,
    }, module)
  end
  return try(true) or try(false)
end

--- Calls found(packer, name) for each module that a function may require when
-- it runs: it calls require, and names the module in a string.
-- @tparam function f
-- @tparam table modules {name = true}
function changes.required(f, modules, found, packer)
  local strings = bytecode.strings(f)
  for k = 1, strings.require and #strings or 0 do
    if modules[strings[k]] then
      found(packer, strings[k])
    end
  end
end

local function look_into(f, names, found, packer, seen)
  local k = 1
  local name, value = debug.getupvalue(f, k)
  while name do
    local named = (type(value) == "table" or type(value) == "function")
      and names[value]
    if named then
      found(packer, named[1])
    end
    if type(value) == "function" and not seen[value] then
      seen[value] = true
      look_into(value, names, found, packer, seen)
    end
    k = k + 1
    name, value = debug.getupvalue(f, k)
  end
end

--- Calls found(packer, name) for each module that the functions of a module
-- use: it is an upvalue of theirs, or one of its functions is.
function changes.used(module, names, found, packer)
  local seen = {}
  for _, key in ipairs(traverse.keys(module)) do
    local f = rawget(module, key)
    if type(f) == "function" and not seen[f] then
      seen[f] = true
      look_into(f, names, found, packer, seen)
    end
  end
end

jit.off(true, true) -- cold: it runs once for each chain

return changes
