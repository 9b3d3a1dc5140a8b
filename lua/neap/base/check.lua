-- SPDX-License-Identifier: MIT
--- Checks of arguments at construction, which blame the caller's line.
-- @module neap.base.check

local lib = require("neap.base.lib")
local traverse = require("neap.base.traverse")

local check = {}

-- Functions whose first argument is a function, where a method's self is not
-- the first argument: neap.map(f, s) is s:map(f).
check.function_first = { map = true, random_map = true, starmap = true }

local ours = "^@" .. lib.lua_dir:gsub("%p", "%%%0") .. "/neap[/.]"

--- Whether a debug.getinfo record ("S") is of neap's own code.
function check.is_ours(info)
  return info.source:find(ours) ~= nil or info.source:find("^=neap") ~= nil
end

--- Finds where neap was called from.
-- @treturn table getinfo of the caller's frame, or nil
-- @treturn table getinfo of the neap function that it called
function check.caller()
  local level, called = 2, nil
  while true do
    local info = debug.getinfo(level, "Sln")
    if not info or (info.what ~= "C" and not check.is_ours(info)) then
      return info, called
    end
    called = info.what ~= "C" and info or called
    level = level + 1
  end
end

--- Where a stage is made, for messages: "train.lua:12", or "?".
function check.where()
  local info = check.caller()
  if not info or info.currentline < 0 then
    return "?"
  end
  return ("%s:%d"):format(info.short_src, info.currentline)
end

--- Returns a message, or a failure's, after the line that called neap, once.
function check.located(message)
  message = tostring(message)
  local where = check.where() .. ": "
  local is_whole = where == "?: " or message:sub(1, #where) == where
  return is_whole and message or where .. message
end

--- Raises a message at the line that called neap.
function check.raise(message)
  error(check.located(message), 0)
end

-- A function that a tail call or pcall calls has no name there; the module of
-- an adapter has its name.
local function name_of(called)
  if called and called.name then
    return called.name == "__concat" and ".." or called.name
  end
  local module = called and called.source:match("/([%w_]+)%.lua$")
  local neap = package.loaded.neap
  return module and neap and neap[module] and module or "?"
end

--- Raises in Lua's own words: bad argument #2 to 'batch' (...).
function check.fail(narg, message)
  local _, called = check.caller()
  local name = name_of(called)
  if called and called.namewhat == "method" then
    narg = check.function_first[name] and narg == 1 and narg or narg - 1
  end
  if narg == 0 then
    check.raise(("calling '%s' on bad self (%s)"):format(name, message))
  end
  check.raise(("bad argument #%d to '%s' (%s)"):format(narg, name, message))
end

local function got(value)
  if type(value) == "number" then
    return tostring(value)
  elseif type(value) == "string" then
    return ("%q"):format(value)
  end
  return value == nil and "no value" or type(value)
end

--- How an unfit value shows in a message.
check.got = got

function check.is_integer(value)
  return type(value) == "number" and value == math.floor(value)
    and math.abs(value) < 2 ^ 53
end

local function expect(narg, truth, what, value)
  if not truth then
    check.fail(narg, ("%s expected, got %s"):format(what, got(value)))
  end
  return value
end

function check.integer(narg, value)
  return expect(narg, check.is_integer(value), "whole number", value)
end

--- A whole number, 1 or more.
function check.count(narg, value)
  return expect(narg, check.is_integer(value) and value >= 1,
    "positive integer", value)
end

--- A whole number, 0 or more.
function check.natural(narg, value)
  return expect(narg, check.is_integer(value) and value >= 0,
    "whole number, 0 or more,", value)
end

function check.number(narg, value)
  return expect(narg, type(value) == "number" and value == value, "number",
    value)
end

function check.func(narg, value)
  return expect(narg, type(value) == "function", "function", value)
end

function check.text(narg, value)
  return expect(narg, type(value) == "string", "string", value)
end

local kinds = {
  count = function(v)
    return check.is_integer(v) and v >= 1, "positive integer"
  end,
  natural = function(v)
    return check.is_integer(v) and v >= 0, "whole number, 0 or more,"
  end,
  integer = function(v)
    return check.is_integer(v), "whole number"
  end,
  boolean = function(v)
    return type(v) == "boolean", "boolean"
  end,
  ["function"] = function(v)
    return type(v) == "function", "function"
  end,
  string = function(v)
    return type(v) == "string", "string"
  end,
  chunk = function(v)
    return v == "auto" or check.is_integer(v) and v >= 1,
      'positive integer or "auto"'
  end,
  even = function(v)
    return v == "keep" or v == "drop" or v == "pad", '"keep", "drop" or "pad"'
  end,
  duration = function(v)
    return type(v) == "number" and v >= 0 and v < math.huge,
      "number, 0 or more,"
  end,
  positive = function(v)
    return type(v) == "number" and v > 0, "number above 0"
  end,
  on_error = function(v)
    return v == "raise" or v == "skip", '"raise" or "skip"'
  end,
  any = function()
    return true
  end,
}

--- Checks an option table against {name = kind}, kinds as above.
-- @treturn table a copy, since the user's table may change later
function check.options(narg, options, known)
  local kept = {}
  if options == nil then
    return kept
  end
  expect(narg, type(options) == "table", "table of options", options)
  if getmetatable(options) ~= nil then
    check.fail(narg,
      "plain table of options expected, got one with a metatable")
  end
  for _, name in ipairs(traverse.keys(options)) do
    local kind, value = known[name], options[name]
    if not kind then
      local names = traverse.keys(known)
      table.sort(names)
      check.fail(narg, ("unknown option %s; known are %s"):format(
        type(name) == "string" and "'" .. name .. "'" or tostring(name),
        table.concat(names, ", ")))
    end
    local fits, what = kinds[kind](value)
    if not fits then
      check.fail(narg, ("option '%s': %s expected, got %s"):format(
        name, what, got(value)))
    end
    kept[name] = value
  end
  return kept
end

return check
