-- SPDX-License-Identifier: MIT
--- Guesses the types of the columns of a CSV file from a sample of its rows.
-- A column is of the first type that all of its fields in the sample have:
-- bool, i64, f64, string. One with missing fields is not of i64 or bool.
-- @module neap.source.csv_guess

local SAMPLE = 1000 -- rows
local FIRST = 100 -- of them, those that the file begins with

local MISSING = {
  [""] = true, NA = true, ["N/A"] = true, null = true, NULL = true,
  None = true, NaN = true, nan = true,
}
local BOOLEANS = { ["true"] = true, ["false"] = true }
local FLOATS = { inf = true, infinity = true }

local function is_whole(text)
  local digits = text:match("^[+-]?(%d+)$")
  return digits ~= nil and #digits <= 18
end

local function is_number(text)
  if FLOATS[text:gsub("^[+-]", ""):lower()] then
    return true
  end
  return text:find("^[+-]?%d+%.?%d*[eE]?[+-]?%d*$") ~= nil
    and tonumber(text) ~= nil
    or text:find("^[+-]?%.%d+[eE]?[+-]?%d*$") ~= nil and tonumber(text) ~= nil
end

-- What a column has been so far, and what a field makes of it.
local function narrow(column, text)
  text = text:match("^ *(.-) *$")
  if MISSING[text] then
    column.whole, column.boolean = false, false
    return
  end
  column.has_any = true
  column.boolean = column.boolean and BOOLEANS[text:lower()] or false
  column.whole = column.whole and is_whole(text)
  column.number = column.number and is_number(text)
end

local function type_of(column)
  return not column.has_any and "string" or column.boolean and "bool"
    or column.whole and "i64" or column.number and "f64" or "string"
end

-- The first rows, and as many evenly over the rest; of gzipped text only the
-- first, as others are dear to reach.
local function sample(count, is_gzip)
  local rows = {}
  for k = 1, math.min(count, is_gzip and SAMPLE or FIRST) do
    rows[k] = k
  end
  local rest = is_gzip and 0 or math.min(count - #rows, SAMPLE - FIRST)
  local first = #rows
  for k = 1, rest do
    rows[#rows + 1] = first + math.floor(k * (count - first) / rest)
  end
  return rows
end

--- Guesses the type of each field.
-- @tparam int count rows
-- @tparam int field_count
-- @tparam boolean is_gzip
-- @tparam function read read(k) returns the fields of row k, as strings
-- @treturn table the types, by the number of the field
local function guess(count, field_count, is_gzip, read)
  local columns, types = {}, {}
  for k = 1, field_count do
    columns[k] = {
      has_any = false, boolean = true, whole = true, number = true,
    }
  end
  for _, row in ipairs(sample(count, is_gzip)) do
    local fields = read(row)
    for k = 1, math.min(#fields, field_count) do
      narrow(columns[k], fields[k])
    end
  end
  for k, column in ipairs(columns) do
    types[k] = type_of(column)
  end
  return types
end

return guess
