-- SPDX-License-Identifier: MIT
--- Items that take milliseconds: what neap adds should not be seen.

local clock = require("neap.base.clock")
local measure = require("measure")
local neap = require("neap")

local WARM = 16 -- items, until all workers compute

-- -- Items that compute ------------------------------------------------------

-- Makes the function: as many numbers as told, some 8 ns each.
local COMPUTING = [[
  local loops = %d
  return function(i)
    local x = i
    for _ = 1, loops do
      x = x * 16807 %% 2147483647
    end
    return x
  end
]]

local function computing(loops)
  return loadstring(COMPUTING:format(loops))()
end

-- Items a second, of `count` after WARM.
local function rate(s, count)
  local since
  for i in s:each() do
    if i == WARM then
      since = measure.now()
    elseif i == WARM + count then
      return count / (measure.now() - since)
    end
  end
end

local loops -- that take 1 ms

local function calibrate()
  local s = neap.map(computing(1e5), neap.range(1e6))
  loops = loops or math.floor(1e5 * rate(s, 100) / 1000)
end

-- In this process.
local function twice_serial(s, count)
  return 2 * rate(s, count)
end

local ALONE = [[
  local clock = require("neap.base.clock")
  local f = (function() %s end)()
  f(1)
  local since = clock()
  for i = 1, %d do
    f(i)
  end
  print(%d / (clock() - since))
]]

-- What the machine gives to two at once that have nothing to do with each
-- other.
local function two_at_once(_, count)
  local code = ALONE:format(COMPUTING:format(loops), count / 2, count / 2)
  local text = measure.output("for k in 1 2; do %s -e '%s' & done; wait",
    measure.neap, code)
  local a, b = text:match("(%S+)\n(%S+)")
  return a + b
end

local function computed(beside, limit_name, limit)
  local s
  local function count()
    return measure.count(2000)
  end
  return {
    name = "items of 1 ms, 2 workers, beside " .. beside, unit = "1/s",
    target = "ratio 0.97", limit_name = limit_name,
    begin = function()
      calibrate()
      s = neap.map(computing(loops), neap.range(1e6))
    end,
    run = function()
      local p = s:prefetch({ workers = 2 })
      local items = rate(p, count())
      p:close()
      return items
    end,
    limit = function()
      return limit(s, count())
    end,
  }
end

-- -- Items that sleep --------------------------------------------------------

local SLEEPERS = 4

-- The seconds that item i sleeps, of `count`; the same each time.
local function naps(count)
  return neap.range(count):random_map(function(_, rng)
    return 0.005 * (1 + rng:uniform())
  end, { seed = 1 })
end

-- Each nap's seconds by the clock: a sleeper wakes late.
local function napping(seconds)
  local since = clock()
  clock.sleep(seconds)
  return clock() - since
end

-- Sleeps all naps with workers that have started. Answers the seconds that
-- it took, and those that the naps took.
local function sleep_through(count)
  local p = naps(count):map(napping)
    :prefetch({ workers = SLEEPERS, buffered = 16 })
  local _ = p[1]
  measure.sleep(0.05)
  local since, slept = measure.now(), 0
  for _, seconds in p:each() do
    slept = slept + seconds
  end
  local seconds = measure.now() - since
  p:close()
  return seconds, slept
end

-- `limit` answers the best possible of the naps slept just before.
local function asleep(beside, limit_name, limit)
  local slept
  return {
    name = "naps of 5 to 10 ms, 4 workers, beside " .. beside, unit = "s",
    target = "ratio 1.01", limit_name = limit_name,
    run = function()
      local seconds
      seconds, slept = sleep_through(measure.count(1000))
      return seconds
    end,
    limit = function()
      return limit(slept)
    end,
  }
end

local function sleep_by_hand()
  local list = {}
  for i, seconds in naps(measure.count(1000)):each() do
    list[i] = ("%.0f"):format(seconds * 1e6)
  end
  return measure.limit("limit_sleep %d %s", SLEEPERS, table.concat(list, " "))
end

-- -- The way to the consumer -------------------------------------------------

-- An item is the moment when its function ended.
local function late(seconds)
  clock.sleep(seconds)
  return clock()
end

local function arrival()
  return {
    name = "arrival of an item of 20 ms", unit = "us", target = "200 us",
    limit_name = "half a round trip by futex",
    run = function()
      local p = neap.rep(0.02, measure.count(100)):map(late)
        :prefetch({ workers = 1 })
      local sum, count = 0, 0
      for _, ended in p:each() do
        sum, count = sum + measure.now() - ended, count + 1
      end
      p:close()
      return sum / count * 1e6
    end,
    limit = function()
      return measure.limit("limit_trip 0 20000 %d", measure.count(100))
        / 2 * 1e6
    end,
  }
end

return {
  computed("one", "twice as many as one process", twice_serial),
  computed("two", "two processes that share nothing", two_at_once),
  asleep("their sum", "a quarter of it, by the clock", function(slept)
    return slept / SLEEPERS
  end),
  asleep("processes", "4 processes that sleep as much", sleep_by_hand),
  arrival(),
}
