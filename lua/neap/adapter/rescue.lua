-- SPDX-License-Identifier: MIT
--- Another item for one that raises.
-- @module neap.adapter.rescue

local check = require("neap.base.check")
local class = require("neap.base.class")
local errors = require("neap.base.errors")
local Node = require("neap.sequence.node")
local handle = require("neap.sequence.handle")

local Rescue = class("adapter.rescue", Node)

Rescue.leaves_out = false -- it replaces what a skip below has marked

-- Raises an error that no item can replace: the end of an iterator of unknown
-- size, or one of all items.
local function pass_on(e, node)
  if node:is_end(e) or not errors.is_of_item(e) then
    error(e, 0)
  end
end

function Rescue:emit(g, i, e)
  local ok, x = g:name("ok"), g:name()
  g:line("local %s, %s = %s(%s, %s, %s)", ok, x, g:own(errors.try),
    g:constant(g.compile(self.source)), i, e)
  g:open("if not %s then", ok)
  g:line("%s(%s, %s)", g:own(pass_on), x, g:constant(self))
  g:staged(self, i, "%s = %s(%s(%s), %s)", x, g:constant(self.f),
    g:own(errors.as_raised), x, i)
  g:close()
  return x
end

-- It hands on no error by which an item would be read again.
function Rescue.expect_tries() end

function Rescue:set(i, value, e)
  self.source:set(i, value, e)
end

--- Returns f(err, i) instead of an item that raises. f may raise again.
-- @function rescue
-- @tparam Sequence source
-- @tparam function f
-- @treturn Sequence
local function rescue(source, f)
  source = handle.check(1, source)
  check.func(2, f)
  return handle.wrap(Rescue:make({
    source = source, f = f, length = source.length,
  }))
end

return {
  class = Rescue, make = rescue,
  example = [[neap.rescue(neap.map(error, { 1, 2 }),
    function(err, i) return -i end):totable() --> -1, -2]],
    --> 1, 2]],
}
