-- SPDX-License-Identifier: MIT
--- Worker processes: how soon they answer, how soon one is replaced, how
-- soon they end, and what they take while they do nothing.

local ffi = require("ffi")
local measure = require("measure")
local neap = require("neap")

ffi.cdef([[
  void *mmap(void *at, size_t bytes, int protection, int flags, int fd,
             long offset);
  int munmap(void *at, size_t bytes);
  int madvise(void *at, size_t bytes, int advice);
  int kill(int pid, int signal);
]])

local READ_WRITE, PRIVATE_ANONYMOUS, NO_HUGE_PAGES = 3, 0x22, 15
local GIB = 2 ^ 30
local SIGKILL = 9

-- -- The first item ----------------------------------------------------------

local ballast

local function load_up()
  local memory = ffi.C.mmap(nil, 2 * GIB, READ_WRITE, PRIVATE_ANONYMOUS, -1, 0)
  ffi.C.madvise(memory, 2 * GIB, NO_HUGE_PAGES)
  ffi.fill(memory, 2 * GIB, 1)
  ballast = memory
end

local function unload()
  ffi.C.munmap(ballast, 2 * GIB)
end

local function first_item(workers, target, name, begin, finish)
  local s = neap.range(1e6):map(function(x)
    return x + 1
  end)
  return {
    name = ("first item, %d workers%s"):format(workers, name), unit = "ms",
    target = target,
    limit_name = ("%d times /bin/true"):format(workers),
    begin = begin, finish = finish,
    run = function()
      local since = measure.now()
      local p = neap.prefetch(s, { workers = workers })
      local step, state = p:each()
      local _, x = step(state)
      local seconds = measure.now() - since
      assert(x == 2)
      p:close()
      return seconds * 1000
    end,
    limit = function()
      return measure.limit("limit_process start %d", workers) * 1000
    end,
  }
end

-- -- A successor -------------------------------------------------------------

local function replacement()
  local p
  return {
    name = "first item after the only worker's death", unit = "ms",
    target = "10 ms", limit_name = "once /bin/true",
    begin = function()
      p = neap.range(1e6):prefetch({ workers = 1 })
    end,
    run = function()
      local i = math.random(1e6)
      assert(p[i] == i)
      measure.sleep(0.02) -- until it sleeps
      local since = measure.now()
      ffi.C.kill(p:stats().workers[1].pid, SIGKILL)
      assert(p[i] == i)
      return (measure.now() - since) * 1000
    end,
    limit = function()
      return measure.limit("limit_process start 1") * 1000
    end,
    finish = function()
      p:close()
    end,
  }
end

-- -- Idle workers ------------------------------------------------------------

-- A prefetch whose workers have all computed something, and sleep.
local function idle_workers(workers, timeout)
  local s = neap.range(1e6):map(function(x)
    require("ffi").C.usleep(2000) -- lets the others have one, too
    return x
  end)
  local p = s:prefetch({ workers = workers, timeout = timeout,
    on_start = function()
      require("ffi").cdef("int usleep(unsigned microseconds);")
    end })
  for _ in p:each() do
    local busy = 0
    for _, worker in ipairs(p:stats().workers) do
      busy = busy + (worker.items > 0 and 1 or 0)
    end
    if busy == workers then
      break
    end
  end
  measure.sleep(0.2) -- they compute what the break has left
  return p
end

local function closing(workers)
  return {
    name = ("closing %d idle workers"):format(workers), unit = "ms",
    target = "20 ms",
    limit_name = ("%d processes that read a pipe"):format(workers),
    run = function()
      local p = idle_workers(workers)
      local since = measure.now()
      p:close()
      return (measure.now() - since) * 1000
    end,
    limit = function()
      return measure.limit("limit_process end %d", workers) * 1000
    end,
  }
end

-- MiB that /proc/PID/smaps_rollup says under the headings that match.
local function mebibytes(rollup, heading)
  local kibibytes = 0
  for amount in rollup:gmatch("\n" .. heading .. ":%s+(%d+) kB") do
    kibibytes = kibibytes + amount
  end
  return kibibytes / 1024
end

local function read_rollup(pid)
  local file = assert(io.open(("/proc/%d/smaps_rollup"):format(pid)))
  local text = file:read("*a")
  file:close()
  return text
end

local function memory(name, heading, target)
  return {
    name = name .. ", idle worker of 4", unit = "MiB", target = target,
    limit_name = "the executable, reading its own",
    run = function()
      local p = idle_workers(4)
      local sum = 0
      for _, worker in ipairs(p:stats().workers) do
        sum = sum + mebibytes(read_rollup(worker.pid), heading)
      end
      p:close()
      return sum / 4
    end,
    limit = function()
      local rollup = measure.output("%s -e '%s'", measure.neap,
        'print(io.open("/proc/self/smaps_rollup"):read("*a"))')
      return mebibytes(rollup, heading)
    end,
  }
end

local IDLE_S = 2

-- Seconds of a core that this process and the workers of p have used.
local function used(p)
  local sum = measure.cpu_seconds(0)
  for _, worker in ipairs(p:stats().workers) do
    sum = sum + measure.cpu_seconds(worker.pid)
  end
  return sum
end

-- `looks` is how often a second the supervisor looks at clocks.
local function idling(timeout, looks)
  return {
    name = "4 idle workers and their host"
      .. (timeout and (", timeout = %g"):format(timeout) or ""),
    unit = "%", target = "0.1 % of a core",
    limit_name = ("a process that wakes %g times a second"):format(looks),
    run = function()
      local p = idle_workers(4, timeout)
      local before = used(p)
      measure.sleep(IDLE_S)
      local share = (used(p) - before) / IDLE_S * 100
      p:close()
      return share
    end,
    limit = function()
      return measure.limit("limit_process wake %d", looks * IDLE_S) / IDLE_S
        * 100
    end,
  }
end

return {
  first_item(4, "10 ms", ""),
  first_item(16, "25 ms", ""),
  first_item(4, "10 ms", ", 2 GiB held", load_up, unload),
  first_item(16, "25 ms", ", 2 GiB held", load_up, unload),
  replacement(),
  closing(16),
  idling(nil, 0),
  idling(1, 1),
  idling(0.05, 20),
  memory("private memory", "Private_%a+", "2 MiB"),
  memory("memory shared out (Pss)", "Pss", "3 MiB"),
}
