-- SPDX-License-Identifier: MIT
--- An item of each of several sequences in turn.
-- @module neap.adapter.interleave

local arguments = require("neap.sequence.arguments")
local check = require("neap.base.check")
local class = require("neap.base.class")
local exact = require("neap.base.exact")
local lib = require("neap.base.lib")
local Index = require("neap.sequence.index")
local handle = require("neap.sequence.handle")

local Interleave = class("adapter.interleave", Index)

Interleave.takes_several = true

function Interleave:tree(sources, count)
  return self.build(lib.C.neap_seq_interleave, sources, count)
end

--- Returns an item of each sequence in turn; one that has ended drops out.
-- @function interleave
-- @tparam Sequence ... of any lengths, endless ones too
-- @treturn Sequence a view
local function interleave(...)
  arguments.check_count(...)
  local sources, length = {}, 0
  for k = 1, select("#", ...) do
    sources[k] = handle.check(k, (select(k, ...)))
    length = exact.sum(length, sources[k].length)
    if length >= exact.TOO_MANY and length < math.huge then
      check.fail(k, "fewer than 2^63 items in all expected")
    end
  end
  return handle.wrap(Interleave:make({ sources = sources, length = length }))
end

return {
  class = Interleave, make = interleave,
  example = [[neap.interleave({ 1, 2, 3 }, { "a" }):totable() --> 1, a, 2, 3]],
}
