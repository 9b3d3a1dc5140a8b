-- SPDX-License-Identifier: MIT
--- Each item from the one or the other sequence, as a condition says.
-- @module neap.adapter.switch

local arguments = require("neap.sequence.arguments")
local class = require("neap.base.class")
local compiler = require("neap.sequence.compile")
local Node = require("neap.sequence.node")
local handle = require("neap.sequence.handle")

local Switch = class("adapter.switch", Node)

Switch.chooses = true

-- sources: the condition, then what to read where it holds and where not.
function Switch:emit(g, i, e)
  local condition = g:value(self.sources[1], i, e)
  local x = g:name()
  g:line("local %s", x)
  g:open("if %s then", condition)
  g:line("%s = %s", x, g:value(self.sources[2], i, e))
  g:close("")
  g:open("else")
  g:line("%s = %s", x, g:value(self.sources[3], i, e))
  g:close()
  return x
end

function Switch:set(i, value, e)
  local condition = compiler.compile(self.sources[1])(i, e)
  self.sources[condition and 2 or 3]:set(i, value, e)
end

--- Returns a[i] where condition[i] is true, else b[i]. Only the chosen one is
-- evaluated.
-- @function switch
-- @tparam Sequence condition
-- @tparam Sequence a
-- @tparam Sequence b
-- @treturn Sequence
local function switch(condition, a, b)
  handle.check(2, a)
  handle.check(3, b)
  local sources, length = arguments.agree(1, condition, a, b)
  return handle.wrap(Switch:make({ sources = sources, length = length }))
end

return {
  class = Switch, make = switch,
  example = [[neap.switch({ true, false }, { 1, 2 }, { 10, 20 }):totable()
    --> 1, 20]],
}
