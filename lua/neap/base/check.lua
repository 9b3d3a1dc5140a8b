-- SPDX-License-Identifier: MIT
--- Checks of arguments at construction; errors name the caller's line.
-- @module neap.base.check

local class = require("neap.base.class")
local lib = require("neap.base.lib")
local suggest = require("neap.base.suggest")
local traverse = require("neap.base.traverse")

local check = {}

local ours = "^@" .. lib.lua_dir:gsub("%p", "%%%0") .. "/neap[/.]"

--- Whether a debug.getinfo record ("S") is of neap's own code.
function check.is_ours(info)
  return info.source:find(ours) ~= nil or info.source:find("^=neap") ~= nil
end

-- Functions that users call: function -> {name, is_method, is_swapped}.
local registered = {}

--- Registers a function that users call, by the name that they know.
-- @tparam string name
-- @tparam function f
-- @tparam[opt] table how is_method: its first argument is self, which is not
--   counted; is_swapped: a method that passes its first two arguments on in the
--   other order: s:map(f) is neap.map(f, s)
function check.register(name, f, how)
  registered[f] = {
    name = name, is_method = how and how.is_method or false,
    is_swapped = how and how.is_swapped or false,
  }
end

--- Finds where neap was called from.
-- @treturn table getinfo of the caller's frame, or nil
-- @treturn table what is registered of the function that it called, or nil. The
--   names in the stack are not used: it has none where pcall called, and that
--   of another function where a tail call did.
-- @return the first argument of that function
function check.caller()
  local level, called, first = 2, nil, nil
  while true do
    local info = debug.getinfo(level, "Slf")
    if not info or (info.what ~= "C" and not check.is_ours(info)) then
      return info, called, first
    end
    if registered[info.func] then
      called, first = registered[info.func], select(2, debug.getlocal(level, 1))
    end
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

--- Returns a message with the line that says what to do, if there is one.
-- @tparam string message what could not be done, to what, and why
-- @tparam[opt] string help what to type or to change
function check.with_help(message, help)
  return help and ("%s\nhelp: %s"):format(message, help) or message
end

--- Splits a message into what happened and what to do, which may be nil.
function check.split_help(message)
  local text, help = message:match("^(.-)\nhelp: (.*)$")
  return text or message, help
end

-- What to do where neap:map(f, s) was called for neap.map(f, s), or nil.
local function help_colon()
  local _, called, first = check.caller()
  return called and first ~= nil and rawequal(first, package.loaded.neap)
    and ("write neap.%s(...), with a dot"):format(called.name) or nil
end

--- Raises a message at the line that called neap.
function check.raise(message, help)
  error(check.located(check.with_help(message, help_colon() or help)), 0)
end

--- Checks a status of C in a function that users call: raises one below 0 as
-- text, where lib.check would raise a failure.
function check.status(status)
  if status < 0 then
    check.raise(lib.failure())
  end
end

-- How users count an argument of what they called, and its name.
local function counted(narg, called)
  if called.is_swapped and narg <= 2 then
    narg = 3 - narg
  end
  return called.is_method and narg - 1 or narg, called.name
end

local NAMELESS = { name = "?" }

--- Raises in Lua's own words: bad argument #2 to 'batch' (...).
function check.fail(narg, message, help)
  local _, called = check.caller()
  local number, name = counted(narg, called or NAMELESS)
  check.raise(number == 0
    and ("calling '%s' on bad self (%s)"):format(name, message)
    or ("bad argument #%d to '%s' (%s)"):format(number, name, message), help)
end

--- Raises that a method was called with a dot, and so without its self.
-- @param value that it got instead
-- @tparam string what its self is
-- @tparam string self what messages call it, as in "s:map(...)"
-- @tparam[opt=1] int narg
function check.fail_self(value, what, self, narg)
  local _, called = check.caller()
  check.fail(narg or 1, ("%s expected, got %s"):format(what, check.got(value)),
    ("write %s:%s(...), with a colon"):format(self, called.name))
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
-- what messages call the kind, and perhaps what to do. A kind that one function
-- needs is kept there.

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

local WRAP = "wrap a C function: function(x) return f(x) end"
local WRAP_NATIVE = "wrap a native stage: function(x) return f(x) end"

local NATIVE = { ["native.stage"] = true, ["native.operation"] = true }

--- Whether a value is a native stage or an operation: each is called like a
-- function.
function check.is_native(v)
  return type(v) == "table" and NATIVE[class.name_of(getmetatable(v))] or false
end

function kinds.func(v)
  return type(v) == "function", "function", type(v) == "cdata" and WRAP
    or check.is_native(v) and WRAP_NATIVE
end

--- A function that is called with an item alone.
function kinds.func_of_item(v)
  return type(v) == "function" or check.is_native(v), "function",
    type(v) == "cdata" and WRAP
end

function kinds.text(v)
  return type(v) == "string", "string"
end

local function argument(kind)
  return function(narg, value, help)
    local fits, what, advised = kind(value)
    if not fits then
      check.fail(narg, ("%s expected, got %s"):format(what, got(value)),
        help or advised)
    end
    return value
  end
end

-- Each checks argument `narg` and returns its value: f(narg, value, help).
check.integer = argument(kinds.integer)
check.count = argument(kinds.count)
check.natural = argument(kinds.natural)
check.number = argument(kinds.number)
check.func = argument(kinds.func)
check.func_of_item = argument(kinds.func_of_item)
check.text = argument(kinds.text)

local function fail_unknown(narg, name, known)
  local names = traverse.keys(known)
  table.sort(names)
  local is_text = type(name) == "string"
  check.fail(narg, ("unknown option %s; known are %s"):format(
    is_text and "'" .. name .. "'" or tostring(name),
    table.concat(names, ", ")), is_text and suggest(name, known) or nil)
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
    local fits, what, advised = kind(value)
    if not fits then
      check.fail(narg, ("option '%s': %s expected, got %s"):format(
        name, what, got(value)), advised or nil)
    end
    kept[name] = value
  end
  return kept
end

return check
