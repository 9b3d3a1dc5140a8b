-- SPDX-License-Identifier: MIT
-- A kill storm: workers are killed at random while every item is checked.
--   neap tests/stress/storm.lua [MINUTES | --long]    (--long: 2 minutes)
--
-- Each kind of item is read in order and as completed, over and over. What a
-- loader owes is that no item is lost, repeated or wrong; retries are so many
-- that no item runs out of them. Then a consumer wanders: it jumps, changes
-- epochs, leaves its loops and reads by index, where some items end their
-- workers, never end, or take all the memory. Each must be the error that it
-- is, and no other item may be one. All of it happens with one item at a time
-- in a worker, and with many that wait.

local ffi = require("ffi")
local clock = require("neap.base.clock")
local neap = require("neap")

ffi.cdef("int kill(int pid, int signal); unsigned alarm(unsigned seconds);")

local SIGKILL = 9
local WORKERS = 4
local CONCURRENCY = 12
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

-- The same item, which waits first if several are in work.
local function waiting(make, concurrency)
  if concurrency == 1 then
    return make
  end
  return function(i)
    require("cqueues").sleep(i % 5 * 5e-4)
    return make(i)
  end
end

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
local function read(kind, is_ordered, concurrency)
  local before, seen, last = faults(), {}, 0
  next_runs = 0
  local make = waiting(kind.make, concurrency)
  local p = neap.prefetch(neap.from(make, ITEMS), {
    workers = WORKERS, buffered = 64, order = is_ordered, retries = 1000,
    slot_bytes = 2 ^ 24, concurrency = concurrency,
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

-- -- Wandering ---------------------------------------------------------------

local PLACES = 2000
local LEGS = 30 -- jumps of one wanderer
local LEG_MAX = 150 -- items
local TIMEOUT = 1 -- seconds; much, for a machine that is busy
local MEMORY = 2 ^ 25
local RETRIES = 10 -- deadly items use up all of them

-- The kind of error that an item is, if it is one.
local function peril(x)
  return x % 331 == 100 and "death" or x % 977 == 400 and "timeout"
    or x % 1000 == 700 and "memory" or nil
end

local function risk(x)
  local kind = peril(x)
  local hoard = {}
  while kind == "timeout" or kind == "memory" do
    if kind == "memory" then
      hoard[#hoard + 1] = ("x"):rep(2 ^ 20) .. #hoard
    end
  end
  if kind == "death" then
    os.exit(x % 7)
  end
  return spend(x)
end

-- Checks what became of item i: x, or the error e.
local function check_place(i, source, x, e)
  local wanted = source[i]
  totals.items = totals.items + 1
  local is_right
  if x == nil then
    is_right = type(e) == "table" and e.kind == peril(wanted) and e.index == i
  else
    is_right = not peril(wanted) and x == spend(wanted)
  end
  if not is_right then
    totals.wrong = totals.wrong + 1
    print(("item %d: %s"):format(i, tostring(x == nil and e or x)))
  end
  return is_right
end

-- Reads items first to last in loops, a new one behind each error.
local function walk(p, q, source, first, last)
  local i = first
  while i <= last do
    p:seek(i)
    local step, state = q:each()
    local ok, at, x = true
    while ok and i <= last do
      ok, at, x = pcall(step, state)
      if ok and at ~= i then
        totals.lost = totals.lost + 1
        return false
      elseif not check_place(i, source, ok and x or nil, at) then
        return false
      end
      i = i + 1
      strike(p)
    end
  end
  return true
end

local function wander(concurrency)
  next_runs = 0
  local source = neap.range(PLACES):shuffle(5)
  local p = source:map(waiting(risk, concurrency)):prefetch({
    workers = WORKERS, buffered = 32, retries = RETRIES, timeout = TIMEOUT,
    memory = MEMORY, slot_bytes = 2 ^ 24, concurrency = concurrency,
  })
  local is_right = true
  for _ = 1, LEGS do
    local epoch, first = math.random(3), math.random(PLACES)
    local q, s = p:epoch(epoch), source:epoch(epoch)
    local last = math.min(PLACES, first + math.random(LEG_MAX))
    local at = math.random(PLACES)
    local ok, x = pcall(function() return q[at] end)
    is_right = check_place(at, s, ok and x or nil, x)
      and walk(p, q, s, first, last)
    if not is_right then
      break
    end
  end
  p:close()
  return is_right
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
local function note(is_right)
  passed = passed + (is_right and 1 or 0)
  failed = failed + (is_right and 0 or 1)
end

repeat
  for _, concurrency in ipairs({ 1, CONCURRENCY }) do
    for _, kind in ipairs(KINDS) do
      note(read(kind, true, concurrency))
      note(read(kind, false, concurrency))
    end
    local is_right = wander(concurrency)
    note(is_right)
    if not is_right then
      print(("(concurrency = %d)"):format(concurrency))
    end
  end
until clock() >= finish

print(("%d kills, %d items, %d lost, %d repeated, %d wrong"):format(
  totals.kills, totals.items, totals.lost, totals.again, totals.wrong))
print(("%d passed, %d failed"):format(passed, failed))
os.exit(failed == 0 and totals.kills > 0 and 0 or 1)
