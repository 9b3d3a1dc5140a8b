-- SPDX-License-Identifier: MIT
--- Starts ../server.lua for the examples that need a web server.

local neap = require("neap")

local folder = debug.getinfo(1, "S").source:match("^@(.*)web/start%.lua$")

local function first_line(path)
  local file = io.open(path)
  local line = file:read("*l")
  file:close()
  return line
end

--- Starts a server that replies after a delay.
-- @treturn string its URL
-- @treturn function ends it
local function start(delay_ms)
  local path = os.tmpname()
  local server = io.popen(("exec /proc/$PPID/exe '%sserver.lua' --delay %d >%s")
    :format(folder, delay_ms, path), "w")
  while not first_line(path) do
    neap.sleep(0.01)
  end
  local url = first_line(path):match("^http://%S+")
  os.remove(path)
  return url, function()
    server:close()
  end
end

return start
