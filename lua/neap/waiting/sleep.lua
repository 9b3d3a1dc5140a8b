-- SPDX-License-Identifier: MIT
--- Waits for a time, and lets the worker's other items go on meanwhile.
-- @module neap.waiting.sleep

local check = require("neap.base.check")
local clock = require("neap.base.clock")

--- Waits. Of prefetch{concurrency = n}, only the item that calls it waits.
-- @function sleep
-- @tparam number seconds
-- @usage neap.sleep(0.05)
local function sleep(seconds)
  if type(seconds) ~= "number" or not (seconds >= 0 and seconds < 1 / 0) then
    check.fail(1, "number, 0 or more, expected, got " .. check.got(seconds))
  end
  clock.sleep(seconds)
end

return sleep
