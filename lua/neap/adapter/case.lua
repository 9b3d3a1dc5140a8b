-- SPDX-License-Identifier: MIT
--- Each item from the one of several sequences that a selector names.
-- @module neap.adapter.case

local arguments = require("neap.sequence.arguments")
local check = require("neap.base.check")
local class = require("neap.base.class")
local compiler = require("neap.sequence.compile")
local Node = require("neap.sequence.node")
local handle = require("neap.sequence.handle")

local Case = class("adapter.case", Node)

Case.chooses = true

local function checked(selected, count)
  if not (check.is_integer(selected) and selected >= 1
    and selected <= count) then
    error(check.with_help(("the selector must be 1..%d, got %s"):format(count,
      check.got(selected)), type(selected) == "boolean"
      and "neap.switch selects by true and false" or nil), 0)
  end
  return selected
end

-- sources: the selector, then what it selects from.
function Case:emit(g, i, e)
  local which, x, getters = g:name("w"), g:name(), {}
  local selected = g:value(self.sources[1], i, e)
  for k = 2, #self.sources do
    getters[k - 1] = g.compile(self.sources[k])
  end
  g:staged(self, i, "local %s = %s(%s, %d)", which, g:own(checked),
    selected, #getters)
  g:line("local %s = %s[%s](%s, %s)", x, g:constant(getters), which, i, e)
  return x
end

function Case:set(i, value, e)
  local selected = compiler.compile(self.sources[1])(i, e)
  self.sources[1 + checked(selected, #self.sources - 1)]:set(i, value, e)
end

--- Returns item i of the sequence whose number selector[i] is.
-- @function case
-- @tparam Sequence selector items 1 to k
-- @tparam Sequence ... k sequences
-- @treturn Sequence
local function case(selector, ...)
  if select("#", ...) == 0 then
    handle.check(2, nil)
  end
  local sources, length = arguments.agree(1, selector, ...)
  return handle.wrap(Case:make({ sources = sources, length = length }))
end

return {
  class = Case, make = case,
  example = [[neap.case({ 2, 1 }, { 1, 2 }, { 10, 20 }):totable() --> 10, 2]],
}
