-- SPDX-License-Identifier: MIT
--- Seconds on a clock that only goes forward, for measuring.
-- The function is declared under a name of neap's own, so that a script may
-- declare clock_gettime as it likes.
-- @module neap.base.clock

local ffi = require("ffi")

ffi.cdef([[
  typedef struct neap_clock_time { long s; long ns; } neap_clock_time;
  int neap_clock_get(int clock, neap_clock_time *out)
    __asm__("clock_gettime");
  int neap_clock_sleep(const neap_clock_time *span, neap_clock_time *rest)
    __asm__("nanosleep");
]])

local MONOTONIC = 1

-- See luajit.md, *found once*.
local get, sleep_for = ffi.C.neap_clock_get, ffi.C.neap_clock_sleep
local now = ffi.new("neap_clock_time")

--- Returns seconds since some moment in the past.
-- @function clock
-- @usage local start = clock() ... print(clock() - start)
local function clock()
  get(MONOTONIC, now)
  return tonumber(now.s) + tonumber(now.ns) * 1e-9
end

--- Sleeps for so many seconds. In a coroutine of cqueues, others go on.
local function sleep(seconds)
  local cqueues = package.loaded.cqueues
  if cqueues and cqueues.running() then
    cqueues.sleep(seconds)
    return
  end
  local whole = math.floor(seconds)
  now.s, now.ns = whole, (seconds - whole) * 1e9
  sleep_for(now, nil)
end

return setmetatable({ sleep = sleep }, {
  __call = function()
    return (clock())
  end,
})
