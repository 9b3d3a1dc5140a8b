-- SPDX-License-Identifier: MIT
--- Shapes and indexes of tensors: checked and shown.
-- @module neap.tensor.shape

local ffi = require("ffi")
local check = require("neap.base.check")
local lib = require("neap.base.lib")

local C = lib.C
local floor = math.floor

local DIMS = C.NEAP_DIMS_MAX

local Dims = ffi.typeof("int64_t[8]")
local spare = Dims() -- false while a caller has it

local shape = {}

--- A shape as messages show it: "2x3", or "scalar".
function shape.text(ndim, dims)
  local sizes = {}
  for k = 1, ndim do
    sizes[k] = ("%d"):format(tonumber(dims[k - 1]))
  end
  return ndim == 0 and "scalar" or table.concat(sizes, "x")
end

local function read_size(sizes, k, dims)
  local size = sizes[k]
  if type(size) ~= "number" or size < 0 or size ~= floor(size)
      or size > 2^53 then
    check.raise(("size %d of a shape must be a whole number from 0, got %s")
      :format(k, tostring(size)))
  end
  dims[k - 1] = size
end

--- Checks a table of sizes.
-- @treturn number dimensions
-- @treturn number elements
-- @treturn cdata the sizes, an `int64_t *`, for shape.give_back()
function shape.read(sizes)
  if type(sizes) ~= "table" then
    check.raise("a shape is a table of sizes, got " .. type(sizes),
      type(sizes) == "number" and ("write { %.14g }"):format(sizes) or nil)
  end
  local ndim = #sizes
  if ndim > DIMS then
    check.raise(("a tensor has %d dimensions at most, got %d"):format(DIMS,
      ndim))
  end
  local dims = spare or Dims()
  spare = false -- a finalizer that makes a tensor meanwhile has another one
  -- LuaJIT compiles no loop around one of so few turns.
  if ndim >= 1 then read_size(sizes, 1, dims) end
  if ndim >= 2 then read_size(sizes, 2, dims) end
  if ndim >= 3 then read_size(sizes, 3, dims) end
  if ndim >= 4 then read_size(sizes, 4, dims) end
  for k = 5, ndim do
    read_size(sizes, k, dims)
  end
  local count = tonumber(C.neap_tensor_strides(ndim, dims, nil))
  if count < 0 then
    check.raise("a tensor of shape " .. shape.text(ndim, dims)
      .. " is too large")
  end
  return ndim, count, dims
end

--- Lets the next shape be read into the same memory.
function shape.give_back(dims)
  spare = dims
end

local function raise_range(key, n)
  if key ~= floor(key) then
    check.raise(("index %.14g is not a whole number"):format(key))
  end
  check.raise(("index %d is out of range 1..%d"):format(key, n))
end

--- Converts an index from 1, or from the end if it is negative, to one from 0.
-- @tparam number key
-- @tparam number n size of the dimension
function shape.index(key, n)
  local k = key < 0 and key + n or key - 1
  if not (k >= 0 and k < n and k == floor(k)) then
    raise_range(key, n)
  end
  return k
end

return shape
