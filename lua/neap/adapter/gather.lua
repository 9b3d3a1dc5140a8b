-- SPDX-License-Identifier: MIT
--- Items of a sequence in the order that a list of indexes gives.
-- @module neap.adapter.gather

local ffi = require("ffi")
local check = require("neap.base.check")
local class = require("neap.base.class")
local lazy = require("neap.sequence.lazy_gather")
local lib = require("neap.base.lib")
local Index = require("neap.sequence.index")
local handle = require("neap.sequence.handle")
local array = require("neap.tensor.array")

local Gather = class("adapter.gather", Index)

-- `indexes` is an f64 tensor, counted from 1.
function Gather:tree(source)
  return self.build(lib.C.neap_seq_gather_numbers, source, self.indexes:ptr(),
    self.length), self.indexes
end

-- Over a node that does not rearrange, the index is read without a call of C.
function Gather:emit(g, i, e)
  if self.source.tree then
    return Index.emit(self, g, i, e)
  end
  local j = g:name("i")
  g:keep(self.indexes) -- what the pointer points to
  g:line("local %s = %s[%s - 1]", j, g:constant(self.indexes:ptr()), i)
  return g:value(self.source, j, e)
end

function Gather:describe()
  return ("gather(%s, %d indexes)"):format(self.source:describe(), self.length)
end

local function copy_indexes(indexes, n)
  local kept = array.empty("f64", { #indexes })
  local to = ffi.cast("double *", kept:ptr())
  for k = 1, #indexes do
    local j, why = lazy.index_in(indexes[k], n)
    if not j then
      check.fail(2, ("index at position %d: %s"):format(k, why))
    end
    to[k - 1] = j
  end
  return kept
end

--- Returns source[indexes[1]], source[indexes[2]], ...
-- @function gather
-- @tparam Sequence source
-- @tparam Sequence indexes whole numbers; negative ones count from the end.
--   A Lua array or tensor is copied; an index of another sequence is read when
--   the item is read
-- @treturn Sequence a view
local function gather(source, indexes)
  source = handle.check(1, source)
  indexes = handle.check(2, indexes)
  if not indexes.stored then
    return handle.wrap(lazy.class:make({
      sources = { source, indexes }, length = indexes.length,
    }))
  end
  return handle.wrap(Gather:make({
    source = source, length = indexes.length,
    indexes = copy_indexes(indexes.stored, source.length),
  }))
end

return {
  class = Gather, make = gather,
  example = [[neap.gather({ "a", "b", "c" }, { 3, 1, 3 }):totable()
    --> c, a, c]],
}
