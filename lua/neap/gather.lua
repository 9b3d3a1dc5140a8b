-- SPDX-License-Identifier: MIT
--- Items of a sequence in the order that a list of indexes gives.
-- @module neap.gather

local ffi = require("ffi")
local check = require("neap.check")
local class = require("neap.class")
local lib = require("neap.lib")
local Index = require("neap.index")
local sequence = require("neap.sequence")
local tensor = require("neap.tensor")

local Gather = class("gather", Index)

-- `indexes` is an i64 tensor, counted from 0; it lives as long as the node,
-- and the node as long as the compiled chain.
function Gather:tree(source)
  return self.build(lib.C.neap_seq_gather, source, self.indexes:ptr(),
    self.length)
end

function Gather:emit(g, i, e)
  g:constant(self)
  return Index.emit(self, g, i, e)
end

function Gather:describe()
  return ("gather(%s, %d indexes)"):format(self.source:describe(), self.length)
end

local function copy_indexes(indexes, n)
  local count = indexes.length
  local kept = tensor.empty("i64", { count })
  local to = ffi.cast("int64_t *", kept:ptr())
  for k, i in indexes:iterate() do
    if not check.is_integer(i) then
      check.fail(2, ("index at position %d: whole number expected, got %s")
        :format(k, check.got(i)))
    end
    local j = i < 0 and n + 1 + i or i
    if j < 1 or j > n then
      check.fail(2, ("index %d at position %d is out of range 1..%d"):format(
        i, k, n))
    end
    to[k - 1] = j - 1
  end
  return kept
end

--- Returns source[indexes[1]], source[indexes[2]], ...
-- @function gather
-- @tparam Sequence source
-- @tparam Sequence indexes whole numbers; negative ones count from the end
-- @treturn Sequence a view
-- @usage neap.gather({"a", "b", "c"}, {3, 1, 3}):totable() --> c, a, c
local function gather(source, indexes)
  source = check.sequence(1, source)
  indexes = check.finite(2, indexes)
  return sequence.wrap(Gather:make({
    source = source,
    length = indexes.length,
    indexes = copy_indexes(indexes, source.length),
  }))
end

return gather
