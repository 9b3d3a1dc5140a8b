-- SPDX-License-Identifier: MIT
--- Item values in slots: written by a worker, read by the host. The layout is
-- told in neap.h ("Item values").
--
-- A worker fills one slot at a time: cells of the run's items first, then
-- whatever they refer to, one after another. Tensors that are made meanwhile
-- are allocated right there, and so are never copied.
-- @module neap.value.value

local bit = require("bit")
local ffi = require("ffi")
local array = require("neap.tensor.array")
local errors = require("neap.base.errors")
local lib = require("neap.base.lib")
local traverse = require("neap.base.traverse")

local C = lib.C
local band, bnot = bit.band, bit.bnot

local NIL, BOOLEAN, NUMBER = C.NEAP_NIL, C.NEAP_BOOLEAN, C.NEAP_NUMBER
local INT64, UINT64, STRING = C.NEAP_INT64, C.NEAP_UINT64, C.NEAP_STRING
local TENSOR, TABLE, FAILURE = C.NEAP_TENSOR, C.NEAP_TABLE, C.NEAP_FAILURE
local DEPTH_MAX = C.NEAP_DEPTH_MAX

local CELL = ffi.sizeof("neap_value")
local TENSOR_CELLS = ffi.sizeof("neap_tensor_cell") / CELL
local cells_type = ffi.typeof("neap_value *")
local tensor_cell_type = ffi.typeof("neap_tensor_cell *")
local bytes_type = ffi.typeof("uint8_t *")
local int64, uint64 = ffi.typeof("int64_t"), ffi.typeof("uint64_t")

local value = {}

-- -- Writing -----------------------------------------------------------------

local base -- of the slot that is being filled, uint8_t *; nil between runs
local used, limit = 0, 0 -- bytes
local path = {} -- keys on the way to the value that is being written

local nbytes_max = 0 -- of the slot; `limit` is that or less
local start_of_item = 0
local FAILURE_ROOM = 4096 -- bytes, for what becomes of items without room

--- Begins a run of `count` items in a slot.
function value.begin(slot, nbytes, count)
  base, nbytes_max = ffi.cast(bytes_type, slot), nbytes
  used, limit = count * CELL, nbytes - FAILURE_ROOM
end

--- Begins an item of the run.
function value.begin_item()
  start_of_item = used
end

-- Alone in a slot the item may have room: the host asks for it once more.
local function raise_room()
  error(errors.make({
    kind = "room",
    message = ("the item is larger than a slot: slot_bytes = %d is too small")
      :format(nbytes_max),
  }), 0)
end

--- Ends the run; answers the bytes that it takes.
function value.finish()
  base = nil
  return used
end

--- Bytes of the slot, aligned for tensors; nil between runs.
function value.allocate(nbytes)
  if base == nil then
    return nil
  end
  local start = math.ceil(used / 64) * 64
  if start + nbytes > limit then
    raise_room()
  end
  used = start + nbytes
  return base + start
end

local function reserve(nbytes)
  local start = band(used + 15, bnot(15))
  if used > 2 ^ 30 then
    start = math.ceil(used / 16) * 16
  end
  if start + nbytes > limit then
    raise_room()
  end
  used = start + nbytes
  return start
end

-- item.image.loader[2]
local function path_text(depth)
  local parts = { "item" }
  for k = 1, depth do
    local key = path[k]
    parts[#parts + 1] = type(key) == "string" and key:match("^[%a_][%w_]*$")
      and "." .. key or ("[%s]"):format(type(key) == "string"
        and ("%q"):format(key) or tostring(key))
  end
  return table.concat(parts)
end

local function refuse(depth, what)
  error(("cannot send the item: %s %s"):format(path_text(depth), what), 0)
end

local function put_string(cell, x)
  local start = reserve(#x)
  ffi.copy(base + start, x, #x)
  cell.type, cell.count, cell.offset = STRING, #x, start
end

local function put_tensor(cell, t, depth)
  if t.counter[0] ~= t.generation then
    refuse(depth, "is a tensor of an earlier item, whose slot has been handed "
      .. "over: keep it with neap.keep(tensor) when it is made")
  end
  local nbytes = t.nbytes
  local offset = lib.distance(base, t.d.data)
  if offset < 0 or offset + nbytes > used then
    local place = value.allocate(nbytes)
    ffi.copy(place, t.d.data, nbytes)
    offset = lib.distance(base, place)
  end
  local start = reserve(ffi.sizeof("neap_tensor_cell"))
  local about = ffi.cast(tensor_cell_type, base + start)
  about.code, about.bits, about.ndim = t.d.code, t.d.bits, t.d.ndim
  about.reserved, about.offset = 0, offset
  ffi.copy(about.shape, t.d.shape, t.d.ndim * 8)
  cell.type, cell.count, cell.offset = TENSOR, 0, start
end

local put

local converters = {}

--- Lets a kind of cdata be sent as another value.
function value.convert(matches, convert)
  converters[#converters + 1] = { matches = matches, convert = convert }
end

local keys_at = {} -- depth -> keys of the table that is being written there
for depth = 0, DEPTH_MAX do
  keys_at[depth] = {}
end

local function put_table(cell, x, depth)
  if getmetatable(x) ~= nil then
    refuse(depth, "is a table with a metatable")
  elseif depth >= DEPTH_MAX then
    refuse(8, ("... contains itself, or tables nested more than %d deep")
      :format(DEPTH_MAX))
  end
  local n, keys = #x, keys_at[depth]
  local pair_count = traverse.keys_beside(x, n, keys)
  local start = reserve((1 + n + 2 * pair_count) * CELL)
  local cells = ffi.cast(cells_type, base + start)
  cells[0].type, cells[0].count, cells[0].offset = TABLE, n, pair_count
  for k = 1, n do
    path[depth + 1] = k
    put(cells[k], x[k], depth + 1)
  end
  local at = n + 1
  for k = 1, pair_count do
    local key = keys[k]
    path[depth + 1] = key
    if type(key) == "table" or type(key) == "cdata" then
      refuse(depth, "has a " .. type(key) .. " as a key")
    end
    put(cells[at], key, depth + 1)
    put(cells[at + 1], x[key], depth + 1)
    at = at + 2
  end
  cell.type, cell.count, cell.offset = TABLE, n, start
end

local function put_cdata(cell, x, depth)
  if array.is(x) then
    put_tensor(cell, x, depth)
  elseif ffi.istype(int64, x) then
    cell.type, cell.count, cell.integer = INT64, 0, x
  elseif ffi.istype(uint64, x) then
    cell.type, cell.count, cell.offset = UINT64, 0, x
  else
    for k = 1, #converters do
      if converters[k].matches(x) then
        put(cell, converters[k].convert(x), depth)
        return
      end
    end
    refuse(depth, "is a cdata (" .. tostring(ffi.typeof(x)) .. ")")
  end
end

function put(cell, x, depth)
  local kind = type(x)
  if kind == "number" then
    cell.type, cell.count, cell.number = NUMBER, 0, x
  elseif kind == "nil" then
    cell.type, cell.count, cell.offset = NIL, 0, 0
  elseif kind == "boolean" then
    cell.type, cell.count, cell.integer = BOOLEAN, 0, x and 1 or 0
  elseif kind == "string" then
    put_string(cell, x)
  elseif kind == "table" then
    put_table(cell, x, depth)
  elseif kind == "cdata" then
    put_cdata(cell, x, depth)
  else
    refuse(depth, "is a " .. kind)
  end
end

--- Writes item k (from 0) of the run; raises what cannot be sent, by its path.
function value.write(k, x)
  local cell = ffi.cast(cells_type, base) + k
  if type(x) == "number" then
    cell.type, cell.count, cell.number = NUMBER, 0, x
  else
    put(cell, x, 0)
  end
end

--- Writes what became of item k that raised: a table of its error's fields.
-- @treturn boolean whether they could be sent; if not, what the item wrote is
--   given up to make room
function value.write_failure(k, fields)
  local cell = ffi.cast(cells_type, base) + k
  limit = nbytes_max
  local ok = pcall(put, cell, fields, 0)
  limit = nbytes_max - FAILURE_ROOM
  if ok then
    cell.type = FAILURE
  else
    used = start_of_item
  end
  return ok
end

-- -- Reading -----------------------------------------------------------------

local pointer_out = ffi.new("void *[1]")
local counts_out = ffi.new("uint32_t[2]")
local about_out = ffi.new("neap_tensor_cell")

local box = ffi.new([[union {
  int64_t bits; struct { uint32_t low, high; }; double number;
}]])

--- The number in a cell. LuaJIT keeps its types in the payloads of negative
-- NaNs, so that one that a worker wrote could pass for any Lua value. What is
-- looked at is a copy, which no worker changes after the look; nor a finalizer,
-- as no object is made meanwhile.
function value.number_in(cell)
  box.bits = cell.integer
  if box.high > 0xfff00000 then
    return 0 / 0
  end
  return box.number
end

-- Readers recurse, so each depth has cells of its own.
local scratch = {}
for depth = 0, DEPTH_MAX do
  scratch[depth] = ffi.new("neap_value[2]")
end

local read

local function raise_damage(what)
  error(lib.failure(C.NEAP_EDAMAGED,
    ("cannot read an item: its slot is damaged (%s)"):format(what)), 0)
end

-- No writer uses a byte of the slot twice: what does makes more than it holds.
local function spend(loan, cells, what)
  loan.budget = loan.budget - cells
  if loan.budget < 0 then
    raise_damage(what .. " that overlap")
  end
end

local function read_tensor(run, cell, loan)
  spend(loan, TENSOR_CELLS, "tensors")
  lib.check(C.neap_value_tensor(run, cell, about_out, pointer_out, lib.error))
  return (loan:tensor(about_out, pointer_out[0]))
end

local function read_table(run, cell, loan, depth)
  if depth >= DEPTH_MAX then
    raise_damage("nested too deep")
  end
  lib.check(C.neap_value_table(run, cell, counts_out, counts_out + 1,
    lib.error))
  local n, pair_count = counts_out[0], counts_out[1]
  spend(loan, 1 + n + 2 * pair_count, "tables")
  local x = {}
  local inner = scratch[depth + 1]
  for k = 1, n do
    lib.check(C.neap_value_at(run, cell, k - 1, inner, lib.error))
    x[k] = read(run, inner, loan, depth + 1)
  end
  for k = 0, pair_count - 1 do
    lib.check(C.neap_value_pair(run, cell, k, inner, inner + 1, lib.error))
    local key = inner[0].type ~= TABLE and read(run, inner, loan, depth + 1)
    if key == nil or key ~= key then
      raise_damage("a key")
    end
    x[key] = read(run, inner + 1, loan, depth + 1)
  end
  return x
end

function read(run, cell, loan, depth)
  local kind = cell[0].type
  if kind == NUMBER then
    return value.number_in(cell[0])
  elseif kind == NIL then
    return nil
  elseif kind == BOOLEAN then
    return cell[0].integer ~= 0
  elseif kind == INT64 then
    return int64(cell[0].integer)
  elseif kind == UINT64 then
    return uint64(cell[0].offset)
  elseif kind == TENSOR then
    return read_tensor(run, cell, loan)
  elseif kind == TABLE or kind == FAILURE then
    return read_table(run, cell, loan, depth)
  elseif kind == STRING then
    local text = C.neap_value_string(run, cell, lib.error)
    if text == nil then
      error(lib.failure(), 0)
    end
    local nbytes = cell[0].count
    spend(loan, nbytes / CELL, "strings")
    return ffi.string(text, nbytes)
  end
  raise_damage("a type")
end

--- Reads item k (from 0) of a run.
-- @tparam cdata run neap_run
-- @tparam int k
-- @tparam table loan of neap.value.borrow, from which the item's tensors borrow
-- @return the item, or the fields of its failure
-- @treturn boolean whether it is a failure
function value.read(run, k, loan)
  local cell = scratch[0]
  lib.check(C.neap_run_value(run, k, cell, lib.error))
  local is_failure = cell[0].type == FAILURE
  loan.budget = tonumber(run.bytes) / CELL
  return read(run, cell, loan, 0), is_failure
end

return value
