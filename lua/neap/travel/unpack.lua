-- SPDX-License-Identifier: MIT
--- Reads a blob: one pass, one function for each instruction.
-- The checksum finds accidents; every read is checked against the end as well,
-- and every object against what an instruction may do to it, so that nothing
-- but bytecode is believed.
-- @module neap.travel.unpack

local bit = require("bit")
local ffi = require("ffi")
local class = require("neap.base.class")
local format = require("neap.travel.format")
local merge = require("neap.travel.merge")

local TAG = format.tags
local u8, u32 = format.pointers.uint8_t, format.pointers.uint32_t
local f64 = format.pointers.double
local HEADER_BYTES = format.HEADER_BYTES

local function damaged()
  error("it is damaged", 0)
end

---- Bytes ---------------------------------------------------------------

-- Returns the address of the next n bytes.
local function take(reader, n)
  local at = reader.at
  if n > reader.size - at then
    damaged()
  end
  reader.at = at + n
  return reader.bytes + at
end

local function get_u8(reader)
  return take(reader, 1)[0]
end

local function get_u32(reader)
  return tonumber(ffi.cast(u32, take(reader, 4))[0])
end

-- NaN and infinity are refused by their exponent, before they are read as a
-- double (see luajit.md, *bits of a NaN*).
local function get_number(reader)
  local at = take(reader, 8)
  if bit.band(ffi.cast(u32, at)[1], 0x7ff00000) == 0x7ff00000 then
    damaged()
  end
  return ffi.cast(f64, at)[0]
end

local CONSTANTS = {
  [TAG["false"]] = false, [TAG["true"]] = true, [TAG.nan] = 0 / 0,
  [TAG.inf] = math.huge, [TAG.minus_inf] = -math.huge,
}

local function get(reader)
  local tag = get_u8(reader)
  if tag == TAG.number then
    return get_number(reader)
  elseif tag == TAG.object then
    local object = reader.objects[get_u32(reader)]
    if type(object) == "nil" then
      damaged()
    end
    return object
  elseif tag == TAG.short then
    local size = get_u8(reader)
    return ffi.string(take(reader, size), size)
  elseif tag ~= TAG["nil"] and CONSTANTS[tag] == nil then
    damaged()
  end
  return CONSTANTS[tag]
end

local function get_string(reader)
  local value = get(reader)
  return type(value) == "string" and value or damaged()
end

-- An object that an instruction with this tag made.
local function get_made(reader, tag)
  local id = get_u32(reader)
  if reader.made_by[id] ~= tag then
    damaged()
  end
  return reader.objects[id]
end

---- Instructions --------------------------------------------------------

local make, complete = {}, {}

make[TAG.string] = function(reader)
  local size = get_u32(reader)
  return ffi.string(take(reader, size), size)
end

make[TAG.table] = function()
  return {}
end

make[TAG.closure] = function(reader)
  return assert(load(get_string(reader), nil, "b"))
end

make[TAG.scalar] = function(reader)
  local scalar = format.scalars[get_u8(reader)] or damaged()
  if scalar.is_complex then
    return ffi.new(scalar.ctype, get(reader), get(reader))
  end
  return ffi.cast(scalar.pointer, take(reader, 8))[0]
end

make[TAG.ctype] = function(reader)
  return ffi.typeof(get_string(reader))
end

-- (From pcall the message comes without our own line before it.)
local function load_module(name)
  local ok, module = pcall(require, name)
  return ok and module or error(module, 0)
end

make[TAG.named] = function(reader)
  local module, field = get_string(reader), get(reader)
  local value = load_module(module)
  if field then
    value = value[field]
  end
  if type(value) == "nil" then
    error(("module '%s' has no field '%s' here"):format(module, field), 0)
  end
  return value
end

make[TAG.class] = function(reader)
  local name = get_string(reader)
  return class.find(name)
    or error(("there is no class '%s' here"):format(name), 0)
end

make[TAG.custom] = function(reader)
  local module, plain = get_string(reader), get(reader)
  load_module(module)
  local kind = format.kinds[module]
  if not kind then
    error(("module '%s' registers no values here"):format(module), 0)
  end
  return kind.unpack(plain)
end

complete[TAG.fill] = function(reader)
  local object, metatable = get_made(reader, TAG.table), get(reader)
  for k = 1, get_u32(reader) do
    rawset(object, k, get(reader))
  end
  local key = get(reader)
  while type(key) ~= "nil" do
    if type(key) == "number" and key ~= key then
      damaged()  -- compiled code crashes on it
    end
    rawset(object, key, get(reader))
    key = get(reader)
  end
  debug.setmetatable(object, metatable)
end

complete[TAG.upvalue] = function(reader)
  local fn, which = get_made(reader, TAG.closure), get_u8(reader)
  if not debug.setupvalue(fn, which, get(reader)) then
    damaged()
  end
end

complete[TAG.join] = function(reader)
  local fn, which = get_made(reader, TAG.closure), get_u8(reader)
  debug.upvaluejoin(fn, which, get_made(reader, TAG.closure), get_u8(reader))
end

complete[TAG.patch] = function(reader)
  local module = get_made(reader, TAG.named)
  if type(module) ~= "table" or not merge(module, get(reader)) then
    damaged()
  end
end

local function run(reader)
  local objects, made_by = reader.objects, reader.made_by
  local tag = get_u8(reader)
  while tag ~= TAG.answer do
    if make[tag] then
      local object = make[tag](reader)
      if type(object) == "nil" then
        damaged()
      end
      local id = #objects + 1
      objects[id], made_by[id] = object, tag
    else
      (complete[tag] or damaged)(reader)
    end
    tag = get_u8(reader)
  end
  return get(reader)
end

local function read(chain)
  local size = #chain
  if size < HEADER_BYTES or chain:sub(1, #format.MAGIC) ~= format.MAGIC then
    error("it is not a chain of this version of neap", 0)
  end
  local header = ffi.cast(format.header_pointer, chain)
  local bytes = ffi.cast(u8, chain)
  if header.size ~= size or size % 4 ~= 0
    or header.checksum ~= format.checksum(bytes, size)
  then
    damaged()
  end
  return run({
    chain = chain,  -- what `bytes` points into
    bytes = bytes, size = size, at = HEADER_BYTES, objects = {}, made_by = {},
  })
end

local function unpack(chain)
  local ok, value = pcall(read, chain)
  if not ok then
    error("cannot read the chain: " .. tostring(value), 0)
  end
  return value
end

return unpack
