-- SPDX-License-Identifier: MIT
--- Measures how fast a sequence is read.
-- @module neap.adapter.monitor

local check = require("neap.base.check")
local class = require("neap.base.class")
local clock = require("neap.base.clock")
local compiler = require("neap.sequence.compile")
local sequence = require("neap.sequence.sequence")

local Monitor = class("adapter.monitor", sequence.class)

Monitor.keeps_seeds = true -- its handle tells what was read through it
Monitor.transient = { getter = true, record = true, get_source = true }

function Monitor:get(i, e)
  self.get_source = self.get_source or compiler.compile(self.source)
  local start = clock()
  local x = self.get_source(i, e)
  self.seconds = self.seconds + clock() - start
  self.count = self.count + 1
  return x
end

-- Over the source's own iteration, so that a prefetch below is read ahead.
local function step(state, i)
  local start = clock()
  local at, x = state.step(state.state, i)
  if at ~= nil then
    state.node.seconds = state.node.seconds + clock() - start
    state.node.count = state.node.count + 1
  end
  return at, x
end

function Monitor:iterate(options)
  local f, state, start = self.source:iterate(options)
  self.record = self.source.record
  return step, { node = self, step = f, state = state }, start
end

function Monitor:set(i, value, e)
  self.source:set(i, value, e)
end

local methods = setmetatable({}, { __index = sequence.class.methods })
Monitor.methods = methods

local function measured(s, what)
  local node = check.self(s, "monitor")
  if node.count == 0 then
    check.raise(("cannot tell the %s before the first item is read"):format(
      what))
  end
  return node
end

--- Items read a second, while reading.
function methods.throughput(s)
  local node = measured(s, "throughput")
  return node.count / node.seconds
end

--- Seconds that an item takes to read, on the mean.
function methods.read_delay(s)
  local node = measured(s, "read delay")
  return node.seconds / node.count
end

--- Begins to count anew.
function methods.reset(s)
  local node = check.self(s, "monitor")
  node.count, node.seconds = 0, 0
end

--- Returns the same items, and measures their reading.
-- @function monitor
-- @tparam Sequence source
-- @treturn Sequence with the methods throughput, read_delay and reset
-- @usage local m = neap.monitor(s) ... print(m:throughput())
local function monitor(source)
  source = check.sequence(1, source)
  return sequence.wrap(Monitor:make({
    source = source, length = source.length, count = 0, seconds = 0,
    get_source = false,
  }))
end

return monitor
