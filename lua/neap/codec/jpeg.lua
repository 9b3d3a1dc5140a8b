-- SPDX-License-Identifier: MIT
--- JPEG images, by libjpeg-turbo's TurboJPEG API.
-- @module neap.codec.jpeg

local ffi = require("ffi")
local exif = require("neap.codec.exif")
local lib = require("neap.base.lib")
local library = require("neap.codec.shared_library")

local C = lib.C

local NAME = "libjpeg-turbo"
local GREY, RGB, RGBA, CMYK = 6, 0, 7, 11 -- TJPF_
local IS_CMYK = { [3] = true, [4] = true } -- TJCS_CMYK, TJCS_YCCK
local IS_WARNING = 0 -- TJERR_WARNING
local LIMIT_SCANS = 32768 -- TJFLAG_: a small file may hold thousands
local NO_SUBSAMPLING, SUBSAMPLING, ONE_CHANNEL = 0, 2, 3 -- TJSAMP_
local PIXEL_OF = { [1] = GREY, [3] = RGB, [4] = RGBA }
local SOS, EXIF = 0xDA, 0xE1

local turbo = library.new("decode or encode JPEG images", "libturbojpeg.so.0",
  "libturbojpeg0", [[
  void *tjInitDecompress(void);
  void *tjInitCompress(void);
  int tjDestroy(void *handle);
  int tjDecompressHeader3(void *handle, const unsigned char *data,
    unsigned long nbytes, int *width, int *height, int *subsampling,
    int *colours);
  int tjDecompress2(void *handle, const unsigned char *data,
    unsigned long nbytes, unsigned char *to, int width, int pitch, int height,
    int pixel, int flags);
  int tjCompress2(void *handle, const unsigned char *from, int width, int pitch,
    int height, int pixel, unsigned char **to, unsigned long *nbytes,
    int subsampling, int quality, int flags);
  char *tjGetErrorStr2(void *handle);
  int tjGetErrorCode(void *handle);
  void tjFree(unsigned char *memory);
]])

local handle -- of this process, for decoding
local width, height = ffi.new("int[1]"), ffi.new("int[1]")
local sampling, colours = ffi.new("int[1]"), ffi.new("int[1]")

local jpeg = { name = "JPEG", extensions = { "jpg", "jpeg" },
  channels_kept = { [1] = true, [3] = true } }

--- Whether the bytes begin as such a file does.
function jpeg.is(p, nbytes)
  return nbytes >= 3 and p[0] == 0xFF and p[1] == 0xD8 and p[2] == 0xFF
end

local function is_exif(p, at)
  return p[at] == 0x45 and p[at + 1] == 0x78 and p[at + 2] == 0x69
    and p[at + 3] == 0x66 and p[at + 4] == 0 and p[at + 5] == 0
end

-- Looks through the segments before the pixels.
local function orientation(p, nbytes)
  local at = 2
  while at + 10 < nbytes and p[at] == 0xFF and p[at + 1] ~= SOS do
    local size = p[at + 2] * 256 + p[at + 3]
    if p[at + 1] == EXIF and size >= 8 and at + 2 + size <= nbytes
      and is_exif(p, at + 4) then
      return (exif.orientation(p + at + 4, size - 2))
    end
    at = at + 2 + math.max(size, 2)
  end
  return 1
end

local function open_library()
  local tj = turbo()
  if not handle then
    handle = ffi.gc(tj.neap_tjInitDecompress(), tj.neap_tjDestroy)
  end
  return tj
end

-- A handle that has met damage may fail to decode the next image.
local function give_up(tj)
  local why = library.damaged(NAME, tj.neap_tjGetErrorStr2(handle))
  tj.neap_tjDestroy(ffi.gc(handle, nil))
  handle = nil
  return why
end

--- Reads a header.
-- @treturn table with height, width, orientation; or nil and why not
function jpeg.open(p, nbytes)
  local tj = open_library()
  width[0], height[0] = 0, 0
  local status = tj.neap_tjDecompressHeader3(handle, p, nbytes, width, height,
    sampling, colours)
  if status < 0 and tj.neap_tjGetErrorCode(handle) ~= IS_WARNING
    or width[0] <= 0 or height[0] <= 0 then
    return nil, give_up(tj)
  end
  return {
    height = height[0], width = width[0], orientation = orientation(p, nbytes),
    is_cmyk = IS_CMYK[colours[0]] or false, state = false,
  }
end

--- Makes decoding answer fewer pixels, which is quicker, where a result that is
-- `scale` times as large needs no more.
function jpeg.shrink(about, scale)
  local by = scale <= 1 / 8 and 8 or scale <= 1 / 4 and 4
    or scale <= 1 / 2 and 2 or 1
  about.height = math.ceil(about.height / by)
  about.width = math.ceil(about.width / by)
end

--- The channels that are decoded, and those of a pixel in memory meanwhile.
function jpeg.channels(about, wanted)
  if about.is_cmyk then
    return 3, 4
  end
  return wanted, wanted
end

--- Decodes all pixels.
-- @tparam boolean accepts_damage whether to take what there is
-- @treturn string why not, or nil
function jpeg.read(about, p, nbytes, to, channels, accepts_damage)
  local tj = turbo()
  local pixel = about.is_cmyk and CMYK or PIXEL_OF[channels]
  local status = tj.neap_tjDecompress2(handle, p, nbytes, to, about.width, 0,
    about.height, pixel, LIMIT_SCANS)
  local is_usable = status == 0
    or accepts_damage and tj.neap_tjGetErrorCode(handle) == IS_WARNING
  local why = status < 0 and give_up(tj) or nil
  if not is_usable then
    return why
  end
  if about.is_cmyk then
    C.neap_image_from_cmyk(to, about.width * about.height)
  end
end

--- Frees what open() made.
function jpeg.close()
end

--- Encodes pixels.
-- @treturn string the file's bytes; or nil and why not
function jpeg.write(p, rows, columns, channels, quality)
  local tj = turbo()
  local encoder = ffi.gc(tj.neap_tjInitCompress(), tj.neap_tjDestroy)
  local out, nbytes = ffi.new("unsigned char *[1]"), ffi.new("unsigned long[1]")
  local status = tj.neap_tjCompress2(encoder, p, columns, 0, rows,
    PIXEL_OF[channels], out, nbytes, channels == 1 and ONE_CHANNEL
    or quality >= 90 and NO_SUBSAMPLING or SUBSAMPLING, quality, 0)
  local text, why = nil, nil
  if status < 0 then
    why = ffi.string(tj.neap_tjGetErrorStr2(encoder))
  else
    text = ffi.string(out[0], nbytes[0])
  end
  tj.neap_tjFree(out[0])
  tj.neap_tjDestroy(ffi.gc(encoder, nil))
  return text, why
end

return jpeg
