-- SPDX-License-Identifier: MIT
--- Operations on images: tensors of rows, columns and channels.
-- @module neap.tensor.operation.image

local ffi = require("ffi")
local arguments = require("neap.tensor.operation.arguments")
local check = require("neap.base.check")
local dtype = require("neap.tensor.dtype")
local layout = require("neap.tensor.operation.layout")
local lib = require("neap.base.lib")
local memory = require("neap.tensor.memory")

local C = lib.C
local kinds = dtype.list
local floor = math.floor

local METHODS = {
  nearest = true, bilinear = C.NEAP_RESIZE_BILINEAR, area = C.NEAP_RESIZE_AREA,
}

local function is_method(v)
  return METHODS[v] ~= nil, '"nearest", "bilinear" or "area"'
end

local RESIZE = {
  method = is_method, layout = arguments.kinds.layout,
  out = arguments.kinds.tensor,
}

local image = {}

-- The nearest places of `size` for each place of `wanted`, from 1.
local function nearest(size, wanted)
  local places = {}
  for k = 1, wanted do
    places[k] = math.min(floor((k - 0.5) * size / wanted), size - 1) + 1
  end
  return places
end

local function resize_nearest(t, row, wanted, out)
  local rows = layout.take(t, nearest(tonumber(t.dims[row]), wanted[1]),
    row + 1)
  return (layout.take(rows, nearest(tonumber(t.dims[row + 1]), wanted[2]),
    row + 2, out and { out = out }))
end

--- Resizes rows and columns to {height, width}.
function image.resize(t, sizes, options)
  arguments.tensor(1, t)
  options = arguments.options(3, options, RESIZE)
  if type(sizes) ~= "table" or #sizes ~= 2 or not check.is_integer(sizes[1])
    or not check.is_integer(sizes[2]) or sizes[1] < 1 or sizes[2] < 1 then
    check.fail(2, "{height, width} expected, each 1 or more, got "
      .. (type(sizes) == "table" and "another table" or check.got(sizes)))
  end
  local row = arguments.image("resize", t, options.layout)
  if t.dims[row] == 0 or t.dims[row + 1] == 0 then
    check.raise(("cannot resize: the tensor is %s, without pixels"):format(
      memory.text(t)))
  end
  local method = options.method or "bilinear"
  if method == "nearest" then
    return (resize_nearest(t, row, sizes, options.out))
  end
  local dims = ffi.new("int64_t[8]")
  ffi.copy(dims, t.dims, t.d.ndim * 8)
  dims[row], dims[row + 1] = sizes[1], sizes[2]
  local to = arguments.result("resize", options.out, kinds[t.kind], t.d.ndim,
    dims)
  arguments.apart("resize", t, to)
  check.status(C.neap_tensor_resize(t.d, row, METHODS[method], to.d, lib.error))
  memory.check(t)
  return to
end

-- -- Colours -----------------------------------------------------------------

local Colour = ffi.typeof("neap_colour")
local WEIGHTS = { 0.299, 0.587, 0.114 } -- of red, green and blue

-- Whether t has three channels, which then are its first or last dimension.
local function has_colours(t, channel)
  return t.d.ndim == 3 and channel and t.dims[channel] == 3
end

-- The mean luma.
local function luma(t, channel)
  if not has_colours(t, channel) then
    return (t:mean())
  end
  local means = channel == 0 and t:reshape(3, -1):mean(2)
    or t:reshape(-1, 3):mean(1)
  return means[1] * WEIGHTS[1] + means[2] * WEIGHTS[2] + means[3] * WEIGHTS[3]
end

--- Multiplies brightness, contrast (about the mean luma) and saturation, one
-- after another, and rounds once.
function image.adjust(name, t, which, brightness, contrast, saturation)
  local _, _, channel = arguments.image(name, t, which)
  local offset = 0
  if contrast ~= 1 then
    offset = (1 - contrast) * brightness * luma(t, channel)
  end
  local scale = brightness * contrast
  if not has_colours(t, channel) then
    return (t:to(t.dtype, scale, offset))
  end
  local to = arguments.result(name, nil, kinds[t.kind], 3, t.dims)
  local colour = Colour()
  colour.scale = scale * saturation
  colour.grey = scale * (1 - saturation)
  colour.offset = offset
  check.status(C.neap_tensor_colour(t.d, channel == 0 and 1 or 0, colour, to.d,
    lib.error))
  memory.check(t)
  return to
end

return image
