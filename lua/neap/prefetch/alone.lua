-- SPDX-License-Identifier: MIT
--- Runs one read at a time. A finalizer may run in the middle of a read. All
-- reads share their buffers, so one by the finalizer would spoil the item: it
-- raises.
-- @module neap.prefetch.alone

local errors = require("neap.base.errors")

local is_busy = false -- whether an item is read now

--- Calls f(...), which reads from a prefetch.
-- @return its results, two at most
local function alone(f, ...)
  if is_busy then
    errors.refuse("cannot read: an item is being read, and this is a "
      .. "finalizer that has come in between", "busy")
  end
  is_busy = true
  local ok, a, b = pcall(f, ...)
  is_busy = false
  if not ok then
    error(a, 0)
  end
  return a, b
end

return alone
