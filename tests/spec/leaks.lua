-- SPDX-License-Identifier: MIT
--- For `busted --helper`: a spec must leave no descriptor, child or map of
-- shared memory behind, whatever it tests. In a plain LuaJIT busted's own
-- traversals may crash (neap.luajit): they are guarded as a script's are.

local busted = require("busted")
local support = dofile("tests/spec/support.lua")

require("neap.base.luajit").guard()

support.remember()

busted.subscribe({ "suite", "end" }, function()
  local leaks = support.leaks()
  if #leaks > 0 then
    io.stderr:write("left behind:\n  ", table.concat(leaks, "\n  "), "\n")
    os.exit(1)
  end
  return nil, true -- other subscribers go on
end)
