-- SPDX-License-Identifier: MIT
--- One value, repeated.
-- @module neap.source.rep

local check = require("neap.base.check")
local class = require("neap.base.class")
local Node = require("neap.sequence.node")
local handle = require("neap.sequence.handle")

local Rep = class("source.rep", Node)

Rep.is_timed = false

function Rep:emit(g)
  local x = g:name()
  g:line("local %s = %s.value", x, g:constant(self))
  return x
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
