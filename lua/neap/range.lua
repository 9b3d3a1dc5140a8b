-- SPDX-License-Identifier: MIT
--- Numbers in arithmetic progression.
-- @module neap.range

local check = require("neap.check")
local class = require("neap.class")
local sequence = require("neap.sequence")

local Range = class("range", sequence.class)

function Range:emit(g, i)
  local x = g:name()
  if self.first == 1 and self.step == 1 then
    g:line("local %s = %s", x, i)
  else
    g:line("local %s = %s + (%s - 1) * %s", x, g:constant(self.first), i,
      g:constant(self.step))
  end
  return x
end

function Range:describe()
  local last = self.first + (self.length - 1) * self.step
  return self.step == 1 and ("range(%g, %g)"):format(self.first, last)
    or ("range(%g, %g, %g)"):format(self.first, last, self.step)
end

--- Returns 1 to n, or first to last by step, both ends included.
-- @function range
-- @tparam number first n, if it is the only argument
-- @tparam[opt] number last
-- @tparam[opt=1] number step
-- @treturn Sequence
-- @usage neap.range(2, 10, 4):totable() --> 2, 6, 10
local function range(first, last, step)
  check.number(1, first)
  if last == nil and step == nil then
    first, last = 1, first
  end
  check.number(2, last)
  step = step == nil and 1 or check.number(3, step)
  if step == 0 then
    check.fail(3, "step other than 0 expected, got 0")
  end
  local length = math.max(0, math.floor((last - first) / step + 1e-9) + 1)
  if length >= 2 ^ 53 and length < math.huge then
    check.fail(2, "fewer than 2^53 items expected")
  end
  return sequence.wrap(Range:make({
    first = first, step = step, length = length,
  }))
end

return range
