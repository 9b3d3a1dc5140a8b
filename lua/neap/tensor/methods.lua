-- SPDX-License-Identifier: MIT
--- The methods of tensors; other modules add some.
-- @module neap.tensor.methods

local ffi = require("ffi")
local assign = require("neap.tensor.assign")
local check = require("neap.base.check")
local dtype = require("neap.tensor.dtype")
local lib = require("neap.base.lib")
local memory = require("neap.tensor.memory")
local shape = require("neap.tensor.shape")
local traverse = require("neap.base.traverse")

local C = lib.C
local kinds = dtype.list

local Managed = ffi.typeof("neap_managed_tensor *[1]")

local methods = {}

-- Raises for a tensor that is no longer valid, and for t.fill(x).
local function check_valid(t)
  if type(t) ~= "cdata" then
    check.fail_self(t, "tensor", "t")
  end
  memory.check(t)
end

-- -- Elements ----------------------------------------------------------------

-- Index `key` of dimension `dim` (from 0), as elements from the start.
local function step(t, dim, key)
  if type(key) ~= "number" then
    check.raise(("index %d must be a number, got %s"):format(dim + 1,
      type(key)))
  end
  return shape.index(key, tonumber(t.dims[dim])) * tonumber(t.steps[dim])
end

-- The same for all dimensions.
local function steps(t, indexes)
  local at = 0
  if #indexes ~= t.d.ndim then
    check.raise(("%d indexes are expected for %s, got %d"):format(t.d.ndim,
      memory.text(t), #indexes))
  end
  for k = 1, #indexes do
    at = at + step(t, k - 1, indexes[k])
  end
  return at
end

--- The element at i, j, ...
function methods.get(t, i, j, k, ...)
  check_valid(t)
  local ndim = t.d.ndim
  local at
  if ndim == 1 and j == nil then
    at = step(t, 0, i)
  elseif ndim == 2 and k == nil then
    at = step(t, 0, i) + step(t, 1, j)
  elseif ndim == 3 and select("#", ...) == 0 then
    at = step(t, 0, i) + step(t, 1, j) + step(t, 2, k)
  else
    at = steps(t, { i, j, k, ... })
  end
  return (kinds[t.kind].read(t.d.data, at))
end

--- Sets the element at i, j, ... to the last argument.
function methods.set(t, i, j, k, value, ...)
  check_valid(t)
  local ndim = t.d.ndim
  local at
  if ndim == 1 and k == nil then
    at, value = step(t, 0, i), j
  elseif ndim == 2 and value == nil then
    at, value = step(t, 0, i) + step(t, 1, j), k
  elseif ndim == 3 and select("#", ...) == 0 then
    at = step(t, 0, i) + step(t, 1, j) + step(t, 2, k)
  else
    local indexes = { i, j, k, value, ... }
    value = table.remove(indexes)
    at = steps(t, indexes)
  end
  kinds[t.kind].write(t.d.data, at, value)
end

--- Sets every element.
function methods.fill(t, value)
  check_valid(t)
  assign.fill(t, value)
end

-- The elements from `at` on, of dimension `dim` (from 0) and those after it.
local function nested(t, dim, at)
  local read, data = kinds[t.kind].read, t.d.data
  if dim == t.d.ndim then
    return (read(data, at))
  end
  local n, stride = tonumber(t.dims[dim]), tonumber(t.steps[dim])
  local values = {}
  for k = 1, n do
    values[k] = nested(t, dim + 1, at + (k - 1) * stride)
  end
  return values
end

--- The elements as nested Lua tables.
function methods.totable(t)
  check_valid(t)
  local values = nested(t, 0, 0)
  check_valid(t)
  return values
end

--- A typed pointer to the first element. It does not keep the tensor alive.
function methods.ptr(t)
  check_valid(t)
  return (ffi.cast(kinds[t.kind].pointer, t.d.data))
end

-- -- Other tensors -----------------------------------------------------------

--- A tensor with memory of its own and the same elements.
function methods.clone(t)
  check_valid(t)
  local copy = memory.make(kinds[t.kind], t.d.ndim, t.dims, memory.count(t))
  ffi.copy(copy.d.data, t.d.data, memory.nbytes(t))
  check_valid(t)
  return copy
end

local function raise_reshape(t, sizes)
  check.raise(("cannot reshape %s into %s"):format(memory.text(t),
    #sizes == 0 and "scalar" or table.concat(sizes, "x")))
end

--- A view of the same elements in another shape; one size may be -1.
function methods.reshape(t, ...)
  check_valid(t)
  local sizes, known, open = { ... }, 1, nil
  for k = 1, #sizes do
    if sizes[k] == -1 and not open then
      open = k
    elseif type(sizes[k]) == "number" then
      known = known * sizes[k]
    end
  end
  local count = memory.count(t)
  if open then
    if known <= 0 or count % known ~= 0 then
      raise_reshape(t, sizes)
    end
    sizes[open] = count / known
  end
  local ndim, wanted, dims = shape.read(sizes)
  if wanted ~= count then
    raise_reshape(t, sizes)
  end
  local v = memory.share(t)
  memory.describe(v, kinds[t.kind], ndim, dims)
  shape.give_back(dims)
  return v
end

--- A tensor of another dtype with every element times scale plus offset.
function methods.to(t, name, scale, offset)
  check_valid(t)
  local kind = dtype.find(name)
  local converted = memory.make(kind, t.d.ndim, t.dims, memory.count(t))
  check.status(C.neap_tensor_convert(t.d, converted.d, scale or 1, offset or 0,
    lib.error))
  check_valid(t)
  return converted
end

--- A DLManagedTensor with a copy of the elements; its deleter frees it.
function methods.dlpack(t)
  local d, out = t.d, Managed()
  check_valid(t) -- nothing is made from here until C has copied it
  check.status(C.neap_tensor_dlpack(d, out, lib.error))
  return out[0]
end

traverse.each(methods, function(name, method)
  check.register(name, method, { is_method = true })
end)

-- -- Operations --------------------------------------------------------------

-- Loaded when a tensor is first asked for one: most processes start without.
local function load_operations(_, key)
  setmetatable(methods, nil)
  local added = require("neap.tensor.operations").methods
  traverse.each(added, function(name, f)
    methods[name] = f
  end)
  return methods[key]
end

return setmetatable(methods, { __index = load_operations })
