-- SPDX-License-Identifier: MIT
--- Measures how fast a sequence is read.
-- @module neap.adapter.monitor

local check = require("neap.base.check")
local class = require("neap.base.class")
local clock = require("neap.base.clock")
local compiler = require("neap.sequence.compile")
local Node = require("neap.sequence.node")
local handle = require("neap.sequence.handle")

local Monitor = class("adapter.monitor", Node)

Monitor.loops_source = true
Monitor.keeps_seeds = true -- its handle tells what was read through it

-- What was read, in the node's `here`.
local function counters(node)
  local here = node.here or node:own()
  if not here.count then
    here.count, here.seconds = 0, 0
  end
  return here
end

function Monitor:get(i, e)
  local here, get = counters(self), compiler.compile(self.source)
  local start = clock()
  local x = get(i, e)
  here.seconds = here.seconds + clock() - start
  here.count = here.count + 1
  return x
end

-- Uses the source's own iteration, so that a prefetch below computes ahead.
local function step(state, i)
  local start = clock()
  local at, x = state.step(state.state, i)
  if at ~= nil then
    local here = state.counters
    here.seconds = here.seconds + clock() - start
    here.count = here.count + 1
  end
  return at, x
end

function Monitor:iterate(options)
  local f, state, start = self.source:iterate(options)
  return step, { counters = counters(self), step = f, state = state }, start
end

function Monitor:set(i, value, e)
  self.source:set(i, value, e)
end

local methods = handle.more_methods("monitor")
Monitor.methods = methods

local function measured(s, what)
  local here = counters(handle.check_self(s, "monitor"))
  if here.count == 0 then
    check.raise(("cannot tell the %s before the first item is read"):format(
      what))
  end
  return here
end

--- Items read per second of reading.
function methods.throughput(s)
  local here = measured(s, "throughput")
  return here.count / here.seconds
end

--- The mean seconds that reading an item takes.
function methods.read_delay(s)
  local here = measured(s, "read delay")
  return here.seconds / here.count
end

--- Sets the counters to 0.
function methods.reset(s)
  local here = counters(handle.check_self(s, "monitor"))
  here.count, here.seconds = 0, 0
end

--- Returns the same items, and measures their reading.
-- @function monitor
-- @tparam Sequence source
-- @treturn Sequence with the methods throughput, read_delay and reset
local function monitor(source)
  source = handle.check(1, source)
  return handle.wrap(Monitor:make({
    source = source, length = source.length,
  }))
end

return {
  class = Monitor, make = monitor,
  example = [[neap.monitor({ 1, 2 }):totable() --> 1, 2]],
}
