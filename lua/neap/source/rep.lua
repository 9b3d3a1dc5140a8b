-- SPDX-License-Identifier: MIT
--- One value, repeated.
-- @module neap.source.rep

local array = require("neap.tensor.array")
local check = require("neap.base.check")
local class = require("neap.base.class")
local lib = require("neap.base.lib")
local Index = require("neap.sequence.index")
local Node = require("neap.sequence.node")
local handle = require("neap.sequence.handle")

local C = lib.C
local Rep = class("source.rep", Node)

Rep.is_timed = false

function Rep:emit(g)
  local x = g:name()
  g:line("local %s = %s.value", x, g:constant(self))
  return x
end

function Rep:not_native()
  local value = self.value
  if type(value) ~= "number" and not (array.is(value) and value.ndim > 0
    and value.ndim < C.NEAP_DIMS_MAX) then
    return "its value is neither a number nor a tensor of 1 to 7 dimensions"
  end
end

-- One row, over and over.
function Rep:native(build)
  local value = self.value
  build:check_copied(self)
  if type(value) == "number" then
    build:tensor(self, array.new("f64", { 1 }, value))
  else
    build:tensor(self, value:reshape(1, unpack(value.shape)))
  end
  local tree = Index.build(C.neap_seq_cycle,
    Index.build(C.neap_seq_leaf, 1, 0),
    self.length == math.huge and C.NEAP_ENDLESS or self.length)
  build:make(self, C.neap_chain_arrange, tree, build:take(1))
end

--- There is one value, so assigning to one item assigns to all.
function Rep:set(_, value)
  self.value = value
end

--- Returns a value n times, or endlessly.
-- @function rep
-- @param value
-- @tparam[opt] int n nil: endless
-- @treturn Sequence
local function rep(value, n)
  return handle.wrap(Rep:make({
    value = value, length = n == nil and math.huge or check.natural(2, n),
  }))
end

return {
  class = Rep, make = rep,
  example = [[neap.rep(0, 3):totable() --> 0, 0, 0]],
}
