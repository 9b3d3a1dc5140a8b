-- SPDX-License-Identifier: MIT
--- `neap help`: prints the usage of the command line, or of a command.
-- @module neap.command.help

local help = {
  usage = "neap help [COMMAND]",
  summary = "print this, or what a command does",
}

local SCRIPTS = [[
Usage:
  neap SCRIPT.lua [ARG...]       run a script in LuaJIT, with neap on its paths
  neap - [ARG...]                run a script from standard input
  neap -e CODE [ARG...]          run a piece of code
]]

local function load_command(name)
  return require("neap.command." .. name)
end

local function text_of_all(commands)
  local lines = { SCRIPTS }
  for _, name in ipairs(commands) do
    local command = load_command(name)
    lines[#lines + 1] = ("  %-29s  %s\n"):format(
      command.usage:gsub(" %[%-%-.*", ""), command.summary)
  end
  return table.concat(lines)
end

local function explain(command, send)
  if command.options then
    return command.run({ command.name, "--help" })
  end
  return send(("Usage: %s\n\n%s\n"):format(command.usage, command.summary))
end

function help.run(words, commands)
  local send, wanted = require("neap.console.output").send, words[2]
  if not wanted then
    return send(text_of_all(commands))
  end
  for _, name in ipairs(commands) do
    if name == wanted then
      return explain(load_command(name), send)
    end
  end
  local known = {}
  for _, name in ipairs(commands) do
    known[name] = true
  end
  io.stderr:write(("neap: cannot help with %s: there is no such command\n"
    .. "help: %s\n"):format(wanted, require("neap.base.suggest")(wanted, known)
    or "see `neap help`"))
  return 2
end

return help
