-- SPDX-License-Identifier: MIT
--- Single items at random, p[i]: nothing can be computed ahead, so this is
-- the way to a worker and back.

local measure = require("measure")
local neap = require("neap")

local LENGTH = 1e6
local NBYTES = 602112 -- 3 x 448 x 448
local WARM = 300 -- reads, until all slots are touched

local function number(i)
  return i
end

local function image(i)
  local t = neap.empty("u8", { 3, 448, 448 })
  t:fill(i % 256)
  return t
end

-- Microseconds a read.
local function latency(item, count)
  local p = neap.map(item, neap.range(LENGTH)):prefetch({ workers = 2 })
  local since
  for k = 1, WARM + count do
    local _ = p[math.random(LENGTH)]
    if k == WARM then
      since = measure.now()
    end
  end
  local seconds = measure.now() - since
  p:close()
  return seconds / count * 1e6
end

local function row(name, target, item, nbytes)
  return {
    name = "p[i] at random, " .. name, unit = "us", target = target,
    limit_name = "round trip by futex" .. (nbytes > 0 and ", filling" or ""),
    run = function()
      return latency(item, measure.count(3000))
    end,
    limit = function()
      return measure.limit("limit_trip %d 0 %d", nbytes, measure.count(3000))
        * 1e6
    end,
  }
end

return {
  row("numbers", "50 us", number, 0),
  row("u8 tensors of 602,112 bytes", "200 us", image, NBYTES),
}
