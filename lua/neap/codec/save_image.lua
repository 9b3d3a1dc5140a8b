-- SPDX-License-Identifier: MIT
--- Writes images, so that people can look at what they made.
-- @module neap.codec.save_image

local ffi = require("ffi")
local array = require("neap.tensor.array")
local check = require("neap.base.check")
local format = require("neap.codec.format")
local picture = require("neap.codec.picture")
local traverse = require("neap.base.traverse")

local kinds = check.kinds
local QUALITY = 95

local OPTIONS = traverse.copy(picture.OPTIONS)
function OPTIONS.quality(value)
  return kinds.count(value) and value <= 100, "whole number from 1 to 100"
end

-- Writes a file whole, or leaves none.
local function write_file(path, text)
  local file, why = io.open(path, "wb")
  if file then
    local ok
    ok, why = file:write(text)
    local closed, why_not = file:close()
    if ok and closed then
      return
    end
    why = why or why_not
    os.remove(path)
  end
  check.raise(("cannot write %s: %s"):format(path,
    tostring(why):gsub("^.*: ", "")))
end

--- Writes an image as PNG, JPEG or WebP, which the path's extension says.
-- @function save_image
-- @tparam tensor t of u8, or of floats from 0 to 1: {height, width}, {height,
--   width, channels} or {channels, height, width}; a batch of them becomes a
--   contact sheet
-- @tparam string path
-- @tparam[opt] table options layout, mean, std, quality
local function save_image(t, path, options)
  if not array.is(t) then
    check.fail(1, "tensor expected, got " .. check.got(t))
  end
  check.text(2, path)
  options = check.options(3, options, OPTIONS)
  local one = format.of_path(path)
  if not one then
    check.fail(2, ("path that ends in .png, .jpg or .webp expected, got %q")
      :format(path))
  end
  local pixels = picture.of(t, options, one.channels_kept)
  local shape = pixels.shape
  local text, why = one.write(ffi.cast("const uint8_t *", pixels:ptr()),
    shape[1], shape[2], shape[3], options.quality or QUALITY)
  if not text then
    check.raise(("cannot write %s: %s"):format(path, why))
  end
  write_file(path, text)
end

return { make = save_image, options = OPTIONS,
  example = [[neap.save_image(neap.tensor("u8", { 8, 8, 3 }), "black.png")]] }
