-- SPDX-License-Identifier: MIT
--- Sets all elements of a tensor at once.
-- @module neap.tensor.assign

local ffi = require("ffi")
local check = require("neap.base.check")
local dtype = require("neap.tensor.dtype")
local lib = require("neap.base.lib")
local memory = require("neap.tensor.memory")

local C = lib.C
local kinds = dtype.list
local is, count_of, nbytes_of = memory.is, memory.count, memory.nbytes

local bytes = ffi.typeof("uint8_t *")
local one_element = ffi.new("double[1]")

local assign = {}

local function same_shape(t, u)
  local same = t.d.ndim == u.d.ndim
  for k = 0, t.d.ndim - 1 do
    same = same and t.dims[k] == u.dims[k]
  end
  return same
end

local function set_tensor(t, from)
  memory.check(from)
  if from.kind ~= t.kind or not same_shape(t, from) then
    check.raise(("a tensor %s is expected, got %s"):format(memory.text(t),
      memory.text(from)))
  end
  local nbytes = nbytes_of(t)
  local target, source = ffi.cast(bytes, t.d.data),
    ffi.cast(bytes, from.d.data)
  if target < source + nbytes and source < target + nbytes then
    from = from:clone()
  end
  ffi.copy(target, from.d.data, nbytes)
end

local function set_rows(t, rows)
  local n = tonumber(t.dims[0])
  if #rows ~= n then
    check.raise(("%d rows are expected, got %d"):format(n, #rows))
  end
  for k = 1, n do
    local value = rows[k]
    if type(value) ~= "table" and not is(value) then
      check.raise(("row %d must be a table or a tensor, got %s"):format(k,
        type(value)))
    end
    assign.set(memory.row(t, k - 1), value)
  end
end

local function set_table(t, values)
  local first = values[1]
  if t.d.ndim > 1 and (type(first) == "table" or is(first)) then
    set_rows(t, values)
    return
  end
  local count, write, data = count_of(t), kinds[t.kind].write, t.d.data
  if #values ~= count then
    check.raise(("%d values are expected for %s, got %d"):format(count,
      memory.text(t), #values))
  end
  for k = 1, count do
    write(data, k - 1, values[k])
  end
end

local function set_string(t, value)
  local nbytes = nbytes_of(t)
  if #value ~= nbytes then
    check.raise(("a string of %d bytes is expected for %s, got %d"):format(
      nbytes, memory.text(t), #value))
  end
  ffi.copy(t.d.data, value, nbytes)
end

--- Sets every element to a number, a 64-bit integer or a boolean.
function assign.fill(t, value)
  local write = kinds[t.kind].write
  write(one_element, 0, value)  -- raises what C would refuse
  if type(value) == "boolean" then
    value = value and 1 or 0
  end
  if type(value) == "number" then
    check.status(C.neap_tensor_fill(t.d, value, lib.error))
  else
    for k = 0, count_of(t) - 1 do
      write(t.d.data, k, value)
    end
  end
end

--- Sets a tensor to a tensor, a table (nested or flat), bytes, or one value for
-- all elements.
function assign.set(t, value)
  if is(value) then
    set_tensor(t, value)
  elseif type(value) == "table" then
    set_table(t, value)
  elseif type(value) == "string" then
    set_string(t, value)
  else
    assign.fill(t, value)
  end
end

return assign
