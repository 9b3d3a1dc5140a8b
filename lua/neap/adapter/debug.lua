-- SPDX-License-Identifier: MIT
--- Calls a function on each read of an item.
-- @module neap.adapter.debug

local check = require("neap.base.check")
local class = require("neap.base.class")
local clock = require("neap.base.clock")
local Node = require("neap.sequence.node")
local handle = require("neap.sequence.handle")

local Debug = class("adapter.debug", Node)

-- Whether to call f on this read; counts the call if so.
local function is_due(state, self)
  if state.calls >= self.max_calls then
    return false
  end
  if self.max_rate < math.huge then
    local now = clock()
    if now - state.last < 1 / self.max_rate then
      return false
    end
    state.last = now
  end
  state.calls = state.calls + 1
  return true
end

function Debug:emit(g, i, e)
  local x = g:value(self.source, i, e)
  local state = g:state(self, { calls = 0, last = -math.huge })
  g:open("if %s(%s, %s) then", g:own(is_due), state, g:constant(self))
  g:staged(self, i, "%s(%s, %s)", g:constant(self.f), i, x)
  g:close()
  return x
end

function Debug:set(i, value, e)
  self.source:set(i, value, e)
end

local OPTIONS = {
  max_calls = check.kinds.natural, max_rate = check.kinds.positive,
}

--- Returns the same items, and calls f(i, x) on each read.
-- @function debug
-- @tparam Sequence source
-- @tparam function f
-- @tparam[opt] table options max_calls (in all), max_rate (calls a second)
-- @treturn Sequence
local function debug_(source, f, options)
  source = handle.check(1, source)
  check.func(2, f)
  options = check.options(3, options, OPTIONS)
  return handle.wrap(Debug:make({
    source = source, f = f, length = source.length,
    max_calls = options.max_calls or math.huge,
    max_rate = options.max_rate or math.huge,
  }))
end

return {
  class = Debug, make = debug_, options = OPTIONS,
  example = [[neap.debug({ 5, 6 }, print, { max_calls = 0 }):totable()
    --> 5, 6]],
}
