-- SPDX-License-Identifier: MIT
--- The rows of a file that has nothing but numbers, all of one dtype.
-- @module neap.source.raw

local check = require("neap.base.check")
local dtype = require("neap.tensor.dtype")
local File = require("neap.source.file")
local handle = require("neap.sequence.handle")
local shape = require("neap.tensor.shape")
local strided = require("neap.source.strided")

local OPTIONS = { offset = check.kinds.natural, stride = check.kinds.count }

-- How many rows lie in the file; a part of a row at its end is an error.
local function count_rows(file, offset, stride, row_nbytes)
  local left = file.nbytes - offset
  if left < 0 then
    check.raise(("cannot read %s: it has %d bytes, and offset is %d"):format(
      file.path, file.nbytes, offset))
  end
  local length = math.ceil(left / stride)
  local over = left - (length - 1) * stride -- bytes of the last row
  if length > 0 and over < row_nbytes then
    check.raise(("cannot read %s: its %d bytes are no whole number of rows of "
      .. "%d bytes"):format(file.path, left, stride),
      "check dtype, shape, offset and stride")
  end
  return length
end

--- Returns the rows of a file of numbers in the machine's order of bytes.
-- @function raw
-- @tparam string path
-- @tparam string name the dtype
-- @tparam table sizes the shape of a row; {}: the rows are numbers
-- @tparam[opt] table options
--   offset: bytes before the first row; stride: bytes from one row to the next
-- @treturn Sequence
local function raw(path, name, sizes, options)
  check.text(1, path)
  options = check.options(4, options, OPTIONS)
  local kind = dtype.find(name)
  local _, count = shape.read(sizes)
  local nbytes = count * kind.size
  local stride, offset = options.stride or nbytes, options.offset or 0
  if nbytes == 0 then
    check.fail(3, "shape with elements expected")
  elseif stride < nbytes then
    check.fail(4, ("option 'stride': %d or more expected, the bytes of a row, "
      .. "got %d"):format(nbytes, stride))
  end
  local file = File.open(path)
  local copy = {}
  for k, size in ipairs(sizes) do
    copy[k] = size
  end
  return handle.wrap(strided.make("raw", file, {
    dtype = name, sizes = copy, offset = offset, stride = stride,
    length = count_rows(file, offset, stride, nbytes),
  }))
end

return {
  make = raw, options = OPTIONS,
  example = [[neap.raw("images.bin", "u8", { 32, 32, 3 })]],
}
