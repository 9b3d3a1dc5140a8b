-- SPDX-License-Identifier: MIT
--- WebP images, by libwebp.
-- @module neap.codec.webp

local ffi = require("ffi")
local exif = require("neap.codec.exif")
local library = require("neap.codec.shared_library")

local ABI = 0x0209 -- WEBP_DECODER_ABI_VERSION; the library compares its half
local CHUNKS_MAX = 64
local LOSSLESS = 100 -- as a quality
local SAYS = { -- VP8StatusCode
  "out of memory", "invalid parameter", "bitstream error",
  "unsupported feature", "suspended", "user abort", "not enough data",
}

local libwebp = library.new("decode or encode WebP images", "libwebp.so.7",
  "libwebp7", [[
  typedef struct neap_webp_features {
    int width, height, has_alpha, is_animation, format;
    uint32_t reserved[5];
  } neap_webp_features;
  int WebPGetFeaturesInternal(const uint8_t *data, size_t nbytes,
    neap_webp_features *features, int abi);
  uint8_t *WebPDecodeRGBInto(const uint8_t *data, size_t nbytes, uint8_t *to,
    size_t to_bytes, int stride);
  uint8_t *WebPDecodeRGBAInto(const uint8_t *data, size_t nbytes, uint8_t *to,
    size_t to_bytes, int stride);
  size_t WebPEncodeRGB(const uint8_t *from, int width, int height, int stride,
    float quality, uint8_t **to);
  size_t WebPEncodeRGBA(const uint8_t *from, int width, int height, int stride,
    float quality, uint8_t **to);
  size_t WebPEncodeLosslessRGB(const uint8_t *from, int width, int height,
    int stride, uint8_t **to);
  size_t WebPEncodeLosslessRGBA(const uint8_t *from, int width, int height,
    int stride, uint8_t **to);
  void WebPFree(void *memory);
]])

local webp = { name = "WebP", extensions = { "webp" },
  channels_kept = { [3] = true, [4] = true } }

local function four(p, at)
  return (ffi.string(p + at, 4))
end

--- Whether the bytes begin as such a file does.
function webp.is(p, nbytes)
  return nbytes >= 12 and p[0] == 0x52 and four(p, 0) == "RIFF"
    and four(p, 8) == "WEBP"
end

-- Looks through the chunks of the file.
local function orientation(p, nbytes)
  local at = 12
  for _ = 1, CHUNKS_MAX do
    if at + 8 > nbytes then
      return 1
    end
    local size = p[at + 4] + p[at + 5] * 2^8 + p[at + 6] * 2^16
      + p[at + 7] * 2^24
    if four(p, at) == "EXIF" and at + 8 + size <= nbytes then
      return (exif.orientation(p + at + 8, size))
    end
    at = at + 8 + size + size % 2
  end
  return 1
end

--- Reads a header.
-- @treturn table with height, width, orientation; or nil and why not
function webp.open(p, nbytes)
  local features = ffi.new("neap_webp_features")
  local status = libwebp().neap_WebPGetFeaturesInternal(p, nbytes, features,
    ABI)
  if status ~= 0 then
    return nil, library.damaged("libwebp", SAYS[status] or "unknown error")
  elseif features.is_animation ~= 0 then
    return nil, "it is an animation"
  end
  return {
    height = features.height, width = features.width,
    orientation = orientation(p, nbytes), state = false,
  }
end

--- All pixels are decoded.
function webp.shrink()
end

--- The channels that are decoded, and those of a pixel in memory meanwhile.
function webp.channels(_, wanted)
  local channels = wanted == 4 and 4 or 3
  return channels, channels
end

--- Decodes all pixels.
-- @treturn string why not, or nil
function webp.read(about, p, nbytes, to, channels)
  local w, stride = libwebp(), about.width * channels
  local size = stride * about.height
  local done
  if channels == 4 then
    done = w.neap_WebPDecodeRGBAInto(p, nbytes, to, size, stride)
  else
    done = w.neap_WebPDecodeRGBInto(p, nbytes, to, size, stride)
  end
  if done == nil then
    return (library.damaged("libwebp", "no reason given"))
  end
end

--- Frees what open() made.
function webp.close()
end

--- Encodes pixels, without loss at a quality of 100.
-- @treturn string the file's bytes; or nil and why not
function webp.write(p, rows, columns, channels, quality)
  local w, out = libwebp(), ffi.new("uint8_t *[1]")
  local lossless = quality == LOSSLESS
  local name = "neap_WebPEncode" .. (lossless and "Lossless" or "")
    .. (channels == 4 and "RGBA" or "RGB")
  local nbytes
  if lossless then
    nbytes = w[name](p, columns, rows, columns * channels, out)
  else
    nbytes = w[name](p, columns, rows, columns * channels, quality, out)
  end
  if nbytes == 0 then
    return nil, "libwebp cannot encode it; a side has 16383 pixels at most"
  end
  local text = ffi.string(out[0], nbytes)
  w.neap_WebPFree(out[0])
  return text
end

return webp
