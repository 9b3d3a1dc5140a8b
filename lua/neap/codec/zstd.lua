-- SPDX-License-Identifier: MIT
--- Unpacks Zstandard data, by libzstd.
-- @module neap.codec.zstd

local ffi = require("ffi")
local check = require("neap.base.check")
local library = require("neap.codec.shared_library")
local unpacked = require("neap.codec.unpacked")

local libzstd = library.new("unpack zstd data", "libzstd.so.1", "libzstd1", [[
  typedef struct neap_zstd_in {
    const void *data; size_t nbytes, used;
  } neap_zstd_in;
  typedef struct neap_zstd_out {
    void *data; size_t nbytes, used;
  } neap_zstd_out;
  void *ZSTD_createDStream(void);
  size_t ZSTD_freeDStream(void *stream);
  size_t ZSTD_decompressStream(void *stream, neap_zstd_out *to,
    neap_zstd_in *from);
  unsigned ZSTD_isError(size_t status);
  const char *ZSTD_getErrorName(size_t status);
]])

local stream, from, to

local frames = {}

function frames.start(p, nbytes)
  local z = libzstd()
  stream = ffi.gc(z.neap_ZSTD_createDStream(), z.neap_ZSTD_freeDStream)
  from = ffi.new("neap_zstd_in", p, nbytes, 0)
  to = ffi.new("neap_zstd_out")
end

-- The status is 0 at the end of a frame; others may follow.
function frames.step(data, room)
  local z = libzstd()
  to.data, to.nbytes, to.used = data, room, 0
  local status = z.neap_ZSTD_decompressStream(stream, to, from)
  local wrote, is_read = tonumber(to.used), from.used == from.nbytes
  if z.neap_ZSTD_isError(status) ~= 0 then
    return wrote, true, library.damaged("libzstd",
      z.neap_ZSTD_getErrorName(status))
  elseif is_read and status ~= 0 and wrote < room then
    return wrote, true, library.damaged("libzstd", "unexpected end of data")
  end
  return wrote, is_read and status == 0
end

function frames.stop()
  libzstd().neap_ZSTD_freeDStream(ffi.gc(stream, nil))
  stream = nil
end

--- Unpacks Zstandard data; of several frames, all.
-- @function zstd
-- @param bytes as neap.decode.image takes them
-- @tparam[opt] table options bytes_max
-- @treturn string
local function zstd(bytes, options)
  options = check.options(2, options, unpacked.OPTIONS)
  return (unpacked.of(bytes, options, "zstd data", frames))
end

return {
  make = zstd,
  options = unpacked.OPTIONS,
  example = [[neap.decode.zstd({ path = "notes.txt.zst" })]],
}
