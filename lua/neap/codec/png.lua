-- SPDX-License-Identifier: MIT
--- PNG images, by libspng.
-- @module neap.codec.png

local ffi = require("ffi")
local exif = require("neap.codec.exif")
local library = require("neap.codec.shared_library")
local scratch = require("neap.codec.scratch")

local NAME = "libspng"
local CHUNK_MAX = 64 * 2^20 -- bytes of a chunk beside the pixels, and of all
local SIDE_MAX = 2^31 - 1 -- pixels; pixels_max limits their number
local GREY_TYPE = 0
local RGBA8, RGB8, G8, AS_IT_IS = 1, 4, 64, 256 -- SPNG_FMT_
local TRANSPARENCY = 1 -- SPNG_DECODE_TRNS
local ENCODER, TO_BUFFER, FINALIZE = 2, 12, 2
local TYPE_OF = { [1] = 0, [3] = 2, [4] = 6 } -- channels -> colour type
local FORMAT_OF = { [1] = G8, [3] = RGB8, [4] = RGBA8 }

local spng = library.new("decode or encode PNG images", "libspng.so.0",
  "libspng0", [[
  typedef struct neap_png_header {
    uint32_t width, height;
    uint8_t depth, type, compression, filter, interlace;
  } neap_png_header;
  typedef struct neap_png_exif { size_t nbytes; char *data; } neap_png_exif;
  void *spng_ctx_new(int flags);
  void spng_ctx_free(void *context);
  int spng_set_png_buffer(void *context, const void *data, size_t nbytes);
  void *spng_get_png_buffer(void *context, size_t *nbytes, int *error);
  int spng_set_image_limits(void *context, uint32_t width, uint32_t height);
  int spng_set_chunk_limits(void *context, size_t chunk, size_t all);
  int spng_set_option(void *context, int option, int value);
  int spng_get_ihdr(void *context, neap_png_header *header);
  int spng_set_ihdr(void *context, neap_png_header *header);
  int spng_get_exif(void *context, neap_png_exif *exif);
  int spng_decode_image(void *context, void *to, size_t nbytes, int format,
    int flags);
  int spng_encode_image(void *context, const void *from, size_t nbytes,
    int format, int flags);
  const char *spng_strerror(int error);
]])

local png = { name = "PNG", extensions = { "png" },
  channels_kept = { [1] = true, [3] = true, [4] = true } }

--- Whether the bytes begin as such a file does.
function png.is(p, nbytes)
  return nbytes >= 4 and p[0] == 0x89 and p[1] == 0x50 and p[2] == 0x4E
    and p[3] == 0x47
end

local function orientation(s, context)
  local found = ffi.new("neap_png_exif")
  if s.neap_spng_get_exif(context, found) ~= 0 then
    return 1
  end
  return (exif.orientation(ffi.cast("const uint8_t *", found.data),
    tonumber(found.nbytes)))
end

--- Frees what open() made.
function png.close(about)
  if about.state then
    spng().neap_spng_ctx_free(ffi.gc(about.state, nil))
    about.state = false
  end
end

--- Reads a header.
-- @treturn table with height, width, orientation; or nil and why not
function png.open(p, nbytes)
  local s = spng()
  local context = ffi.gc(s.neap_spng_ctx_new(0), s.neap_spng_ctx_free)
  local header = ffi.new("neap_png_header")
  s.neap_spng_set_image_limits(context, SIDE_MAX, SIDE_MAX)
  s.neap_spng_set_chunk_limits(context, CHUNK_MAX, CHUNK_MAX)
  s.neap_spng_set_png_buffer(context, p, nbytes)
  local status = s.neap_spng_get_ihdr(context, header)
  local about = {
    height = header.height, width = header.width, orientation = 1,
    is_grey = header.type == GREY_TYPE and header.depth <= 8, state = context,
  }
  if status ~= 0 then
    png.close(about)
    return nil, library.damaged(NAME, s.neap_spng_strerror(status))
  end
  about.orientation = orientation(s, context)
  return about
end

--- A PNG has no smaller version of its pixels.
function png.shrink()
end

--- The channels that are decoded, and those of a pixel in memory meanwhile.
function png.channels(about, wanted)
  if wanted == 1 and not about.is_grey then
    return 3, 3
  end
  return wanted, wanted
end

--- Decodes all pixels.
-- @treturn string why not, or nil
function png.read(about, _, _, to, channels)
  local s = spng()
  local status = s.neap_spng_decode_image(about.state, to,
    about.height * about.width * channels, FORMAT_OF[channels], TRANSPARENCY)
  if status ~= 0 then
    return (library.damaged(NAME, s.neap_spng_strerror(status)))
  end
end

local function encode(s, context, p, rows, columns, channels)
  local header = ffi.new("neap_png_header", columns, rows, 8, TYPE_OF[channels])
  local nbytes, error = ffi.new("size_t[1]"), ffi.new("int[1]")
  s.neap_spng_set_option(context, TO_BUFFER, 1)
  local status = s.neap_spng_set_ihdr(context, header)
  status = status ~= 0 and status or s.neap_spng_encode_image(context, p,
    rows * columns * channels, AS_IT_IS, FINALIZE)
  if status ~= 0 then
    return nil, ffi.string(s.neap_spng_strerror(status))
  end
  local out = ffi.gc(s.neap_spng_get_png_buffer(context, nbytes, error),
    scratch.free)
  if out == nil then
    return nil, ffi.string(s.neap_spng_strerror(error[0]))
  end
  return (ffi.string(out, nbytes[0]))
end

--- Encodes pixels.
-- @treturn string the file's bytes; or nil and why not
function png.write(p, rows, columns, channels)
  local s = spng()
  local context = ffi.gc(s.neap_spng_ctx_new(ENCODER), s.neap_spng_ctx_free)
  local text, why = encode(s, context, p, rows, columns, channels)
  s.neap_spng_ctx_free(ffi.gc(context, nil))
  return text, why
end

return png
