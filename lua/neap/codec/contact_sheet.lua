-- SPDX-License-Identifier: MIT
--- Many images in one, to look at them together.
-- @module neap.codec.contact_sheet

local array = require("neap.tensor.array")
local check = require("neap.base.check")
local picture = require("neap.codec.picture")
local save_image = require("neap.codec.save_image")
local traverse = require("neap.base.traverse")

local OPTIONS = traverse.copy(picture.OPTIONS)
OPTIONS.columns = check.kinds.count
OPTIONS.path = check.kinds.text

local function check_images(images)
  if array.is(images) and images.ndim >= 3 then
    return
  elseif type(images) ~= "table" or #images == 0 then
    check.fail(1, "list of images or a batch of them expected, got "
      .. check.got(images))
  end
  for k = 1, #images do
    if not array.is(images[k]) then
      check.fail(1, ("a tensor expected as image %d, got %s"):format(k,
        check.got(images[k])))
    end
  end
end

--- Returns images in rows and columns, as one image.
-- @function contact_sheet
-- @param images a batch (a tensor), or a list of tensors, which may differ in
--   size; of u8, or of floats from 0 to 1, or normalised as mean and std say
-- @tparam[opt] table options columns (by default as many as rows, 8 at most),
--   path (to save it), layout, mean, std
-- @treturn tensor u8, {height, width, 3}
local function contact_sheet(images, options)
  check_images(images)
  options = check.options(2, options, OPTIONS)
  local sheet = picture.sheet(images, options)
  if options.path then
    save_image.make(sheet, options.path)
  end
  return sheet
end

return { make = contact_sheet, options = OPTIONS,
  example = [[neap.contact_sheet({ neap.tensor("u8", { 8, 8, 3 }) })]] }
