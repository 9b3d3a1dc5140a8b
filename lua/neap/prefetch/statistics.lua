-- SPDX-License-Identifier: MIT
--- The table that p:stats() returns.
-- @module neap.prefetch.statistics

local ffi = require("ffi")
local lib = require("neap.base.lib")
local units = require("neap.base.units")

local C = lib.C

local statistics = {}

-- -- Text --------------------------------------------------------------------

local seconds_text, bytes_text = units.seconds, units.bytes

local HEAD = "%-8s%10s%12s%12s%12s  %s"

local function worker_line(name, t)
  return HEAD:format(name, ("%.0f"):format(t.items), seconds_text(t.busy),
    seconds_text(t.idle), bytes_text(t.bytes), t.pid or "")
end

local Stats = {}

function Stats.__tostring(t)
  local lines = {
    ("%.0f items in %s: %.4g items/s%s"):format(t.items,
      seconds_text(t.seconds), t.rate, t.workers[1]
      and (", %s/s"):format(bytes_text(t.bytes_rate)) or ""),
    ("the script waited %s (%s), %s of it for the first item"):format(
      seconds_text(t.wait),
      units.share(t.seconds > 0 and t.wait / t.seconds or 0),
      seconds_text(t.start)),
  }
  if t.workers[1] then
    lines[#lines + 1] = HEAD:format("worker", "items", "busy", "idle", "bytes",
      "pid")
    for k, worker in ipairs(t.workers) do
      lines[#lines + 1] = worker_line(k, worker)
    end
    lines[#lines + 1] = worker_line("all", t)
    lines[#lines + 1] = ("%.0f runs, %.0f restarts, %.0f retries; %.0f of %.0f "
      .. "slots held"):format(t.runs, t.restarts, t.retries, t.held, t.slots)
  else
    lines[#lines + 1] = "no workers: items are computed in the script"
  end
  return table.concat(lines, "\n")
end

local NotBegun = {}

function NotBegun.__tostring()
  return "nothing was read yet: the workers have not started"
end

-- -- Reading -----------------------------------------------------------------

local function table_of(stats)
  return {
    items = tonumber(stats.items), runs = tonumber(stats.runs),
    bytes = tonumber(stats.bytes), busy = tonumber(stats.busy_ns) / 1e9,
    idle = tonumber(stats.idle_ns) / 1e9,
  }
end

local function finish(t, seconds, wait, start, workers)
  t.seconds, t.wait, t.start, t.workers = seconds, wait, start, workers
  t.rate = seconds > 0 and t.items / seconds or 0
  t.bytes_rate = seconds > 0 and t.bytes / seconds or 0
  return setmetatable(t, Stats)
end

--- The statistics of workers.
-- @tparam cdata pool neap_pool
function statistics.of_pool(pool)
  local stats = ffi.new("neap_stats")
  C.neap_pool_read_stats(pool, stats)
  local all, workers = table_of(stats), {}
  local seconds = tonumber(stats.consumer_ns) / 1e9
  local wait = tonumber(stats.consumer_wait_ns) / 1e9
  local start = tonumber(stats.first_ns) / 1e9
  all.restarts, all.retries = tonumber(stats.restarts), tonumber(stats.retries)
  all.held, all.slots = stats.held, stats.slots
  all.slot_bytes = tonumber(stats.slot_bytes)
  for w = 1, stats.workers do
    local pid = C.neap_pool_read_worker(pool, w - 1, stats)
    workers[w] = table_of(stats)
    workers[w].pid = pid
  end
  return finish(all, seconds, wait, start, workers)
end

--- The statistics of items that are computed in the script.
function statistics.of_place(count, seconds, wait)
  return finish({
    items = count, runs = count, bytes = 0, busy = seconds, idle = 0,
    restarts = 0, retries = 0, held = 0, slots = 0, slot_bytes = 0,
  }, seconds, wait, 0, {})
end

--- The statistics of workers that have not started.
function statistics.of_none()
  return setmetatable(statistics.of_place(0, 0, 0), NotBegun)
end

return statistics
