-- SPDX-License-Identifier: MIT
--- Looks in a worker for what its host should be warned of: math.random in a
-- stage, and writes to tables, numbers and tensors of the script.
--
-- The chain is looked at when it arrives, and again after some of its items. So
-- looking takes no time while items are computed. Tables of more than
-- FIELDS_MAX fields, tensors below 64 KiB and what is reached only through
-- objects are not looked at; nor are modules, which are each process's own.
-- @module neap.prefetch.watch

local class = require("neap.base.class")
local context = require("neap.value.context")
local check = require("neap.base.check")
local handle = require("neap.sequence.handle")
local lib = require("neap.base.lib")
local tensor = require("neap.travel.tensor")
local traverse = require("neap.base.traverse")

local C = lib.C
local FIELDS_MAX = 64 -- of a table
local THINGS_MAX = 1000 -- tables and functions

local watch = {}

-- -- What is looked at -------------------------------------------------------
--
-- A look is {things = list, seen = set}. A thing is {value = a table or a
-- function, name =, where =, keys =, values =}: of a function, its upvalues.

-- A key as text, without calls of the script's code.
local function key_text(key)
  local kind = type(key)
  return (kind == "string" or kind == "number") and tostring(key) or kind
end

local function fields_of(thing)
  local value, keys, values = thing.value, {}, {}
  if type(value) == "table" then
    keys = traverse.keys(value)
    for k, key in ipairs(keys) do
      values[k] = rawget(value, key)
    end
    return keys, values
  end
  local k, name, x = 1, debug.getupvalue(value, 1)
  while name do
    keys[k], values[k] = name, x
    k = k + 1
    name, x = debug.getupvalue(value, k)
  end
  return keys, values
end

local function is_of_script(value)
  if type(value) == "function" then
    local info = debug.getinfo(value, "S")
    return info.what ~= "C" and not check.is_ours(info)
  end
  return type(value) == "table" and not class.name_of(value)
    and not class.name_of(getmetatable(value))
end

local function add(look, value, name, where)
  if look.seen[value] or #look.things >= THINGS_MAX or not is_of_script(value)
  then
    return
  end
  look.seen[value] = true
  local thing = { value = value, name = name, where = where }
  if type(value) == "function" then
    local info = debug.getinfo(value, "S")
    thing.where = ("%s:%d"):format(info.short_src, info.linedefined)
  end
  thing.keys, thing.values = fields_of(thing)
  if type(value) == "table" and #thing.keys > FIELDS_MAX then
    return
  end
  look.things[#look.things + 1] = thing
end

local function add_fields(look, thing)
  for k, key in ipairs(thing.keys) do
    local value = thing.values[k]
    if type(value) == "table" or type(value) == "function" then
      local is_field = type(thing.value) == "table"
      add(look, value, is_field and thing.name .. "." .. key_text(key)
        or key_text(key), thing.where)
    end
  end
end

local function add_node(look, node)
  if handle.is(node) then
    node = handle.node(node)
  end
  if look.seen[node] then
    return
  end
  look.seen[node] = true
  for _, key in ipairs(traverse.keys(node)) do
    if type(node[key]) == "function" and key ~= "getter" then
      add(look, node[key], key, node.where)
    end
  end
  for _, source in ipairs(node:inputs()) do
    add_node(look, source)
  end
end

-- -- Looking again -----------------------------------------------------------

local HELP = ": the script and other workers do not see it, and items may "
  .. "depend on which worker computes them\nhelp: return it in the item, or "
  .. "collect it in the script's loop"

local function warn(look, which, text)
  C.neap_worker_warn(look.worker, which, text)
end

-- Whether a field is another one now: of a table any, of a function a number.
local function is_changed(thing, before, after)
  if type(thing.value) == "function" then
    return type(before) == "number" and not rawequal(before, after)
  end
  return not rawequal(before, after)
end

local function changed_key(thing)
  local keys = fields_of(thing)
  if #keys ~= #thing.keys then
    return ""
  end
  local _, now = fields_of(thing)
  for k, key in ipairs(keys) do
    if not rawequal(key, thing.keys[k])
      or is_changed(thing, thing.values[k], now[k]) then
      return key_text(key)
    end
  end
end

local function look_at(look, thing)
  local key = changed_key(thing)
  if not key then
    return
  elseif type(thing.value) == "function" then
    warn(look, C.NEAP_WARN_TABLE, ("a worker has set the variable '%s' of the "
      .. "script, of the function at %s%s"):format(key, thing.where, HELP))
  else
    warn(look, C.NEAP_WARN_TABLE, ("a worker has written to the table '%s' of "
      .. "the script, of the function at %s%s"):format(thing.name, thing.where,
      HELP))
  end
end

local function look_at_tensors(look)
  for _, block in ipairs(tensor.blocks()) do
    if C.neap_heap_is_changed(block.data, tonumber(block.nbytes)) ~= 0 then
      warn(look, C.NEAP_WARN_TENSOR, ("a worker has written to a tensor of the "
        .. "script, of %.0f bytes%s"):format(tonumber(block.nbytes), HELP))
      return
    end
  end
end

--- Looks for what has changed, after some of the items.
function watch.look(look)
  for _, thing in ipairs(look.things) do
    look_at(look, thing)
  end
  look_at_tensors(look)
end

-- -- math.random -------------------------------------------------------------

local RANDOM = "math.random is called in a worker, at %s:%d: items depend on "
  .. "which worker computes them, and differ from run to run\nhelp: use "
  .. "random_map, whose rng depends on (seed, epoch, index) alone"

local random = math.random
local has_warned = true -- or there is nobody to warn
local warned_worker

local function warn_of_random()
  has_warned = true
  local info = check.caller() or { short_src = "?", currentline = 0 }
  C.neap_worker_warn(warned_worker, C.NEAP_WARN_RANDOM, RANDOM:format(
    info.short_src, info.currentline))
end

-- Without `...`, for LuaJIT's sake.
local function watched_random(a, b)
  if not has_warned and context.now ~= nil then
    warn_of_random()
  end
  if b ~= nil then
    return random(a, b)
  elseif a ~= nil then
    return random(a)
  end
  return random()
end

--- Warns the host of a worker of calls in items. Call it before the chain is
-- read, since its functions refer to math.random.
function watch.random(worker)
  warned_worker, has_warned = worker, false
  math.random = watched_random -- luacheck: ignore
end

--- Begins to look at a chain that has just arrived.
function watch.begin(worker, node)
  local look = { worker = worker, things = {}, seen = {} }
  for _, name in ipairs(traverse.keys(package.loaded)) do
    look.seen[package.loaded[name]] = true
  end
  add_node(look, node)
  local k = 1
  while look.things[k] do
    add_fields(look, look.things[k])
    k = k + 1
  end
  return look
end

jit.off(true, true) -- cold
jit.on(watched_random)

return watch
