-- SPDX-License-Identifier: MIT
--- Tensors as pictures that can be looked at: bytes, {height, width, channels}.
-- @module neap.codec.picture

local array = require("neap.tensor.array")
local check = require("neap.base.check")
local image = require("neap.codec.image")

local floor, min, max = math.floor, math.min, math.max

local CHANNELS = { [1] = true, [3] = true, [4] = true }
local FLOATS = { f16 = true, bf16 = true, f32 = true, f64 = true }
local COLUMNS_MAX, GAP = 8, 2 -- of a contact sheet: images, pixels

local picture = {}

--- Options that say what the tensors are: those of neap.decode.image.
picture.OPTIONS = {
  layout = image.options.layout, mean = image.options.mean,
  std = image.options.std,
}

local function text_of(t)
  return t.dtype .. " " .. table.concat(t.shape, "x")
end

local function refuse(t)
  check.raise(("cannot show a tensor %s: an image has 2 or 3 dimensions, of "
    .. "which the first or last is 1, 3 or 4 channels"):format(text_of(t)),
    'say layout = "hwc" or "chw"')
end

-- Returns height, width, channels, and the steps of each.
local function measure(t, layout)
  local shape = t.shape
  if #shape == 2 then
    return shape[1], shape[2], 1, shape[2], 1, 0
  elseif #shape ~= 3 then
    refuse(t)
  end
  layout = layout or CHANNELS[shape[3]] and "hwc" or "chw"
  local a, b, c = shape[1], shape[2], shape[3]
  if not CHANNELS[layout == "hwc" and c or a] then
    refuse(t)
  elseif layout == "hwc" then
    return a, b, c, b * c, c, 1
  end
  return b, c, a, c, 1, b * c
end

local function of_channel(values, c)
  return type(values) == "table" and (values[c] or 0) or values
end

-- Writes one channel; undoes (x / 255 - mean) / std.
local function put(to, step, from, at, height, width, down, across, by, plus)
  for y = 0, height - 1 do
    for x = 0, width - 1 do
      local value = from[at + y * down + x * across] * by + plus
      to[(y * width + x) * step] = max(0, min(255, floor(value + 0.5)))
    end
  end
end

-- Grey images as colours where a format has no grey ones; without what a format
-- does not keep otherwise.
local function channels_for(channels, kept)
  return (not kept or kept[channels]) and channels or 3
end

--- Makes bytes of an image.
-- @tparam tensor t of u8, or of floats from 0 to 1 unless options tell of a
--   mean and a std
-- @tparam table options layout, mean, std
-- @tparam[opt] table kept the numbers of channels that the result may have
-- @treturn tensor u8, {height, width, channels}
function picture.of(t, options, kept)
  if t.ndim == 4 then
    t, options = picture.sheet(t, options), {}
  end
  local height, width, channels, down, across, step = measure(t, options.layout)
  if t.dtype ~= "u8" and not FLOATS[t.dtype] then
    check.raise(("cannot show a tensor %s: an image is of u8 or of floats")
      :format(text_of(t)))
  end
  local floats = t.dtype ~= "u8" and t:to("f32") or nil
  local from, many = (floats or t):ptr(), channels_for(channels, kept)
  local result = array.empty("u8", { height, width, many })
  for c = 1, many do
    local source = min(c, channels)
    local std = of_channel(options.std or 1, source)
    local mean = of_channel(options.mean or 0, source)
    put(result:ptr() + (c - 1), many, from, (source - 1) * step, height, width,
      down, across, floats and 255 * std or 1, floats and 255 * mean or 0)
  end
  return result
end

-- -- Contact sheets ----------------------------------------------------------

local function copy_into(sheet, one, top, left)
  local height, width, many = one.shape[1], one.shape[2], one.shape[3]
  local sheet_width, from, to = sheet.shape[2], one:ptr(), sheet:ptr()
  for y = 0, height - 1 do
    for x = 0, width - 1 do
      local at, source = ((top + y) * sheet_width + left + x) * 3,
        (y * width + x) * many
      for c = 0, 2 do
        to[at + c] = from[source + (many >= 3 and c or 0)]
      end
    end
  end
end

--- Puts images beside and below each other, on white.
-- @param images a list of tensors, or one tensor of one more dimension
-- @tparam table options columns, and those of picture.of
-- @treturn tensor u8, {height, width, 3}
function picture.sheet(images, options)
  local count = #images
  local columns = options.columns or min(COLUMNS_MAX,
    math.ceil(math.sqrt(count)))
  local list, height, width = {}, 1, 1
  for k = 1, count do
    list[k] = picture.of(images[k], options)
    height = max(height, list[k].shape[1])
    width = max(width, list[k].shape[2])
  end
  columns = max(1, min(columns, count))
  local rows = max(1, math.ceil(count / columns))
  local sheet = array.new("u8", { rows * (height + GAP) + GAP,
    columns * (width + GAP) + GAP, 3 }, 255)
  for k = 1, count do
    local row, column = floor((k - 1) / columns), (k - 1) % columns
    copy_into(sheet, list[k], GAP + row * (height + GAP),
      GAP + column * (width + GAP))
  end
  return sheet
end

return picture
