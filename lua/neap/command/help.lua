-- SPDX-License-Identifier: MIT
--- `neap help`: prints the usage of the command line.
-- @module neap.command.help

local help = {
  usage = "neap help",
  summary = "print this",
}

local SCRIPTS = [[
Usage:
  neap SCRIPT.lua [ARG...]   run a script in LuaJIT, with neap on its paths
  neap - [ARG...]            run a script from standard input
  neap -e CODE [ARG...]      run a piece of code
  neap --version             print the versions of neap and LuaJIT
]]

function help.run(_, commands)
  io.write(SCRIPTS)
  for _, name in ipairs(commands) do
    local command = require("neap.command." .. name)
    io.write(("  %-25s  %s\n"):format(command.usage, command.summary))
  end
  return 0
end

return help
