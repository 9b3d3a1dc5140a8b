-- SPDX-License-Identifier: MIT
--- Images: decoded by the library of their format, then cut out, resized,
-- normalised and laid out by one function of libneap, which writes straight
-- into the result.
-- @module neap.codec.image

local ffi = require("ffi")
local array = require("neap.tensor.array")
local check = require("neap.base.check")
local format = require("neap.codec.format")
local input = require("neap.codec.input")
local lib = require("neap.base.lib")
local limits = require("neap.codec.limits")
local scratch = require("neap.codec.scratch")

local C = lib.C
local kinds = check.kinds
local max, min, floor = math.max, math.min, math.floor

local FITS = {
  crop = C.NEAP_FIT_CROP, pad = C.NEAP_FIT_PAD, stretch = C.NEAP_FIT_STRETCH,
}
local CHANNELS = { [1] = true, [3] = true, [4] = true }
local DTYPES = { u8 = true, f16 = true, bf16 = true, f32 = true, f64 = true }
local BEGINNING = 12 -- bytes of an unknown format that are looked at

local the_image = ffi.new("neap_image") -- set and used without a pause

-- -- Options -----------------------------------------------------------------

local function one_of(names, what)
  return function(value)
    return names[value] ~= nil, what
  end
end

local function is_size(size)
  return type(size) == "table" and #size == 2 and kinds.count(size[1])
    and kinds.count(size[2]), "{height, width} of positive integers"
end

local function is_region(region)
  local is = type(region) == "table" and #region == 4
  for k = 1, 4 do
    is = is and kinds.number(region[k]) and region[k] >= 0 and region[k] <= 1
      and (k <= 2 or region[k] > 0 and region[k] + region[k - 2] <= 1.000001)
  end
  return is, "{top, left, height, width} in parts of the image, 0 to 1,"
end

-- A number, or one for each channel.
local function is_numbers(accepts)
  return function(value)
    local is = accepts(value)
    if type(value) == "table" then
      is = #value > 0
      for k = 1, #value do
        is = is and accepts(value[k])
      end
    end
    return is, "number, or a list of one for each channel,"
  end
end

local OPTIONS = {
  channels = one_of(CHANNELS, "1, 3 or 4"),
  size = is_size,
  fit = one_of(FITS, '"crop", "pad" or "stretch"'),
  region = is_region,
  layout = one_of({ hwc = true, chw = true }, '"hwc" or "chw"'),
  dtype = one_of(DTYPES, '"u8", "f16", "bf16", "f32" or "f64"'),
  mean = is_numbers(kinds.number),
  std = is_numbers(kinds.positive),
  pad = kinds.number,
  damaged = one_of({ refuse = true, accept = true }, '"refuse" or "accept"'),
  pixels_max = kinds.positive,
}

local function of_channel(values, c, channels, name)
  if type(values) ~= "table" then
    return values
  elseif #values ~= channels then
    check.fail(2, ("option '%s': %d numbers for %d channels"):format(name,
      #values, channels))
  end
  return values[c]
end

-- Normalised: (x / 255 - mean) / std. Without a mean and a std, 0 to 1; bytes
-- stay as they are.
local function set_scales(image, options, channels, is_bytes)
  for c = 1, channels do
    local mean = of_channel(options.mean or 0, c, channels, "mean")
    local std = of_channel(options.std or 1, c, channels, "std")
    image.scale[c - 1] = is_bytes and 1 or 1 / (255 * std)
    image.offset[c - 1] = is_bytes and 0 or -mean / std
  end
end

local function read_options(options)
  options = check.options(2, options, OPTIONS)
  local is_normalised = options.mean or options.std
  options.dtype = options.dtype or is_normalised and "f32" or "u8"
  options.channels = options.channels or 3
  options.fit = options.fit or "crop"
  options.is_planar = options.layout == "chw"
  if is_normalised and options.dtype == "u8" then
    check.fail(2, "option 'dtype': mean and std need a float, got \"u8\"")
  end
  return options
end

-- -- Sizes -------------------------------------------------------------------

-- The height and width of the upright image, or of the wanted part of it.
local function upright(about, region)
  local height, width = about.height, about.width
  if about.orientation >= 5 then
    height, width = width, height
  end
  if region then
    return height * region[3], width * region[4]
  end
  return height, width
end

local function round(x)
  return max(1, floor(x + 0.5))
end

-- The height and width of the result.
local function result_size(about, options)
  if options.size then
    return options.size[1], options.size[2]
  end
  local height, width = upright(about, options.region)
  return round(height), round(width)
end

-- How many times as large as the image the result is, at least.
local function scale_of(about, options, rows, columns)
  local height, width = upright(about, options.region)
  local by_rows, by_columns = rows / height, columns / width
  return options.fit == "pad" and min(by_rows, by_columns)
    or max(by_rows, by_columns)
end

-- -- Decoding ----------------------------------------------------------------

local function empty(options, rows, columns)
  if options.is_planar then
    return (array.empty(options.dtype, { options.channels, rows, columns }))
  end
  return (array.empty(options.dtype, { rows, columns, options.channels }))
end

-- Whether the pixels are the result as they are decoded.
local function is_plain(about, options, decoded, stored)
  return options.dtype == "u8" and not options.is_planar and not options.size
    and not options.region and about.orientation == 1
    and decoded == options.channels and stored == decoded
end

local function set_image(about, options, pixels, channels)
  local image, region = the_image, options.region
  image.pixels, image.height, image.width = pixels, about.height, about.width
  image.channels, image.orientation = channels, about.orientation
  image.fit, image.is_planar = FITS[options.fit], options.is_planar and 1 or 0
  image.region[0], image.region[1] = 0, 0
  image.region[2], image.region[3] = 1, 1
  if region then
    image.region[0], image.region[1] = region[1], region[2]
    image.region[2], image.region[3] = region[3], region[4]
  end
  image.pad = options.pad or 0
  set_scales(image, options, options.channels, options.dtype == "u8")
  return image
end

-- Each of these returns the result, or nil and why there is none.
local function decode_plain(one, about, options, p, nbytes)
  local t = empty(options, about.height, about.width)
  local why = one.read(about, p, nbytes, t:ptr(), options.channels,
    options.damaged == "accept")
  return not why and t or nil, why
end

local function decode_and_fit(one, about, options, p, nbytes, decoded, stored)
  local rows, columns = result_size(about, options)
  one.shrink(about, scale_of(about, options, rows, columns))
  local pixels, size = scratch.take(about.height * about.width * stored)
  local why = one.read(about, p, nbytes, pixels, decoded,
    options.damaged == "accept")
  local t
  if not why then
    t = empty(options, rows, columns)
    check.status(C.neap_image_fit(set_image(about, options, pixels, decoded),
      t.d, lib.error))
  end
  scratch.give(pixels, size)
  return t, why
end

local function decode(one, about, options, p, nbytes)
  local pixels_max = options.pixels_max or limits.PIXELS_MAX
  if about.height * about.width > pixels_max then
    return nil, ("it has %.0f pixels (%dx%d), and pixels_max is %.0f\nhelp: "
      .. "if it is no decompression bomb, use the option pixels_max")
      :format(about.height * about.width, about.height, about.width, pixels_max)
  end
  local decoded, stored = one.channels(about, options.channels)
  if decoded < options.channels then
    return nil, ("a CMYK image has no %d channels"):format(options.channels)
  elseif is_plain(about, options, decoded, stored) then
    return decode_plain(one, about, options, p, nbytes)
  end
  return decode_and_fit(one, about, options, p, nbytes, decoded, stored)
end

local function fail(from, one, why)
  input.fail(from, one and "a " .. one.name .. " image" or "an image", why)
end

--- Decodes a JPEG, PNG or WebP image.
-- @function image
-- @param bytes a string or a tensor of u8; or a table with `bytes`, `path` or
--   both: the path is told in errors, and read where there are no bytes
-- @tparam[opt] table options
-- @treturn tensor
local function image(bytes, options)
  options = read_options(options)
  local p, nbytes = input.read(bytes)
  local one = format.of_bytes(p, nbytes)
  if not one then
    fail(bytes, nil, nbytes == 0 and "it is empty"
      or "it is no JPEG, PNG or WebP image; it begins as "
      .. format.describe(ffi.string(p, min(nbytes, BEGINNING))))
  end
  local about, why = one.open(p, nbytes)
  local t
  if about then
    t, why = decode(one, about, options, p, nbytes)
    one.close(about)
  end
  if not t then
    fail(bytes, one, why)
  end
  input.release()
  return t
end

return {
  make = image,
  options = OPTIONS,
  example = [[neap.decode.image(bytes, { size = { 224, 224 } })]],
}
