-- SPDX-License-Identifier: MIT
--- Reads the values of items in slots. neap_lua.h tells their layout ("Items
-- in a slot"). Workers may have written anything: C checks each cell.
-- @module neap.value.read

local ffi = require("ffi")
local lib = require("neap.base.lib")

local C = lib.C

local NIL, BOOLEAN, NUMBER = C.NEAP_NIL, C.NEAP_BOOLEAN, C.NEAP_NUMBER
local INT64, UINT64, STRING = C.NEAP_INT64, C.NEAP_UINT64, C.NEAP_STRING
local TENSOR, TABLE, FAILURE = C.NEAP_TENSOR, C.NEAP_TABLE, C.NEAP_FAILURE
local DEPTH_MAX = C.NEAP_DEPTH_MAX

local CELL = ffi.sizeof("neap_cell")
local TENSOR_CELLS = ffi.sizeof("neap_tensor_cell") / CELL
local int64, uint64 = ffi.typeof("int64_t"), ffi.typeof("uint64_t")

local read = {}

local box = ffi.new([[union {
  int64_t bits; struct { uint32_t low, high; }; double number;
}]])

--- Returns the number in a cell, which a worker may have made to pass for any
-- Lua value (luajit.md, bits of a NaN). The check is of a copy. No worker can
-- change that, nor can a finalizer, as no object is made here.
function read.number(cell)
  box.bits = cell.integer
  if box.high > 0xfff00000 then
    return 0 / 0
  end
  return box.number
end

-- What C writes to while an item is read. Reading recurses: each depth has
-- cells of its own.
local function new_room()
  local room = {
    cells = {}, pointer = ffi.new("void *[1]"),
    counts = ffi.new("uint32_t[2]"), about = ffi.new("neap_tensor_cell"),
    budget = 0, -- cells that the item may still have
  }
  for depth = 0, DEPTH_MAX do
    room.cells[depth] = ffi.new("neap_cell[2]")
  end
  return room
end

local spare = new_room() -- false while an item is read, and after one failed

local read_value

local function raise_damage(what)
  error(lib.failure(C.NEAP_EDAMAGED,
    ("cannot read an item: its slot is damaged (%s)"):format(what)), 0)
end

-- A writer puts no two strings, tables or tensor cells over each other. Where
-- they overlap the item could be far larger than its slot.
local function spend(room, cells, what)
  room.budget = room.budget - cells
  if room.budget < 0 then
    raise_damage(what .. " that overlap")
  end
end

local function read_tensor(room, run, cell, borrowed)
  spend(room, TENSOR_CELLS, "tensors")
  lib.check(C.neap_cell_tensor(run, cell, room.about, room.pointer, lib.error))
  return (borrowed:tensor(room.about, room.pointer[0]))
end

local function read_table(room, run, cell, borrowed, depth)
  if depth >= DEPTH_MAX then
    raise_damage("nested too deep")
  end
  local counts = room.counts
  lib.check(C.neap_cell_table(run, cell, counts, counts + 1, lib.error))
  local n, pair_count = counts[0], counts[1]
  spend(room, 1 + n + 2 * pair_count, "tables")
  local x = {}
  local inner = room.cells[depth + 1]
  for k = 1, n do
    lib.check(C.neap_cell_at(run, cell, k - 1, inner, lib.error))
    x[k] = read_value(room, run, inner, borrowed, depth + 1)
  end
  for k = 0, pair_count - 1 do
    lib.check(C.neap_cell_pair(run, cell, k, inner, inner + 1, lib.error))
    local key = inner[0].type ~= TABLE
      and read_value(room, run, inner, borrowed, depth + 1)
    if key == nil or key ~= key then
      raise_damage("a key")
    end
    x[key] = read_value(room, run, inner + 1, borrowed, depth + 1)
  end
  return x
end

function read_value(room, run, cell, borrowed, depth)
  local kind = cell[0].type
  if kind == NUMBER then
    return read.number(cell[0])
  elseif kind == NIL then
    return nil
  elseif kind == BOOLEAN then
    return cell[0].integer ~= 0
  elseif kind == INT64 then
    return int64(cell[0].integer)
  elseif kind == UINT64 then
    return uint64(cell[0].offset)
  elseif kind == TENSOR then
    return read_tensor(room, run, cell, borrowed)
  elseif kind == TABLE or kind == FAILURE then
    return read_table(room, run, cell, borrowed, depth)
  elseif kind == STRING then
    local text = C.neap_cell_string(run, cell, lib.error)
    if text == nil then
      error(lib.failure(), 0)
    end
    local nbytes = cell[0].count
    spend(room, nbytes / CELL, "strings")
    return ffi.string(text, nbytes)
  end
  raise_damage("a type")
end

--- Reads item k (from 0) of a run.
-- @tparam cdata run neap_run
-- @tparam int k
-- @tparam table borrowed of neap.value.borrow: what tensors borrow from
-- @return the item, or the fields of its failure
-- @treturn boolean whether it is a failure
function read.item(run, k, borrowed)
  local room = spare or new_room()
  spare = false -- a finalizer that reads an item meanwhile has another one
  local cell = room.cells[0]
  lib.check(C.neap_run_cell(run, k, cell, lib.error))
  local is_failure = cell[0].type == FAILURE
  room.budget = tonumber(run.bytes) / CELL
  local x = read_value(room, run, cell, borrowed, 0)
  spare = room
  return x, is_failure
end

return read
