-- SPDX-License-Identifier: MIT
--- Numbers through two workers: what neap itself costs, an item.

local measure = require("measure")
local neap = require("neap")

local WARM = 1e5 -- items, until slots are touched and loops compiled
local SOME = 1024 -- the most items of a run

-- Millions of items a second.
local function rate(count, options)
  options.workers = 2
  local p = neap.range(WARM + count):prefetch(options)
  local step, state, at = p:each()
  local sum = 0
  for i, x in step, state, at do
    sum = sum + x
    if i == WARM then
      break
    end
  end
  local since = measure.now()
  for _, x in step, state, WARM do
    sum = sum + x
  end
  local seconds = measure.now() - since
  p:close()
  assert(sum == (WARM + count) * (WARM + count + 1) / 2)
  return count / seconds / 1e6
end

local function row(name, target, count, entries, chunk, options)
  return {
    name = "numbers, " .. name, unit = "M/s", target = target,
    limit_name = ("bare C ring, %d by %d"):format(entries, chunk),
    run = function()
      return rate(measure.count(count), options)
    end,
    limit = function()
      return measure.limit("limit_ring 2 %d %d %d", entries, chunk,
        measure.count(count)) / 1e6
    end,
  }
end

return {
  row("automatic chunks, buffered = 8192", "25 M/s", 2e7, 8192 / SOME, SOME,
    { buffered = 8192 }),
  row("chunk = 1, buffered = 16", "0.7 M/s", 5e5, 16, 1, { chunk = 1 }),
  row("chunk = 1, buffered = 256", "0.7 M/s", 1e6, 256, 1,
    { chunk = 1, buffered = 256 }),
}
