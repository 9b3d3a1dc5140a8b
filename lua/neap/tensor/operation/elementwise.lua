-- SPDX-License-Identifier: MIT
--- Operations on the elements of tensors, one by one.
-- @module neap.tensor.operation.elementwise

local arguments = require("neap.tensor.operation.arguments")
local check = require("neap.base.check")
local dtype = require("neap.tensor.dtype")
local lib = require("neap.base.lib")
local memory = require("neap.tensor.memory")

local C = lib.C
local kinds = dtype.list
local operand, result = arguments.operand, arguments.result

local OPTIONS = {
  dim = check.kinds.integer, out = arguments.kinds.tensor,
}
local BOOL = dtype.find("bool")

-- Raises if an operand has been released meanwhile: see memory.check.
local function check_operand(x)
  if memory.is(x) then
    memory.check(x)
  end
end

-- f(t, x) makes a tensor like t, or one of `kind`.
local function binary(name, kind)
  local f = C["neap_tensor_" .. name]
  return function(t, x, options)
    arguments.tensor(1, t)
    options = arguments.options(3, options, OPTIONS)
    local other = operand(name, 2, t, x, options.dim)
    local to = result(name, options.out, kind or kinds[t.kind], t.d.ndim,
      t.dims)
    check.status(f(t.d, other.d, to.d, lib.error))
    memory.check(t)
    check_operand(other)
    return to
  end
end

local elementwise = {}

for _, name in ipairs({ "add", "sub", "mul", "div" }) do
  elementwise[name] = binary(name)
end
for _, name in ipairs({ "eq", "lt", "gt" }) do
  elementwise[name] = binary(name, BOOL)
end

--- Limits elements to low .. high.
function elementwise.clamp(t, low, high, options)
  arguments.tensor(1, t)
  options = arguments.options(4, options, OPTIONS)
  local a = operand("clamp", 2, t, low, options.dim)
  local b = operand("clamp", 3, t, high, options.dim)
  local to = result("clamp", options.out, kinds[t.kind], t.d.ndim, t.dims)
  check.status(C.neap_tensor_clamp(t.d, a.d, b.d, to.d, lib.error))
  memory.check(t)
  check_operand(a)
  check_operand(b)
  return to
end

-- The dtype of a choice: that of the tensors, or f64 of two numbers.
local function kind_of(a, b)
  local t = memory.is(a) and a or b
  return memory.is(t) and kinds[t.kind] or dtype.find("f64")
end

--- Takes a where t is true, and b elsewhere.
function elementwise.where(t, a, b, options)
  arguments.tensor(1, t)
  options = arguments.options(4, options, OPTIONS)
  local x = operand("where", 2, t, a, options.dim)
  local y = operand("where", 3, t, b, options.dim)
  local to = result("where", options.out, kind_of(a, b), t.d.ndim, t.dims)
  check.status(C.neap_tensor_where(t.d, x.d, y.d, to.d, lib.error))
  memory.check(t)
  check_operand(x)
  check_operand(y)
  return to
end

return elementwise
