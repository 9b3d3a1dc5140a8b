-- SPDX-License-Identifier: MIT
--- The functions of a chain's stages: what they refer to, and what they call.
-- @module neap.inspect.functions

local array = require("neap.tensor.array")
local check = require("neap.base.check")
local traverse = require("neap.base.traverse")
local util = require("jit.util")

local functions = {}

local OWN = { getter = true, here = true, source = true, sources = true }
local DEPTH_MAX = 50 -- of tables in tables

-- Functions of users are followed, and of the modules that are theirs.
local function is_users(f)
  local info = debug.getinfo(f, "S")
  return info.what ~= "C" and not check.is_ours(info)
end

local function is_plain(x)
  return type(x) == "table" and getmetatable(x) == nil
end

-- -- What is reached ---------------------------------------------------------

local visit

local function visit_fields(t, f, seen, depth)
  for _, key in ipairs(traverse.keys(t)) do
    if type(t[key]) == "function" then
      visit(t[key], f, seen, depth)
    end
  end
end

function visit(fn, f, seen, depth)
  if seen[fn] or depth > DEPTH_MAX or not is_users(fn) then
    return
  end
  seen[fn] = true
  f(fn)
  local k = 1
  local name, value = debug.getupvalue(fn, k)
  while name do
    if type(value) == "function" then
      visit(value, f, seen, depth + 1)
    elseif is_plain(value) and not seen[value] and value ~= _G then
      seen[value] = true
      visit_fields(value, f, seen, depth + 1)
    end
    k = k + 1
    name, value = debug.getupvalue(fn, k)
  end
end

--- Calls f(fn) for the user's functions among the fields of a node, and those
-- that they refer to.
function functions.each(node, f)
  local seen = {}
  for _, key in ipairs(traverse.keys(node)) do
    if not OWN[key] and type(node[key]) == "function" then
      visit(node[key], f, seen, 0)
    end
  end
end

-- -- What is called ----------------------------------------------------------

-- The constants of a function and of those inside it.
local function constants(f, found)
  local k = -1
  local value = util.funck(f, k)
  while value ~= nil do
    if type(value) == "string" then
      found[value] = true
    elseif type(value) == "proto" then
      constants(value, found)
    end
    k = k - 1
    value = util.funck(f, k)
  end
  return found
end

--- Whether a function, or one inside it, calls module.name of the standard
-- library, as far as its code tells.
function functions.calls(fn, module, name)
  local found, k = constants(fn, {}), 1
  local has_module = found[module] or false
  local upvalue, value = debug.getupvalue(fn, k)
  while upvalue do
    if value == _G[module][name] then
      return true
    end
    has_module = has_module or value == _G[module]
    k = k + 1
    upvalue, value = debug.getupvalue(fn, k)
  end
  return has_module and found[name] or false
end

-- -- What it weighs ----------------------------------------------------------

local weigh

-- Keeps its count in `seen`, to be cheap for large tables.
local function weigh_field(key, field, seen, depth)
  seen.bytes = seen.bytes + 16
  weigh(key, seen, depth)
  weigh(field, seen, depth)
end

local SHARED = 2 ^ 16 -- bytes of a tensor that workers share

function weigh(x, seen, depth)
  if type(x) == "string" then
    seen.bytes = seen.bytes + #x
  elseif array.is(x) then
    seen.bytes = seen.bytes + (x.nbytes < SHARED and x.nbytes or 0)
  elseif is_plain(x) and not seen[x] and depth < DEPTH_MAX then
    seen[x] = true
    traverse.each(x, weigh_field, seen, depth + 1)
  end
end

--- About how many bytes of a value each worker gets a copy of.
function functions.weight(x)
  for _, name in ipairs(traverse.keys(package.loaded)) do
    if package.loaded[name] == x then
      return 0 -- modules travel by name
    end
  end
  local seen = { bytes = 0 }
  weigh(x, seen, 0)
  return seen.bytes
end

--- Calls f(what, value) for what a node and its functions hold: tables among
-- the node's fields, and upvalues.
function functions.each_held(node, f)
  for _, key in ipairs(traverse.keys(node)) do
    if not OWN[key] and is_plain(node[key]) then
      f("its " .. key, node[key])
    end
  end
  functions.each(node, function(fn)
    local k = 1
    local name, value = debug.getupvalue(fn, k)
    while name do
      local info = debug.getinfo(fn, "S")
      f(("the upvalue '%s' of the function at %s:%d"):format(name,
        info.short_src, info.linedefined), value)
      k = k + 1
      name, value = debug.getupvalue(fn, k)
    end
  end)
end

return functions
