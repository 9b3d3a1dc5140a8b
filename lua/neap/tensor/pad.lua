-- SPDX-License-Identifier: MIT
--- Stacks rows of different lengths: a collate for batches.
-- All of a batch is written in two copies a row: the row, and what follows it,
-- from one row of padding.
-- @module neap.tensor.pad

local ffi = require("ffi")
local array = require("neap.tensor.array")
local assign = require("neap.tensor.assign")
local check = require("neap.base.check")
local ragged = require("neap.tensor.ragged")
local stack = require("neap.tensor.stack")
local traverse = require("neap.base.traverse")

local bytes = ffi.typeof("uint8_t *")

local pad = {}

local function raise_longer(column, to)
  for k = 1, column.count do
    if column.sizes[k] > to then
      ragged.raise(column, "cut it in a map below the batch, raise `to`, or "
        .. 'pad to = "longest"', "item %d has %d elements%s, and `to` is %d", k,
        column.sizes[k], ragged.at(column), to)
    end
  end
end

local function width_of(column, options)
  local to, multiple = options.to, options.multiple or 1
  if type(to) ~= "number" then
    return math.ceil(column.most / multiple) * multiple
  elseif column.most > to then
    raise_longer(column, to)
  end
  return to
end

-- A row of padding, as long as the longest that is needed.
local function padding_of(column, width, value)
  local padding = array.empty(column.kind.name, { width - column.least })
  if not stack.is_held(column.kind, value) then
    ragged.raise(column, "set the option value, or dtype", "value %s%s does "
      .. "not fit %s", tostring(value), ragged.at(column), column.kind.name)
  end
  if width > column.least then
    assign.fill(padding, value)
  end
  return padding
end

local function write_mask(mask, size, width)
  ffi.fill(mask, size, 1)
  ffi.fill(mask + size, width - size, 0)
end

local function leaf(column, options)
  local width, count = width_of(column, options), column.count
  local name, size = column.kind.name, column.kind.size
  local padding = padding_of(column, width, options.value or 0)
  local result = {
    tensor = array.empty(name, { count, width }),
    lengths = array.empty("i64", { count }),
    mask = array.empty("bool", { count, width }),
  }
  local blank = ffi.cast(bytes, padding:ptr())
  local data = ffi.cast(bytes, result.tensor:ptr())
  local lengths, mask = result.lengths:ptr(), ffi.cast(bytes, result.mask:ptr())
  for k = 1, count do
    local own = column.sizes[k]
    ragged.copy(column, k, data)
    ffi.copy(data + own * size, blank, (width - own) * size)
    write_mask(mask, own, width)
    lengths[k - 1] = own
    data, mask = data + width * size, mask + width
  end
  return result
end

--- What the function of pad.make() does.
function pad.collate(items, options)
  return (ragged.collate(items, "pad", options, leaf))
end

-- Returns a kind of option: one value, or a table of them by field.
local function by_field(kind)
  local function is(v)
    local fits, what = kind(v)
    if type(v) == "table" and getmetatable(v) == nil then
      fits = true
      for _, key in ipairs(traverse.keys(v)) do
        fits = fits and is(v[key])
      end
    end
    return fits, what .. " (or table of these by field)"
  end
  return is
end

pad.by_field = by_field

local kinds = check.kinds

local function is_width(v)
  return v == "longest" or kinds.count(v), '"longest" or positive integer'
end

local OPTIONS = {
  value = by_field(kinds.number), to = by_field(is_width),
  multiple = by_field(kinds.count), dtype = stack.is_dtype,
}

--- Returns a function for batch's option collate. It makes one tensor of the
-- rows of a batch (tensors of one dimension, or lists of numbers), each filled
-- up to one length: {tensor =, lengths =, mask =}. Of tables it does so field
-- by field, and stacks the other fields, as neap.stack does.
-- @function pad
-- @tparam[opt] table options value (that rows are filled up with, 0), to (the
--   length: "longest" of the batch, or a number), multiple (the length is
--   rounded up to a multiple of it), dtype (default: that of the tensors, f64
--   of lists); each for all fields, or a table by field
-- @treturn function
-- @usage local collate = neap.pad({ value = -1 })
function pad.make(options)
  if type(options) == "table" and options[1] ~= nil then
    check.fail(1, "table of options expected, got a list",
      "neap.pad makes the function: { collate = neap.pad({ value = 0 }) }")
  end
  options = check.options(1, options, OPTIONS)
  if type(options.to) == "number" and options.multiple then
    check.fail(1, "option 'multiple' goes with to = \"longest\", got "
      .. options.to)
  end
  return function(items)
    return (pad.collate(items, options))
  end
end

return pad
