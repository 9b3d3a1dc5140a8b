-- SPDX-License-Identifier: MIT
--- Unpacks gzip and zlib data, by zlib.
-- @module neap.codec.gzip

local ffi = require("ffi")
local check = require("neap.base.check")
local library = require("neap.codec.shared_library")
local unpacked = require("neap.codec.unpacked")

local OK, END, NEEDS_MORE = 0, 1, -5 -- Z_OK, Z_STREAM_END, Z_BUF_ERROR
local EITHER = 15 + 32 -- window bits: of gzip or of zlib data
local PIECE_MAX = 2^30 -- zlib counts in an unsigned int

local zlib = library.new("unpack gzip data", "libz.so.1", "zlib1g", [[
  typedef struct neap_zlib {
    const uint8_t *next_in; unsigned avail_in; unsigned long total_in;
    uint8_t *next_out; unsigned avail_out; unsigned long total_out;
    const char *message; void *state; void *allocate; void *release;
    void *opaque; int data_type; unsigned long checksum; unsigned long reserved;
  } neap_zlib;
  const char *zlibVersion(void);
  int inflateInit2_(neap_zlib *stream, int window_bits, const char *version,
    int size);
  int inflate(neap_zlib *stream, int flush);
  int inflateReset(neap_zlib *stream);
  int inflateEnd(neap_zlib *stream);
]])

local stream, left -- what is being read; bytes that zlib was not given yet

local members = {}

function members.start(p, nbytes)
  local z = zlib()
  stream = ffi.gc(ffi.new("neap_zlib"), z.neap_inflateEnd)
  stream.next_in, left = p, nbytes
  z.neap_inflateInit2_(stream, EITHER, z.neap_zlibVersion(),
    ffi.sizeof("neap_zlib"))
end

local function feed()
  local more = math.min(left, PIECE_MAX - stream.avail_in)
  stream.avail_in = stream.avail_in + more
  left = left - more
end

-- Another member may follow; zeros at the end are padding.
local function is_over()
  feed()
  return stream.avail_in == 0 or stream.next_in[0] == 0
end

local function said()
  return stream.message ~= nil and ffi.string(stream.message)
    or "unexpected end of data"
end

function members.step(to, room)
  room = math.min(room, PIECE_MAX)
  feed()
  stream.next_out, stream.avail_out = to, room
  local status = zlib().neap_inflate(stream, 0)
  local wrote = room - stream.avail_out
  if status == END and not is_over() then
    status = zlib().neap_inflateReset(stream)
  end
  if status == END then
    return wrote, true
  elseif status == OK or status == NEEDS_MORE and wrote > 0 then
    return wrote, false
  end
  return wrote, true, library.damaged("zlib", said())
end

function members.stop()
  zlib().neap_inflateEnd(ffi.gc(stream, nil))
  stream = nil
end

--- Unpacks gzip or zlib data; of several members, all.
-- @function gzip
-- @param bytes as neap.decode.image takes them
-- @tparam[opt] table options bytes_max
-- @treturn string
local function gzip(bytes, options)
  options = check.options(2, options, unpacked.OPTIONS)
  return (unpacked.of(bytes, options, "gzip data", members))
end

return {
  make = gzip,
  options = unpacked.OPTIONS,
  example = [[neap.decode.gzip({ path = "notes.txt.gz" })]],
}
