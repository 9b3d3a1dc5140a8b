-- SPDX-License-Identifier: MIT
--- A sequence in an order drawn from a seed and the epoch, in O(1) memory.
-- @module neap.adapter.shuffle

local check = require("neap.base.check")
local class = require("neap.base.class")
local lib = require("neap.base.lib")
local Index = require("neap.sequence.index")
local handle = require("neap.sequence.handle")

local Shuffle = class("adapter.shuffle", Index)

Shuffle.draws = true

function Shuffle:tree(source)
  return self.build(lib.C.neap_seq_shuffle, source, self.seed)
end

function Shuffle:describe()
  return ("shuffle(%s, %d)"):format(self.source:describe(), self.seed)
end

--- Returns the items of source in a random order.
-- @function shuffle
-- @tparam Sequence source with an end
-- @tparam[opt] int seed default: 1 more than the number of shuffles below
-- @treturn Sequence a view; each epoch has an order of its own
local function shuffle(source, seed)
  source = handle.check_finite(1, source)
  if source.length > 2 ^ 62 then
    check.fail(1, "2^62 items at most expected")
  end
  seed = seed == nil and source:count_stages("shuffle") + 1
    or check.integer(2, seed)
  return handle.wrap(Shuffle:make({
    source = source, seed = seed, length = source.length,
  }))
end

return {
  class = Shuffle, make = shuffle,
  example = [[neap.shuffle(neap.range(4), 42):totable() --> 1, 4, 3, 2]],
}
