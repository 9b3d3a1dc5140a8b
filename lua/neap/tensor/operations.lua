-- SPDX-License-Identifier: MIT
--- The table of operations on tensors. From it come the methods of tensors, the
-- functions of neap, and the rows of docs/reference/lua.md. A new operation is
-- one row here, and one function.
-- @module neap.tensor.operations

local check = require("neap.base.check")
local elementwise = require("neap.tensor.operation.elementwise")
local image = require("neap.tensor.operation.image")
local layout = require("neap.tensor.operation.layout")
local random = require("neap.tensor.operation.random")
local reduce = require("neap.tensor.operation.reduce")

local ARITHMETIC = "{dim =, out =}"

-- name, function, its arguments as a method, what it returns, and whether it is
-- only a method ("method": neap's function of that name is another one) or only
-- a function ("function")
local LIST = {
  { "add", elementwise.add, "x, " .. ARITHMETIC, "t + x" },
  { "sub", elementwise.sub, "x, " .. ARITHMETIC, "t - x" },
  { "mul", elementwise.mul, "x, " .. ARITHMETIC, "t * x" },
  { "div", elementwise.div, "x, " .. ARITHMETIC, "t / x" },
  { "clamp", elementwise.clamp, "low, high, " .. ARITHMETIC,
    "t, but low where it is less, and high where it is more" },
  { "eq", elementwise.eq, "x, " .. ARITHMETIC, "bool: whether t == x" },
  { "lt", elementwise.lt, "x, " .. ARITHMETIC, "bool: whether t < x" },
  { "gt", elementwise.gt, "x, " .. ARITHMETIC, "bool: whether t > x" },
  { "where", elementwise.where, "a, b, " .. ARITHMETIC,
    "a where t, a bool, is true, else b", "method" },
  { "sum", reduce.sum, "dim, {out =}",
    "the sum: exact for integers (i64, or u64 of u64), else f64" },
  { "mean", reduce.mean, "dim, {out =}", "the mean, f64" },
  { "std", reduce.std, "dim, {out =}",
    "the standard deviation (divided by the count), f64" },
  { "min", reduce.min, "dim, {out =}", "the least element" },
  { "max", reduce.max, "dim, {out =}", "the greatest element" },
  { "argmax", reduce.argmax, "dim, {out =}",
    "the index of the first greatest element, i64" },
  { "permute", layout.permute, "order, {out =}",
    "dimensions in another order: `{3, 1, 2}` makes hwc chw" },
  { "flip", layout.flip, "dim, {out =}",
    "a dimension, or each of a list, reversed" },
  { "crop", layout.crop, "ranges, {out =}",
    "a part: `{{first, last}, ...}` of the first dimensions" },
  { "pad", layout.pad, "widths, {value =, out =}",
    "with `{{before, after}, ...}` elements of value (0) around the first "
    .. "dimensions", "method" },
  { "resize", image.resize, "{height, width}, {method =, layout =, out =}",
    "an image of another size; method: `\"bilinear\"` (default), `\"area\"`, "
    .. "`\"nearest\"`" },
  { "take", layout.take, "indexes, dim, {out =}",
    "rows (of dim, 1) by a list or tensor of indexes", "method" },
  { "one_hot", layout.one_hot, "count, {dtype =, out =}",
    "of integers from 1 to count: 1 at their place in a row of count, 0 "
    .. "elsewhere, f32; t may be a number or list" },
  { "concatenate", layout.concatenate, "list, dim, {out =}",
    "the tensors of a list, one after another along dim (1)", "function" },
}

local RANDOM = {
  { "crop", "{height, width, pad =, layout =}",
    "a part of that size, anywhere; pad: pixels of 0 around the image first" },
  { "flip", "{p =, vertical =, layout =}",
    "mirrored with probability p (0.5), top to bottom if vertical" },
  { "rotate", "{layout =}", "turned by 0, 90, 180 or 270 degrees" },
  { "jitter", "{brightness =, contrast =, saturation =, layout =}",
    "each multiplied by a factor from 1 - x to 1 + x" },
}

local operations = { methods = {}, functions = { random = {} }, rows = {} }

local function add_row(usage, text)
  table.insert(operations.rows, ("| `%s` | %s |"):format(usage, text))
end

-- Methods do not count the tensor among their arguments.
local function method_of(name, f)
  local function method(t, a, b, c)
    return (f(t, a, b, c))
  end
  check.register(name, method, { is_method = true })
  return method
end

for _, entry in ipairs(LIST) do
  local name, f, usage, text, only = unpack(entry)
  if only ~= "function" then
    operations.methods[name] = method_of(name, f)
  end
  if only ~= "method" then
    operations.functions[name] = f
  end
  check.register(name, f)
  add_row((only == "function" and "neap.%s(%s)" or "t:%s(%s)"):format(name,
    usage), text)
end

for _, entry in ipairs(RANDOM) do
  local name, usage, text = unpack(entry)
  operations.functions.random[name] = random[name]
  check.register(name, random[name])
  add_row(("neap.random.%s(%s)"):format(name, usage), text)
end

return operations
