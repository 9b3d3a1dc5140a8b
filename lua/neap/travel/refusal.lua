-- SPDX-License-Identifier: MIT
--- Says what cannot travel: which function holds it, where that was defined,
-- the path, the stage that leads there, and what to do instead. A frame of the
-- packer's walk is one step of it: `{value, parent, step}`, where the step from
-- a function is the number of an upvalue, and from another object a key of it
-- or one of the steps here.
-- @module neap.travel.refusal

local ffi = require("ffi")
local class = require("neap.base.class")

local refusal = {}

local METATABLE, KEY, PLAIN = {}, {}, {}
refusal.METATABLE, refusal.KEY, refusal.PLAIN = METATABLE, KEY, PLAIN

-- The step from a module to what it holds: this, and its name.
local MODULE = "module "
refusal.MODULE = MODULE

-- How much of a path is shown: this many steps of it.
local STEPS_MAX = 12

local function place(fn)
  local info = debug.getinfo(fn, "S")
  return ("the function at %s:%d"):format(info.short_src, info.linedefined)
end

local function is_node(value)
  return class.name_of(debug.getmetatable(value)) and value.stage_name ~= nil
end

-- What users call a field of a node.
local function field_of(node, step)
  return node.words and node.words[step] or step
end

local function step_text(frame)
  local step, parent = frame.step, frame.parent.value
  if rawequal(step, PLAIN) then
    return ""
  elseif type(parent) == "function" then
    local name = debug.getupvalue(parent, step)
    return name == "" and "upvalue " .. step or "upvalue '" .. name .. "'"
  elseif rawequal(step, METATABLE) then
    return "<metatable>"
  elseif rawequal(step, KEY) then
    return "<key>"
  elseif is_node(parent) then
    return field_of(parent, step)
  elseif type(step) == "string" then
    return step:find("^[%a_][%w_]*$") and "." .. step or ("[%q]"):format(step)
  end
  return ("[%s]"):format(tostring(step))
end

local function joined(list, separator)
  local shown, half = {}, STEPS_MAX / 2
  for k, text in ipairs(list) do
    if k <= half or k > #list - half then
      shown[#shown + 1] = text
    elseif k == half + 1 then
      shown[#shown + 1] = " ... "
    end
  end
  return (table.concat(shown, separator):gsub("^%.", ""))
end

-- The frames from the root to this one, the root left out; and the root.
local function trail(frame)
  local up, down = {}, {}
  while frame.parent do
    up[#up + 1] = frame
    frame = frame.parent
  end
  for k = #up, 1, -1 do
    down[#down + 1] = up[k]
  end
  return down, frame.value
end

-- What users call the object of a frame: a stage of a chain, on_start.
local function origin_of(frame)
  local value, step = frame.value, frame.step
  if is_node(value) then
    return value:stage_name()
  end
  local is_first = not frame.parent.parent and type(step) == "string"
  return is_first and (step == "on_start" or step:find("^" .. MODULE)) and step
    or nil
end

-- How a frame is reached: from where, by which function (or none), by which
-- steps to that function, and by which from there.
local function way_to(frame, name)
  local frames, root = trail(frame)
  local is_root = type(root) == "function"
  local way = {
    from = name or is_root and place(root) or "the value",
    is_named = false, -- `from` is a word of the user's own
    holder = false, before = {}, path = {},
  }
  for _, at in ipairs(frames) do
    local parent, origin = at.parent.value, origin_of(at)
    if type(parent) == "function" and at.parent.parent then
      way.holder = parent
      way.before[#way.before + 1] = joined(way.path, "")
      way.path = {}
    end
    way.path[#way.path + 1] = step_text(at)
    if origin then
      way.from, way.is_named, way.holder = origin, true, false
      way.before, way.path = {}, {}
    end
  end
  return way
end

-- How the function is reached that holds what cannot travel.
local function before_text(way)
  local before, from = way.before, way.from
  if #before == 0 then
    return ""
  elseif not way.is_named then
    return ("; that function is reached from %s by its %s"):format(from,
      joined(before, ", "))
  end
  local first = from == "on_start" and from
    or (from:find("^" .. MODULE) and "a" or "the") .. " function of " .. from
  if #before == 1 then
    return ("; that is %s"):format(first)
  end
  return ("; that function is reached from %s by its %s"):format(first,
    joined({ unpack(before, 2) }, ", "))
end

local function raise(way, why, help)
  error(("cannot send %s to a worker: %s%s%s"):format(
    way.holder and place(way.holder) or way.from, why, before_text(way),
    help and "\nhelp: " .. help or ""), 0)
end

--- Raises that the frame's value cannot travel; `what` it is, `name` the root.
function refusal.raise(frame, what, name, help)
  local way = way_to(frame, name)
  local path = joined(way.path, "")
  raise(way, ("%s is %s"):format(path == "" and "it" or "its " .. path, what),
    help)
end

--- Raises that the frame's value belongs to this process.
function refusal.raise_own(frame, name)
  local parent = frame.parent and frame.parent.value
  refusal.raise(frame, refusal.describe(frame.value), name,
    is_node(parent) and parent.own_help
    or "let each worker make its own: neap.per_worker(function() return ... "
    .. "end)")
end

--- Raises why the frame's value, a function, cannot do its work in a worker.
function refusal.raise_function(frame, why, name, help)
  local own = { value = false, parent = frame, step = PLAIN }
  raise(way_to(own, name), why, help)
end

--- Whether a cdata is a ctype object, which is no instance of its ctype though
-- ffi.istype says so; and the text of its ctype. (Of what tonumber takes, none
-- has a __tostring of its own.)
function refusal.ctype(value)
  local text = tostring(ffi.typeof(value))
  local is_ctype = tonumber(value) and tostring(value) == text
  return is_ctype, text:match("^ctype<(.*)>$")
end

local C_LIBRARY = debug.getmetatable(ffi.C)

--- Returns what a value is, with its article.
function refusal.describe(value)
  local kind = type(value)
  if kind == "thread" then
    return "a coroutine"
  elseif kind == "function" then
    return "a C function that no module names"
  elseif kind == "userdata" and io.type(value) then
    return "a " .. io.type(value)
  elseif kind == "userdata"
    and rawequal(debug.getmetatable(value), C_LIBRARY)
  then
    return "a C library"
  elseif kind == "cdata" then
    local is_ctype, text = refusal.ctype(value)
    return ("a %s (%s)"):format(is_ctype and "ctype" or kind, text)
  end
  return "a " .. kind
end

return refusal
