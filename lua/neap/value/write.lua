-- SPDX-License-Identifier: MIT
--- Writes the values of items into slots, through the neap_writer of the item's
-- context (see neap_lua.h). Numbers, booleans and nil are stored here; C puts
-- strings, tensors and tables. `item` is a context everywhere in this file.
-- @module neap.value.write

local ffi = require("ffi")
local check = require("neap.base.check")
local errors = require("neap.base.errors")
local lib = require("neap.base.lib")
local array = require("neap.tensor.array")
local generation = require("neap.tensor.generation")
local guess = require("neap.value.guess")
local memory = require("neap.tensor.memory")
local traverse = require("neap.base.traverse")

local C = lib.C
local failed = lib.error

local NIL, BOOLEAN, NUMBER = C.NEAP_NIL, C.NEAP_BOOLEAN, C.NEAP_NUMBER
local INT64, UINT64 = C.NEAP_INT64, C.NEAP_UINT64
local TABLE, FAILURE = C.NEAP_TABLE, C.NEAP_FAILURE
local DEPTH_MAX = C.NEAP_DEPTH_MAX

local int64, uint64 = ffi.typeof("int64_t"), ffi.typeof("uint64_t")

local write = {}

-- The host asks for the item once more: alone in a slot it may have room.
local function raise_room()
  error(errors.make({
    kind = "room", message = ffi.string(failed.text),
  }), 0)
end

--- Allocates memory for a tensor in the item's slot.
-- @treturn cdata void *; NULL if there is no room
function write.allocate(item, nbytes)
  return (C.neap_writer_allocate(item.writer, nbytes, failed))
end

-- item.image.loader[2]
local function path_text(path, depth)
  local parts = { "item" }
  for k = 1, depth do
    local key = path[k]
    parts[#parts + 1] = type(key) == "string" and key:match("^[%a_][%w_]*$")
      and "." .. key or ("[%s]"):format(type(key) == "string"
        and ("%q"):format(key) or tostring(key))
  end
  return table.concat(parts)
end

local PLAIN = "return plain values: numbers, strings, booleans, tensors, and "
  .. "tables of these"

local function refuse(item, depth, what, help)
  error(check.with_help(("cannot send the item: %s %s"):format(
    path_text(item.path, depth), what), help), 0)
end

local function put_string(item, cell, x)
  if C.neap_writer_put_string(item.writer, cell, x, #x, failed) < 0 then
    raise_room()
  end
end

local function put_tensor(item, cell, t, depth)
  if t.counter[0] ~= t.generation then
    refuse(item, depth, "is a tensor of an earlier item, whose slot has been "
      .. "handed over", "keep it with neap.keep(tensor) when it is made")
  end
  if C.neap_writer_put_tensor(item.writer, cell, t.d, failed) < 0 then
    raise_room()
  end
end

-- A light userdata, which libraries use for a null that is a value.
local function is_null(x)
  return type(x) == "userdata" and tostring(x):find("NULL", 1, true) ~= nil
end

local put

local converters = {}

--- Lets a kind of cdata be sent as another value.
function write.convert(matches, convert)
  converters[#converters + 1] = { matches = matches, convert = convert }
end

local function put_table(item, cell, x, depth, kind)
  if getmetatable(x) ~= nil then
    refuse(item, depth, "is a table with a metatable",
      "return a plain table with its fields")
  elseif depth >= DEPTH_MAX then
    refuse(item, 8, ("... contains itself, or tables nested more than %d deep")
      :format(DEPTH_MAX))
  end
  local n, path, keys = #x, item.path, item.keys[depth]
  local pair_count = traverse.keys_beside(x, n, keys)
  local cells = C.neap_writer_put_table(item.writer, cell, kind, n, pair_count,
    failed)
  if cells == nil then
    raise_room()
  end
  for k = 1, n do
    path[depth + 1] = k
    put(item, cells[k - 1], x[k], depth + 1)
  end
  for k = 1, pair_count do
    local key = keys[k]
    path[depth + 1] = key
    if type(key) == "table" or type(key) == "cdata" then
      refuse(item, depth, "has a " .. type(key) .. " as a key")
    end
    put(item, cells[n], key, depth + 1)
    put(item, cells[n + 1], x[key], depth + 1)
    n = n + 2
  end
end

local function put_cdata(item, cell, x, depth)
  if array.is(x) then
    put_tensor(item, cell, x, depth)
  elseif ffi.istype(int64, x) then
    cell.type, cell.count, cell.integer = INT64, 0, x
  elseif ffi.istype(uint64, x) then
    cell.type, cell.count, cell.offset = UINT64, 0, x
  else
    for k = 1, #converters do
      if converters[k].matches(x) then
        item.is_converted = true
        put(item, cell, converters[k].convert(x), depth)
        return
      end
    end
    refuse(item, depth, "is a cdata (" .. tostring(ffi.typeof(x)) .. ")", PLAIN)
  end
end

function put(item, cell, x, depth)
  local kind = type(x)
  if kind == "number" then
    cell.type, cell.count, cell.number = NUMBER, 0, x
  elseif kind == "nil" then
    cell.type, cell.count, cell.offset = NIL, 0, 0
  elseif kind == "boolean" then
    cell.type, cell.count, cell.integer = BOOLEAN, 0, x and 1 or 0
  elseif kind == "string" then
    put_string(item, cell, x)
  elseif kind == "table" then
    put_table(item, cell, x, depth, TABLE)
  elseif kind == "cdata" then
    put_cdata(item, cell, x, depth)
  elseif is_null(x) then
    refuse(item, depth, "is a null pointer, as cjson.null and ngx.null are",
      "put nil or false in its place, or leave the field out")
  else
    refuse(item, depth, "is a " .. kind, PLAIN)
  end
end

-- Moves the tensors of a value out of the slot.
local function take_out(_, x, item)
  if not array.is(x) then
    if type(x) == "table" then
      traverse.each(x, take_out, item)
    end
  elseif x.counter == item.counter then
    memory.detach(x)
  end
end

-- Writes an item anew, without the tensors in the slot that it does not
-- deliver. All tensors in the slot end, but for the item's.
local function put_anew(item, cell, x)
  take_out(nil, x, item)
  C.neap_writer_undo_item(item.writer)
  generation.bump(item.counter)
  put(item, cell, x, 0)
end

-- To write a converted value again would compute it again.
local function check_guess(item, cell, x)
  local writer, state = item.writer, item.guess
  if state.births == state.first then
    return -- its tensors were there before
  end
  local wasted, delivered = writer.allocated - writer.in_place, writer.delivered
  guess.learn(state, x, item.counter, wasted)
  if wasted > (delivered + wasted) * guess.WASTE_MAX
    and not item.is_converted then
    put_anew(item, cell, x)
  end
end

--- Writes item k (from 0) of the run.
-- Raises an error that names the path to what cannot be sent.
function write.item(item, k, x)
  local writer = item.writer
  local cell = writer.cells[k]
  if type(x) == "number" then
    cell.type, cell.count, cell.number = NUMBER, 0, x
  else
    item.is_converted = false
    put(item, cell, x, 0)
    local in_place = writer.in_place
    if writer.allocated ~= in_place or writer.delivered ~= in_place then
      check_guess(item, cell, x)
    end
    C.neap_writer_end_item(writer)
  end
end

--- Drops the tensors in the slot of the numbers that a run ends with.
function write.end_numbers(item)
  if item.writer.allocated > 0 then
    guess.forget(item.guess)
    C.neap_writer_undo_item(item.writer)
  end
end

--- Writes the failure of item k: a table of its error's fields.
-- @treturn boolean whether they could be sent; if not, all that the item wrote
--   is undone to make room, and no tensor in the slot is valid any more: what
--   was undone may reach back to earlier items, which were numbers
function write.failure(item, k, fields)
  local writer = item.writer
  local ok = pcall(put_table, item, writer.cells[k], fields, 0, FAILURE)
  if ok then
    C.neap_writer_end_item(writer)
  else
    C.neap_writer_undo_item(writer)
    generation.bump(item.counter)
  end
  return ok
end

return write
