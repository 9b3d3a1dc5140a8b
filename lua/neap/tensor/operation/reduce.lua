-- SPDX-License-Identifier: MIT
--- Reductions: all elements to a number, or one dimension away.
-- @module neap.tensor.operation.reduce

local ffi = require("ffi")
local arguments = require("neap.tensor.operation.arguments")
local check = require("neap.base.check")
local dtype = require("neap.tensor.dtype")
local lib = require("neap.base.lib")
local memory = require("neap.tensor.memory")

local C = lib.C
local kinds = dtype.list

local Dims = ffi.typeof("int64_t[8]")
local OPTIONS = { out = arguments.kinds.tensor }
local F64, I64, U64 = dtype.find("f64"), dtype.find("i64"), dtype.find("u64")

-- The dtype of a result, by that of the tensor.
local function own(kind)
  return kind
end

local function sums(kind)
  return kind.is_float and F64 or kind == U64 and U64 or I64
end

local function float()
  return F64
end

local function integer()
  return I64
end

-- One number: a scalar that is used again.
local Scalar = ffi.typeof("struct { neap_tensor d; uint64_t value[1]; }")
local spare = Scalar() -- false while a reduction has it

local function reduce_all(f, kind_of, t)
  local kind, scalar = kind_of(kinds[t.kind]), spare or Scalar()
  spare = false -- a finalizer that reduces meanwhile has another one
  local d, value = scalar.d, scalar.value
  d.data, d.device_type = value, 1
  d.code, d.bits, d.lanes = kind.code, kind.bits, 1
  check.status(f(t.d, -1, d, lib.error))
  memory.check(t)
  local x = kind.read(value, 0)
  spare = scalar
  return x
end

-- The sizes of t without dimension dim.
local function sizes_without(t, dim)
  local dims, count = Dims(), 0
  for k = 0, t.d.ndim - 1 do
    if k ~= dim then
      dims[count] = t.dims[k]
      count = count + 1
    end
  end
  return dims, count
end

local function reduction(name, kind_of)
  local f = C["neap_tensor_" .. name]
  return function(t, dim, options)
    arguments.tensor(1, t)
    if dim == nil and options == nil then
      return (reduce_all(f, kind_of, t))
    end
    options = arguments.options(3, options, OPTIONS)
    local k, dims, ndim = -1, t.dims, 0
    if dim ~= nil then
      k = arguments.dimension(2, t, dim)
      dims, ndim = sizes_without(t, k)
    end
    local to = arguments.result(name, options.out, kind_of(kinds[t.kind]), ndim,
      dims)
    check.status(f(t.d, k, to.d, lib.error))
    memory.check(t)
    return to
  end
end

return {
  sum = reduction("sum", sums),
  mean = reduction("mean", float),
  std = reduction("std", float),
  min = reduction("min", own),
  max = reduction("max", own),
  argmax = reduction("argmax", integer),
}
