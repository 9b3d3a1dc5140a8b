-- SPDX-License-Identifier: MIT
--- `neap run FILE`: reads all items of a loader, as a training would.
-- @module neap.command.run

local command = require("neap.console.command")

local OPTIONS = {
  { flag = "--workers", value = "N", reads = "integer",
    help = "worker processes; 0: none; =-1: all cores but one" },
  { flag = "--threads", value = "N", reads = "count",
    help = "threads in place of workers, for a chain that needs no Lua" },
  { flag = "--concurrency", value = "N", reads = "count",
    help = "items that each worker has in work while they wait" },
  { flag = "--epochs", value = "N", reads = "count",
    help = "how often to read it; default: 1" },
  { flag = "--limit", value = "N", reads = "count",
    help = "items of each epoch, at most" },
  { flag = "--json", help = "print the summary as JSON" },
  { flag = "--quiet", help = "show no bar and no summary; JSON is printed" },
}

-- -- Reading -----------------------------------------------------------------

local function start(loader, words)
  local p = loader:prefetch()
  return {
    loader = loader, p = p, epochs = words.epochs or 1,
    limit = words.limit or math.huge, is_quiet = words.quiet,
    items = 0, began = require("neap.base.clock")(), first = false,
    epoch = 0,
  }
end

-- Text for the bar: what the pool counts.
local function note_of(reading)
  local units = require("neap.base.units")
  return function()
    local stats = reading.p:stats()
    if #stats.workers == 0 then
      return "in place"
    end
    local seconds = require("neap.base.clock")() - reading.began
    return ("%s/s, waited %s"):format(units.bytes(stats.bytes / seconds),
      units.share(math.min(1, stats.wait / seconds)))
  end
end

local function bar_of(reading)
  local Bar = require("neap.base.bar")
  if reading.is_quiet or not Bar.is_shown() then
    return nil
  end
  local label = reading.epochs > 1
    and ("epoch %d/%d"):format(reading.epoch, reading.epochs) or ""
  return Bar.make(math.min(reading.loader.node.length, reading.limit), label,
    note_of(reading))
end

local function read_epoch(reading)
  local clock, bar = require("neap.base.clock"), bar_of(reading)
  local count, limit = 0, reading.limit
  for _ in reading.p:epoch(reading.epoch):each() do
    count = count + 1
    reading.first = reading.first or clock() - reading.began
    if bar then
      bar:before(count - 1)
    end
    if count == limit then
      break
    end
  end
  if bar then
    bar:before(count)
    bar:finish(count)
  end
  reading.items = reading.items + count
end

-- -- Telling -----------------------------------------------------------------

local function summary_of(reading, seconds)
  local stats, loader = reading.p:stats(), reading.loader
  local workers = #stats.workers
  local is_measured = workers > 0
  return {
    file = loader.path, parameters = loader:parameters(), workers = workers,
    are_threads = loader:crew() == "threads",
    epochs = reading.epochs, items = reading.items, seconds = seconds,
    items_per_second = reading.items / seconds,
    first_item_seconds = reading.first or nil,
    bytes = is_measured and stats.bytes or nil,
    bytes_per_second = is_measured and stats.bytes / seconds or nil,
    waited_seconds = is_measured and stats.wait or nil,
    waited_share = is_measured and math.min(1, stats.wait / seconds) or nil,
    restarts = stats.restarts, retries = stats.retries,
  }
end

local function print_summary(t)
  local line = require("neap.console.output").line
  local units = require("neap.base.units")
  line("%s of %s in %s: %s%s", units.plural(t.items, "item"),
    units.plural(t.epochs, "epoch"), units.seconds(t.seconds),
    units.rate(t.items_per_second), t.bytes
    and (", %s, %s/s"):format(units.bytes(t.bytes),
      units.bytes(t.bytes_per_second)) or "")
  if t.first_item_seconds then
    line("first item after %s", units.seconds(t.first_item_seconds))
  end
  line(t.waited_share and ("%s; waited %s of the time (%s)"):format(
    units.plural(t.workers, t.are_threads and "thread" or "worker"),
    units.share(t.waited_share),
    units.seconds(t.waited_seconds)) or "no workers: computed in place")
  if t.restarts > 0 or t.retries > 0 then
    line("%s of workers that died, %s of items",
      units.plural(t.restarts, "restart"), t.retries == 1 and "1 retry"
      or units.count(t.retries) .. " retries")
  end
end

local function tell(words, summary)
  if words.json then
    require("neap.console.output").line("%s",
      require("neap.console.json").encode(summary))
  elseif not words.quiet then
    print_summary(summary)
  end
end

-- -- The command -------------------------------------------------------------

local function refuse_endless(path)
  local lib = require("neap.base.lib")
  error(lib.failure(lib.C.NEAP_EINVAL, ("cannot read all items of %s: it is "
    .. "endless\nhelp: add --limit N"):format(path)), 0)
end

local function perform(words)
  local clock = require("neap.base.clock")
  local loader = require("neap.console.loader").open(words,
    { workers = words.workers, threads = words.threads,
      concurrency = words.concurrency })
  if not loader:ends() and not words.limit then
    refuse_endless(words.file)
  end
  local reading = start(loader, words)
  for epoch = 1, reading.epochs do
    reading.epoch = epoch
    loader:within(read_epoch, reading)
  end
  local summary = summary_of(reading, clock() - reading.began)
  reading.p:close()
  tell(words, summary)
end

return command({
  name = "run", summary = "read all items of a loader file",
  description = "Reads all items of a loader file, and tells how fast they "
    .. "come.",
  takes_file = true, options = OPTIONS, perform = perform,
})
