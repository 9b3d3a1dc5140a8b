-- SPDX-License-Identifier: MIT
--- The images of items, side by side in one picture.
--
-- An image is a tensor of 2 dimensions, or of 3 of which the first or the last
-- has 1, 3 or 4 channels; a tensor of one dimension more is a batch of them.
-- Values that are no bytes are stretched from their least and greatest one.
-- @module neap.inspect.sheet

local array = require("neap.tensor.array")
local traverse = require("neap.base.traverse")

local SIDE_MIN = 8 -- pixels; smaller tensors are no images
local CHANNELS = { [1] = true, [3] = true, [4] = true }
local IMAGES_MAX = 64

-- The layout of images whose sizes are shape[first], ...; nil if they are none.
local function layout_of(shape, first)
  local a, b, c = shape[first], shape[first + 1], shape[first + 2]
  if not c then
    return a >= SIDE_MIN and b >= SIDE_MIN and "grey" or nil
  elseif CHANNELS[c] and a >= SIDE_MIN and b >= SIDE_MIN then
    return "hwc"
  end
  return CHANNELS[a] and b >= SIDE_MIN and c >= SIDE_MIN and "chw" or nil
end

local function bytes_of(t)
  if t.dtype == "u8" then
    return t:clone()
  end
  local values = t:to("f32")
  local least, greatest = values:min(), values:max()
  local scale = greatest > least and 255 / (greatest - least) or 0
  return values:to("u8", scale, -least * scale)
end

-- All images of a sheet have one layout: that of the first.
local function add(found, t, layout)
  if #found < IMAGES_MAX and (found.layout or layout) == layout then
    found.layout = layout
    local image, shape = bytes_of(t), t.shape
    found[#found + 1] = layout == "grey"
      and image:reshape(shape[1], shape[2], 1) or image
  end
end

local function collect_tensor(found, t)
  local ndim = t.ndim
  local layout = (ndim == 2 or ndim == 3) and layout_of(t.shape, 1)
  if layout then
    add(found, t, layout)
    return
  end
  layout = (ndim == 3 or ndim == 4) and layout_of(t.shape, 2)
  for k = 1, layout and #t or 0 do
    add(found, t[k], layout)
  end
end

local function collect(found, x)
  if array.is(x) then
    collect_tensor(found, x)
  elseif type(x) == "table" then
    local keys = traverse.keys(x)
    table.sort(keys, function(a, b) return tostring(a) < tostring(b) end)
    for _, key in ipairs(keys) do
      collect(found, x[key])
    end
  end
end

--- Saves the images of the first items of a prefetch.
-- @tparam Sequence p
-- @tparam int count items
-- @tparam string path .png, .jpg or .webp
-- @treturn int how many images there are; without any, nothing is saved
local function sheet(p, count, path)
  local found = {}
  for i = 1, count do
    collect(found, p[i])
  end
  if #found > 0 then
    require("neap.codec.contact_sheet").make(found, {
      path = path, layout = found.layout == "chw" and "chw" or "hwc",
    })
  end
  return #found
end

return sheet
