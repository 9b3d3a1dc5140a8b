-- SPDX-License-Identifier: MIT
--- The dtypes: for each, how an element is read and written, with checks.
-- The functions of a dtype are generated from text, so that each dtype has
-- code of its own, in which the compiler sees one pointer type and no branch.
-- @module neap.tensor.dtype

local ffi = require("ffi")
local check = require("neap.base.check")
local lib = require("neap.base.lib")
local suggest = require("neap.base.suggest")

local C = lib.C

local NUMBER_MAX = 2^53  -- integers up to here are numbers in Lua

local int64, uint64 = ffi.typeof("int64_t"), ffi.typeof("uint64_t")

-- name, code, bits, pointer handed out, pointer read through, template
local LIST = {
  { "u8", C.NEAP_UINT, 8, "uint8_t *", "uint8_t *", "integer" },
  { "i8", C.NEAP_INT, 8, "int8_t *", "int8_t *", "integer" },
  { "i16", C.NEAP_INT, 16, "int16_t *", "int16_t *", "integer" },
  { "u16", C.NEAP_UINT, 16, "uint16_t *", "uint16_t *", "integer" },
  { "i32", C.NEAP_INT, 32, "int32_t *", "int32_t *", "integer" },
  { "u32", C.NEAP_UINT, 32, "uint32_t *", "uint32_t *", "integer" },
  { "i64", C.NEAP_INT, 64, "int64_t *", "int64_t *", "wide" },
  { "u64", C.NEAP_UINT, 64, "uint64_t *", "uint64_t *", "wide" },
  { "f16", C.NEAP_FLOAT, 16, "uint16_t *", "uint16_t *", "f16" },
  { "bf16", C.NEAP_BFLOAT, 16, "uint16_t *", "uint16_t *", "bf16" },
  { "f32", C.NEAP_FLOAT, 32, "float *", "float *", "f32" },
  { "f64", C.NEAP_FLOAT, 64, "double *", "double *", "f64" },
  { "bool", C.NEAP_BOOL, 8, "bool *", "uint8_t *", "boolean" },
}

-- Each template uses p, the typed pointer, and k; one that writes, `value`.
-- LuaJIT encodes types in the payloads of negative NaNs, and the FFI loads any
-- bits. So a float that another process wrote could pass for any Lua value. The
-- bits are checked first, in a copy (`box`), because that process may still be
-- writing. Between the copy and the return no object is made: a collection
-- could run a finalizer, which may read too.
local READ = {
  integer = "return p[k]",
  wide = [[
    local value = p[k]
    if value <= NUMBER_MAX and (least == 0 or value >= -NUMBER_MAX) then
      return tonumber(value)
    end
    return value]],
  f16 = "local value = C.neap_f16_load(p[k]) return value",
  bf16 = "local value = C.neap_bf16_load(p[k]) return value",
  f32 = [[
    box.low = cast(words, data)[k]
    if box.low > 0xff800000 then
      return 0 / 0
    end
    return box.single]],
  f64 = [[
    box.bits = cast(int64s, data)[k]
    if box.high > 0xfff00000 then
      return 0 / 0
    end
    return box.number]],
  boolean = "return p[k] ~= 0",
}

local WRITE = {
  integer = "p[k] = integer(value, kind)",
  wide = "p[k] = wide(value, kind)",
  f16 = "p[k] = C.neap_f16_store(number(value, kind))",
  bf16 = "p[k] = C.neap_bf16_store(number(value, kind))",
  f32 = "p[k] = number(value, kind)",
  f64 = "p[k] = number(value, kind)",
  boolean = "p[k] = boolean(value, kind)",
}

local TEMPLATE = [[
local ffi, C, pointer, kind, NUMBER_MAX, checks = ...
local cast, tonumber, least = ffi.cast, tonumber, kind.least
local words, int64s = ffi.typeof("uint32_t *"), ffi.typeof("int64_t *")
local box = ffi.new([=[union {
  int64_t bits; struct { uint32_t low, high; }; double number; float single;
}]=])
local integer, wide = checks.integer, checks.wide
local number, boolean = checks.number, checks.boolean
return function(data, k)
  local p = cast(pointer, data)
  $READ
end, function(data, k, value)
  local p = cast(pointer, data)
  $WRITE
end
]]

local floor = math.floor

local function is_wide(value)
  return ffi.istype(int64, value) or ffi.istype(uint64, value)
end

local function as_text(value)
  return is_wide(value) and tostring(value):gsub("U?LL$", "")
    or ("%.14g"):format(value)
end

-- Each check returns what to store, or raises.
local checks = {}

local function refuse(value, kind)
  if type(value) ~= "number" and not is_wide(value) then
    check.raise(("a %s is expected for %s, got %s"):format(
      kind.name == "bool" and "boolean" or "number", kind.name, type(value)))
  end
  local is_fraction = type(value) == "number" and value >= kind.least
    and value < kind.limit
  check.raise((is_fraction and "%s is a fraction, and %s holds integers"
    or "%s is out of range for %s"):format(as_text(value), kind.name),
    is_fraction and "round it, or use a tensor of f32 or f64" or nil)
end

local function fits(value, kind)
  return value >= kind.least and value < kind.limit and value == floor(value)
end

function checks.number(value, kind)
  if type(value) == "number" then
    return value
  end
  if not is_wide(value) then
    refuse(value, kind)
  end
  return tonumber(value)
end

-- A number holds each integer of 32 bits exactly.
function checks.integer(value, kind)
  local number = value
  if type(value) ~= "number" then
    number = checks.number(value, kind)
  end
  if not fits(number, kind) then
    refuse(value, kind)
  end
  return number
end

-- An integer of the other type does not fit if its sign bit is set: it is
-- negative, or 2^63 or more.
function checks.wide(value, kind)
  if type(value) == "number" then
    if not fits(value, kind) then
      refuse(value, kind)
    end
    return kind.least == 0 and ffi.cast(uint64, value)
      or ffi.cast(int64, value)
  end
  local own = kind.least == 0 and uint64 or int64
  if not is_wide(value)
      or not ffi.istype(own, value) and ffi.cast(int64, value) < 0 then
    refuse(value, kind)
  end
  return ffi.cast(own, value)
end

function checks.boolean(value, kind)
  if value == true or value == 1 then
    return 1
  elseif value == false or value == 0 then
    return 0
  end
  return refuse(value, kind)
end

local dtype = { list = {} }
local by_name, by_code = {}, {}

local function limits(code, bits)
  if code == C.NEAP_INT then
    return -2^(bits - 1), 2^(bits - 1)
  elseif code == C.NEAP_BOOL then
    return 0, 2
  end
  return 0, 2^bits
end

-- Makes a kind's `read` and `write` when the first of them is used: most
-- processes use a few dtypes.
local function accessors(through, template)
  return function(kind, key)
    if key ~= "read" and key ~= "write" then
      return nil
    end
    local text = TEMPLATE:gsub("%$(%u+)", {
      READ = READ[template], WRITE = WRITE[template],
    })
    kind.read, kind.write = assert(loadstring(text,
      "=neap: dtype " .. kind.name))(ffi, C, ffi.typeof(through), kind,
      NUMBER_MAX, checks)
    return rawget(kind, key)
  end
end

for index, entry in ipairs(LIST) do
  local name, code, bits, handed, through, template = unpack(entry)
  local least, limit = limits(code, bits)
  local kind = {
    index = index, name = name, code = code, bits = bits, size = bits / 8,
    pointer = ffi.typeof(handed), least = least, limit = limit,
    is_float = code == C.NEAP_FLOAT or code == C.NEAP_BFLOAT,
  }
  setmetatable(kind, { __index = accessors(through, template) })
  dtype.list[index] = kind
  by_name[name] = kind
  by_code[code * 256 + bits] = kind
end

--- Finds a dtype by name, or raises and lists the known ones.
-- @treturn table with name, code, bits, size (bytes), pointer (a ctype),
--  index (in `dtype.list`), `read(data, k)` and `write(data, k, value)`
function dtype.find(name)
  local kind = by_name[name]
  if not kind then
    local known = {}
    for index, entry in ipairs(LIST) do
      known[index] = entry[1]
    end
    local is_text = type(name) == "string"
    check.raise(("unknown dtype %s, known are %s"):format(
      is_text and "'" .. name .. "'" or "of type " .. type(name),
      table.concat(known, " ")), is_text and suggest(name, by_name) or nil)
  end
  return kind
end

--- Whether a value is the name of a dtype.
function dtype.is_name(value)
  return by_name[value] ~= nil
end

--- Finds a dtype by DLPack's code and bits, or returns nil.
function dtype.of(code, bits)
  return by_code[code * 256 + bits]
end

return dtype
