-- SPDX-License-Identifier: MIT
-- Functions of a C library as stages of a chain: zlib unpacks records and sums
-- them up, in workers, and no Lua runs between the two calls.

local bit = require("bit")
local ffi = require("ffi")
local neap = require("neap")

local RECORDS, BYTES = 200, 4096

local unpack_record = neap.native({
  lib = "libz.so.1",
  decl = [[int uncompress(uint8_t *dest, unsigned long *destLen,
    const uint8_t *source, unsigned long sourceLen)]],
  args = {
    dest = { out = "u8", shape = { BYTES } }, destLen = BYTES,
    source = "data", sourceLen = "count",
  },
  error = "const char *zError(int status)",
})

local checksum = neap.native({
  lib = "libz.so.1",
  decl = [[unsigned long crc32(unsigned long crc, const uint8_t *buf,
    unsigned int len)]],
  args = { crc = 0, buf = "data", len = "count" },
})

-- The records, packed by zlib, and their checksums, computed here in Lua. -----
ffi.cdef([[
  int compress(uint8_t *to, unsigned long *size, const char *from,
    unsigned long bytes);
]])
local zlib = ffi.load("libz.so.1")

local function pack(text)
  local size = ffi.new("unsigned long[1]", #text + 1024)
  local to = ffi.new("uint8_t[?]", size[0])
  assert(zlib.compress(to, size, text, #text) == 0)
  return ffi.string(to, size[0])
end

local function crc32(text)
  local crc = -1
  for k = 1, #text do
    crc = bit.bxor(crc, text:byte(k))
    for _ = 1, 8 do
      local low = bit.band(crc, 1)
      crc = bit.bxor(bit.rshift(crc, 1), bit.band(-low, 0xedb88320))
    end
  end
  return bit.bnot(crc) % 2 ^ 32
end

local packed, expected = {}, {}
for k = 1, RECORDS do
  local text = ("record %d; "):format(k):rep(BYTES):sub(1, BYTES)
  packed[k], expected[k] = pack(text), crc32(text)
end

-- The chain. ------------------------------------------------------------------
local sums = neap.from(packed):map(unpack_record):map(checksum)
  :prefetch({ workers = 2 })

local right = 0
for i, sum in sums:each() do
  right = right + (sum == expected[i] and 1 or 0)
end
assert(right == RECORDS)
print(("%d of %d checksums are right"):format(right, RECORDS))
  --> 200 of 200 checksums are right

-- A record that is damaged is an error of that item, with zlib's own text.
packed[3] = packed[3]:sub(1, 9) .. "damage" .. packed[3]:sub(16)
local ok, e = pcall(function()
  return neap.from(packed):map(unpack_record)[3]
end)
assert(not ok)
print(e.index, (e.message:match("data error")))   --> 3 data error
