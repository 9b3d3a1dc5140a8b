-- SPDX-License-Identifier: MIT
--- NumPy's files of one array.
--
-- A file has 6 bytes of magic, a version, the length of a header and the
-- header, which is the text of a Python dictionary with three keys:
--   {'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }
-- Then come the elements. What the header claims is compared with the bytes
-- that there are before anything is allocated by it.
-- @module neap.codec.npy

local ffi = require("ffi")
local array = require("neap.tensor.array")
local check = require("neap.base.check")
local dtype = require("neap.tensor.dtype")
local input = require("neap.codec.input")

local MAGIC = "\147NUMPY"
local PREFIX_MAX = 12 -- bytes
local HEADER_MAX = 64 * 2^10 -- bytes; NumPy's own limit is 10,000
local DIMS_MAX = 8

local OF_TYPE = {
  b1 = "bool", i1 = "i8", i2 = "i16", i4 = "i32", i8 = "i64", u1 = "u8",
  u2 = "u16", u4 = "u32", u8 = "u64", f2 = "f16", f4 = "f32", f8 = "f64",
}
local OTHERS = {
  O = "Python objects", S = "byte strings", U = "strings", V = "raw bytes",
  c = "complex numbers", M = "dates", m = "time spans", f = "long floats",
}

local bytes_type = ffi.typeof("uint8_t *")

local npy = {}

-- -- The header --------------------------------------------------------------

local function read_prefix(text)
  if text:sub(1, 6) ~= MAGIC then
    return nil, "it is no npy file; it begins as "
      .. (text == "" and "an empty one" or ("%q"):format(text:sub(1, 6)))
  elseif #text < 10 then
    return nil, "it ends within its header"
  end
  local version = text:byte(7)
  local a, b, c, d = text:byte(9, 12)
  if version == 1 then
    return 10, a + b * 256
  elseif version == 2 or version == 3 then
    return 12, #text < 12 and HEADER_MAX + 1
      or a + b * 2^8 + c * 2^16 + d * 2^24
  end
  return nil, ("its version is %d, not 1 to 3"):format(version)
end

local function read_descr(dictionary)
  local text = dictionary:match("['\"]descr['\"]%s*:%s*(%b[])")
  if text then
    return nil, "it has fields of several dtypes"
  end
  local order, name = dictionary:match(
    "['\"]descr['\"]%s*:%s*['\"]([<>|=]?)(%w+)[^'\"]*['\"]")
  if not order then
    return nil, "its header has no descr"
  end
  local kind = OF_TYPE[name]
  if not kind then
    return nil, ("it has %s (%s), which no tensor holds"):format(
      OTHERS[name:sub(1, 1)] or "elements of an unknown dtype", name)
  end
  return kind, order == ">"
end

local function read_shape(dictionary)
  local text = dictionary:match("['\"]shape['\"]%s*:%s*%(([%d%s,L]*)%)")
  if not text then
    return nil, "its header has no shape"
  end
  local shape, count, room = {}, 1, 1
  for digits in text:gmatch("%d+") do
    local size = tonumber(digits)
    shape[#shape + 1] = size
    count, room = count * size, room * math.max(size, 1)
  end
  if #shape > DIMS_MAX then
    return nil, ("it has %d dimensions, a tensor has %d at most"):format(#shape,
      DIMS_MAX)
  elseif room >= 2^53 then
    return nil, "its sizes multiply to more than 2^53"
  end
  return shape, count
end

local function read_dictionary(dictionary)
  local kind, is_big = read_descr(dictionary)
  if not kind then
    return nil, is_big
  end
  local shape, count = read_shape(dictionary)
  if not shape then
    return nil, count
  end
  local order = dictionary:match("['\"]fortran_order['\"]%s*:%s*(%a+)")
  if order ~= "True" and order ~= "False" then
    return nil, "its header has no fortran_order"
  end
  return {
    dtype = kind, shape = shape, count = count,
    nbytes = count * dtype.find(kind).size, is_big_endian = is_big,
    is_fortran = order == "True" and #shape > 1,
  }
end

--- Reads the header of a file.
-- @tparam string text the first bytes of the file, 64 KiB or all
-- @treturn table dtype, shape, count, nbytes, is_big_endian, is_fortran (only
--   with two or more dimensions), offset (of the elements, in bytes); or nil
--   and why there is none
function npy.header(text)
  local start, size = read_prefix(text)
  if not start then
    return nil, size
  elseif size > HEADER_MAX or #text < start + size then
    return nil, "it ends within its header"
  end
  local about, why = read_dictionary(text:sub(start + 1, start + size))
  if about then
    about.offset = start + size
  end
  return about, why
end

-- -- The elements ------------------------------------------------------------

--- Turns the bytes of each element around, in place.
-- @param p `uint8_t *`
function npy.swap(p, count, size)
  for k = 0, count - 1 do
    local at = k * size
    for j = 0, size / 2 - 1 do
      p[at + j], p[at + size - 1 - j] = p[at + size - 1 - j], p[at + j]
    end
  end
end

local POINTERS = {
  ffi.typeof("uint8_t *"), ffi.typeof("uint16_t *"), [4] =
  ffi.typeof("uint32_t *"), [8] = ffi.typeof("uint64_t *"),
}

-- Fortran's order: the first index is the one that changes from one element to
-- the next.
local function copy_transposed(t, p, shape, size)
  local to = ffi.cast(POINTERS[size], t.d.data)
  local from = ffi.cast(POINTERS[size], p)
  local ndim, index, steps, step = #shape, {}, {}, 1
  for k = 1, ndim do
    index[k], steps[k], step = 0, step, step * shape[k]
  end
  local at = 0
  for k = 0, t.size - 1 do
    to[k] = from[at]
    local dim = ndim
    while dim >= 1 do
      index[dim], at = index[dim] + 1, at + steps[dim]
      if index[dim] < shape[dim] then
        break
      end
      index[dim], at = 0, at - steps[dim] * shape[dim]
      dim = dim - 1
    end
  end
end

-- Writes the elements of a file into a tensor.
local function fill(t, about, p)
  local size = dtype.find(about.dtype).size
  if about.is_fortran then
    copy_transposed(t, p, about.shape, size)
  else
    ffi.copy(t.d.data, p, about.nbytes)
  end
  if about.is_big_endian then
    npy.swap(ffi.cast(bytes_type, t.d.data), about.count, size)
  end
end

--- Decodes an npy file. Big-endian elements and Fortran's order are converted.
-- @function npy
-- @param bytes as neap.decode.image takes them
-- @treturn tensor
function npy.make(bytes, options)
  check.options(2, options, npy.options)
  local p, nbytes = input.read(bytes)
  local about, why = npy.header(ffi.string(p, math.min(nbytes,
    PREFIX_MAX + HEADER_MAX)))
  if about and nbytes - about.offset < about.nbytes then
    about, why = nil, ("it is truncated: its header asks for %.0f bytes of "
      .. "elements, and %d are there"):format(about.nbytes,
      nbytes - about.offset)
  end
  if not about then
    input.fail(bytes, "an npy file", why)
  end
  local t = array.empty(about.dtype, about.shape)
  fill(t, about, p + about.offset)
  input.release()
  return t
end

npy.options = {}
npy.example = [[neap.decode.npy({ path = "weights.npy" })]]

return npy
