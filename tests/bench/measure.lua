-- SPDX-License-Identifier: MIT
--- What the rows of the bench share: the clock, counts, and limits in C.

local ffi = require("ffi")

ffi.cdef([[
  int usleep(unsigned microseconds);
  int clock_getcpuclockid(int pid, int *clock);
]])

local measure = { is_quick = false }

--- Seconds, from some start.
measure.now = require("neap.base.clock")

function measure.sleep(seconds)
  ffi.C.usleep(seconds * 1e6)
end

--- Seconds that a process has computed, all of its threads; 0: this one.
function measure.cpu_seconds(pid)
  local clock, time = ffi.new("int[1]"), ffi.new("neap_clock_time")
  assert(ffi.C.clock_getcpuclockid(pid, clock) == 0)
  assert(ffi.C.neap_clock_get(clock[0], time) == 0) -- of neap.clock
  return tonumber(time.s) + tonumber(time.ns) / 1e9
end

--- How many items to measure: n, or less for --quick.
function measure.count(n)
  return measure.is_quick and math.ceil(n / 10) or n
end

--- The neap that runs the bench.
measure.neap = arg[-1]

--- What a command prints.
function measure.output(command, ...)
  local pipe = assert(io.popen(command:format(...)))
  local text = pipe:read("*a")
  assert(pipe:close())
  return text
end

local programs = measure.neap:gsub("bin/neap$", "bench/")

--- The number that a program of tests/bench/*.c prints.
function measure.limit(command, ...)
  local text = measure.output(programs .. command, ...)
  return tonumber(text) or error("no number from " .. command, 0)
end

return measure
