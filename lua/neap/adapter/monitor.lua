-- SPDX-License-Identifier: MIT
--- Measures how fast a sequence is read.
-- @module neap.adapter.monitor

local ffi = require("ffi")
local check = require("neap.base.check")
local class = require("neap.base.class")
local clock = require("neap.base.clock")
local compiler = require("neap.sequence.compile")
local Node = require("neap.sequence.node")
local handle = require("neap.sequence.handle")
local traverse = require("neap.base.traverse")

local NOTHING = { count = 0, seconds = 0 } -- before the first reset

local Monitor = class("adapter.monitor", Node)

Monitor.is_timed = false

Monitor.loops_source = true
Monitor.keeps_seeds = true -- its handle tells what was read through it

-- What was read in this process, in the node's `here`: a neap_stage. A worker
-- counts where its host reads it.
local function counts_of(node)
  local here = node.here or node:own()
  if not here.counts then
    here.counts = ffi.new("neap_stage[1]")
  end
  return here.counts
end

--- Counts reads in memory that a host reads.
function Monitor:count_at(stage)
  self:own().counts = stage
end

--- Tells that what a pool reads of stage k are reads of this node.
function Monitor:count_by(pool, k)
  local here = self:own()
  here.pools = here.pools or setmetatable({}, { __mode = "k" })
  here.pools[pool] = k
end

local function add(counts, seconds)
  counts[0].busy_ns = counts[0].busy_ns + seconds * 1e9
  counts[0].calls = counts[0].calls + 1
end

function Monitor:get(i, e)
  local get = compiler.compile(self.source)
  local start = clock()
  local x = get(i, e)
  add(counts_of(self), clock() - start)
  return x
end

-- Uses the source's own iteration, so that a prefetch below computes ahead.
local function step(state, i)
  local start = clock()
  local at, x = state.step(state.state, i)
  if at ~= nil then
    add(state.counts, clock() - start)
  end
  return at, x
end

function Monitor:iterate(options)
  local f, state, start = self.source:iterate(options)
  return step, { counts = counts_of(self), step = f, state = state }, start
end

function Monitor:set(i, value, e)
  self.source:set(i, value, e)
end

local methods = handle.more_methods("monitor")
Monitor.methods = methods

-- Reads and seconds, in this process and in the workers of all prefetches.
local function total(node)
  local counts = counts_of(node)
  local count, seconds = tonumber(counts[0].calls), 0
  local ns = tonumber(counts[0].busy_ns)
  local pools = node.here.pools
  for _, pool in ipairs(pools and traverse.keys(pools) or {}) do
    local calls, busy = pool:stage(pools[pool])
    count, seconds = count + calls, seconds + busy
  end
  return count, seconds + ns / 1e9
end

local function measured(s, what)
  local node = handle.check_self(s, "monitor")
  local count, seconds = total(node)
  local from = node.here.from or NOTHING
  if count == from.count then
    check.raise(("cannot tell the %s before the first item is read"):format(
      what))
  end
  return count - from.count, seconds - from.seconds
end

--- Items read per second of reading. Several workers read for several seconds
-- in one second.
function methods.throughput(s)
  local count, seconds = measured(s, "throughput")
  return count / seconds
end

--- The mean seconds that reading an item takes.
function methods.read_delay(s)
  local count, seconds = measured(s, "read delay")
  return seconds / count
end

--- Counts from now on.
function methods.reset(s)
  local node = handle.check_self(s, "monitor")
  local count, seconds = total(node)
  node.here.from = { count = count, seconds = seconds }
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
