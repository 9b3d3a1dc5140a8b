-- SPDX-License-Identifier: MIT
--- Several short items in one row of a fixed length.
-- Which items are in which row is found when it is made, by their lengths.
-- @module neap.adapter.pack

local ffi = require("ffi")
local bit = require("bit")
local check = require("neap.base.check")
local class = require("neap.base.class")
local handle = require("neap.sequence.handle")
local ListedBatch = require("neap.adapter.listed_batch")
local pack_items = require("neap.tensor.pack")
local pad = require("neap.tensor.pad")
local stack = require("neap.tensor.stack")

local CAPACITY_MAX = 2 ^ 26 -- best_fit has a list for each amount of room

local Pack = class("adapter.pack", ListedBatch)

-- Where the items of row i begin in `order`, and how many there are.
local function locate(self, i)
  local start = self.starts[i]
  return start, self.starts[i + 1] - start
end

function Pack:members(i)
  local start, n = locate(self, i)
  local list = {}
  for j = 1, n do
    list[j] = self.order[start + j]
  end
  return list
end

function Pack:emit_members(g, i)
  local start, n = g:name("i"), g:name("n")
  g:line("local %s, %s = %s(%s, %s)", start, n, g:own(locate),
    g:constant(self), i)
  g:keep(self.order) -- what the pointer points to
  return n, ("%s[%s + %%s - 1]"):format(g:constant(self.order:ptr()), start)
end

function Pack:describe()
  return ("pack(%s, %d, %.0f%% full)"):format(self.source:describe(),
    self.capacity, self.full * 100)
end

-- -- Strategies --------------------------------------------------------------
--
-- Each writes the row of each item, from 0, and returns how many rows there
-- are. Items come in order.

local STRATEGIES = {}

-- A tree over rows: node k has the most room of the rows below it, nodes 2k and
-- 2k + 1. Rows that are still empty stand at the end.
local function new_tree(n, capacity)
  local size = 1
  while size < n do
    size = 2 * size
  end
  local room = ffi.new("double[?]", 2 * size)
  for k = 1, 2 * size - 1 do
    room[k] = capacity
  end
  return room, size
end

-- The first row that has room.
function STRATEGIES.first_fit(lengths, n, capacity, rows)
  local room, size = new_tree(n, capacity)
  local count = 0
  for i = 0, n - 1 do
    local length, k = lengths[i], 1
    while k < size do
      k = 2 * k
      k = room[k] < length and k + 1 or k
    end
    rows[i], count = k - size, math.max(count, k - size + 1)
    room[k] = room[k] - length
    while k > 1 do
      k = math.floor(k / 2)
      room[k] = math.max(room[2 * k], room[2 * k + 1])
    end
  end
  return count
end

local BLOCK = 64 -- amounts of room that are skipped at once

-- The least room from `length` on that a row has; capacity + 1 if none.
local function least_room(heads, blocks, length, capacity)
  local r = length
  while r <= capacity and heads[r] < 0 do
    r = r % BLOCK == 0 and blocks[r / BLOCK] == 0 and r + BLOCK or r + 1
  end
  return r
end

local function block_of(r)
  return bit.rshift(r, 6)
end

-- The row that has the least room left; of several, the one used last.
function STRATEGIES.best_fit(lengths, n, capacity, rows)
  local heads = ffi.new("int64_t[?]", capacity + 1) -- room -> a row, or -1
  local nexts = ffi.new("int64_t[?]", n) -- row -> another with as much room
  local blocks = ffi.new("uint32_t[?]", block_of(capacity) + 1)
  local count = 0
  ffi.fill(heads, ffi.sizeof(heads), 255)
  for i = 0, n - 1 do
    local length = lengths[i]
    local room = least_room(heads, blocks, length, capacity)
    local row = count
    if room <= capacity then
      row = tonumber(heads[room])
      heads[room] = nexts[row]
      blocks[block_of(room)] = blocks[block_of(room)] - 1
    else
      room, count = capacity, count + 1
    end
    room = room - length
    rows[i], nexts[row], heads[room] = row, heads[room], row
    blocks[block_of(room)] = blocks[block_of(room)] + 1
  end
  return count
end

-- -- Making ------------------------------------------------------------------

local OPTIONS = {
  strategy = function(v)
    return STRATEGIES[v] ~= nil, '"first_fit" or "best_fit"'
  end,
  value = pad.by_field(check.kinds.number), dtype = stack.is_dtype,
}

-- How much of the rows the items take.
local function share(lengths, n, rows, capacity)
  local total = 0
  for i = 0, n - 1 do
    total = total + lengths[i]
  end
  return rows > 0 and total / (rows * capacity) or 1
end

--- Returns rows of `capacity` elements, each with the rows of several items
-- behind one another: {tensor =, segments =, positions =}. Of tables it does so
-- field by field, and stacks the other fields.
-- @function pack
-- @tparam Sequence source with an end: rows (tensors of one dimension, or lists
--   of numbers), or tables with fields that are rows
-- @param lengths one for each item, 1 to capacity: a list, a tensor or a
--   sequence, which is read at once
-- @tparam int capacity
-- @tparam[opt] table options strategy ("first_fit": the first row that has
--   room; "best_fit": the one that has the least), value (that rows are filled
--   up with, 0), dtype; the last two for all fields, or a table by field
-- @treturn Sequence
local function pack(source, lengths, capacity, options)
  check.count(3, capacity)
  if capacity > CAPACITY_MAX then
    check.fail(3, ("2^26 at most expected, got %.0f"):format(capacity))
  end
  local list
  source, list = ListedBatch.read_arguments(source, lengths, 1, capacity,
    "cut longer items in a map; leave items out with neap.where and gather")
  options = check.options(4, options, OPTIONS)
  local n, rows_of = source.length, ffi.new("uint32_t[?]", source.length)
  local count = STRATEGIES[options.strategy or "first_fit"](list, n, capacity,
    rows_of)
  local order, starts = ListedBatch.sort(rows_of, n, count)
  local row = { capacity = capacity, value = options.value,
    dtype = options.dtype }
  return handle.wrap(Pack:make({
    source = source, length = count, order = order, starts = starts,
    capacity = capacity, full = share(list, n, count, capacity),
    collate = function(items)
      return (pack_items.row(items, row))
    end,
  }))
end

return {
  class = Pack, make = pack, options = OPTIONS,
  example = [[neap.pack({ { 1, 2 }, { 3 }, { 4, 5 } }, { 2, 1, 2 }, 3)
    :map(function(row) return row.tensor:totable() end):totable()
    --> {1, 2, 3}, {4, 5, 0}]],
}
