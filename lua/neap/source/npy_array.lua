-- SPDX-License-Identifier: MIT
--- Arrays of NumPy that lie in a file, alone or in an archive.
-- @module neap.source.npy_array

local check = require("neap.base.check")
local decode = require("neap.codec.npy")
local strided = require("neap.source.strided")

local HEADER_MAX = 64 * 2^10 + 12 -- bytes

local npy_array = {}

--- Reads the header of an array that lies in a file.
-- @tparam File file
-- @tparam number start of the array in the file
-- @tparam number nbytes of the array and its header
-- @tparam string what it is, for messages
-- @treturn table as neap.codec.npy.header returns it; offset is that in the
--   file
function npy_array.header(file, start, nbytes, what)
  local text = file:text(start, math.min(nbytes, HEADER_MAX))
  local about, why = decode.header(text)
  if about and #about.shape == 0 then
    why = "it is one number, and has no rows"
  elseif about and about.offset + about.nbytes > nbytes then
    why = ("it is truncated: its header asks for %.0f bytes of elements, and "
      .. "%.0f are there"):format(about.nbytes, nbytes - about.offset)
  end
  if why then
    check.raise(("cannot read %s: %s"):format(what, why))
  end
  about.offset = start + about.offset
  return about
end

--- Makes a node of the rows of an array in C's order.
function npy_array.rows(name, file, about)
  local sizes = {}
  for k = 2, #about.shape do
    sizes[k - 1] = about.shape[k]
  end
  return strided.make(name, file, {
    dtype = about.dtype, sizes = sizes, length = about.shape[1],
    offset = about.offset, is_swapped = about.is_big_endian,
  })
end

return npy_array
