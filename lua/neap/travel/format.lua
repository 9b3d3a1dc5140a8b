-- SPDX-License-Identifier: MIT
--- What the two ends of a blob agree on.
-- A blob is a header and a list of instructions that make objects, in an order
-- in which nothing is used before it is made. Each instruction is a tag and its
-- operands; values among them are a tag and their bytes. Objects are numbered
-- as they are made, and an object met again is its number. The bytes are in the
-- machine's own order: a blob never leaves it.
-- @module neap.travel.format

local bit = require("bit")
local ffi = require("ffi")

local format = {}

format.MAGIC = "neapblb1"

--- Strings longer than this are objects, so that they are sent once.
format.SHORT = 32

format.HEADER_BYTES = 16
format.header_pointer = ffi.typeof([[
  struct { char magic[8]; uint32_t size; int32_t checksum; } *
]])

--- The kinds of cdata that are registered, by module.
format.kinds = {}

local pointers = {}
for _, name in ipairs({ "uint8_t", "uint32_t", "int32_t", "double" }) do
  pointers[name] = ffi.typeof(name .. " *")
end
format.pointers = pointers

--- The cdata that travel as numbers: eight bytes, or two doubles.
format.scalars = {}
for k, name in ipairs({ "int64_t", "uint64_t", "complex", "complex float" }) do
  format.scalars[k] = {
    ctype = ffi.typeof(name), pointer = ffi.typeof(name .. " *"),
    is_complex = k > 2,
  }
end

--- The tags, and what follows them. Numbers are u32 but where it says u8.
format.tags = {
  -- values
  ["nil"] = 0,
  ["false"] = 1,
  ["true"] = 2,
  nan = 3,
  inf = 4,
  minus_inf = 5,
  number = 6,     -- a finite double
  short = 7,      -- u8 size, bytes
  object = 8,     -- its number
  -- instructions that make the next object
  string = 16,    -- size, bytes
  table = 17,     -- (nothing; "fill" follows when what it holds is made)
  closure = 18,   -- value: the bytecode
  scalar = 19,    -- u8 index in format.scalars, its 8 bytes or two values
  ctype = 20,     -- value: its text
  named = 21,     -- value: module, value: field or nil
  class = 22,     -- value: name
  custom = 23,    -- value: module, value: plain
  -- instructions that complete an object
  fill = 24,      -- table, value: metatable or nil, n, n values, then pairs of
                  -- values until a nil
  upvalue = 25,   -- closure, u8 which, value
  join = 26,      -- closure, u8 which, closure, u8 its upvalue to share
  patch = 28,     -- module, table: a shadow (neap.travel.changes)
  -- the last instruction
  answer = 27,    -- value
}

--- A checksum of the words after the header; `size` is a multiple of 4. Any one
-- damaged word is found. Four bytes cost about a nanosecond.
function format.checksum(bytes, size)
  local words, sum = ffi.cast(pointers.int32_t, bytes), 0
  for k = format.HEADER_BYTES / 4, size / 4 - 1 do
    sum = bit.tobit(bit.rol(sum, 5) + words[k])
  end
  return sum
end

--- Lets a kind of cdata travel, one kind a module.
-- @function register
-- @tparam string module what the worker requires before it unpacks such a
--   value; requiring it registers the kind there
-- @tparam function matches `matches(cdata)` tells whether it is of this kind
-- @tparam function pack `pack(value)` returns what is packed in its place; it
--   may refer to the value through the upvalues of functions alone
-- @tparam function unpack `unpack(plain)` makes the value; functions in `plain`
--   have no upvalues yet and must not be called
function format.register(module, matches, pack_value, unpack_value)
  format.kinds[module] = {
    module = module, matches = matches,
    pack = pack_value, unpack = unpack_value,
  }
end

return format
