-- SPDX-License-Identifier: MIT
--- Many items at once in one worker: what concurrency costs where none waits,
-- and what it gives where items do, beside a bare cqueues program.

local measure = require("measure")
local neap = require("neap")

-- -- Items that do not wait --------------------------------------------------

local WARM = 2e4

local function number(i)
  return i * 2
end

local function sum_of(i)
  local x = i
  for _ = 1, 1000 do
    x = x * 16807 % 2147483647
  end
  return x
end

local function record(i)
  return { i, name = "item", deep = { i } }
end

local function pixels(i)
  return neap.tensor("u8", { 28, 28 }):fill(i % 256)
end

-- Items a second after WARM.
local function rate(f, count, concurrency)
  local p = neap.range(WARM + count):map(f):prefetch({
    workers = 2, concurrency = concurrency, buffered = 1024,
  })
  local since
  for i in p:each() do
    if i == WARM then
      since = measure.now()
    end
  end
  local seconds = measure.now() - since
  p:close()
  return count / seconds
end

local function plain(name, f, count)
  local function run(concurrency)
    return function()
      return rate(f, measure.count(count), concurrency)
    end
  end
  return {
    name = "concurrency = 100, no waits, " .. name, unit = "1/s",
    target = "ratio 0.9", limit_name = "concurrency = 1",
    run = run(100), limit = run(1),
  }
end

-- -- Items that wait ---------------------------------------------------------

local function waiting(seconds)
  return function(i)
    require("cqueues").sleep(seconds)
    return i
  end
end

-- Items a second of `count`, once the worker runs.
local function waits(count, seconds, concurrency)
  local p = neap.range(count + 1):map(waiting(seconds)):prefetch({
    workers = 1, concurrency = concurrency, buffered = 2 * concurrency,
  })
  local _ = p[count + 1]
  local since, sum = measure.now(), 0
  for i, x in p:each() do
    sum = sum + x
    if i == count then
      break
    end
  end
  local spent = measure.now() - since
  p:close()
  assert(sum == count * (count + 1) / 2)
  return count / spent
end

local function bare(count, seconds, concurrency)
  local cqueues = require("cqueues")
  local controller, at, sum = cqueues.new(), 0, 0
  local since = measure.now()
  for _ = 1, concurrency do
    controller:wrap(function()
      while at < count do
        at = at + 1
        local i = at
        cqueues.sleep(seconds)
        sum = sum + i
      end
    end)
  end
  assert(controller:loop())
  assert(sum == count * (count + 1) / 2)
  return count / (measure.now() - since)
end

local function waited(name, target, count, seconds, concurrency)
  return {
    name = name, unit = "1/s", target = target,
    limit_name = "bare cqueues",
    run = function()
      return waits(count, seconds, concurrency)
    end,
    limit = function()
      return bare(count, seconds, concurrency)
    end,
  }
end

-- -- Memory ------------------------------------------------------------------

-- Bytes that a worker has in memory, its slots included.
local function resident(pid)
  for line in io.lines("/proc/" .. pid .. "/smaps_rollup") do
    local kib = line:match("^Rss:%s+(%d+)")
    if kib then
      return kib * 1024
    end
  end
end

local function hold(i)
  require("cqueues").sleep(i == 1 and 0 or 3600)
  return i
end

-- Bytes of a worker that has so many items in work.
local function bytes_with(count)
  local p = neap.range(count + 1):map(hold):prefetch({
    workers = 1, concurrency = count, buffered = count,
  })
  local step, state, at = p:each()
  assert(step(state, at) == 1)
  measure.sleep(1)
  local bytes = resident(p:stats().workers[1].pid)
  p:close()
  return bytes
end

local HELD = 1000

local function kib_of_one()
  return (bytes_with(HELD) - bytes_with(2)) / (HELD - 2) / 1024
end

return {
  plain("numbers", number, 2e6),
  plain("items of 8 us", sum_of, 1e5),
  plain("tables", record, 2e5),
  plain("tensors", pixels, 2e5),
  waited("500 waits of 100 ms, 100 at once", "950/s", 500, 0.1, 100),
  waited("waits of no time, 100 at once", "40000/s", 20000, 0, 100),
  waited("2000 waits of 500 ms, 2000 at once", "3000/s", 2000, 0.5, 2000),
  {
    name = "memory of an item that sleeps", unit = "KiB", target = "30 KiB",
    limit_name = "its slot's first page", run = kib_of_one,
    limit = function()
      return 4
    end,
  },
}
