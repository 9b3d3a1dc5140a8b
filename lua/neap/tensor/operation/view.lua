-- SPDX-License-Identifier: MIT
--- Strided views: where each element of a result comes from, or goes to.
-- Tensors themselves are contiguous: a view lives from its description to its
-- copy. There are two of them, which all operations share.
-- @module neap.tensor.operation.view

local ffi = require("ffi")
local arguments = require("neap.tensor.operation.arguments")
local check = require("neap.base.check")
local dtype = require("neap.tensor.dtype")
local lib = require("neap.base.lib")

local C = lib.C
local kinds = dtype.list
local bytes = ffi.typeof("uint8_t *")

local View = {}
View.__index = View

local function new()
  local self = setmetatable({
    d = ffi.new("neap_tensor"), dims = ffi.new("int64_t[8]"),
    steps = ffi.new("int64_t[8]"), ndim = 0, offset = 0, -- in elements
  }, View)
  self.d.shape, self.d.strides = self.dims, self.steps
  return self
end

local source, target = new(), new()

--- Begins with a tensor as it is.
function View:begin(t)
  local ndim = t.d.ndim
  self.ndim, self.offset = ndim, 0
  ffi.copy(self.dims, t.dims, ndim * 8)
  ffi.copy(self.steps, t.steps, ndim * 8)
  return self
end

--- Sets dimension k (from 0) to `size` elements from the first-th (from 0) on,
-- step * stride apart.
function View:set(k, size, first, step)
  self.offset = self.offset + first * tonumber(self.steps[k])
  self.dims[k] = size
  self.steps[k] = self.steps[k] * step
end

local function describe(self, t)
  local d = self.d
  d.code, d.bits, d.lanes, d.ndim = t.d.code, t.d.bits, 1, self.ndim
  d.data = ffi.cast(bytes, t.d.data) + self.offset * (t.d.bits / 8)
  return d
end

local view = {}

--- The view of what is read.
function view.of(t)
  return source:begin(t)
end

--- Copies what view.of(t) describes into `out`, or into a new tensor.
function view.copy(name, t, out)
  local to = arguments.result(name, out, kinds[t.kind], source.ndim,
    source.dims)
  arguments.apart(name, t, to)
  check.status(C.neap_tensor_copy(describe(source, t), to.d, lib.error))
  return to
end

--- Copies a whole tensor into a part of another: from place first[k] (from 0)
-- of dimension k on.
function view.put(t, to, first)
  target:begin(to)
  for k = 0, t.d.ndim - 1 do
    target:set(k, t.dims[k], first[k] or 0, 1)
  end
  check.status(C.neap_tensor_copy(t.d, describe(target, to), lib.error))
end

return view
