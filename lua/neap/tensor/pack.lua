-- SPDX-License-Identifier: MIT
--- Puts short rows behind one another into one long row, and tells which is
-- where.
-- @module neap.tensor.pack

local ffi = require("ffi")
local array = require("neap.tensor.array")
local assign = require("neap.tensor.assign")
local memory = require("neap.tensor.memory")
local ragged = require("neap.tensor.ragged")
local stack = require("neap.tensor.stack")

local bytes = ffi.typeof("uint8_t *")

local pack = {}

-- Fills up a row from element `from` (0-based) on.
local function fill_up(t, column, from, capacity, value)
  if not stack.is_held(column.kind, value) then
    ragged.raise(column, "set the option value, or dtype", "value %s%s does "
      .. "not fit %s", tostring(value), ragged.at(column), column.kind.name)
  elseif from < capacity then
    local d, dims = t.d, ffi.new("int64_t[1]", capacity - from)
    assign.fill(memory.view(d.code, d.bits, 1, dims,
      ffi.cast(bytes, d.data) + from * column.kind.size, t), value)
  end
end

local function write_places(segments, positions, k, first, size)
  for j = 0, size - 1 do
    segments[first + j], positions[first + j] = k, j
  end
end

local function leaf(column, options)
  local capacity, kind = options.capacity, column.kind
  if column.total > capacity then
    ragged.raise(column, "neap.lengths(s, f) tells the lengths of the items "
      .. "as they are", "the items have %d elements%s, more than their lengths "
      .. "tell, and the capacity is %d", column.total, ragged.at(column),
      capacity)
  end
  local result = {
    tensor = array.empty(kind.name, { capacity }),
    segments = array.new("i32", { capacity }),
    positions = array.new("i32", { capacity }),
  }
  local data = ffi.cast(bytes, result.tensor:ptr())
  local segments, positions = result.segments:ptr(), result.positions:ptr()
  local first = 0
  for k = 1, column.count do
    local size = column.sizes[k]
    ragged.copy(column, k, data + first * kind.size)
    write_places(segments, positions, k, first, size)
    first = first + size
  end
  fill_up(result.tensor, column, first, capacity, options.value or 0)
  return result
end

--- Packs items into a row.
-- @tparam table items rows, or tables with fields that are rows
-- @tparam table options capacity, and value and dtype as in neap.pad
-- @treturn table {tensor =, segments =, positions =} in place of rows
function pack.row(items, options)
  return (ragged.collate(items, "pack", options, leaf))
end

return pack
