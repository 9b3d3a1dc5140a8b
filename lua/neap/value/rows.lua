-- SPDX-License-Identifier: MIT
--- Builds the items of a batch in the rows of the batch.
--
-- While a worker computes item k of a batch that will be stacked, the first
-- tensor of a row's dtype and shape gets the memory of row k. Stacking then
-- copies nothing. A wrong guess costs a copy, never a wrong result
-- (neap.stack): the tensor is valid for its item alone, so that code that keeps
-- it and writes to it later gets an error, and spoils no row.
-- @module neap.value.rows

local context = require("neap.value.context")
local generation = require("neap.tensor.generation")
local stack = require("neap.tensor.stack")

local rows = {}

--- Ends all rows of a context, those of an item that failed too.
function rows.reset(item)
  item.row, item.depth = false, 0
  local list = item.rows
  for k = 1, #list do
    generation.bump(list[k].counter)
  end
end

-- The outer rows first, as reset() goes through a list. An outer stack has none
-- while its first item is computed, which may be a stack itself.
local function row_at(item, depth)
  local row = item.rows[depth]
  if not row then
    if depth > 1 then
      row_at(item, depth - 1)
    end
    row = { outer = false, leaves = false, k = 0, counter = generation.take() }
    item.rows[depth] = row
  end
  return row
end

--- Begins item k of a stack.
-- @tparam table|nil state of neap.stack; nil before its first item
-- @treturn int the depth, which finish() and settle() need: within the item,
--   the code may have caught an error of a stack, which leaves its own depth
--   behind; nil in a host, whose tensors have memory of their own
function rows.begin(state, k)
  local item = context.now
  if item == nil then
    return nil
  end
  local depth = item.depth + 1
  local row = row_at(item, depth)
  row.outer = item.row
  item.row, item.depth = false, depth
  if state and #state.leaves > 0 then
    local leaves = state.leaves
    -- Mostly one (luajit.md, short loops).
    leaves[1].is_given = false
    for n = 2, #leaves do
      leaves[n].is_given = false
    end
    row.leaves, row.k = leaves, k
    item.row = row
  end
  return depth
end

--- Ends the item that rows.begin() began, before it is stacked.
function rows.finish(depth)
  if depth ~= nil then
    local item = context.now
    item.row, item.depth = item.rows[depth].outer, depth - 1
  end
end

--- Ends the row of the item that has been stacked: it is the batch's now.
function rows.settle(depth)
  if depth ~= nil then
    generation.bump(context.now.rows[depth].counter)
  end
end

-- The memory of the first leaf from the n-th on that fits.
local function find_from(row, n, code, bits, shape, ndim)
  local leaf = row.leaves[n]
  if not leaf.is_given and stack.is_like(leaf, code, bits, shape, ndim) then
    leaf.is_given = true
    return stack.row(leaf, row.k), row.counter
  elseif n < #row.leaves then
    return find_from(row, n + 1, code, bits, shape, ndim)
  end
  return nil
end

--- Returns the memory of the current row for a new tensor, and its counter; nil
-- where there is none.
function rows.find(item, code, bits, shape, ndim)
  if item.row then
    return find_from(item.row, 1, code, bits, shape, ndim)
  end
  return nil
end

return rows
