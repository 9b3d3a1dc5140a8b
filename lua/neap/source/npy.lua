-- SPDX-License-Identifier: MIT
--- The rows of NumPy's file of one array.
-- @module neap.source.npy

local check = require("neap.base.check")
local decode = require("neap.codec.npy")
local File = require("neap.source.file")
local from = require("neap.source.from")
local handle = require("neap.sequence.handle")
local npy_array = require("neap.source.npy_array")

--- Returns the rows of an npy file: tensors, or numbers where it has one
-- dimension. Elements in big-endian order are converted, each when its row is
-- read; an array in Fortran's order is read here, whole.
-- @function npy
-- @tparam string path
-- @treturn Sequence
local function npy(path)
  check.text(1, path)
  local file = File.open(path)
  local about = npy_array.header(file, 0, file.nbytes, path)
  if about.is_fortran then
    return from.make(decode.make({ path = path }))
  end
  return handle.wrap(npy_array.rows("npy", file, about))
end

return {
  make = npy,
  example = [[neap.npy("images.npy")]],
}
