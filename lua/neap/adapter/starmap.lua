-- SPDX-License-Identifier: MIT
--- A function over items that are lists of its arguments.
-- @module neap.adapter.starmap

local check = require("neap.base.check")
local class = require("neap.base.class")
local Node = require("neap.sequence.node")
local handle = require("neap.sequence.handle")

local StarMap = class("adapter.starmap", Node)

-- See luajit.md, *unpack and varargs*.
local function spread(f, x)
  if type(x) ~= "table" and type(x) ~= "cdata" then
    error(check.with_help("the item must be a list of arguments, got "
      .. check.got(x), "map calls its function with the item itself"), 0)
  end
  local n = #x
  if n == 1 then
    return f(x[1]), nil
  elseif n == 2 then
    return f(x[1], x[2]), nil
  elseif n == 3 then
    return f(x[1], x[2], x[3]), nil
  elseif n == 4 then
    return f(x[1], x[2], x[3], x[4]), nil
  end
  return f(unpack(x)), nil
end

function StarMap:emit(g, i, e)
  local arguments = g:value(self.source, i, e)
  local x = g:name()
  g:staged(self, i, "local %s = %s(%s, %s)", x, g:own(spread),
    g:constant(self.f), arguments)
  return x
end

function StarMap:describe()
  return ("starmap(f, %s)"):format(self.source:describe())
end

--- Returns f(unpack(x)) for each item x.
-- @function starmap
-- @tparam function f
-- @tparam Sequence source its items are Lua arrays
-- @treturn Sequence
local function starmap(f, source)
  handle.check_function(f)
  source = handle.check(2, source)
  return handle.wrap(StarMap:make({
    f = f, source = source, length = source.length,
  }))
end

return {
  class = StarMap, make = starmap, function_first = true,
  example = [[neap.starmap(math.max, { { 1, 5 }, { 7, 2 } }):totable()
    --> 5, 7]],
}
