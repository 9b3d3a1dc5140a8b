-- SPDX-License-Identifier: MIT
--- Operations that move elements.
-- @module neap.tensor.operation.layout

local ffi = require("ffi")
local arguments = require("neap.tensor.operation.arguments")
local check = require("neap.base.check")
local dtype = require("neap.tensor.dtype")
local lib = require("neap.base.lib")
local memory = require("neap.tensor.memory")
local view = require("neap.tensor.operation.view")

local C = lib.C
local kinds = dtype.list

local Dims = ffi.typeof("int64_t[8]")
local OUT = { out = arguments.kinds.tensor }
local PAD = { out = arguments.kinds.tensor, value = arguments.kinds.number }
local ONE_HOT = { out = arguments.kinds.tensor, dtype = check.kinds.text }

local layout = {}

local function check_list(narg, list, t, most)
  if type(list) ~= "table" or #list > most then
    check.fail(narg, ("table of %d dimensions expected for %s, got %s"):format(
      most, memory.text(t), type(list) == "table" and #list
      or check.got(list)))
  end
end

-- -- Permute and flip --------------------------------------------------------

--- Puts dimensions in another order: order[k] becomes dimension k.
function layout.permute(t, order, options)
  arguments.tensor(1, t)
  options = arguments.options(3, options, OUT)
  local ndim, seen = t.d.ndim, {}
  check_list(2, order, t, ndim)
  local v = view.of(t)
  for k = 1, ndim do
    local dim = arguments.dimension(2, t, order[k])
    if seen[dim] then
      check.fail(2, ("dimension %d twice"):format(order[k]))
    end
    seen[dim] = true
    v.dims[k - 1], v.steps[k - 1] = t.dims[dim], t.steps[dim]
  end
  return (v:copy("permute", t, options.out))
end

local function reverse(v, k)
  local size = tonumber(v.dims[k])
  v:set(k, size, size - 1, -1)
end

--- Reverses a dimension, or a list of them.
function layout.flip(t, dims, options)
  arguments.tensor(1, t)
  options = arguments.options(3, options, OUT)
  dims = type(dims) == "table" and dims or { dims }
  if #dims == 0 then
    check.fail(2, "dimension expected, got none")
  end
  local v = view.of(t)
  for k = 1, #dims do
    reverse(v, arguments.dimension(2, t, dims[k]))
  end
  return (v:copy("flip", t, options.out))
end

--- Turns dimensions a and b (from 0) of a tensor by quarters, from b to a.
function layout.turn(name, t, a, b, quarters, out)
  local v = view.of(t)
  if quarters == 1 or quarters == 2 then
    reverse(v, b)
  end
  if quarters == 2 or quarters == 3 then
    reverse(v, a)
  end
  if quarters % 2 == 1 then
    v.dims[a], v.dims[b] = v.dims[b], v.dims[a]
    v.steps[a], v.steps[b] = v.steps[b], v.steps[a]
  end
  return (v:copy(name, t, out))
end

-- -- Crop and pad ------------------------------------------------------------

local function read_range(t, k, range)
  local size = tonumber(t.dims[k - 1])
  local first, last = range[1], range[2]
  if not (check.is_integer(first) and check.is_integer(last)) then
    check.fail(2, ("range %d must be {first, last}"):format(k))
  end
  first = first < 0 and first + size + 1 or first
  last = last < 0 and last + size + 1 or last
  if first < 1 or last > size or last < first - 1 then
    check.raise(("cannot crop: range %d, %d..%d, is not within 1..%d of the "
      .. "tensor %s"):format(k, range[1], range[2], size, memory.text(t)))
  end
  return first, last
end

--- Takes a part: elements first .. last of each of the first dimensions.
function layout.crop(t, ranges, options)
  arguments.tensor(1, t)
  options = arguments.options(3, options, OUT)
  check_list(2, ranges, t, t.d.ndim)
  local v = view.of(t)
  for k = 1, #ranges do
    if type(ranges[k]) ~= "table" then
      check.fail(2, ("range %d must be {first, last}"):format(k))
    end
    local first, last = read_range(t, k, ranges[k])
    v:set(k - 1, last - first + 1, first - 1, 1)
  end
  return (v:copy("crop", t, options.out))
end

-- Elements before and after those of dimension k.
local function read_width(width, k)
  local before, after = width, width
  if type(width) == "table" then
    before, after = width[1], width[2]
  end
  if not (check.is_integer(before) and check.is_integer(after) and before >= 0
    and after >= 0) then
    check.fail(2, ("width %d must be {before, after} or a number, of 0 or more")
      :format(k))
  end
  return before, after
end

--- Surrounds a tensor by a value.
function layout.pad(t, widths, options)
  arguments.tensor(1, t)
  options = arguments.options(3, options, PAD)
  check_list(2, widths, t, t.d.ndim)
  local first, dims = {}, Dims()
  ffi.copy(dims, t.dims, t.d.ndim * 8)
  for k = 1, #widths do
    local before, after = read_width(widths[k], k)
    first[k - 1] = before
    dims[k - 1] = dims[k - 1] + before + after
  end
  local to = arguments.result("pad", options.out, kinds[t.kind], t.d.ndim, dims)
  arguments.apart("pad", t, to)
  to:fill(options.value or 0)
  view.put(t, to, first)
  return to
end

-- -- Concatenate -------------------------------------------------------------

local function check_part(first, t, k, dim)
  local fits = t.kind == first.kind and t.d.ndim == first.d.ndim
  for n = 0, first.d.ndim - 1 do
    fits = fits and (n == dim or t.dims[n] == first.dims[n])
  end
  if not fits then
    check.raise(("cannot concatenate: tensor %d is %s, tensor 1 is %s: only "
      .. "dimension %d may differ"):format(k, memory.text(t),
      memory.text(first), dim + 1))
  end
end

--- Puts tensors one after another along a dimension.
function layout.concatenate(list, dim, options)
  if type(list) ~= "table" or not memory.is(list[1]) then
    check.fail(1, "table of tensors expected, got " .. (type(list) == "table"
      and "one without tensors" or check.got(list)))
  end
  options = arguments.options(3, options, OUT)
  local first = arguments.tensor(1, list[1])
  dim = arguments.dimension(2, first, dim == nil and 1 or dim)
  local total = 0
  for k = 1, #list do
    check_part(first, arguments.tensor(1, list[k]), k, dim)
    total = total + tonumber(list[k].dims[dim])
  end
  local dims = Dims()
  ffi.copy(dims, first.dims, first.d.ndim * 8)
  dims[dim] = total
  local to = arguments.result("concatenate", options.out, kinds[first.kind],
    first.d.ndim, dims)
  local at = { [dim] = 0 }
  for k = 1, #list do
    arguments.apart("concatenate", list[k], to)
    view.put(list[k], to, at)
    at[dim] = at[dim] + tonumber(list[k].dims[dim])
  end
  return to
end

-- -- Rows by index -----------------------------------------------------------

-- A list or tensor of whole numbers as i64, which C may change.
local function read_integers(narg, name, what, list)
  if memory.is(list) then
    memory.check(list)
    if kinds[list.kind].is_float or kinds[list.kind].name == "bool" then
      check.raise(("cannot %s: the %s are %s, not of an integer dtype"):format(
        name, what, memory.text(list)))
    end
    local count = list.size
    local integers = ffi.new("int64_t[?]", count)
    for k = 0, count - 1 do
      integers[k] = kinds[list.kind].read(list.d.data, k)
    end
    return integers, count
  elseif type(list) ~= "table" then
    check.fail(narg, "table or tensor of whole numbers expected, got "
      .. check.got(list))
  end
  local integers = ffi.new("int64_t[?]", #list)
  for k = 1, #list do
    if not check.is_integer(list[k]) then
      check.fail(narg, ("whole number expected at %d, got %s"):format(k,
        check.got(list[k])))
    end
    integers[k - 1] = list[k]
  end
  return integers, #list
end

--- Takes rows of a dimension by a list of indexes.
function layout.take(t, indexes, dim, options)
  arguments.tensor(1, t)
  options = arguments.options(4, options, OUT)
  dim = arguments.dimension(3, t, dim == nil and 1 or dim)
  local integers, count = read_integers(2, "take", "indexes", indexes)
  local dims = Dims()
  ffi.copy(dims, t.dims, t.d.ndim * 8)
  dims[dim] = count
  local to = arguments.result("take", options.out, kinds[t.kind], t.d.ndim,
    dims)
  arguments.apart("take", t, to)
  check.status(C.neap_tensor_take(t.d, dim, integers, count, to.d, lib.error))
  memory.check(t)
  return to
end

--- Makes a row of zeros with a one for each class, from 1.
function layout.one_hot(classes, count, options)
  options = arguments.options(3, options, ONE_HOT)
  check.count(2, count)
  local kind = options.dtype and dtype.find(options.dtype)
    or options.out and kinds[options.out.kind] or dtype.find("f32")
  local dims, ndim = Dims(), 0
  if memory.is(classes) then
    ndim = classes.d.ndim
    if ndim == 8 then
      check.raise("cannot one_hot: the tensor has 8 dimensions, there is no "
        .. "room for one more")
    end
    ffi.copy(dims, classes.dims, ndim * 8)
  elseif type(classes) == "number" then
    classes = { classes }
  elseif type(classes) == "table" then
    ndim = 1
    dims[0] = #classes
  end
  local integers, total = read_integers(1, "one_hot", "classes", classes)
  dims[ndim] = count
  local to = arguments.result("one_hot", options.out, kind, ndim + 1, dims)
  check.status(C.neap_tensor_one_hot(integers, total, to.d, lib.error))
  return to
end

return layout
