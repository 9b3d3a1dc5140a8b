-- SPDX-License-Identifier: MIT
--- What the statistics cost: the share of a worker's one look at the clock
-- and six additions a run, measured alone, in the worker's time for a run.
--
-- That is the time that goes by between two runs of a worker at the measured
-- rate: two workers have twice the time that goes by between two of the
-- consumer's. Without the statistics no more than this share could be won.

local measure = require("measure")
local neap = require("neap")

local CLOCKS, ADDITIONS = 1, 6
local WORKERS = 2

-- A worker's seconds for a run of numbers.
local function seconds_a_run(count, options)
  options.workers = WORKERS
  local p = neap.range(count):prefetch(options)
  local _ = p[1] -- starts the workers
  local since, sum = measure.now(), 0
  for _, x in p:each() do
    sum = sum + x
  end
  local seconds = measure.now() - since
  local runs = p:stats().runs
  p:close()
  return WORKERS * seconds / runs
end

-- `limit` is the share of the clock alone.
local function row(name, target, count, options)
  local seconds
  local function share(clocks, additions)
    return 100 / seconds * measure.limit("limit_counters %d %d %d", clocks,
      additions, measure.count(1e7))
  end
  return {
    name = "statistics, numbers, " .. name, unit = "%", target = target,
    limit_name = "the clock alone",
    run = function()
      seconds = seconds_a_run(measure.count(count), options)
      return share(CLOCKS, ADDITIONS)
    end,
    limit = function()
      return share(CLOCKS, 0)
    end,
  }
end

return {
  row("automatic chunks, buffered = 16", "2 %", 1e6, {}),
  row("automatic chunks, buffered = 8192", "2 %", 2e7, { buffered = 8192 }),
  row("chunk = 1, buffered = 256", nil, 1e6, { chunk = 1, buffered = 256 }),
}
