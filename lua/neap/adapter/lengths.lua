-- SPDX-License-Identifier: MIT
--- The length of each item, in a tensor: what bucket and pack work with.
-- @module neap.adapter.lengths

local array = require("neap.tensor.array")
local check = require("neap.base.check")
local class = require("neap.base.class")
local from = require("neap.source.from")
local Map = require("neap.adapter.map").class
local prefetch = require("neap.adapter.prefetch")
local handle = require("neap.sequence.handle")
local traverse = require("neap.base.traverse")

-- Its items are the lengths. The class gives errors its name.
local Lengths = class("adapter.lengths", Map)

local BUFFERED = 1024 -- lengths computed ahead: they are small

local OPTIONS = { workers = check.kinds.integer }

-- The length of an item that is a row or a string.
local function length_of(x)
  if type(x) == "string" or array.is(x) and x.ndim > 0
    or type(x) == "table" and (x[1] ~= nil or traverse.is_empty(x)) then
    return #x
  end
  error(check.with_help("cannot tell the length: the item is "
    .. (array.is(x) and "a tensor without dimensions"
    or type(x) == "table" and "a table of fields" or check.got(x)),
    "neap.lengths(s, function(x) return #x.tokens end)"), 0)
end

local function check_length(i, x)
  x = type(x) == "cdata" and tonumber(x) or x
  if not (check.is_integer(x) and x >= 0) then
    check.raise(("cannot take lengths: that of item %d must be a whole number, "
      .. "0 or more, got %s"):format(i, check.got(x)),
      "the function gets an item and returns its length")
  end
  return x
end

--- Computes the lengths of all items, before it returns, and keeps them.
-- @function lengths
-- @tparam Sequence source with an end
-- @tparam[opt] function f returns the length of an item; default: that of a
--   string, list or tensor
-- @tparam[opt] table options {workers = n}: compute in n worker processes
-- @treturn Sequence of numbers, over an i64 tensor that workers share
local function lengths(source, f, options)
  source = handle.check_finite(1, source)
  if f ~= nil then
    check.func_of_item(2, f)
  end
  options = check.options(3, options, OPTIONS)
  local workers = options.workers or 0
  local results = handle.wrap(Lengths:make({
    f = f or length_of, sources = { source }, length = source.length,
  }))
  if workers ~= 0 then
    results = prefetch.make(results, { workers = workers,
      buffered = BUFFERED })
  end
  local kept = array.new("i64", { source.length })
  for i, x in results:each() do
    kept[i] = check_length(i, x)
  end
  if workers ~= 0 then
    results:close()
  end
  return from.make(kept)
end

return {
  class = Lengths, make = lengths, options = OPTIONS,
  example = [[neap.lengths({ "a", "ccc", "" }):totable() --> 1, 3, 0]],
}
