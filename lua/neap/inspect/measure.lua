-- SPDX-License-Identifier: MIT
--- Measures how fast the items of a loader come, by number of workers.
-- @module neap.inspect.measure

local clock = require("neap.base.clock")
local structure = require("neap.inspect.structure")

local measure = {}

local LOOK_S = 0.002 -- between looks at the clock, about
local SAMPLES = 8 -- items whose bytes are counted

-- Reads an epoch until the time is over. Returns the items that came, and
-- whether the epoch came to its end.
local function read_epoch(p, deadline)
  local count, due, step, looked = 0, 1, 1, clock()
  for _ in p:each() do
    count = count + 1
    if count == due then
      local now = clock()
      if now >= deadline then
        return count, false
      end
      step = now - looked < LOOK_S and step * 2
        or math.max(1, math.floor(step / 2))
      due, looked = count + step, now
    end
  end
  return count, true
end

local function read(p, seconds, is_once)
  local deadline, count, epoch = clock() + seconds, 0, 1
  repeat
    local came, is_over = read_epoch(p:epoch(epoch), deadline)
    count, epoch = count + came, epoch + 1
  until not is_over or is_once or came == 0
  return count
end

-- The mean bytes of the first items, as tensors, strings and numbers.
local function bytes_of(p)
  local bytes, count = 0, 0
  for _, x in p:each() do
    bytes, count = bytes + structure.of(x).bytes_max, count + 1
    if count == SAMPLES then
      break
    end
  end
  return bytes / math.max(count, 1)
end
measure.bytes_of = bytes_of

-- The workers have started, and LuaJIT has compiled what it does.
local function warm_up(p, seconds)
  read(p, seconds / 4, false)
end

--- Reads a prefetch for some seconds, from its first item on, again and again.
-- @tparam Sequence p
-- @tparam number seconds
-- @tparam boolean is_once it cannot be read again: it has an iterator
-- @treturn table workers, items, seconds, rate, bytes, bytes_rate; wait_share
--   and busy_share (with workers); seconds of an item: item_busy, item_idle,
--   item_wait, item_script; report
function measure.run(p, seconds, is_once)
  if not is_once then
    warm_up(p, seconds)
  end
  local before, start = p:stats(), clock()
  local items = read(p, seconds, is_once)
  local lapse, after = clock() - start, p:stats()
  local function grown(name)
    return after[name] - before[name]
  end
  local computed = math.max(grown("items"), 1)
  local busy, idle, wait = grown("busy"), grown("idle"), grown("wait")
  local each = 1 / math.max(items, 1)
  return {
    workers = #after.workers, items = items, seconds = lapse,
    rate = items / lapse, item_bytes = grown("bytes") / computed,
    wait_share = math.min(1, wait / lapse),
    busy_share = busy + idle > 0 and busy / (busy + idle) or 0,
    item_busy = busy / computed, item_idle = idle / computed,
    item_wait = wait * each, item_script = math.max(0, lapse - wait) * each,
    report = p:report(),
  }
end

return measure
