-- SPDX-License-Identifier: MIT
--- Checks of arguments at construction; errors name the caller's line.
-- @module neap.base.check

local lib = require("neap.base.lib")
local nearest = require("neap.base.nearest")
local traverse = require("neap.base.traverse")

local check = {}

local ours = "^@" .. lib.lua_dir:gsub("%p", "%%%0") .. "/neap[/.]"

--- Whether a debug.getinfo record ("S") is of neap's own code.
function check.is_ours(info)
  return info.source:find(ours) ~= nil or info.source:find("^=neap") ~= nil
end

-- Functions that users call: function -> {name, is_swapped}.
local registered = {}

--- Finds where neap was called from.
-- @treturn table getinfo of the caller's frame, or nil: a tail call, as the
--   `return neap.loader{...}` of a loader file, leaves none
-- @treturn table getinfo of the neap function that it called
function check.caller()
  local level, called, known = 2, nil, nil
  while true do
    local info = debug.getinfo(level, "Slnf")
    if not info then
      return nil, known or called
    elseif info.what ~= "C" and not check.is_ours(info) then
      return info, called
    end
    called = info.what ~= "C" and info or called
    known = registered[info.func] and info or known
    level = level + 1
  end
end

local UNKNOWN = "?"
local place = UNKNOWN

--- Sets what check.where() returns where the stack has no line of a script: it
-- called neap by a tail call. Returns what it was.
function check.set_place(where)
  local before = place
  place = where
  return before
end

--- Where a stage is made, for messages: "train.lua:12", or "?".
function check.where()
  local info = check.caller()
  if not info or info.currentline < 0 then
    return place
  end
  return ("%s:%d"):format(info.short_src, info.currentline)
end

--- Returns a message, or a failure's, after the line that called neap, once.
function check.located(message)
  message = tostring(message)
  local where = check.where() .. ": "
  local is_whole = where == UNKNOWN .. ": " or message:sub(1, #where) == where
  return is_whole and message or where .. message
end

--- Raises a message at the line that called neap.
function check.raise(message)
  error(check.located(message), 0)
end

--- Checks a status of C in a function that users call: raises one below 0 as
-- text, where lib.check would raise a failure.
function check.status(status)
  if status < 0 then
    check.raise(lib.failure())
  end
end

--- Registers the name that users know a function by; the stack has none if
-- pcall or a tail call called it.
-- @tparam string name
-- @tparam function f
-- @tparam[opt] boolean is_swapped a method that passes its first two arguments
--   on in the other order: s:map(f) is neap.map(f, s)
function check.register(name, f, is_swapped)
  registered[f] = { name = name, is_swapped = is_swapped or false }
end

local function name_of(called, known, is_tail_call)
  local name = not is_tail_call and called and called.name
    or known and known.name or "?"
  return name == "__concat" and ".." or name
end

--- Raises in Lua's own words: bad argument #2 to 'batch' (...).
-- @tparam int narg
-- @tparam string message
-- @tparam[opt] string help what to do
function check.fail(narg, message, help)
  local info, called = check.caller()
  local known = called and registered[called.func]
  if known and known.is_swapped and narg <= 2 then
    narg = 3 - narg
  end
  if called and called.namewhat == "method" then
    narg = narg - 1
  end
  local name = name_of(called, known, not info)
  if narg == 0 then
    check.raise(("calling '%s' on bad self (%s)"):format(name, message))
  end
  check.raise(("bad argument #%d to '%s' (%s)%s"):format(narg, name, message,
    help and "\nhelp: " .. help or ""))
end

local function got(value)
  if type(value) == "number" then
    return tostring(value)
  elseif type(value) == "string" then
    return ("%q"):format(value)
  end
  return value == nil and "no value" or type(value)
end

--- Returns what messages call a value that does not fit.
check.got = got

function check.is_integer(value)
  return type(value) == "number" and value == math.floor(value)
    and math.abs(value) < 2 ^ 53
end

-- -- Kinds of values ---------------------------------------------------------
--
-- A kind is a function of a value: it returns whether the value is of the kind,
-- and what messages call the kind. A kind that one function needs is kept
-- there.

local kinds = {}
check.kinds = kinds

function kinds.integer(v)
  return check.is_integer(v), "whole number"
end

--- A whole number, 1 or more.
function kinds.count(v)
  return check.is_integer(v) and v >= 1, "positive integer"
end

--- A whole number, 0 or more.
function kinds.natural(v)
  return check.is_integer(v) and v >= 0, "whole number, 0 or more,"
end

--- A number, not NaN.
function kinds.number(v)
  return type(v) == "number" and v == v, "number"
end

function kinds.positive(v)
  return type(v) == "number" and v > 0, "number above 0"
end

function kinds.boolean(v)
  return type(v) == "boolean", "boolean"
end

function kinds.func(v)
  return type(v) == "function", "function"
end

function kinds.text(v)
  return type(v) == "string", "string"
end

local function argument(kind)
  return function(narg, value)
    local fits, what = kind(value)
    if not fits then
      check.fail(narg, ("%s expected, got %s"):format(what, got(value)))
    end
    return value
  end
end

-- Each checks argument `narg` and returns its value.
check.integer = argument(kinds.integer)
check.count = argument(kinds.count)
check.natural = argument(kinds.natural)
check.number = argument(kinds.number)
check.func = argument(kinds.func)
check.text = argument(kinds.text)

local function fail_unknown(narg, name, known)
  local names = traverse.keys(known)
  table.sort(names)
  local meant = type(name) == "string" and nearest(name, names)
  check.fail(narg, ("unknown option %s; known are %s"):format(
    type(name) == "string" and "'" .. name .. "'" or tostring(name),
    table.concat(names, ", ")), meant and ("did you mean '%s'?"):format(meant))
end

--- Checks a table of options against {name = kind}.
-- @treturn table a copy, since the user's table may change later
function check.options(narg, options, known)
  local kept = {}
  if options == nil then
    return kept
  elseif type(options) ~= "table" then
    check.fail(narg, "table of options expected, got " .. got(options))
  elseif getmetatable(options) ~= nil then
    check.fail(narg,
      "plain table of options expected, got one with a metatable")
  end
  for _, name in ipairs(traverse.keys(options)) do
    local kind, value = known[name], options[name]
    if not kind then
      fail_unknown(narg, name, known)
    end
    local fits, what = kind(value)
    if not fits then
      check.fail(narg, ("option '%s': %s expected, got %s"):format(
        name, what, got(value)))
    end
    kept[name] = value
  end
  return kept
end

return check
