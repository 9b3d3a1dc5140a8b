-- SPDX-License-Identifier: MIT
--- Arguments and results of operations on tensors: checked, and made.
-- @module neap.tensor.operation.arguments

local ffi = require("ffi")
local check = require("neap.base.check")
local dtype = require("neap.tensor.dtype")
local lib = require("neap.base.lib")
local memory = require("neap.tensor.memory")
local shape = require("neap.tensor.shape")

local C = lib.C
local kinds = dtype.list
local is, text_of = memory.is, memory.text

local int64, uint64 = ffi.typeof("int64_t"), ffi.typeof("uint64_t")
local bytes = ffi.typeof("uint8_t *")

local arguments = { NONE = {} }

--- Checks argument `narg`: a tensor whose item is valid.
function arguments.tensor(narg, t)
  if not is(t) then
    check.fail(narg, "tensor expected, got " .. check.got(t))
  end
  memory.check(t)
  return t
end

local function is_tensor(v)
  return is(v), "tensor"
end

local function is_layout(v)
  return v == "hwc" or v == "chw", "\"hwc\" or \"chw\""
end

local function is_number(v)
  return type(v) == "number", "number"
end

--- Kinds of options, for check.options.
arguments.kinds = { tensor = is_tensor, layout = is_layout, number = is_number }

--- Reads a table of options; mostly there is none.
function arguments.options(narg, options, known)
  if options == nil then
    return arguments.NONE
  end
  options = check.options(narg, options, known)
  if options.out then
    memory.check(options.out)
  end
  return options
end

-- A dimension from 0, or nil if the tensor has no such one.
local function find_dimension(t, dim)
  local ndim = t.d.ndim
  local k = dim < 0 and dim + ndim or dim - 1
  return k >= 0 and k < ndim and k or nil
end

--- Checks argument `narg`: a dimension, from 1, or from the end if negative.
-- @treturn number from 0
function arguments.dimension(narg, t, dim)
  check.integer(narg, dim)
  return find_dimension(t, dim) or check.fail(narg,
    ("the tensor %s has no dimension %d"):format(text_of(t), dim))
end

--- The dimensions (from 0) of an image's rows, columns and channels; these are
-- false where there are none.
function arguments.image(name, t, layout)
  local ndim = t.d.ndim
  if ndim < 2 then
    check.raise(("cannot %s: the tensor is %s, an image has rows and columns")
      :format(name, text_of(t)))
  elseif ndim == 2 then
    return 0, 1, false
  elseif layout == "chw" then
    return ndim - 2, ndim - 1, ndim - 3
  end
  return ndim - 3, ndim - 2, ndim - 1
end

-- -- Operands ----------------------------------------------------------------

-- A number goes as a scalar of f64. (One for all would be another call's if a
-- finalizer runs before C has read it.)
local Number = ffi.typeof("struct { neap_tensor d; double value; }")
local VALUE = ffi.offsetof(Number, "value")
local F64 = dtype.find("f64")

local function scalar_of(x)
  local n = Number()
  local d = n.d
  n.value = x
  d.data, d.device_type = ffi.cast(bytes, n) + VALUE, 1
  d.code, d.bits, d.lanes = F64.code, F64.bits, 1
  return n
end

-- An integer beyond 2^53 meets 64-bit tensors as one of them.
local function wide(t, x)
  local kind = kinds[t.kind]
  local own = kind.name == "i64" and int64 or kind.name == "u64" and uint64
  if not own or not ffi.istype(own, x) and ffi.cast(int64, x) < 0 then
    return nil
  end
  local scalar = memory.make(kind, 0, t.dims, 1)
  kind.write(scalar.d.data, 0, x)
  return scalar
end

-- A list of one number for each place of dimension `dim`, stretched over the
-- others.
local function along(name, narg, t, x, dim)
  local k = find_dimension(t, dim) or check.raise(("cannot %s: option 'dim': "
    .. "the tensor %s has no dimension %d"):format(name, text_of(t), dim))
  if x.d.ndim ~= 1 then
    check.raise(("cannot %s: argument #%d is %s, and with the option dim it "
      .. "must have one dimension"):format(name, narg - 1, text_of(x)))
  end
  local sizes = { x.size }
  for n = 2, t.d.ndim - k do
    sizes[n] = 1
  end
  return x:reshape(unpack(sizes))
end

--- Checks argument `narg`: what goes with each element of t.
-- @return a cdata whose `d` is the neap_tensor. Hold it until C has read it
function arguments.operand(name, narg, t, x, dim)
  if type(x) == "number" then
    return scalar_of(x)
  elseif type(x) == "boolean" then
    return scalar_of(x and 1 or 0)
  elseif is(x) then
    memory.check(x)
    return dim and along(name, narg, t, x, dim) or x
  elseif ffi.istype(int64, x) or ffi.istype(uint64, x) then
    return wide(t, x) or scalar_of(tonumber(x))
  end
  return check.fail(narg, "number or tensor expected, got " .. check.got(x))
end

-- -- Results -----------------------------------------------------------------

local function is_like(t, kind, ndim, dims)
  local same = t.kind == kind.index and t.d.ndim == ndim
  for k = 0, ndim - 1 do
    same = same and t.dims[k] == dims[k]
  end
  return same
end

--- The tensor to write: `out`, which must be of that dtype and shape, or a new
-- one.
function arguments.result(name, out, kind, ndim, dims)
  if not out then
    local count = tonumber(C.neap_tensor_strides(ndim, dims, nil))
    if count < 0 then
      check.raise(("cannot %s: a tensor of shape %s is too large"):format(name,
        shape.text(ndim, dims)))
    end
    return (memory.make(kind, ndim, dims, count))
  elseif not is_like(out, kind, ndim, dims) then
    check.raise(("cannot %s: the result is %s %s, and out is %s"):format(name,
      kind.name, shape.text(ndim, dims), text_of(out)))
  end
  return out
end

--- Raises if two tensors share memory.
function arguments.apart(name, t, out)
  local a, b = ffi.cast(bytes, t.d.data), ffi.cast(bytes, out.d.data)
  if a < b + memory.nbytes(out) and b < a + memory.nbytes(t) then
    check.raise(("cannot %s: the result would overwrite a part of what is read")
      :format(name))
  end
end

return arguments
