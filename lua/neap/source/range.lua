-- SPDX-License-Identifier: MIT
--- Numbers in arithmetic progression.
-- @module neap.source.range

local check = require("neap.base.check")
local class = require("neap.base.class")
local lib = require("neap.base.lib")
local Node = require("neap.sequence.node")
local handle = require("neap.sequence.handle")

local function check_finite(narg, value)
  check.number(narg, value)
  if math.abs(value) == math.huge then
    check.fail(narg, "finite number expected, got " .. check.got(value))
  end
  return value
end

-- No item lies beyond `last`, however the quotient is rounded.
local function count(first, last, step)
  local n = math.floor((last - first) / step) + 1
  local is_past = (first + (n - 1) * step - last) * step > 0
  return math.max(0, is_past and n - 1 or n)
end

local Range = class("source.range", Node)

Range.is_timed = false

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

function Range:native(build)
  build:make(self, lib.C.neap_chain_range, self.first, self.step,
    self.length == math.huge and lib.C.NEAP_ENDLESS or self.length)
end

function Range:describe()
  local last = self.first + (self.length - 1) * self.step
  return self.step == 1 and ("range(%.15g, %.15g)"):format(self.first, last)
    or ("range(%.15g, %.15g, %.15g)"):format(self.first, last, self.step)
end

--- Returns 1 to n, or first to last by step, both ends included.
-- @function range
-- @tparam number first n, if it is the only argument
-- @tparam[opt] number last
-- @tparam[opt=1] number step
-- @treturn Sequence
local function range(first, last, step)
  local is_count = last == nil and step == nil
  if is_count then
    first, last = 1, check.number(1, first)
  end
  check_finite(1, first)
  check.number(2, last)
  step = step == nil and 1 or check_finite(3, step)
  if step == 0 then
    check.fail(3, "step other than 0 expected, got 0")
  end
  local length = count(first, last, step)
  if length >= 2 ^ 53 and length < math.huge then
    check.fail(is_count and 1 or 2, "fewer than 2^53 items expected")
  end
  return handle.wrap(Range:make({
    first = first, step = step, length = length,
  }))
end

return {
  class = Range, make = range,
  example = [[neap.range(2, 10, 4):totable() --> 2, 6, 10]],
}
