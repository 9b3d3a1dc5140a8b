-- SPDX-License-Identifier: MIT
--- Sequences of a Lua array, the rows of a tensor, or a function of the index.
-- @module neap.source.from

local check = require("neap.base.check")
local class = require("neap.base.class")
local Node = require("neap.sequence.node")
local handle = require("neap.sequence.handle")
local array = require("neap.tensor.array")

local From = class("source.from", Node)

From.words = { stored = "items", values = "items" }

From.is_timed = false -- but a function's is

function From:emit(g, i)
  if type(self.values) == "function" then
    return g:call(self, i, self.values, { i })
  end
  local x = g:name()
  if array.is(self.values) then -- which may be one that was released
    g:staged(self, i, "local %s = %s[%s]", x, g:constant(self.values), i)
  else
    g:line("local %s = %s[%s]", x, g:constant(self.values), i)
  end
  return x
end

-- Of a Lua array: whether all of it is numbers.
local function are_numbers(values)
  for k = 1, #values do
    if type(values[k]) ~= "number" then
      return false
    end
  end
  return true
end

function From:not_native()
  local values = self.values
  if type(values) == "function" then
    return "its function is one of Lua"
  elseif not array.is(values) and not are_numbers(values) then
    return "its items are not all numbers",
      "rows of a tensor need no Lua: neap.from(tensor)"
  end
end

function From:native(build)
  local values = self.values
  if not array.is(values) then
    build:check_copied(self)
    values = array.new("f64", { #values }, values)
  end
  build:tensor(self, values)
end

function From:set(i, value)
  if type(self.values) == "function" then
    error("cannot assign: the items of " .. self:stage_name()
      .. " are computed, not stored", 0)
  end
  self.values[i] = value
end

function From:describe()
  if array.is(self.values) then
    return ("from(tensor %s %s)"):format(self.values.dtype,
      table.concat(self.values.shape, "x"))
  end
  return ("from(%s)"):format(type(self.values))
end

--- The node of a Lua array or tensor.
local function node_of(values)
  return From:make({ values = values, length = #values, stored = values })
end

handle.set_maker(node_of)

--- Returns the items of an array, the rows of a tensor, or f(1), f(2), ...
-- @function from
-- @tparam table|tensor|function values
-- @tparam[opt] int n items of a function; nil: endless
-- @treturn Sequence
local function from(values, n)
  if type(values) == "function" then
    if n ~= nil and not (check.is_integer(n) and n >= 0) then
      check.fail(2, "whole number, 0 or more, expected, got " .. check.got(n))
    end
    return handle.wrap(From:make({
      values = values, length = n or math.huge, is_timed = true,
    }))
  elseif n ~= nil then
    handle.check(1, values)
    check.fail(2, "no length expected: only a function takes one",
      "s:slice(1, n) has n items")
  elseif handle.is(values) then
    return values
  end
  return handle.wrap(handle.check(1, values))
end

return {
  class = From, make = from,
  example = [[neap.from(function(i) return i * i end, 3):totable()
    --> 1, 4, 9]],
}
