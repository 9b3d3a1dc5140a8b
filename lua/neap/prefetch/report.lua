-- SPDX-License-Identifier: MIT
--- The table that p:report() returns: where the time goes, what limits the
-- loader, and what to try.
-- @module neap.prefetch.report

local check = require("neap.base.check")
local lib = require("neap.base.lib")
local units = require("neap.base.units")

local C = lib.C
local seconds_text, share_text = units.seconds, units.share

local SECONDS_MIN = 0.05 -- of a loop that tells something
local WAIT_MIN = 0.1 -- of the time: the script waits for items
local BUSY_MIN = 0.8 -- of the time: the workers wait for nothing
local CHEAP = 2e-5 -- seconds of an item: handing it over takes as long
local OUTSIDE = "(indexes, writing items)"

-- -- What limits -------------------------------------------------------------

local function dearest(stages)
  local found = false
  for _, stage in ipairs(stages) do
    if stage.name ~= OUTSIDE and stage.share > (found and found.share or 0) then
      found = stage
    end
  end
  return found
end

-- What to make cheaper, as part of a sentence; nil if no stage stands out.
local function cheaper(report)
  local stage = dearest(report.stages)
  return stage and ("make %s cheaper (%s of the computing)"):format(stage.name,
    share_text(stage.share))
end

local verdicts = {}

function verdicts.unknown()
  return "Too little was read to tell what limits."
end

function verdicts.place(report)
  local what = cheaper(report)
  return "The script computes all items itself (workers = 0).\nhelp: "
    .. "let workers compute them ahead" .. (what and ", and " .. what or "")
end

function verdicts.workers(report)
  local cores, what = C.neap_cores(), cheaper(report)
  local help = report.workers < cores
    and ("use more workers (%d of %d cores work)%s"):format(report.workers,
      cores, what and ", or " .. what or "")
    or ("%sitems that wait, for a network or a slow disk, gain by concurrency "
      .. "= n; others not by more workers than the %d cores"):format(
      what and what .. "; " or "", cores)
  return ("The workers limit: they computed for %s of the time, and the script "
    .. "waited for %s.\nhelp: %s"):format(share_text(report.busy_share),
    share_text(report.wait_share), help)
end

function verdicts.script(report)
  local enough = math.max(1,
    math.ceil(report.workers * report.busy_share / BUSY_MIN))
  return ("The script limits: items were ready when it asked for them; it "
    .. "waited for %s of the time.%s"):format(share_text(report.wait_share),
    enough < report.workers and ("\nhelp: nothing to do in the loader; %d of "
      .. "the %d workers would do"):format(enough, report.workers) or "")
end

function verdicts.handing(report)
  local each = report.busy / report.items
  local help = each < CHEAP and ("an item takes only %s: batch items, or raise "
    .. "buffered, so that more of them come at once"):format(seconds_text(each))
    or "if items take unevenly long, raise buffered or set order = false; if "
    .. "they are read by index in no order, each is waited for"
  return ("Neither limits alone: the script waited for %s of the time, though "
    .. "workers computed for only %s.\nhelp: %s"):format(
    share_text(report.wait_share), share_text(report.busy_share), help)
end

local function limit_of(report)
  if report.items > 0 and report.workers == 0 then
    return "place"
  elseif report.items == 0 or report.seconds < SECONDS_MIN then
    return "unknown"
  elseif report.wait_share < WAIT_MIN then
    return "script"
  end
  return report.busy_share >= BUSY_MIN and "workers" or "handing"
end

-- -- Making ------------------------------------------------------------------

-- What tells a function from others: its line, or of a native stage its name.
local function text_of(f)
  if check.is_native(f) then
    return tostring(f)
  end
  local info = type(f) == "function" and debug.getinfo(f, "S")
  return info and info.what ~= "C"
    and ("%s:%d"):format(info.short_src, info.linedefined) or nil
end

-- Stages on one line of the script have one name: then their functions tell
-- them apart.
local function names_of(nodes)
  local counts, names = {}, {}
  for k, node in ipairs(nodes) do
    names[k] = node:stage_name()
    counts[names[k]] = (counts[names[k]] or 0) + 1
  end
  for k, node in ipairs(nodes) do
    local text = counts[names[k]] > 1 and text_of(node.f)
    names[k] = text and names[k] .. ", " .. text or names[k]
  end
  return names
end

-- What was timed of each stage, scaled to all items and their time.
local function stages_of(read, nodes, stats)
  local timed, list, sum, names = read(0), {}, 0, names_of(nodes)
  for k = 0, #nodes do
    local calls, seconds = read(k)
    if k == 0 or nodes[k].is_timed then
      sum = sum + seconds
      list[#list + 1] = {
        name = k == 0 and OUTSIDE or names[k],
        calls = calls, seconds = seconds,
      }
    end
  end
  table.insert(list, (table.remove(list, 1)))
  for _, stage in ipairs(list) do
    stage.share = sum > 0 and stage.seconds / sum or 0
    stage.seconds = stage.share * stats.busy
    stage.calls = timed > 0
      and math.floor(stage.calls / timed * stats.items + 0.5) or 0
  end
  return list, timed
end

local Report = {}

local function width_of(stages)
  local width = #"stage"
  for _, stage in ipairs(stages) do
    width = math.max(width, #stage.name)
  end
  return width
end

function Report.__tostring(t)
  local head = ("%%-%ds%%12s%%12s%%8s"):format(width_of(t.stages))
  local lines = {
    ("%.0f items in %s"):format(t.items, seconds_text(t.seconds)),
    ("script:  waited %s for the first item, then %s of the time"):format(
      seconds_text(t.start), share_text(t.wait_share)),
    ("workers: computed %s (%s), waited %s, %d together"):format(
      seconds_text(t.busy), share_text(t.busy_share), seconds_text(t.idle),
      t.workers),
    head:format("stage", "calls", "seconds", "share"),
  }
  if t.workers == 0 then
    table.remove(lines, 3)
  end
  for _, stage in ipairs(t.stages) do
    lines[#lines + 1] = head:format(stage.name, ("%.0f"):format(stage.calls),
      seconds_text(stage.seconds), share_text(stage.share))
  end
  lines[#lines + 1] = ("(estimated from %.0f timed items)"):format(t.timed)
  lines[#lines + 1] = t.advice
  return table.concat(lines, "\n")
end

-- Once the first item has come: starting workers takes long in a short loop.
local function wait_share_of(stats)
  local seconds = stats.seconds - stats.start
  local wait = math.max(0, stats.wait - stats.start)
  return seconds > 0 and math.min(1, wait / seconds) or 0
end

--- Makes a report.
-- @tparam table stats of neap.prefetch.statistics
-- @tparam table nodes the stages
-- @tparam function read read(k) returns calls and seconds of stage k
local function report(stats, nodes, read)
  local stages, timed = stages_of(read, nodes, stats)
  local both = stats.busy + stats.idle
  local made = {
    items = stats.items, seconds = stats.seconds, workers = #stats.workers,
    busy = stats.busy, idle = stats.idle, wait = stats.wait,
    busy_share = both > 0 and stats.busy / both or 0,
    start = stats.start, wait_share = wait_share_of(stats),
    timed = timed, stages = stages,
  }
  made.limit = limit_of(made)
  made.advice = verdicts[made.limit](made)
  return setmetatable(made, Report)
end

return report
