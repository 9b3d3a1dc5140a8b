-- SPDX-License-Identifier: MIT
--- Packs and unpacks blocks of bytes by libzstd, which is loaded at first use.
-- @module neap.source.zstd

local ffi = require("ffi")
local library = require("neap.codec.shared_library")

local zstd = {}

--- Loads the library; raises a text that names its package.
zstd.load = library.new("pack items", "libzstd.so.1", "libzstd1", [[
  size_t ZSTD_compress(void *to, size_t room, const void *from, size_t size,
    int level);
  size_t ZSTD_compressBound(size_t size);
  size_t ZSTD_decompress(void *to, size_t room, const void *from, size_t size);
  unsigned ZSTD_isError(size_t code);
]])

local bytes, capacity = nil, 0 -- for what is packed, used again

--- Packs a block.
-- @treturn cdata its bytes, until the next call
-- @treturn number how many
function zstd.pack(data, nbytes, level)
  local C = zstd.load()
  local bound = tonumber(C.neap_ZSTD_compressBound(nbytes))
  if bound > capacity then
    bytes, capacity = ffi.new("uint8_t[?]", bound), bound
  end
  local size = C.neap_ZSTD_compress(bytes, bound, data, nbytes, level)
  if C.neap_ZSTD_isError(size) ~= 0 then
    error("cannot pack a block of items: libzstd found no memory", 0)
  end
  return bytes, tonumber(size)
end

--- Unpacks a block to where it has exactly nbytes; returns whether it has.
function zstd.unpack(data, data_bytes, to, nbytes)
  local C = zstd.load()
  return C.neap_ZSTD_decompress(to, nbytes, data, data_bytes) == nbytes
end

return zstd
