-- SPDX-License-Identifier: MIT
--- A sequence repeated.
-- @module neap.adapter.cycle

local check = require("neap.base.check")
local class = require("neap.base.class")
local exact = require("neap.base.exact")
local lib = require("neap.base.lib")
local Index = require("neap.sequence.index")
local handle = require("neap.sequence.handle")

local Cycle = class("adapter.cycle", Index)

function Cycle:tree(source)
  return self.build(lib.C.neap_seq_cycle, source,
    self.times == math.huge and lib.C.NEAP_ENDLESS or self.times)
end

function Cycle:describe()
  return ("cycle(%s%s)"):format(self.source:describe(),
    self.times == math.huge and "" or (", %d"):format(self.times))
end

--- Returns the source repeated n times, or endlessly.
-- @function cycle
-- @tparam Sequence source with an end
-- @tparam[opt] int n nil: endless
-- @treturn Sequence a view
local function cycle(source, n)
  source = handle.check_finite(1, source)
  local times = n == nil and math.huge or check.natural(2, n)
  if source.length == 0 and times > 0 then
    check.fail(1, "sequence with items expected, got an empty one")
  elseif times < math.huge and source.length * times >= exact.TOO_MANY then
    check.fail(2, "fewer than 2^63 items expected")
  end
  return handle.wrap(Cycle:make({
    source = source, times = times,
    length = exact.product(source.length, times),
  }))
end

return {
  class = Cycle, make = cycle,
  example = [[neap.cycle({ "a", "b" }, 2):totable() --> a, b, a, b]],
}
