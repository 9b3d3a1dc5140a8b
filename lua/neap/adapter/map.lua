-- SPDX-License-Identifier: MIT
--- A function over the items of one or several sequences.
-- @module neap.adapter.map

local arguments = require("neap.sequence.arguments")
local check = require("neap.base.check")
local class = require("neap.base.class")
local Node = require("neap.sequence.node")
local handle = require("neap.sequence.handle")

local Map = class("adapter.map", Node)

function Map:emit(g, i, e)
  if type(self.f) ~= "function" then -- a native stage, or an operation
    return self.f:emit(self, g, i, e)
  end
  local items = {}
  for k, source in ipairs(self.sources) do
    items[k] = g:value(source, i, e)
  end
  return g:call(self, i, self.f, items)
end

function Map:not_native()
  if type(self.f) == "function" then
    return "its function is one of Lua",
      "neap.native and neap.operation make functions that need no Lua"
  end
end

function Map:native(build)
  build:chain(self.sources[1])
  self.f:native(self, build)
end

function Map:describe()
  local f = type(self.f) == "function" and "f" or tostring(self.f)
  return ("map(%s, %s"):format(f, Node.describe(self):sub(#"map(" + 1))
end

--- Returns f(x), or f(x, y, ...) over the items of several sequences.
-- @function map
-- @tparam function f called once for each item that is read; or a native stage
-- @tparam Sequence ... of equal lengths; endless ones end with the others
-- @treturn Sequence
local function map(f, ...)
  handle.check_function(f, true)
  if select("#", ...) == 0 then
    handle.check(2, nil)
  elseif check.is_native(f) and select("#", ...) > 1 then
    check.fail(3, "a native stage takes the items of one sequence",
      "neap.zip(s, t):map(f) passes both: \"1.data\" is a part of the first")
  end
  local sources, length = arguments.agree(2, ...)
  return handle.wrap(Map:make({
    f = f, sources = sources, length = length,
    draws = check.is_native(f) and f.draws or nil,
  }))
end

return {
  class = Map, make = map, function_first = true,
  example = [[neap.map(function(x, y) return x + y end,
    { 1, 2 }, { 10, 20 }):totable() --> 11, 22]],
}
