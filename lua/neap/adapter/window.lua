-- SPDX-License-Identifier: MIT
--- k consecutive items at a time, from every step-th item on.
-- @module neap.adapter.window

local check = require("neap.base.check")
local class = require("neap.base.class")
local Batch = require("neap.adapter.batch").class
local handle = require("neap.sequence.handle")

-- A batch whose stride is not its size.
local Window = class("adapter.window", Batch)

function Window:describe()
  return ("window(%s, %d, %d)"):format(self.source:describe(), self.k,
    self.stride)
end

--- Returns tables of k consecutive items; an incomplete last one is dropped.
-- @function window
-- @tparam Sequence source
-- @tparam int k items of a window
-- @tparam[opt=1] int step items from one window to the next
-- @treturn Sequence
local function window(source, k, step)
  source = handle.check(1, source)
  check.count(2, k)
  step = step == nil and 1 or check.count(3, step)
  return handle.wrap(Window:make({
    source = source, k = k, stride = step,
    length = math.max(0, math.floor((source.length - k) / step) + 1),
    has_pad = false,
  }))
end

return {
  class = Window, make = window,
  example = [[neap.window(neap.range(4), 3):totable()
    --> {1, 2, 3}, {2, 3, 4}]],
}
