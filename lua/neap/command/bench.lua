-- SPDX-License-Identifier: MIT
--- `neap bench FILE`: measures a loader with 0, 1, 2, 4 ... workers, and
-- recommends how many to use.
-- @module neap.command.bench

local command = require("neap.console.command")

local SECONDS = 2 -- for each number of workers

local OPTIONS = {
  { flag = "--workers", value = "N", reads = "count",
    help = "most workers; default: one for each core" },
  { flag = "--seconds", value = "S", reads = "seconds",
    help = ("for each number of workers; default: %d"):format(SECONDS) },
  { flag = "--json", help = "print JSON" },
}

-- -- Measuring ---------------------------------------------------------------

-- 0, 1, 2, 4 ... and the most.
local function counts_of(most)
  local counts, n = { 0 }, 1
  while n < most do
    counts[#counts + 1], n = n, 2 * n
  end
  counts[#counts + 1] = most
  return counts
end

local function most_workers(loader, words)
  local cores = require("neap.base.lib").C.neap_cores()
  return words.workers
    or math.max(cores, loader.options[loader:crew()] or 1)
end

local function measure_one(loader, workers, seconds)
  local measure = require("neap.inspect.measure")
  local is_once = loader.node:count_stages("from_iter") > 0
  local p = loader:prefetch({
    [workers > 0 and loader:crew() or "workers"] = workers,
  })
  local row = loader:within(measure.run, p, seconds, is_once)
  if workers == 0 and not is_once then
    row.item_bytes = loader:within(measure.bytes_of, p)
  end
  p:close()
  row.bytes_rate = row.item_bytes * row.rate
  return row
end

-- -- As text -----------------------------------------------------------------

local ROW = "%8s  %10s  %12s  %10s  %8s  %8s"

local function print_row(row)
  local units = require("neap.base.units")
  local has_workers = row.workers > 0
  require("neap.console.output").line(ROW, row.workers, units.rate(row.rate),
    row.item_bytes > 0 and units.bytes(row.bytes_rate) .. "/s" or "-",
    has_workers and units.share(row.efficiency) or "-",
    has_workers and units.share(row.busy_share) or "-",
    has_workers and units.share(row.wait_share) or "-")
end

local function print_head(loader)
  local output = require("neap.console.output")
  output.line("%s", output.paint("bold", ROW:format(loader:crew(), "items",
    "bytes", "efficiency", "busy", "waited")))
end

-- Where the time of an item goes: {{what, seconds}, ...}.
local function spent(row)
  local list, items = {}, math.max(row.report.items, 1)
  for _, stage in ipairs(row.report.stages) do
    list[#list + 1] = { what = stage.name, seconds = stage.seconds / items }
  end
  if row.workers > 0 then
    list[#list + 1] = { what = "a worker waits", seconds = row.item_idle }
    list[#list + 1] = { what = "the script waits", seconds = row.item_wait }
    list[#list + 1] = { what = "the script works", seconds = row.item_script }
  end
  return list
end

local function print_spent(row)
  local output, units = require("neap.console.output"),
    require("neap.base.units")
  local rows = {}
  for k, one in ipairs(spent(row)) do
    rows[k] = { one.what, units.seconds(one.seconds) }
  end
  output.line("%s", output.paint("bold", ("time of an item with %s"):format(
    units.plural(row.workers, "worker"))))
  output.line("%s", require("neap.console.columns")(rows, { [2] = true }))
end

local function print_advice(loader, row, why)
  local output = require("neap.console.output")
  output.line("%s: %s", output.paint("good", ("use %s = %d"):format(
    row.workers > 0 and loader:crew() or "workers", row.workers)), why)
end

-- -- As JSON -----------------------------------------------------------------

local function plain(row)
  local has_workers = row.workers > 0
  return {
    workers = row.workers, items = row.items, seconds = row.seconds,
    items_per_second = row.rate, bytes_per_second = row.bytes_rate,
    efficiency = row.efficiency,
    waited_share = has_workers and row.wait_share or nil,
    busy_share = has_workers and row.busy_share or nil, time = spent(row),
  }
end

local function print_json(loader, rows, chosen, why)
  local json, list = require("neap.console.json"), {}
  for k, row in ipairs(rows) do
    list[k] = plain(row)
  end
  require("neap.console.output").line("%s", json.encode({
    file = loader.path, parameters = loader:parameters(), runs = list,
    workers = chosen.workers, why = why,
  }))
end

-- -- The command -------------------------------------------------------------

local function measure_all(loader, words)
  local rows, one = {}, nil
  for _, workers in ipairs(counts_of(most_workers(loader, words))) do
    local row = measure_one(loader, workers, words.seconds or SECONDS)
    one = workers == 1 and row or one
    row.efficiency = one and row.rate / (workers * one.rate) or nil
    rows[#rows + 1] = row
    if not words.json then
      print_row(row)
    end
  end
  return rows
end

local function perform(words)
  local loader = require("neap.console.loader").open(words)
  if not words.json then
    print_head(loader)
  end
  local rows = measure_all(loader, words)
  local chosen, why = require("neap.inspect.advice")(rows)
  if words.json then
    print_json(loader, rows, chosen, why)
  else
    print_spent(chosen)
    print_advice(loader, chosen, why)
  end
end

return command({
  name = "bench", summary = "measure a loader file, and say what to set",
  description = "Reads a loader file with 0, 1, 2, 4 ... workers, tells how "
    .. "fast items\ncome and where the time goes, and recommends a setting.",
  takes_file = true, options = OPTIONS, perform = perform,
})
