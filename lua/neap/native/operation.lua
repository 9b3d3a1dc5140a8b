-- SPDX-License-Identifier: MIT
--- neap.operation: a method of tensors with numbers, as a function for map,
-- which C knows too. So it needs no Lua in a chain that needs none.
-- @module neap.native.operation

local check = require("neap.base.check")
local class = require("neap.base.class")
local dtype = require("neap.tensor.dtype")
local lib = require("neap.base.lib")
local memory = require("neap.tensor.memory")
local methods = require("neap.tensor.methods")
local suggest = require("neap.base.suggest")
local traverse = require("neap.base.traverse")

local C = lib.C
local Operation = class("native.operation")

-- Name -> the numbers that it takes.
local NUMBERS = {
  add = 1, sub = 1, mul = 1, div = 1, eq = 1, lt = 1, gt = 1, clamp = 2,
}

-- -- In Lua ------------------------------------------------------------------

local function refuse_item(self, x)
  error(("cannot %s: the item is %s, and must be a tensor"):format(self.name,
    check.got(x)), 0)
end

local function caller(self)
  local method, a, b, c = methods[self.name], self.a, self.b, self.c
  return function(t)
    if not memory.is(t) then
      refuse_item(self, t)
    end
    return (method(t, a, b, c))
  end
end

-- The function that this process calls.
local function here(self)
  self.here = self.here or caller(self)
  return self.here
end

-- f(t)
function Operation.__call(self, t)
  return here(self)(t)
end

--- Writes the code of a map.
function Operation:emit(node, g, i, e)
  return g:call(node, i, here(self), { g:value(node.sources[1], i, e) })
end

-- -- In C --------------------------------------------------------------------

--- Adds a map to a chain of C's.
function Operation:native(node, build)
  if self.name == "to" then
    local kind = dtype.find(self.a)
    build:make(node, C.neap_chain_convert, build:take_one(), kind.code,
      kind.bits, self.b or 1, self.c or 0)
  else
    build:make(node, C.neap_chain_operate, build:take_one(), self.name, self.a,
      self.b or 0)
  end
end

function Operation.__tostring(self)
  local parts = { self.name }
  for k, x in ipairs({ self.a, self.b or self.c and 1, self.c }) do
    parts[k + 1] = type(x) == "number" and ("%.14g"):format(x) or x
  end
  return table.concat(parts, " ")
end

-- -- Making ------------------------------------------------------------------

local function check_name(name)
  local known = traverse.copy(NUMBERS)
  known.to = true
  if not known[name] then
    local names = traverse.keys(known)
    table.sort(names)
    check.fail(1, ("operation expected, one of %s; got %s"):format(
      table.concat(names, ", "), check.got(name)),
      type(name) == "string" and methods[name]
        and ("write function(t) return t:%s(...) end"):format(name)
        or suggest(tostring(name), known))
  end
end

-- Of "to": numbers that may be left out.
local function check_rest(b, c)
  if b ~= nil then
    check.number(3, b)
  end
  if c ~= nil then
    check.number(4, c)
  end
end

local function check_numbers(name, b, c)
  local count = NUMBERS[name]
  if count == 2 then
    check.number(3, b)
  end
  if count == 1 and b ~= nil or c ~= nil then
    check.fail(count + 2, ("no value expected: %s takes %d number%s"):format(
      name, count, count == 1 and "" or "s"))
  end
end

--- Returns a function that converts tensors, or computes with them and numbers.
-- @function operation
-- @tparam string name "to", or "add", "sub", "mul", "div", "eq", "lt", "gt",
--   "clamp": a method of tensors
-- @param a of "to": a dtype; of others: a number
-- @tparam[opt] number b of "to": what to multiply by; of "clamp": the highest
-- @tparam[opt] number c of "to": what to add
-- @treturn Operation a function for neap.map
local function operation(name, a, b, c)
  check_name(name)
  if name == "to" then
    dtype.find(a)
    check_rest(b, c)
  else
    check.number(2, a)
    check_numbers(name, b, c)
  end
  return Operation:new({ name = name, a = a, b = b, c = c })
end

return {
  make = operation,
  example = [[neap.map(neap.operation("to", "f32", 0.5),
    neap.tensor("u8", { 2, 1 }, { 1, 2 }))[2][1] --> 1]],
}
