-- SPDX-License-Identifier: MIT
--- The Lua reader of item values (lua/neap/value/read.lua), for fuzz_lua: an
-- input is a slot.

local is_mistaken = ...
local common = dofile("tests/fuzz/common.lua")
if is_mistaken then -- any bits are a number
  common.mistake("neap/value/read.lua", "> 0xfff00000", "> 0xffffffff")
end

local ffi = require("ffi")
local array = require("neap.tensor.array")
local borrow = require("neap.value.borrow")
local context = require("neap.value.context")
local failure = require("neap.prefetch.failure")
local lib = require("neap.base.lib")
local read_item = require("neap.value.read").item
local write = require("neap.value.write")

local ITEMS = 4
local CELL = ffi.sizeof("neap_value")

local run = ffi.new("neap_run", { count = ITEMS })
local loan = borrow.new(nil)

-- Whether the item could be read.
local function read_one(k, collects)
  loan:advance()
  local ok, x, is_failure = common.read(collects,
    "^cannot read an item: its slot is damaged %(", read_item, run, k, loan)
  if is_failure then
    pcall(tostring, failure.reported(x, 1, "prefetch"))
  end
  return ok
end

local function read(address, size, collects)
  run.base, run.bytes = ffi.cast("uint8_t *", address), size
  run.cells = ffi.cast("neap_value *", address)
  loan:aim(0)
  local count = 0
  for k = 0, ITEMS - 1 do
    if read_one(k, collects) then
      count = count + 1
    end
  end
  return count == ITEMS
end

-- -- Seeds -------------------------------------------------------------------

local function items()
  local t = array.new("f32", { 2, 3 }, { 1, 2, 3, 4, 5, 6 })
  local deep = "core"
  for _ = 1, 100 do
    deep = { deep }
  end
  return {
    { 1, -0.5, 0 / 0, math.huge },
    { true, nil, -1LL, 18446744073709551615ULL },
    { "", "text", ("long"):rep(20), "a\0b" },
    { t, t[2], { t, again = t }, array.new("bool", {}, true) },
    { array.new("f64", { 4 }, 1), array.new("u8", { 1, 1, 1, 1, 1, 1, 1, 3 }),
      array.new("bf16", { 0, 2 }), array.new("i64", { 2 }, -1) },
    { {}, { 1, "two", { 3 } }, { a = 1, [1.5] = "half", [true] = {} }, deep },
  }
end

local function slot_of(nbytes, write_one, x)
  local slot = ffi.new("uint8_t[?]", nbytes)
  local item = context.new()
  lib.check(lib.C.neap_writer_begin(item.writer, slot, nbytes, ITEMS,
    lib.error))
  for k = 0, ITEMS - 1 do
    write_one(item, k, x)
  end
  return ffi.string(slot, lib.C.neap_writer_end(item.writer))
end

local function write_listed(item, k, list)
  write.item(item, k, list[k + 1])
end

local FAILURE = { kind = "item", message = "no", index = 7, worker = 1,
  stage = "map (a.lua:1)", cause = { 1 } }

local function seeds()
  local list = { slot_of(2 ^ 14, write.failure, FAILURE) }
  for _, four in ipairs(items()) do
    list[#list + 1] = slot_of(2 ^ 16, write_listed, four)
  end
  return list
end

-- -- Mutations ---------------------------------------------------------------

local random = math.random

-- Now and then anything, mostly what might be.
local function random_offset(size)
  local which = random(8)
  if which == 1 then
    return ffi.cast("uint64_t", -random(100))
  elseif which == 2 then
    return ffi.cast("uint64_t", random(0, size + 32))
  end
  return ffi.cast("uint64_t", random(0, math.floor(size / CELL)) * CELL)
end

local WORDS = { 0xfff00000, 0xfff80000, 0xfff90000, 0xffffffff, 0x7ff80000,
  0xfffe8000, 0xfffd8000, 0xfffb0000 }

local function put_cell(at, size)
  local cell = ffi.cast("neap_value *", at)
  local which = random(10)
  cell.type = random(0, 9)
  cell.count = which == 1 and random(0, 2 ^ 32 - 1) or random(0, 6)
  if cell.type == lib.C.NEAP_NUMBER then
    cell.words[0], cell.words[1] = random(0, 2 ^ 31), WORDS[random(#WORDS)]
  else
    cell.offset = random(3) == 1 and random(0, 6) or random_offset(size)
  end
end

local function put_tensor(at, size)
  local cell = ffi.cast("neap_tensor_cell *", at)
  cell.code, cell.bits = random(0, 7), 2 ^ random(2, 7)
  cell.ndim, cell.offset = random(0, 9), random_offset(size)
  for d = 0, 7 do
    cell.shape[d] = random(16) == 1
      and ffi.cast("int64_t", random_offset(size)) or random(0, 3)
  end
end

local function mutate(text, seed)
  local size = #text
  math.randomseed(seed)
  if size < CELL or random(8) == 1 then
    return text .. ("\0"):rep(random(16) * CELL)
  end
  local bytes = ffi.new("uint8_t[?]", size)
  ffi.copy(bytes, text, size)
  for _ = 1, random(3) do
    local at = random(0, math.floor(size / CELL) - 1) * CELL
    if random(4) == 1 and at + ffi.sizeof("neap_tensor_cell") <= size then
      put_tensor(bytes + at, size)
    else
      put_cell(bytes + at, size)
    end
  end
  return ffi.string(bytes, size)
end

return read, mutate, seeds
