-- SPDX-License-Identifier: MIT
--- A function over the items of one or several sequences.
-- @module neap.adapter.map

local arguments = require("neap.sequence.arguments")
local class = require("neap.base.class")
local Node = require("neap.sequence.node")
local handle = require("neap.sequence.handle")

local Map = class("adapter.map", Node)

function Map:emit(g, i, e)
  local items = {}
  for k, source in ipairs(self.sources) do
    items[k] = g:value(source, i, e)
  end
  return g:call(self, i, self.f, items)
end

function Map:describe()
  return (Node.describe(self):gsub("^map%(", "map(f, "))
end

--- Returns f(x), or f(x, y, ...) over the items of several sequences.
-- @function map
-- @tparam function f called once for each item that is read
-- @tparam Sequence ... of equal lengths; endless ones end with the others
-- @treturn Sequence
local function map(f, ...)
  handle.check_function(f)
  if select("#", ...) == 0 then
    handle.check(2, nil)
  end
  local sources, length = arguments.agree(2, ...)
  return handle.wrap(Map:make({ f = f, sources = sources, length = length }))
end

return {
  class = Map, make = map, function_first = true,
  example = [[neap.map(function(x, y) return x + y end,
    { 1, 2 }, { 10, 20 }):totable() --> 11, 22]],
}
