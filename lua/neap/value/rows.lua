-- SPDX-License-Identifier: MIT
--- Where the tensors lie that are made while a worker computes an item.
--
-- While it computes item k of a batch that will be stacked, the first tensor of
-- a row's dtype and shape gets the memory of row k: stacking then copies
-- nothing. Outside of such batches, a tensor that the item is expected to
-- deliver lies in the slot (neap.value.guess). All others lie in scratch
-- memory, and are no longer valid after the item, or the item of the batch.
-- A wrong guess costs a copy, never a wrong result (neap.stack): code that
-- keeps a tensor and writes to it later gets an error, and spoils no row.
-- @module neap.value.rows

local context = require("neap.value.context")
local generation = require("neap.tensor.generation")
local guess = require("neap.value.guess")
local scratch = require("neap.value.scratch")
local stack = require("neap.tensor.stack")
local write = require("neap.value.write")

local rows = {}

local function end_level(level)
  generation.bump(level.counter)
  level.leaves, level.mark, level.top = false, 0, 0
end

--- Ends all tensors of a context but those in the slot, those of an item that
-- failed too.
function rows.reset(item)
  item.depth = 0
  if not item.is_dirty then
    return
  end
  item.is_dirty, item.scratch.used = false, 0
  local levels = item.levels
  end_level(levels[0])
  for depth = 1, #levels do
    end_level(levels[depth])
  end
  guess.begin(item.guess)
end

local function level_at(item, depth)
  local level = item.levels[depth]
  if not level then
    level = context.level()
    item.levels[depth] = level
  end
  return level
end

--- Begins item k of a stack.
-- @tparam table|nil state of neap.stack; nil before its first item
-- @return what rows.finish() needs; nil in a host, whose tensors have memory of
--   their own
function rows.begin(state, k)
  local item = context.now
  if item == nil then
    return nil
  end
  local outer = item.depth
  local level = level_at(item, outer + 1)
  local used = item.scratch.used
  item.depth = outer + 1
  level.leaves, level.mark, level.top = false, used, used
  if state and #state.leaves > 0 then
    local leaves = state.leaves
    -- Mostly one (luajit.md, short loops).
    leaves[1].is_given = false
    for n = 2, #leaves do
      leaves[n].is_given = false
    end
    level.leaves, level.k = leaves, k
  end
  return outer
end

--- Ends the item that rows.begin() began, before it is stacked.
function rows.finish(outer)
  if outer ~= nil then
    context.now.depth = outer
  end
end

--- Ends the tensors of the item that has been stacked: its row is the batch's
-- now. Scratch memory is free again, but for what the batch took of it since.
function rows.settle(outer)
  if outer ~= nil then
    local item = context.now
    local level, top = item.levels[outer + 1], item.levels[outer].top
    generation.bump(level.counter)
    item.scratch.used = math.max(level.mark, top)
  end
end

-- The memory of the first leaf from the n-th on that fits.
local function find_from(level, n, code, bits, shape, ndim)
  local leaf = level.leaves[n]
  if not leaf.is_given and stack.is_like(leaf, code, bits, shape, ndim) then
    leaf.is_given = true
    return stack.row(leaf, level.k)
  elseif n < #level.leaves then
    return find_from(level, n + 1, code, bits, shape, ndim)
  end
  return nil
end

--- Finds memory for a new tensor of an item; see memory.set_allocator().
function rows.allocate(item, nbytes, code, bits, shape, ndim)
  local level, state, birth = item.levels[item.depth], item.guess, 0
  item.is_dirty, item.has_tensors = true, true
  if level.leaves then
    local row = find_from(level, 1, code, bits, shape, ndim)
    if row ~= nil then
      return row, level.counter, level.counter[0], 0
    end
  elseif item.depth == 0 then
    local is_delivered = guess.is_delivered(state, nbytes, code, bits, shape,
      ndim)
    birth = state.births
    local data = is_delivered and write.allocate(item, nbytes) or nil
    if data ~= nil then
      return data, item.counter, item.counter[0], birth
    end
  end
  local data = scratch.take(item.scratch, nbytes)
  if data == nil then
    return nil, nil, nil, birth
  end
  level.top = item.scratch.used
  return data, level.counter, level.counter[0], birth
end

return rows
