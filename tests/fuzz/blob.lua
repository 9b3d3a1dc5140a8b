-- SPDX-License-Identifier: MIT
--- The reader of chains (lua/neap/travel/unpack.lua), for fuzz_lua: an input is
-- the instructions of a blob, to which a right header is put.
--
-- A blob is code, which its reader believes: bytecode, and names that reach
-- whatever the worker has. Neither is fuzzed. Here functions are not sent as
-- bytecode but as one of a few names, other names lead to a few modules, and
-- everything between them is arbitrary. So an input also outlives LuaJIT's
-- bytecode.

local is_mistaken = ...
local common = dofile("tests/fuzz/common.lua")
if is_mistaken then -- any bits are a number
  common.mistake("neap/travel/unpack.lua", "== 0x7ff00000", "== 0x7ff00001")
end

local ffi = require("ffi")
require("neap")
local array = require("neap.tensor.array")
local blob = require("neap.travel.blob")
local class = require("neap.base.class")
local format = require("neap.travel.format")

local TAG = format.tags

-- -- What names lead to ------------------------------------------------------

local makers = {
  plain = function()
    return function() return 1 end
  end,
  counter = function()
    local count, step = 0, 1
    return function()
      count = count + step
      return count
    end
  end,
  pair = function()
    local first, second
    return function(x, y)
      first, second = x, y
      return first, second
    end
  end,
}

-- What stands for its bytecode: the name of what it was made by.
local name_of = setmetatable({}, { __mode = "k" })

local function make_function(name)
  local f = makers[name]()
  name_of[f] = name
  return f
end

string.dump = function(f) -- luacheck: ignore
  return name_of[f] or error("it is no function of this script")
end

load = function(name) -- luacheck: ignore
  if not makers[name] then
    return nil, "it is no function of this script"
  end
  return make_function(name)
end

-- A kind of value that looks at all that it is made of.
local Kind = ffi.metatype("struct { int fuzz_kind; }", {})
local plain_of = { [1] = "text" }
blob.register("fuzz", function(value)
  return ffi.istype(Kind, value)
end, function(value)
  return plain_of[value.fuzz_kind]
end, function(plain)
  common.look(plain)
  return Kind(2)
end)
local Point = class("fuzz_point")

local modules = {
  fuzz = {
    number = 1, text = "text", no = false, integer = 1LL, f = print, t = {},
    ctype = Kind,
  },
  math = math, bit = bit,
  ["neap.chain"] = require("neap.travel.tensor"),
  ["neap.sequence"] = require("neap.sequence.handle"),
}

-- The corpus has tensors and sequences under these names.
format.kinds["neap.chain"] = format.kinds["neap.travel.tensor"]
format.kinds["neap.sequence"] = format.kinds["neap.sequence.handle"]

-- What tensors load at the first use of a method, while `require` is LuaJIT's.
assert(array.new("u8", { 1 }).shape and array.new("u8", { 1 }):sum() == 0)

local own_require = require

require = function(name) -- luacheck: ignore
  return modules[name] or error(("module '%s' not found"):format(name), 2)
end

-- -- Reading -----------------------------------------------------------------

local function with_header(body)
  body = body .. ("\0"):rep(-#body % 4)
  local size = format.HEADER_BYTES + #body
  local bytes = ffi.new("uint8_t[?]", size)
  local header = ffi.cast(format.header_pointer, bytes)
  ffi.copy(header.magic, format.MAGIC, #format.MAGIC)
  header.size = size
  ffi.copy(bytes + format.HEADER_BYTES, body, #body)
  header.checksum = format.checksum(bytes, size)
  return ffi.string(bytes, size)
end

local function read_blob(text, collects)
  return (common.read(collects, "^cannot read the chain: ", blob.unpack, text))
end

local function read(address, size, collects)
  local text = ffi.string(ffi.cast("uint8_t *", address), size)
  local is_whole = read_blob(text, false)
  return read_blob(with_header(text), collects) or is_whole
end

-- -- Seeds -------------------------------------------------------------------

local function honest()
  local t = array.new("i16", { 2, 2 }, { 1, 2, 3, 4 })
  local key, knot = 7LL, { 1, 2 }
  local counter, pair = make_function("counter"), make_function("pair")
  debug.setupvalue(pair, 1, counter)
  debug.setupvalue(pair, 2, knot)
  local twin = make_function("counter")
  debug.upvaluejoin(twin, 1, counter, 1)
  knot.me, knot[knot] = knot, true
  setmetatable(knot, { __index = { b = false } })
  return {
    1, false, { 0.5, 0 / 0, math.huge, -math.huge, -0.0, "short" },
    { ("long"):rep(20), [key] = key, [("k"):rep(40)] = true }, knot,
    { make_function("plain"), pair, twin, knot, counter },
    { ffi.new("complex", 1, -2), ffi.new("complex float", 0 / 0, 1), 5ULL },
    { ffi.typeof("float *"), ffi.typeof("uint8_t[?]"), math.floor, math },
    { t, t[1], Kind(1), Kind, Point, Point:new({ x = 1 }) },
  }
end

local function seeds()
  local list = {}
  package.loaded.fuzz = modules.fuzz
  local found = package.searchpath
  package.searchpath = function(name, ...) -- luacheck: ignore
    return name == "fuzz" and "fuzz.lua" or found(name, ...)
  end
  require = own_require -- luacheck: ignore
  for k, value in ipairs(honest()) do
    list[k] = blob.pack(value):sub(format.HEADER_BYTES + 1)
  end
  list[#list + 1] = blob.pack({ 1, "whole" })
  return list
end

-- -- Mutations: instructions, cut apart and made anew ------------------------

local function u32_at(text, at)
  local a, b, c, d = text:byte(at, at + 3)
  return d and a + b * 2 ^ 8 + c * 2 ^ 16 + d * 2 ^ 24 or math.huge
end

local function skip_value(text, at)
  local tag = text:byte(at)
  if tag == TAG.short then
    return at + 2 + (text:byte(at + 1) or 0)
  end
  return at + 1 + (tag == TAG.number and 8 or tag == TAG.object and 4 or 0)
end

local function skip_values(text, at, n)
  for _ = 1, n do
    if at > #text then
      break
    end
    at = skip_value(text, at)
  end
  return at
end

local skip = {
  [TAG.string] = function(text, at) return at + 4 + u32_at(text, at) end,
  [TAG.table] = function(_, at) return at end,
  [TAG.closure] = skip_value,
  [TAG.scalar] = function(text, at)
    return (text:byte(at) or 0) < 3 and at + 9
      or skip_values(text, at + 1, 2)
  end,
  [TAG.ctype] = skip_value,
  [TAG.named] = function(text, at) return skip_values(text, at, 2) end,
  [TAG.class] = skip_value,
  [TAG.custom] = function(text, at) return skip_values(text, at, 2) end,
  [TAG.fill] = function(text, at)
    at = skip_value(text, at + 4)
    at = skip_values(text, at + 4, u32_at(text, at))
    while at <= #text and text:byte(at) ~= TAG["nil"] do
      at = skip_values(text, at, 2)
    end
    return at + 1
  end,
  [TAG.upvalue] = function(text, at) return skip_value(text, at + 5) end,
  [TAG.join] = function(_, at) return at + 10 end,
  [TAG.answer] = skip_value,
}

local function cut(text)
  local pieces, at = {}, 1
  while at <= #text do
    local next_one = skip[text:byte(at)] or skip[TAG.table]
    local after = math.min(next_one(text, at + 1), #text + 1)
    pieces[#pieces + 1] = text:sub(at, after - 1)
    at = after
  end
  return pieces
end

local random, char = math.random, string.char

local function pick(list)
  return list[random(#list)]
end

local function u32(x)
  return ffi.string(ffi.new("uint32_t[1]", x), 4)
end

local function short(text)
  return char(TAG.short, #text) .. text
end

local TEXTS = { "", "x", "plain", "counter", "pair", "fuzz", "math", "bit",
  "floor", "f", "t", "no", "text", "ctype", "neap.chain", "neap.sequence",
  "fuzz_point", "sequence", "tensor", "int", "float *", "struct { int x; }",
  "uint8_t[?]", "int(*)(int)", "dtype", "shape", "bytes", "heap_offset",
  "nbytes", "offset", "f64", "__index", "__gc", "__mode", "k" }

local BITS = { 0x7ff00000, 0xfff00000, 0xfff80000, 0xffffffff, 0xfffd8000,
  0x7fefffff, 0, 0x3ff00000, 0x40080000, 0x43400000 }

local function object(count)
  return u32(random(24) == 1 and pick({ 0, count + 1, 2 ^ 32 - 1 })
    or random(math.max(count, 1)))
end

local function value(count)
  local which = random(10)
  if which <= 4 then
    return char(TAG.object) .. object(count)
  elseif which <= 6 then
    return short(pick(TEXTS))
  elseif which <= 8 then
    return char(TAG.number) .. u32(random(0, 2) * 2 ^ 31) .. u32(pick(BITS))
  end
  return char(random(0, 5))
end

local function values(count, n)
  local list = {}
  for k = 1, n do
    list[k] = value(count)
  end
  return table.concat(list)
end

local operands = {
  string = function() return u32(random(0, 40)) .. ("s"):rep(40) end,
  table = function() return "" end,
  closure = function() return short(TEXTS[random(3, 5)]) end,
  scalar = function(count)
    local which = random(0, 5)
    return char(which) .. (which < 3 and u32(random(9)) .. u32(pick(BITS))
      or values(count, 2))
  end,
  ctype = function() return short(pick(TEXTS)) end,
  named = function() return short(pick(TEXTS)) .. short(pick(TEXTS)) end,
  class = function() return short(pick(TEXTS)) end,
  custom = function(count)
    return short(pick({ "fuzz", "neap.chain", "neap.sequence", "math" }))
      .. value(count)
  end,
  fill = function(count) -- many alike are what gets compiled
    local n = random(0, 3)
    return object(count) .. value(count) .. u32(n) .. values(count, n)
      .. values(count, 2):rep(random(4) == 1 and 20 or random(0, 2))
      .. values(count, 2 * random(0, 2)) .. char(TAG["nil"])
  end,
  upvalue = function(count)
    return object(count) .. char(random(0, 3)) .. value(count)
  end,
  join = function(count)
    return object(count) .. char(random(0, 3)) .. object(count)
      .. char(random(0, 3))
  end,
  answer = value,
}

local names = {}
for name in pairs(operands) do
  names[#names + 1] = name
end
table.sort(names)

local function instruction(count)
  local name = pick(names)
  return char(TAG[name]) .. operands[name](count)
end

local function mutate(text, seed)
  math.randomseed(seed)
  local pieces = cut(text)
  for _ = 1, random(4) do
    local at, count = random(#pieces + 1), #pieces
    local which = random(8)
    if which == 1 then
      table.remove(pieces, at)
    elseif which == 2 and count > 0 then
      table.insert(pieces, at, pick(pieces))
    elseif which <= 4 and at <= count then
      pieces[at] = instruction(count)
    else
      table.insert(pieces, at, instruction(count))
    end
  end
  if random(2) == 1 then
    pieces[#pieces + 1] = char(TAG.answer) .. value(#pieces)
  end
  return table.concat(pieces)
end

return read, mutate, seeds
