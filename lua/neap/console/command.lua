-- SPDX-License-Identifier: MIT
--- What commands that take options have in common: their words, where their
-- data go, and how they end.
--
-- `neap help` and the completion load each command, so this module loads none
-- of neap's until the command runs.
-- @module neap.console.command

local DONE, FAILED, MISUSED = 0, 1, 2
local INTERRUPTED = 130 -- as a process that SIGINT ended

local function usage_of(command)
  local parts = { "neap " .. command.name }
  if command.takes_file then
    parts[2] = "FILE [name=value...]"
  end
  for _, option in ipairs(command.options) do
    parts[#parts + 1] = ("[%s%s]"):format(option.flag,
      option.value and " " .. option.value or "")
  end
  return table.concat(parts, " ")
end

local function asks_for_help(list)
  for _, word in ipairs(list) do
    if word == "--help" or word == "-h" then
      return true
    end
  end
end

local function complain(e)
  local lib, text = require("neap.base.lib"), tostring(e)
  if text:find("^[^\n]*: interrupted!") then
    io.stderr:write("neap: interrupted\n")
    return INTERRUPTED
  end
  io.stderr:write("neap: ", text, "\n")
  local status = lib.status_of(e)
  return (status == lib.C.NEAP_EINVAL or status == lib.C.NEAP_EBUILD)
    and MISUSED or FAILED
end

-- Other texts are not expected: they come with the stack.
local function explain(e)
  if type(e) == "string" and not e:find("^cannot ") then
    return debug.traceback(e, 2)
  end
  return e
end

local function perform(command, list)
  if asks_for_help(list) then
    local help = require("neap.console.words").help(command)
    require("neap.console.output").write(help)
    return DONE
  end
  local options = require("neap.console.words").read(command, list)
  return command.perform(options) or DONE
end

local function run(command, list)
  local output = require("neap.console.output")
  output.open()
  local ok, x = xpcall(perform, explain, command, list)
  if ok then
    return x
  elseif x == output.CLOSED then
    return DONE
  end
  return complain(x)
end

--- Makes a command of a table of
--   name, summary   for `neap help`
--   description     for `neap help NAME`; the summary if there is none
--   takes_file      whether a loader file and its parameters are arguments
--   options         {flag =, value = what it is called (nil: a flag), reads =
--                   a name of neap.console.words.readers, help =}
--   perform(options)  does the work; may return an exit status
-- @treturn table it, with `usage` and `run(words)`
local function make(command)
  command.usage = usage_of(command)
  function command.run(words)
    local list = {}
    for k = 2, #words do
      list[k - 1] = words[k]
    end
    return run(command, list)
  end
  return command
end

return make
