-- SPDX-License-Identifier: MIT
--- Says what cannot travel: which function holds it, where that was defined,
-- and the path. A frame of the packer's walk is one step of it:
-- `{value, parent, step}`, where the step from a function is the number of an
-- upvalue, and from another object a key of it or one of the steps here.
-- @module neap.travel.refusal

local ffi = require("ffi")

local refusal = {}

local METATABLE, KEY, PLAIN = {}, {}, {}
refusal.METATABLE, refusal.KEY, refusal.PLAIN = METATABLE, KEY, PLAIN

-- How much of a path is shown: this many steps of it.
local STEPS_MAX = 12

local function place(fn)
  local info = debug.getinfo(fn, "S")
  return ("the function at %s:%d"):format(info.short_src, info.linedefined)
end

local function step_text(frame)
  local step, parent = frame.step, frame.parent.value
  if type(parent) == "function" then
    local name = debug.getupvalue(parent, step)
    return name == "" and "upvalue " .. step or "upvalue '" .. name .. "'"
  elseif rawequal(step, METATABLE) then
    return "<metatable>"
  elseif rawequal(step, KEY) then
    return "<key>"
  elseif rawequal(step, PLAIN) then
    return ""
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

--- Raises that the frame's value cannot travel; `what` it is, `name` the root.
function refusal.raise(frame, what, name)
  local frames, root = trail(frame)
  name = name or type(root) == "function" and place(root) or "the value"
  local holder, path, before = name, {}, {}
  for _, at in ipairs(frames) do
    local parent = at.parent.value
    if type(parent) == "function" and at.parent.parent then
      holder = place(parent)
      before[#before + 1] = joined(path, "")
      path = {}
    end
    path[#path + 1] = step_text(at)
  end
  path = joined(path, "")
  local text = ("cannot send %s to a worker: %s is %s"):format(
    holder, path == "" and "it" or "its " .. path, what)
  if #before > 0 then
    text = ("%s; that function is reached from %s by its %s"):format(
      text, name, joined(before, ", "))
  end
  error(text, 0)
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
    return ("a userdata (%s)"):format(io.type(value))
  elseif kind == "userdata"
    and rawequal(debug.getmetatable(value), C_LIBRARY)
  then
    return "a userdata (C library)"
  elseif kind == "cdata" then
    local is_ctype, text = refusal.ctype(value)
    return ("a %s (%s)"):format(is_ctype and "ctype" or kind, text)
  end
  return "a " .. kind
end

return refusal
