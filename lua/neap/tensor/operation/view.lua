-- SPDX-License-Identifier: MIT
--- Strided views: where each element of a result comes from, or goes to.
-- Tensors themselves are contiguous: a view lives from its description to its
-- copy.
-- @module neap.tensor.operation.view

local ffi = require("ffi")
local arguments = require("neap.tensor.operation.arguments")
local check = require("neap.base.check")
local dtype = require("neap.tensor.dtype")
local lib = require("neap.base.lib")
local memory = require("neap.tensor.memory")

local C = lib.C
local kinds = dtype.list
local bytes = ffi.typeof("uint8_t *")

local View = {}

--- Sets dimension k (from 0) to `size` elements from the first-th (from 0) on,
-- step * stride apart.
function View:set(k, size, first, step)
  local stride = tonumber(self.steps[k])
  self.offset = self.offset + first * stride
  self.dims[k] = size
  self.steps[k] = stride * step
end

local function describe(self, t)
  local d = self.d
  d.code, d.bits, d.lanes, d.ndim = t.d.code, t.d.bits, 1, t.d.ndim
  d.shape, d.strides = self.dims, self.steps
  d.data = ffi.cast(bytes, t.d.data) + self.offset * (t.d.bits / 8)
  return d
end

--- Copies what the view of t describes into `out`, or into a new tensor.
function View:copy(name, t, out)
  local to = arguments.result(name, out, kinds[t.kind], t.d.ndim, self.dims)
  arguments.apart(name, t, to)
  check.status(C.neap_tensor_copy(describe(self, t), to.d, lib.error))
  memory.check(t)
  return to
end

local new = ffi.metatype([[
  struct {
    neap_tensor d;
    int64_t dims[8];
    int64_t steps[8]; /* in elements */
    double offset;    /* of the element at index 0 */
  }
]], { __index = View })

local view = {}

--- A view that is the tensor as it is.
function view.of(t)
  local self = new()
  ffi.copy(self.dims, t.dims, t.d.ndim * 8)
  ffi.copy(self.steps, t.steps, t.d.ndim * 8)
  return self
end

--- Copies a whole tensor into a part of another: from place first[k] (from 0)
-- of dimension k on.
function view.put(t, to, first)
  local part = view.of(to)
  for k = 0, t.d.ndim - 1 do
    part:set(k, t.dims[k], first[k] or 0, 1)
  end
  check.status(C.neap_tensor_copy(t.d, describe(part, to), lib.error))
  memory.check(t)
end

return view
