-- SPDX-License-Identifier: MIT
-- A kill storm: workers are killed at random while every item is checked.
--   neap tests/stress/storm.lua [MINUTES | --long]    (--long: 2 minutes)
--
-- Each kind of item is read in order and as completed, over and over. What a
-- loader owes is that no item is lost, repeated or wrong; retries are so many
-- that no item runs out of them.

local ffi = require("ffi")
local clock = require("neap.clock")
local neap = require("neap")

ffi.cdef("int kill(int pid, int signal); unsigned alarm(unsigned seconds);")

local SIGKILL = 9
local WORKERS = 4
local ITEMS = 3000
local SECONDS = 4 -- by default
local KILL_EVERY = 0.008 -- seconds, on average
local GRACE = 60 -- seconds after which the storm hangs

-- -- Items -------------------------------------------------------------------

-- Time that an item takes, so that workers are killed in the midst of one.
local function spend(i)
  local x = i
  for _ = 1, 3000 do
    x = (x * 16807) % 2147483647
  end
  return x
end

local function letters(i)
  return string.char(97 + i % 26):rep(i % 300)
end

local KINDS = {
  {
    name = "numbers",
    make = function(i)
      return spend(i)
    end,
    is_right = function(x, i)
      return x == spend(i)
    end,
  },
  {
    name = "strings",
    make = function(i)
      spend(i)
      return i .. letters(i)
    end,
    is_right = function(x, i)
      return x == i .. letters(i)
    end,
  },
  {
    name = "tables",
    make = function(i)
      return { i, i + 1, name = letters(i), deep = { { spend(i) } } }
    end,
    is_right = function(x, i)
      return x[1] == i and x[2] == i + 1 and x[3] == nil
        and x.name == letters(i) and x.deep[1][1] == spend(i)
    end,
  },
  {
    name = "tensors",
    make = function(i)
      spend(i)
      local t = neap.tensor("f32", { 1 + i % 5000 })
      t:fill(i)
      return t
    end,
    is_right = function(x, i)
      local n = 1 + i % 5000
      local p = x:ptr()
      for k = 0, n - 1 do
        if p[k] ~= i then
          return false
        end
      end
      return #x == n
    end,
  },
}

-- -- The storm ---------------------------------------------------------------

local totals = { kills = 0, items = 0, lost = 0, again = 0, wrong = 0 }
local next_kill, next_runs = 0, 0

-- Kills a worker, if it is time and if work has been done since the last: of
-- workers that all die before they do anything, the loader would despair.
local function strike(p)
  local now = clock()
  if now < next_kill then
    return
  end
  local stats = p:stats()
  if stats.runs < next_runs then
    return
  end
  next_kill = now + math.random() * 2 * KILL_EVERY
  next_runs = stats.runs + WORKERS
  local pid = stats.workers[math.random(WORKERS)].pid
  if pid > 0 and ffi.C.kill(pid, SIGKILL) == 0 then
    totals.kills = totals.kills + 1
  end
end

-- Counts what is missing of ITEMS, and what came more than once.
local function count(seen)
  for i = 1, ITEMS do
    local times = seen[i] or 0
    totals.lost = totals.lost + (times == 0 and 1 or 0)
    totals.again = totals.again + math.max(0, times - 1)
  end
end

local function faults()
  return totals.lost + totals.again + totals.wrong
end

-- Reads all items of a kind once, amid kills. Answers whether all was well.
local function read(kind, is_ordered)
  local before, seen, last = faults(), {}, 0
  next_runs = 0
  local p = neap.prefetch(neap.from(kind.make, ITEMS), {
    workers = WORKERS, buffered = 64, order = is_ordered, retries = 1000,
    slot_bytes = 2 ^ 24,
  })
  local ok, err = pcall(function()
    for i, x in p:each() do
      local is_next = not is_ordered or i == last + 1
      if not (is_next and kind.is_right(x, i)) then
        totals.wrong = totals.wrong + 1
      end
      seen[i], last = (seen[i] or 0) + 1, i
      totals.items = totals.items + 1
      strike(p)
    end
  end)
  p:close()
  if not ok then
    print(("%s: %s"):format(kind.name, tostring(err)))
  end
  count(seen)
  return ok and faults() == before
end

local function duration()
  if arg[1] == "--long" then
    return 120
  end
  return arg[1] and assert(tonumber(arg[1]), "minutes expected") * 60 or SECONDS
end

local seconds = duration()
local passed, failed = 0, 0
local seed = os.time()
print("seed " .. seed)
math.randomseed(seed)
ffi.C.alarm(seconds + GRACE)

local finish = clock() + seconds
repeat
  for k = 1, 2 * #KINDS do
    if read(KINDS[math.ceil(k / 2)], k % 2 == 1) then
      passed = passed + 1
    else
      failed = failed + 1
    end
  end
until clock() >= finish

print(("%d kills, %d items, %d lost, %d repeated, %d wrong"):format(
  totals.kills, totals.items, totals.lost, totals.again, totals.wrong))
print(("%d passed, %d failed"):format(passed, failed))
os.exit(failed == 0 and totals.kills > 0 and 0 or 1)
