-- SPDX-License-Identifier: MIT
--- Batches of items that are not consecutive: what bucket and pack share.
-- A subclass has `emit_members` (neap.adapter.batch) and `members(i, e)`, which
-- returns the list of the indexes in batch i of epoch e.
-- @module neap.adapter.listed_batch

local ffi = require("ffi")
local array = require("neap.tensor.array")
local check = require("neap.base.check")
local class = require("neap.base.class")
local Batch = require("neap.adapter.batch").class
local Node = require("neap.sequence.node")
local handle = require("neap.sequence.handle")
local iteration = require("neap.sequence.iteration")

local ITEMS_MAX = 2 ^ 32 - 1 -- indexes are u32

local ListedBatch = class("adapter.listed_batch", Batch)

ListedBatch.has_pad = false
ListedBatch.reach = Node.reach
ListedBatch.set = Node.set

--- Makes a node of checked fields.
function ListedBatch:make(fields)
  local node = Node.make(self, fields)
  if node.ends_early then
    check.raise(("cannot %s batches above a skip: they are read in order, and "
      .. "only a loop finds how many there are\nhelp: leave items out before, "
      .. "with neap.where and gather"):format(self.class_name))
  end
  return node
end

function ListedBatch:origins(i, e)
  local list = {}
  for k, j in ipairs(self:members(i, e)) do
    list[k] = { node = self.source, first = j, last = j, epoch = e }
  end
  return list
end

-- The lengths, argument 2, as an array or tensor.
local function read_lengths(lengths, n)
  if type(lengths) == "function" then
    check.fail(2, "lengths expected, got a function",
      "neap.lengths(s, f) computes them once")
  end
  local node = handle.check(2, lengths)
  local stored = node.stored
  if array.is(stored) and stored.ndim > 1 then
    check.fail(2, ("tensor of one dimension expected, got one of %d"):format(
      stored.ndim))
  elseif node.length ~= n then
    check.fail(2, ("%.0f lengths expected, one for each item, got %.0f"):format(
      n, node.length))
  end
  return stored or iteration.list(node)
end

--- Checks the arguments of an adapter that knows the lengths of items.
-- @param source argument 1
-- @param lengths argument 2: one for each item; a sequence is read whole
-- @tparam int least that a length may be
-- @tparam number most
-- @tparam string help what to do about other lengths
-- @treturn Node the source
-- @treturn cdata the lengths, a double[n]
function ListedBatch.read_arguments(source, lengths, least, most, help)
  source = handle.check_finite(1, source)
  local n = source.length
  local known = read_lengths(lengths, n)
  if n > ITEMS_MAX then
    check.fail(1, ("%.0f items at most expected, got %.0f"):format(ITEMS_MAX,
      n))
  end
  local list = ffi.new("double[?]", n)
  for i = 1, n do
    local x = tonumber(known[i])
    if not (check.is_integer(x) and x >= least and x <= most) then
      check.fail(2, ("length of item %d: %s expected, got %s"):format(i,
        most < math.huge and ("whole number %d..%d"):format(least, most)
        or ("whole number, %d or more,"):format(least), check.got(known[i])),
        help)
    end
    list[i - 1] = x
  end
  return source, list
end

--- Sorts the items 1..n by their group, those of a group in order.
-- @tparam cdata group_of the group of each, from 0
-- @tparam int n
-- @tparam int count of groups
-- @treturn tensor u32, the items
-- @treturn tensor u32, count + 1: where each group begins, from 0
function ListedBatch.sort(group_of, n, count)
  local items, starts = array.new("u32", { n }), array.new("u32",
    { count + 1 })
  local at, to = ffi.new("uint32_t[?]", count + 2), items:ptr()
  for k = 0, n - 1 do
    at[group_of[k] + 2] = at[group_of[k] + 2] + 1
  end
  for g = 2, count + 1 do
    at[g] = at[g] + at[g - 1]
  end
  ffi.copy(starts:ptr(), at + 1, (count + 1) * 4)
  for k = 0, n - 1 do
    local g = group_of[k] + 1
    to[at[g]] = k + 1
    at[g] = at[g] + 1
  end
  return items, starts
end

return ListedBatch
