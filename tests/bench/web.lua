-- SPDX-License-Identifier: MIT
--- HTTP: many requests at once, beside the same by lua-http alone, in a script
-- on a cqueues controller. Both ask examples/server.lua, a process of its own.

local ffi = require("ffi")
local measure = require("measure")
local neap = require("neap")

local AT_ONCE = 100
local PAGES, PAGE_S = 500, 0.1
local PRIMES_BELOW, PRIMES, SAVE_S = 8192, 1028, 0.05

-- -- The server --------------------------------------------------------------

local server = { pipe = false, url = false }

local function start(delay_s)
  local path = os.tmpname()
  server.pipe = io.popen(("exec %s examples/server.lua --delay %d >%s"):format(
    measure.neap, delay_s * 1000, path), "w")
  repeat
    measure.sleep(0.01)
    local file = io.open(path)
    server.url = file:read("*a"):match("^(http://%S+) ")
    file:close()
  until server.url
  os.remove(path)
end

local function stop()
  require("neap.waiting.http_connection").close_idle()
  server.pipe:close()
end

-- -- Without neap ------------------------------------------------------------

-- Seconds of n calls of f, so many at once.
local function together(n, at_once, f)
  local queue, taken = require("cqueues").new(), 0
  local before = measure.now()
  for _ = 1, at_once do
    queue:wrap(function()
      while taken < n do
        taken = taken + 1
        f(taken)
      end
    end)
  end
  assert(queue:loop())
  queue:close()
  return measure.now() - before
end

local function bare_get(i)
  local request = require("http.request")
  local _, stream = assert(request.new_from_uri(server.url .. "/page/" .. i)
    :go(30))
  assert(#assert(stream:get_body_as_string()) >= 1000)
  stream:shutdown()
end

-- -- With neap ---------------------------------------------------------------

-- Seconds of a loop over a chain of n items, once the workers have begun.
local function loop(n, f, options)
  local p = neap.range(n):map(f):prefetch(options)
  local _ = p[1]
  local before, count = measure.now(), 0
  for _ in p:each() do
    count = count + 1
  end
  local seconds = measure.now() - before
  assert(count == n)
  p:close()
  return seconds
end

local function pages(n)
  local url = server.url
  return loop(n, function(i)
    return #neap.http.get(url .. "/page/" .. i)
  end, { workers = 1, concurrency = AT_ONCE })
end

-- Seconds of a request alone, one after the other.
local function serial_s()
  return together(5, 1, bare_get) / 5
end

-- -- Primes ------------------------------------------------------------------

local function is_prime(n)
  local divisors = 0
  for d = 2, n - 1 do
    if n % d == 0 then
      divisors = divisors + 1
    end
  end
  return divisors == 0
end

local function save_primes()
  local url = server.url
  return loop(PRIMES_BELOW - 2, function(i)
    local n = i + 1
    if is_prime(n) then
      neap.http.request({
        url = url .. "/prime/" .. n, method = "PUT", body = "x",
      })
    end
    return n
  end, { workers = 1, concurrency = AT_ONCE, buffered = 4096 })
end

-- What is computed, and the requests, 100 at a time.
local function ideal_primes()
  local before = measure.now()
  for n = 2, PRIMES_BELOW - 1 do
    is_prime(n)
  end
  return measure.now() - before + math.ceil(PRIMES / AT_ONCE) * SAVE_S
end

-- -- Memory ------------------------------------------------------------------

local IN_FLIGHT = 1000

local function resident_bytes(pid)
  local file = assert(io.open(("/proc/%d/statm"):format(pid)))
  local _, pages_count = file:read("*n", "*n")
  file:close()
  return pages_count * 4096
end

-- Bytes that a worker has more while so many items wait.
local function bytes_in_flight(f)
  local p = neap.range(2 * IN_FLIGHT):map(f):prefetch({
    workers = 1, concurrency = IN_FLIGHT, buffered = IN_FLIGHT,
  })
  local pid = p[1]
  local least = resident_bytes(pid)
  local most = least
  for _ in p:each() do
    most = math.max(most, resident_bytes(pid))
  end
  p:close()
  return (most - least) / IN_FLIGHT / 1024
end

ffi.cdef("int getpid(void);")

local function request_and_pid()
  local url = server.url
  return bytes_in_flight(function(i)
    local here = require("ffi")
    here.cdef("int getpid(void);")
    neap.http.get(url .. "/page/" .. i)
    return here.C.getpid()
  end)
end

local function bare_memory()
  local before = resident_bytes(ffi.C.getpid())
  local most, count = before, 0
  together(IN_FLIGHT, IN_FLIGHT, function(i)
    bare_get(i)
    count = count + 1
    if count == 1 then
      most = resident_bytes(ffi.C.getpid())
    end
  end)
  return math.max(0, most - before) / IN_FLIGHT / 1024
end

return {
  {
    name = "crawler: 500 pages of 100 ms, 100 at once",
    unit = "x serial", target = "95 times the serial loop",
    begin = function() start(PAGE_S) end, finish = stop,
    run = function()
      return serial_s() * PAGES / pages(PAGES)
    end,
    limit_name = "lua-http in a script",
    limit = function()
      return serial_s() * PAGES / together(PAGES, AT_ONCE, bare_get)
    end,
  },
  {
    name = "requests without delay, 100 at once", unit = "/s",
    target = "0.8 of lua-http's rate or more",
    begin = function() start(0) end, finish = stop,
    run = function()
      local n = measure.count(10000)
      return n / pages(n)
    end,
    limit_name = "lua-http in a script",
    limit = function()
      local n = measure.count(10000)
      return n / together(n, AT_ONCE, bare_get)
    end,
  },
  {
    name = "save_primes: 1028 requests of 50 ms", unit = "s",
    target = "1.3 of the ideal or less",
    begin = function() start(SAVE_S) end, finish = stop,
    run = save_primes, limit_name = "computing, then waiting",
    limit = ideal_primes,
  },
  {
    name = "memory of an item in flight", unit = "KiB",
    target = "30 KiB or less",
    begin = function() start(PAGE_S) end, finish = stop,
    run = request_and_pid, limit_name = "lua-http in a script",
    limit = bare_memory,
  },
}
