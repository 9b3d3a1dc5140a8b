-- SPDX-License-Identifier: MIT
--- Reads an item again when it raises.
-- @module neap.adapter.retry

local check = require("neap.base.check")
local class = require("neap.base.class")
local clock = require("neap.base.clock")
local errors = require("neap.base.errors")
local Node = require("neap.sequence.node")
local handle = require("neap.sequence.handle")

local Retry = class("adapter.retry", Node)

local function attempt(self, getter, i, e)
  local ok, x
  for tries = 0, self.times do
    ok, x = errors.try(getter, i, e)
    if ok then
      return x
    elseif x.kind == "end" or x.is_final or not errors.is_of_item(x) then
      break
    elseif tries < self.times and self.delay > 0 then
      clock.sleep(self.delay)
    end
  end
  error(x, 0)
end

function Retry:emit(g, i, e)
  local x = g:name()
  self:expect_tries(1, 0)
  self.source:expect_rereads(1)
  g:line("local %s = %s(%s, %s, %s, %s)", x, g:own(attempt),
    g:constant(self), g:constant(g.compile(self.source)), i, e)
  return x
end

function Retry:expect_tries(count, delay)
  self.source:expect_tries(count * (self.times + 1),
    math.max(delay, self.delay))
end

function Retry:set(i, value, e)
  self.source:set(i, value, e)
end

local OPTIONS = {
  delay = function(v)
    return type(v) == "number" and v >= 0 and v < math.huge,
      "number, 0 or more,"
  end,
}

--- Returns the same items; one that raises is read again, n times at most.
-- @function retry
-- @tparam Sequence source
-- @tparam int n
-- @tparam[opt] table options {delay = seconds} between two tries
-- @treturn Sequence
local function retry(source, n, options)
  source = handle.check(1, source)
  check.count(2, n)
  options = check.options(3, options, OPTIONS)
  return handle.wrap(Retry:make({
    source = source, times = n, delay = options.delay or 0,
    length = source.length,
  }))
end

return {
  class = Retry, make = retry, options = OPTIONS,
  example = [[neap.retry({ 1, 2 }, 3, { delay = 0.5 }):totable() --> 1, 2]],
}
