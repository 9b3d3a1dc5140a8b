-- SPDX-License-Identifier: MIT
--- Tensors: arrays of one dtype and up to eight dimensions, in C order.
-- Here they are made and indexed; neap.tensor.memory says what they are.
-- @module neap.tensor.array

local ffi = require("ffi")
local assign = require("neap.tensor.assign")
local check = require("neap.base.check")
local dtype = require("neap.tensor.dtype")
local lib = require("neap.base.lib")
local memory = require("neap.tensor.memory")
local methods = require("neap.tensor.methods")
local refuse_operators = require("neap.base.operators")
local shape = require("neap.tensor.shape")
local suggest = require("neap.base.suggest")

local C = lib.C
local kinds = dtype.list
local check_valid, row = memory.check, memory.row

local SHOWN = 8  -- elements that tostring() shows

local properties = { size = memory.count, nbytes = memory.nbytes }

function properties.dtype(t)
  return kinds[t.kind].name
end

function properties.shape(t)
  local sizes = {}
  for k = 1, t.d.ndim do
    sizes[k] = tonumber(t.dims[k - 1])
  end
  return sizes
end

function properties.ndim(t)
  return t.d.ndim
end

-- The row or element that `key` names, from 0.
local function position(t, key)
  check_valid(t)
  if t.d.ndim == 0 then
    check.raise("a scalar tensor has no rows", "use t:get() and t:set(v)")
  end
  return shape.index(key, tonumber(t.dims[0]))
end

-- For a field or method that no tensor has.
local function raise_unknown(key)
  if type(key) ~= "string" then
    check.raise(("cannot index a tensor: number expected, got %s"):format(
      check.got(key)))
  end
  check.raise(("a tensor has no field or method '%s'"):format(key),
    suggest(key, methods) or suggest(key, properties))
end

local function get_index(t, key)
  if type(key) ~= "number" then
    local property, method = properties[key], methods[key]
    if property then
      return property(t)
    elseif method == nil then
      raise_unknown(key)
    end
    return method
  end
  local k = position(t, key)
  if t.d.ndim == 1 then
    return (kinds[t.kind].read(t.d.data, k))
  end
  return (row(t, k))
end

local function set_index(t, key, value)
  if type(key) ~= "number" then
    check.raise(("a tensor has no field '%s' to set"):format(tostring(key)))
  end
  local k = position(t, key)
  if t.d.ndim == 1 then
    kinds[t.kind].write(t.d.data, k, value)
  else
    assign.set(row(t, k), value)
  end
end

local function show(t)
  local head = ("tensor %s "):format(memory.text(t))
  if t.counter[0] ~= t.generation then
    return head .. "(released)"
  end
  local count, kind, shown = memory.count(t), kinds[t.kind], {}
  for k = 1, math.min(count, SHOWN) do
    local value = kind.read(t.d.data, k - 1)
    shown[k] = type(value) == "number"
      and (kind.is_float and "%.6g" or "%d"):format(value) or tostring(value)
  end
  shown[#shown + 1] = count > SHOWN and "..." or nil
  return head .. "{" .. table.concat(shown, ", ") .. "}"
end

local function length(t)
  if t.d.ndim == 0 then
    check.raise("a scalar tensor has no length")
  end
  return (tonumber(t.dims[0]))
end

local meta = {
  __index = get_index, __newindex = set_index,
  __len = length, __tostring = show,
}

refuse_operators(meta, "a tensor", "t:to(dtype, scale, offset) multiplies and "
  .. "adds; for all else write a loop over the elements of t:ptr()")

function meta.__concat()
  check.raise("cannot join a tensor to a string", "write tostring(t)")
end

function meta.__call()
  check.raise("cannot call a tensor: it is no function",
    "t[i] is a row or an element, t:get(i, j, ...) an element")
end

ffi.metatype(memory.ctype, meta)

local array = { is = memory.is, view = memory.view }

array.set_allocator = memory.set_allocator

--- Makes a tensor: of zeros, or of what `data` says.
-- @function new
-- @tparam string name the dtype
-- @tparam table sizes the shape; {} for a scalar
-- @param[opt] data a table, nested or flat; a number or boolean for every
--  element; a string of all the bytes; a tensor of that dtype and shape
-- @treturn tensor
-- @usage local t = neap.tensor("f32", { 2, 3 }, { 1, 2, 3, 4, 5, 6 })
function array.new(name, sizes, data)
  local kind = dtype.find(name)
  local ndim, count, dims = shape.read(sizes)
  local t, is_zero = memory.make(kind, ndim, dims, count)
  shape.give_back(dims)
  if data ~= nil then
    assign.set(t, data)
  elseif not is_zero then
    ffi.fill(t.d.data, memory.nbytes(t))
  end
  return t
end

--- Makes a tensor whose elements are still to be written.
function array.empty(name, sizes)
  local kind = dtype.find(name)
  local ndim, count, dims = shape.read(sizes)
  local t = memory.make(kind, ndim, dims, count)
  shape.give_back(dims)
  return t
end

--- The same in memory that is no slot's: for what outlives the item in work.
function array.lasting(name, sizes)
  local kind = dtype.find(name)
  local ndim, count, dims = shape.read(sizes)
  local t = memory.make_lasting(kind, ndim, dims, count)
  shape.give_back(dims)
  return t
end

--- The same, with the dtype and shape of a neap_tensor.
function array.empty_like(about)
  local kind = dtype.of(about.code, about.bits)
  local count = tonumber(C.neap_tensor_count(about))
  return (memory.make(kind, about.ndim, about.shape, count))
end

return array
