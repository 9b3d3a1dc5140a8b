-- SPDX-License-Identifier: MIT
--- Random changes of images, as functions for random_map: neap.random.
-- Each constructor returns f(image, rng). What f calls stands in this module,
-- so that workers find it by its name.
-- @module neap.tensor.operation.random

local arguments = require("neap.tensor.operation.arguments")
local check = require("neap.base.check")
local image = require("neap.tensor.operation.image")
local layout = require("neap.tensor.operation.layout")
local memory = require("neap.tensor.memory")

local random = {}

local function is_share(v)
  return type(v) == "number" and v >= 0 and v <= 1, "number from 0 to 1"
end

local function is_strength(v)
  return type(v) == "number" and v >= 0 and v < math.huge,
    "number of 0 or more"
end

local CROP = {
  check.kinds.count, check.kinds.count, layout = arguments.kinds.layout,
  pad = check.kinds.natural,
}
local FLIP = {
  p = is_share, vertical = check.kinds.boolean,
  layout = arguments.kinds.layout,
}
local ROTATE = { layout = arguments.kinds.layout }
local JITTER = {
  brightness = is_strength, contrast = is_strength, saturation = is_strength,
  layout = arguments.kinds.layout,
}

-- -- Crop --------------------------------------------------------------------

-- Ranges or widths of all dimensions: those of rows and columns, and `others`.
local function of_image(t, row, rows, columns, others)
  local list = {}
  for k = 1, t.d.ndim do
    list[k] = others
  end
  list[row + 1], list[row + 2] = rows, columns
  return list
end

function random.crop_image(t, rng, options)
  arguments.tensor(1, t)
  local row = arguments.image("crop", t, options.layout)
  if options.pad then
    t = layout.pad(t, of_image(t, row, options.pad, options.pad, 0))
  end
  local height, width = options[1], options[2]
  local rows, columns = tonumber(t.dims[row]), tonumber(t.dims[row + 1])
  if height > rows or width > columns then
    check.raise(("cannot crop %dx%d at random: the tensor is %s\n"
      .. "help: resize it first, or give the option pad"):format(height, width,
      memory.text(t)))
  end
  local top = rng:integer(1, rows - height + 1)
  local left = rng:integer(1, columns - width + 1)
  return (layout.crop(t, of_image(t, row, { top, top + height - 1 },
    { left, left + width - 1 }, { 1, -1 })))
end

--- A function that takes a part of {height, width} anywhere in an image.
function random.crop(options)
  options = check.options(1, options, CROP)
  if not options[1] or not options[2] then
    check.fail(1, "{height, width} expected")
  end
  local crop_image = random.crop_image
  return function(t, rng)
    return (crop_image(t, rng, options))
  end
end

-- -- Flip and rotate ---------------------------------------------------------

function random.flip_image(t, rng, options)
  arguments.tensor(1, t)
  local row, column = arguments.image("flip", t, options.layout)
  if rng:uniform() >= (options.p or 0.5) then
    return t
  end
  return (layout.flip(t, (options.vertical and row or column) + 1))
end

--- A function that mirrors every other image.
function random.flip(options)
  options = check.options(1, options, FLIP)
  local flip_image = random.flip_image
  return function(t, rng)
    return (flip_image(t, rng, options))
  end
end

function random.rotate_image(t, rng, options)
  arguments.tensor(1, t)
  local row, column = arguments.image("rotate", t, options.layout)
  local quarters = rng:integer(0, 3)
  if quarters == 0 then
    return t
  end
  return (layout.turn("rotate", t, row, column, quarters))
end

--- A function that turns an image by 0, 90, 180 or 270 degrees.
function random.rotate(options)
  options = check.options(1, options, ROTATE)
  local rotate_image = random.rotate_image
  return function(t, rng)
    return (rotate_image(t, rng, options))
  end
end

-- -- Jitter ------------------------------------------------------------------

local function factor(rng, strength)
  if not strength then
    return 1
  end
  return (rng:uniform(math.max(0, 1 - strength), 1 + strength))
end

function random.jitter_image(t, rng, options)
  arguments.tensor(1, t)
  local brightness = factor(rng, options.brightness)
  local contrast = factor(rng, options.contrast)
  local saturation = factor(rng, options.saturation)
  return (image.adjust("jitter", t, options.layout, brightness, contrast,
    saturation))
end

--- A function that changes brightness, contrast and saturation.
function random.jitter(options)
  options = check.options(1, options, JITTER)
  local jitter_image = random.jitter_image
  return function(t, rng)
    return (jitter_image(t, rng, options))
  end
end

return random
