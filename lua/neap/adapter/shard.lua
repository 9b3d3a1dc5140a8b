-- SPDX-License-Identifier: MIT
--- The share of a sequence that one of several processes reads.
-- @module neap.adapter.shard

local ffi = require("ffi")
local check = require("neap.base.check")
local class = require("neap.base.class")
local cycle = require("neap.adapter.cycle")
local exact = require("neap.base.exact")
local Slice = require("neap.adapter.slice").class
local sequence = require("neap.sequence.sequence")

local int64 = ffi.typeof("int64_t")
local Shard = class("adapter.shard", Slice)

function Shard:describe()
  return ("shard(%s, %d, %d, %s)"):format(self.whole:describe(), self.first,
    self.step, self.even)
end

-- Also of more items than doubles count.
local LENGTHS = {
  keep = function(n, rank, world)
    return exact.steps(rank, n, world)
  end,
  drop = function(n, _, world)
    return exact.number(int64(n) / world)
  end,
  pad = function(n, _, world)
    return exact.number((int64(n) + (world - 1)) / world)
  end,
}

-- How often the source must come for a shard to have its length.
local function times_of(n, rank, world, length)
  if length == 0 or length == math.huge then
    return 1
  end
  return tonumber((rank + (int64(length) - 1) * world + (n - 1)) / n)
end

--- Returns items rank, rank + world, rank + 2 world, ... of the source.
-- @function shard
-- @tparam Sequence source
-- @tparam int rank 1 to world
-- @tparam int world shards in all
-- @tparam[opt] table options {even = "keep"}: together everything exactly
--   once; "drop": equal lengths, the remainder left out; "pad": equal lengths,
--   filled up from the start
-- @treturn Sequence a view
-- @usage neap.shard(neap.range(10), 2, 4):totable() --> 2, 6, 10
local function shard(source, rank, world, options)
  source = check.sequence(1, source)
  check.count(2, rank)
  check.count(3, world)
  if rank > world then
    check.fail(2, ("rank 1..%d expected, got %d"):format(world, rank))
  end
  local even = check.options(4, options, { even = "even" }).even or "keep"
  local n = source.length
  local length = n == math.huge and n or LENGTHS[even](n, rank, world)
  local times = times_of(n, rank, world, length)
  return sequence.wrap(Shard:make({
    whole = source, even = even,
    source = times > 1 and cycle.node(source, times) or source,
    first = length > 0 and rank or 1, step = world, length = length,
  }))
end

return shard
