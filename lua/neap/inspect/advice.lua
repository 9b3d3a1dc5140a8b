-- SPDX-License-Identifier: MIT
--- Recommends a number of workers, from what was measured with some.
-- @module neap.inspect.advice

local lib = require("neap.base.lib")
local units = require("neap.base.units")

local NEAR = 0.9 -- of the best rate is as good
local SCALES = 0.7 -- of the rate of one worker, for each: more may help
local CHEAP = 1e-4 -- seconds of an item that handing over makes dearer
local LARGE = 0.5 -- part of the time: worth a line
local OUTSIDE = "(indexes, writing items)"

local function best_of(rows)
  local best = rows[1]
  for _, row in ipairs(rows) do
    if row.rate > best.rate then
      best = row
    end
  end
  return best
end

-- The fewest workers that are nearly as good as the best.
local function chosen_of(rows, best)
  for _, row in ipairs(rows) do
    if row.rate >= NEAR * best.rate then
      return row
    end
  end
end

local function why_place(rows)
  local seconds = 1 / rows[1].rate
  return ("an item takes %s to compute, and %s to get from a worker\nhelp: %s")
    :format(units.seconds(seconds), units.seconds(1 / rows[2].rate),
    seconds < CHEAP and "batch items, so that fewer and larger ones come"
    or "other programs may use the cores: measure again when they do not")
end

local function why_workers(rows, chosen)
  local last, cores = rows[#rows], lib.C.neap_cores()
  if chosen ~= last then
    return ("more workers add less than %s"):format(units.share(1 / NEAR - 1))
  elseif chosen.efficiency < SCALES then
    return ("each of them does %s of what one does alone"):format(
      units.share(chosen.efficiency))
  elseif chosen.workers < cores then
    return ("it still grows with the workers\nhelp: try more: --workers %d")
      :format(cores)
  elseif chosen.workers > cores then
    return ("it grows beyond the %d cores: items wait, or other programs use "
      .. "the cores\nhelp: try more: --workers %d"):format(cores,
      2 * chosen.workers)
  end
  return ("it grows up to the %d cores; more workers help only items that "
    .. "wait, for a disk or a network"):format(cores)
end

local function dearest(stages)
  local found
  for _, stage in ipairs(stages) do
    if stage.name ~= OUTSIDE and (not found or stage.share > found.share) then
      found = stage
    end
  end
  return found
end

-- What else to try: lines of help.
local function helps_of(chosen)
  local report, lines = chosen.report, {}
  local stage = dearest(report.stages)
  if stage and stage.share >= LARGE then
    lines[1] = ("\nhelp: %s takes %s of the computing: make it cheaper"):format(
      stage.name, units.share(stage.share))
  end
  if report.limit == "handing" then
    lines[#lines + 1] = report.advice:match("\nhelp: .*$")
  end
  return table.concat(lines)
end

--- Chooses one of the rows of measure.run(), by growing number of workers, the
-- first with 0; those with workers have `efficiency`.
-- @treturn table the row
-- @treturn string why, as a sentence, perhaps with lines of help
local function advise(rows)
  local chosen = chosen_of(rows, best_of(rows))
  local why = chosen.workers == 0 and why_place(rows)
    or why_workers(rows, chosen)
  return chosen, why .. helps_of(chosen)
end

return advise
