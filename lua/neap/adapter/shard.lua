-- SPDX-License-Identifier: MIT
--- The share of a sequence that one of several processes reads.
-- @module neap.adapter.shard

local ffi = require("ffi")
local check = require("neap.base.check")
local class = require("neap.base.class")
local exact = require("neap.base.exact")
local lib = require("neap.base.lib")
local Slice = require("neap.adapter.slice").class
local handle = require("neap.sequence.handle")

local int64 = ffi.typeof("int64_t")
local Shard = class("adapter.shard", Slice)

function Shard:tree(source)
  if self.times > 1 then
    source = self.build(lib.C.neap_seq_cycle, source, self.times)
  end
  return (Slice.tree(self, source))
end

function Shard:describe()
  return ("shard(%s, %d, %d, %s)"):format(self.source:describe(), self.rank,
    self.step, self.even)
end

-- In int64_t: there may be more items than doubles count exactly.
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

-- How often the source must repeat for a shard to have its length.
local function times_of(n, rank, world, length)
  if length == 0 or length == math.huge then
    return 1
  end
  return tonumber((rank + (int64(length) - 1) * world + (n - 1)) / n)
end

local OPTIONS = {
  even = function(v)
    return LENGTHS[v] ~= nil, '"keep", "drop" or "pad"'
  end,
}

--- Returns items rank, rank + world, rank + 2 world, ... of the source.
-- @function shard
-- @tparam Sequence source
-- @tparam int rank 1 to world
-- @tparam int world the number of shards
-- @tparam[opt] table options {even = "keep"}: each item is in just one shard;
--   "drop": equal lengths, without the remainder; "pad": equal lengths, padded
--   with items from the start
-- @treturn Sequence a view
local function shard(source, rank, world, options)
  source = handle.check(1, source)
  check.count(2, rank, rank == 0 and "ranks count from 1" or nil)
  check.count(3, world)
  if rank > world then
    check.fail(2, ("rank 1..%d expected, got %d"):format(world, rank))
  end
  local even = check.options(4, options, OPTIONS).even or "keep"
  local n = source.length
  local length = n == math.huge and n or LENGTHS[even](n, rank, world)
  return handle.wrap(Shard:make({
    source = source, rank = rank, even = even,
    times = times_of(n, rank, world, length),
    first = length > 0 and rank or 1, step = world, length = length,
  }))
end

return {
  class = Shard, make = shard, options = OPTIONS,
  example = [[neap.shard(neap.range(10), 2, 4):totable() --> 2, 6, 10]],
}
