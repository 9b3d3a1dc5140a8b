-- SPDX-License-Identifier: MIT
--- `neap version`: prints the versions of neap and LuaJIT.
-- @module neap.command.version

local luajit = require("neap.base.luajit")

local version = {
  usage = "neap version [--json]",
  summary = "print the versions of neap and LuaJIT",
  is_bare = true, -- it runs before the guard against bug 829, to look for it
}

local SUSPECT = [[
neap: this LuaJIT compiles pairs() and next() wrongly now and then: bug 829
help: `neap` keeps it from that; what runs in plain luajit may crash: see
  docs/guide/troubleshooting.md
]]

function version.run(words)
  local format = "neap %s\n%s\n"
  if words[2] == "--json" and not words[3] then
    format = '{"neap":"%s","luajit":"%s"}\n'
  elseif words[2] then
    io.stderr:write(("neap: cannot run neap version: unknown word %s\n")
      :format(words[2] == "--json" and words[3] or words[2]))
    return 2
  end
  local status = require("neap.console.output").send(format:format(
    require("neap.base.version"), jit.version))
  if luajit.is_suspect and luajit.compiles_traversals() then
    io.stderr:write(SUSPECT)
  end
  return status
end

return version
