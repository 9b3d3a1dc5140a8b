-- SPDX-License-Identifier: MIT
--- Collates items that have rows of different lengths, field by field.
-- A row is a tensor of one dimension or a list of numbers. The first item says
-- which fields are rows, as it does for neap.stack. A `leaf` makes one value of
-- the rows of a field; all other fields are stacked.
-- @module neap.tensor.ragged

local ffi = require("ffi")
local array = require("neap.tensor.array")
local check = require("neap.base.check")
local dtype = require("neap.tensor.dtype")
local stack = require("neap.tensor.stack")
local traverse = require("neap.base.traverse")

local kinds = dtype.list
local bytes = ffi.typeof("uint8_t *")
local int64, uint64 = ffi.typeof("int64_t"), ffi.typeof("uint64_t")

local ragged = {}

--- Raises what cannot be done to a field; `column` is that of a leaf.
function ragged.raise(column, help, format, ...)
  error(check.with_help(("cannot %s: %s"):format(column.verb,
    format:format(...)), help), 0)
end

local raise = ragged.raise

--- Where a column lies, for messages: " at .tokens", or "" for whole items.
function ragged.at(column)
  return column.path == "" and "" or " at " .. column.path
end

local at = ragged.at

local function is_number(x)
  return type(x) == "number" or ffi.istype(int64, x) or ffi.istype(uint64, x)
end

-- "row", "table" of fields, or another type.
local function type_of(x)
  if array.is(x) then
    return x.d.ndim == 1 and "row" or "tensor"
  elseif type(x) ~= "table" or getmetatable(x) ~= nil then
    return type(x)
  end
  local first = x[1]
  if first == nil then
    return traverse.is_empty(x) and "row" or "table"
  end
  return is_number(first) and "row" or "table"
end

-- -- Rows --------------------------------------------------------------------

local NAMES = {
  row = "a row", table = "a table of fields", ["nil"] = "nil",
  tensor = "a tensor of several dimensions, or none",
}

local function size_of(row)
  if type(row) == "table" then
    return #row
  end
  return (tonumber(row.dims[0]))
end

-- A list's dtype is the one that neap.stack gives numbers.
local function dtype_of(row)
  if type(row) ~= "table" then
    return row.dtype
  elseif type(row[1]) ~= "cdata" then
    return "f64"
  end
  return ffi.istype(uint64, row[1]) and "u64" or "i64"
end

local function check_row(column, k)
  local row = column[k]
  local found = type_of(row)
  if found ~= "row" then
    raise(column, nil, "item %d is %s%s, and item 1 is a row", k,
      NAMES[found] or "a " .. found, at(column))
  elseif column.is_cast or type(row) == "table" then
    return
  elseif row.d.code ~= column.kind.code or row.d.bits ~= column.kind.bits then
    raise(column, ("set the option dtype, or convert them in a map: t:to(%q)")
      :format(column.kind.name), "item %d is of dtype %s%s, item 1 of %s", k,
      row.dtype, at(column), column.kind.name)
  end
end

-- Checks the rows of a column, and adds their sizes.
local function measure(column, wanted)
  column.is_cast = wanted ~= nil
  column.kind = dtype.find(wanted or dtype_of(column[1]))
  local sizes, least, most, total = {}, math.huge, 0, 0
  for k = 1, column.count do
    check_row(column, k)
    local size = size_of(column[k])
    sizes[k], total = size, total + size
    least, most = math.min(least, size), math.max(most, size)
  end
  column.sizes, column.total = sizes, total
  column.least, column.most = least, most
end

local function raise_element(column, k, j)
  local x = column[k][j]
  if not is_number(x) then
    raise(column, "a row is a list of numbers, or a tensor", "item %d has a %s "
      .. "in place %d%s", k, type(x), j, at(column))
  end
  raise(column, "name a dtype that does: { dtype = ... }",
    "item %d has %s in place %d%s, which %s does not hold", k, tostring(x), j,
    at(column), column.kind.name)
end

local function copy_list(column, k, data)
  local kind, row = column.kind, column[k]
  for j = 1, #row do
    local x = row[j]
    if not is_number(x) or not stack.is_held(kind, x) then
      raise_element(column, k, j)
    end
    kind.write(data, j - 1, x)
  end
end

--- Copies row k of a column to an address (uint8_t *).
function ragged.copy(column, k, data)
  local row = column[k]
  if type(row) == "table" then
    copy_list(column, k, data)
    return
  end
  local kind = column.kind
  if kinds[row.kind] ~= kind then
    row = row:to(kind.name)
  end
  ffi.copy(data, ffi.cast(bytes, row:ptr()), column.sizes[k] * kind.size)
end

-- -- Fields ------------------------------------------------------------------

local walk

local function join(path, key)
  return type(key) == "string" and path .. "." .. key
    or ("%s[%s]"):format(path, tostring(key))
end

local function field_of(column, key)
  local path = join(column.path, key)
  local list = { verb = column.verb, count = column.count, path = path }
  for k = 1, column.count do
    local item = column[k]
    if type_of(item) ~= "table" then
      raise(column, nil, "item %d is no table%s, and item 1 is one", k,
        at(column))
    elseif item[key] == nil then
      raise(column, nil, "item %d has no %s, item 1 has", k, path)
    end
    list[k] = item[key]
  end
  return list
end

-- The options of a field: each may be a table by field.
local function options_of(options, key)
  local own = {}
  for _, name in ipairs(traverse.keys(options)) do
    local option = options[name]
    if type(option) == "table" then
      option = option[key]
    end
    own[name] = option
  end
  return own
end

local function check_known(column, known, options)
  for k = 1, column.count do
    local key = traverse.key_outside(column[k], known)
    if key ~= nil then
      raise(column, nil, "item %d has %s, item 1 has not", k,
        join(column.path, key))
    end
  end
  for _, name in ipairs(traverse.keys(options)) do
    local key = type(options[name]) == "table"
      and traverse.key_outside(options[name], known)
    if key then
      raise(column, nil, "option '%s' names %s, which item 1 has not", name,
        join(column.path, key))
    end
  end
end

local function walk_fields(column, options, leaf)
  local result, known = {}, {}
  for _, key in ipairs(traverse.keys(column[1])) do
    known[key] = true
    result[key] = walk(field_of(column, key), options_of(options, key), leaf)
  end
  check_known(column, known, options)
  return result
end

function walk(column, options, leaf)
  local found = type_of(column[1])
  if found == "row" then
    measure(column, options.dtype)
    return leaf(column, options)
  elseif found == "table" then
    return walk_fields(column, options, leaf)
  end
  local state = stack.begin(column[1], column.count, options.dtype, column.path)
  for k = 1, column.count do
    stack.put(state, k, column[k])
  end
  return stack.finish(state)
end

--- Collates items.
-- @tparam table items
-- @tparam string verb for messages: "pad"
-- @tparam table options of the leaf, each for all fields or a table by field;
--   `dtype` is that of the rows
-- @tparam function leaf leaf(column, options) returns what takes the place of a
--   list of rows: column[1] to column[column.count], of dtype column.kind, with
--   column.sizes, .least, .most and .total
function ragged.collate(items, verb, options, leaf)
  local column = { verb = verb, count = #items, path = "" }
  for k = 1, #items do
    column[k] = items[k]
  end
  if column.count == 0 then
    raise(column, nil, "there are no items")
  end
  return walk(column, options, leaf)
end

return ragged
