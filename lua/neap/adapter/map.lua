-- SPDX-License-Identifier: MIT
--- A function over the items of one or several sequences.
-- @module neap.adapter.map

local check = require("neap.base.check")
local class = require("neap.base.class")
local sequence = require("neap.sequence.sequence")

local SOURCES_MAX = 100 -- what LuaJIT's limits allow an item's function

local Map = class("adapter.map", sequence.class)

function Map:emit(g, i, e)
  local arguments = {}
  for k, source in ipairs(self.sources) do
    arguments[k] = g:value(source, i, e)
  end
  return g:call(self, i, self.f, arguments)
end

function Map:describe()
  return (sequence.describe_sources(self):gsub("^map%(", "map(f, "))
end

--- The nodes of several sequences, and the length that they agree on; endless
-- ones go along with any.
local function agree(narg, ...)
  local nodes, length = {}, math.huge
  local count = select("#", ...)
  if count > SOURCES_MAX then
    check.fail(narg + SOURCES_MAX, ("%d sequences at most expected, got %d")
      :format(SOURCES_MAX, count))
  end
  for k = 1, count do
    local node = check.sequence(narg + k - 1, (select(k, ...)))
    nodes[k] = node
    if node.length ~= math.huge then
      if length ~= math.huge and node.length ~= length then
        check.fail(narg + k - 1, ("%d items expected, got %d: lengths must "
          .. "agree"):format(length, node.length))
      end
      length = node.length
    end
  end
  return nodes, length
end

--- Returns f(x), or f(x, y, ...) over the items of several sequences.
-- @function map
-- @tparam function f called once for each item that is read
-- @tparam Sequence ... of equal lengths; endless ones end with the others
-- @treturn Sequence
-- @usage neap.map(function(x, y) return x + y end, {1, 2}, {10, 20})
local function map(f, ...)
  check.func(1, f)
  if select("#", ...) == 0 then
    check.sequence(2, nil)
  end
  local sources, length = agree(2, ...)
  return sequence.wrap(Map:make({ f = f, sources = sources, length = length }))
end

return setmetatable({
  class = Map, agree = agree, map = map, SOURCES_MAX = SOURCES_MAX,
}, {
  __call = function(_, ...)
    return map(...)
  end,
})
