-- SPDX-License-Identifier: MIT
--- Items at equal steps of a sequence, forwards or backwards.
-- @module neap.adapter.slice

local ffi = require("ffi")
local check = require("neap.base.check")
local class = require("neap.base.class")
local exact = require("neap.base.exact")
local lib = require("neap.base.lib")
local Index = require("neap.sequence.index")
local handle = require("neap.sequence.handle")

local int64 = ffi.typeof("int64_t")
local Slice = class("adapter.slice", Index)

function Slice:tree(source)
  return self.build(lib.C.neap_seq_slice, source, int64(self.first) - 1,
    self.step,
    self.length == math.huge and lib.C.NEAP_ENDLESS or self.length)
end

function Slice:reach()
  return math.abs(self.step)
end

function Slice:describe()
  local last = self.first + (self.length - 1) * self.step
  return ("slice(%s, %d, %.0f, %d)"):format(self.source:describe(), self.first,
    last, self.step)
end

--- Returns the node of `length` items of a node, from `first` on; `where` is
-- that of the adapter that makes it.
local function node_of(source, first, step, length, where)
  return Slice:make({
    source = source, first = first, step = step, length = length,
    where = where,
  })
end

--- Returns items first, first + step, ... up to last, both included.
-- `first` and `last` count as in string.sub: from the end if negative, and
-- clipped to the sequence. A negative step reads from first down to last.
-- @function slice
-- @tparam Sequence source
-- @tparam[opt] int first 1, or the last item where step is negative
-- @tparam[opt] int last the last item, or 1 where step is negative
-- @tparam[opt=1] int step
-- @treturn Sequence a view
local function slice(source, first, last, step)
  source = handle.check(1, source)
  step = step == nil and 1 or check.integer(4, step)
  local n = source.length
  if step == 0 then
    check.fail(4, "step other than 0 expected, got 0")
  end
  first = first == nil and (step > 0 and 1 or n) or check.integer(2, first)
  last = last == nil and (step > 0 and n or 1)
    or last == math.huge and last or check.integer(3, last)
  if n == math.huge and (step < 0 or first < 0 or last < 0) then
    check.fail(1, "sequence with an end expected, got an endless one")
  end
  first, last = exact.from_start(first, n), exact.from_start(last, n)
  if step > 0 then
    first, last = math.max(first, 1), math.min(last, n)
  else
    first, last = math.min(first, n), math.max(last, 1)
  end
  local length = exact.steps(first, last, step)
  if length == 0 then
    first = 1
  end
  return handle.wrap(node_of(source, first, step, length))
end

return {
  class = Slice, make = slice, node = node_of,
  example = [[neap.range(10):slice(3, 7, 2):totable() --> 3, 5, 7]],
}
