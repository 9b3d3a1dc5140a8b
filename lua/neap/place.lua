-- SPDX-License-Identifier: MIT
--- Builds the items of a batch right in their rows.
--
-- While a worker computes item k of a batch that will be stacked, the first
-- tensor that it makes of a row's dtype and shape gets the memory of row k:
-- stacking then copies nothing. A wrong guess costs a copy, never a wrong
-- result (neap.stack): a tensor in a row is lent for its item alone, so that
-- who keeps it and writes to it later is refused, and spoils no row.
-- @module neap.place

local lease = require("neap.lease")
local stack = require("neap.stack")

local place = {}

local is_enabled = false
local current -- the rows of the item that is being computed, or nil
local depth = 0 -- batches within batches, and at each depth a lease
local words = {}

--- Lets batches place their items: in workers, where leases guard the memory.
function place.enable()
  is_enabled = true
end

--- Forgets what a failed item left, and ends what all rows were lent for.
function place.reset()
  current, depth = nil, 0
  for k = 1, #words do
    lease.bump(words[k])
  end
end

--- Says that item k of a stack is computed next.
-- @tparam table|nil state of neap.stack; nil before its first item
-- @return what place.done() wants
function place.aim(state, k)
  local outer = current
  if not is_enabled then
    return nil
  end
  current, depth = nil, depth + 1
  if state and #state.leaves > 0 then
    local leaves = state.leaves
    for n = 1, #leaves do
      leaves[n].is_given = false
    end
    words[depth] = words[depth] or lease.take()
    current = { leaves = leaves, k = k, word = words[depth] }
  end
  return outer or false
end

--- Says that the item is computed.
function place.done(outer)
  if outer == nil then
    return
  end
  current, depth = outer or nil, depth - 1
end

--- Says that the item computed last is stacked: its row is the batch's now.
function place.settle()
  local word = words[depth + 1]
  if word then
    lease.bump(word)
  end
end

local function fits(leaf, code, bits, shape, ndim)
  local result = leaf.result.d
  if result.code ~= code or result.bits ~= bits or #leaf.dims ~= ndim then
    return false
  end
  for n = 1, ndim do
    if leaf.dims[n] ~= shape[n - 1] then
      return false
    end
  end
  return true
end

--- The row for a tensor that is being made, and the lease under which it is
-- lent; or nil.
function place.find(code, bits, shape, ndim)
  if current == nil then
    return nil
  end
  local leaves = current.leaves
  for n = 1, #leaves do
    local leaf = leaves[n]
    if not leaf.is_given and fits(leaf, code, bits, shape, ndim) then
      leaf.is_given = true
      return stack.row(leaf, current.k), current.word
    end
  end
  return nil
end

return place
