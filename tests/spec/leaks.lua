-- SPDX-License-Identifier: MIT
--- For `busted --helper`: a spec must leave no descriptor, child or map of
-- shared memory behind, whatever it tests.

local busted = require("busted")
local support = dofile("tests/spec/support.lua")

support.remember()

busted.subscribe({ "suite", "end" }, function()
  local leaks = support.leaks()
  if #leaks > 0 then
    io.stderr:write("left behind:\n  ", table.concat(leaks, "\n  "), "\n")
    os.exit(1)
  end
  return nil, true -- other subscribers go on
end)
