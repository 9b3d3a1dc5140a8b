-- SPDX-License-Identifier: MIT
--- Builds the items of a batch right in their rows.
--
-- While a worker computes item k of a batch that will be stacked, the first
-- tensor that it makes of a row's dtype and shape gets the memory of row k:
-- stacking then copies nothing. A wrong guess costs a copy, never a wrong
-- result (neap.stack): a tensor in a row is lent for its item alone, so that
-- who keeps it and writes to it later is refused, and spoils no row.
-- @module neap.value.place

local generation = require("neap.tensor.generation")
local stack = require("neap.tensor.stack")

local place = {}

local is_enabled = false
local current -- the rows of the item that is being computed, or nil
local depth = 0 -- batches within batches, and at each depth ...
local frames = {} -- ... what `current` is there: {leaves, k, word = a counter}

--- Lets batches place their items: in workers, where counters guard the memory.
function place.enable()
  is_enabled = true
end

--- Forgets what a failed item left, and ends what all rows were lent for.
function place.reset()
  current, depth = nil, 0
  for k = 1, #frames do
    generation.bump(frames[k].word)
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
    -- One, mostly, and LuaJIT compiles no loop around one of a single turn.
    leaves[1].is_given = false
    for n = 2, #leaves do
      leaves[n].is_given = false
    end
    local frame = frames[depth]
    if not frame then
      frame = { leaves = false, k = 0, word = generation.take() }
      frames[depth] = frame
    end
    frame.leaves, frame.k = leaves, k
    current = frame
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
  local frame = frames[depth + 1]
  if frame then
    generation.bump(frame.word)
  end
end

-- The row of the first leaf from the n-th on that fits.
local function find_from(leaves, n, code, bits, shape, ndim)
  local leaf = leaves[n]
  if not leaf.is_given and stack.is_like(leaf, code, bits, shape, ndim) then
    leaf.is_given = true
    return stack.row(leaf, current.k), current.word
  elseif n < #leaves then
    return find_from(leaves, n + 1, code, bits, shape, ndim)
  end
  return nil
end

--- The row for a tensor that is being made, and its generation counter; or nil.
function place.find(code, bits, shape, ndim)
  if current == nil then
    return nil
  end
  return find_from(current.leaves, 1, code, bits, shape, ndim)
end

return place
