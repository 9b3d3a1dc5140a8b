-- SPDX-License-Identifier: MIT
--- Reads the words of a command line by argparse.
-- @module neap.console.words

local check = require("neap.base.check")
local lib = require("neap.base.lib")

local words = {}

local MISSING = [[cannot read the command line: there is no Lua module argparse
help: install it: apt-get install lua-argparse, or luarocks install argparse]]

local function load_argparse()
  local ok, argparse = pcall(require, "argparse")
  if not ok then
    error(MISSING, 0)
  end
  return argparse
end

-- -- Values ------------------------------------------------------------------

-- Each returns the value of a text, or nil and what is wrong.
local readers = {}
words.readers = readers

--- A count, from 1.
function readers.count(text)
  local n = tonumber(text)
  if n and check.is_integer(n) and n >= 1 then
    return n
  end
  return nil, ("whole number, 1 or more, expected, got '%s'"):format(text)
end

--- A whole number.
function readers.integer(text)
  local n = tonumber(text)
  if n and check.is_integer(n) then
    return n
  end
  return nil, ("whole number expected, got '%s'"):format(text)
end

--- Seconds, more than 0.
function readers.seconds(text)
  local n = tonumber(text)
  if n and n > 0 and n < 1e9 then
    return n
  end
  return nil, ("seconds expected, got '%s'"):format(text)
end

--- A text, as it is.
function readers.text(text)
  return text
end

local function name_of(flag)
  return (flag:match("^%-%-(.*)$"):gsub("-", "_"))
end

-- Names the option in what a reader says; argparse does not.
local function converter(option)
  local read = readers[option.reads]
  return read and function(text)
    local value, why = read(text)
    if why then
      return nil, ("%s: %s"):format(option.flag, why)
    end
    return value
  end
end

local function assignment(text)
  local name, value = text:match("^([^=]+)=(.*)$")
  if not name then
    return nil, ("name=value expected, got '%s'"):format(text)
  end
  return { name = name, text = value }
end

-- -- Reading -----------------------------------------------------------------

local function parser_of(command)
  local parser = load_argparse()("neap " .. command.name,
    command.description or command.summary)
  parser:add_help(false)
  if command.takes_file then
    parser:argument("file", "a loader file"):argname("FILE")
    parser:argument("parameters", "values of the loader's parameters")
      :args("*"):argname("name=value"):convert(assignment)
  end
  for _, option in ipairs(command.options) do
    local name = name_of(option.flag)
    if option.value then
      parser:option(option.flag, option.help):argname(option.value)
        :convert(converter(option)):target(name)
    else
      parser:flag(option.flag, option.help):target(name)
    end
  end
  return parser
end

--- Returns what `neap help NAME` prints.
function words.help(command)
  return parser_of(command):get_help() .. "\n"
end

local function help_for(command, message)
  if message:find("\nhelp: ", 1, true) then
    return ""
  elseif command.takes_file and message:find("^unknown option") then
    return "\nhelp: a parameter of the loader is written without dashes: "
      .. "batch=64"
  end
  return ("\nhelp: see `neap help %s`"):format(command.name)
end

--- Reads the words after a command's name. Raises NEAP_EINVAL if it cannot.
-- @treturn table option -> value; `file`; `parameters`, a list of {name =,
--   text =}
function words.read(command, list)
  local ok, x = parser_of(command):pparse(list)
  if ok then
    return x
  end
  x = x:gsub("\nDid you mean (.*)%?$", "\nhelp: did you mean %1?")
  error(lib.failure(lib.C.NEAP_EINVAL, ("cannot run neap %s: %s%s"):format(
    command.name, x, help_for(command, x))), 0)
end

return words
