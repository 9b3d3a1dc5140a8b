-- SPDX-License-Identifier: MIT
--- The rows of a CSV file, or its columns.
-- @module neap.source.csv

local array = require("neap.tensor.array")
local check = require("neap.base.check")
local class = require("neap.base.class")
local dtype = require("neap.tensor.dtype")
local guess = require("neap.source.csv_guess")
local Node = require("neap.sequence.node")
local handle = require("neap.sequence.handle")
local parser = require("neap.source.csv_parser")
local suggest = require("neap.base.suggest")
local Text = require("neap.source.text")
local traverse = require("neap.base.traverse")

local COLUMNS_SHOWN = 8

local Csv = class("source.csv", Node)

local function open_parser(self)
  local made = parser.new(self.format)
  parser.prepare_rows(made)
  self:own().parser = made
  return made
end

function Csv:get(i)
  local here = self.here
  local made = here and here.parser or open_parser(self)
  local p, nbytes = self.text:record_at(i + self.skip)
  return parser.parse_row(made, p, nbytes, i)
end

function Csv:describe()
  local parts, columns = {}, self.format.columns
  for k = 1, math.min(#columns, COLUMNS_SHOWN) do
    parts[k] = columns[k].label .. " " .. columns[k].dtype
  end
  parts[#parts + 1] = #columns > COLUMNS_SHOWN and "..." or nil
  return ("csv(%s: %s)"):format(self.text.path, table.concat(parts, ", "))
end

-- -- Options -----------------------------------------------------------------

local function is_byte(v)
  return type(v) == "string" and #v == 1 and not v:find("[%z\r\n%w.+-]")
end

local function is_list(v)
  return type(v) == "table" and #v > 0
end

local function is_names(v)
  if not is_list(v) then
    return false
  end
  for _, name in ipairs(v) do
    if type(name) ~= "string" then
      return false
    end
  end
  return true
end

local OPTIONS = {
  columns = function(v)
    return type(v) == "table", "table of dtypes"
  end,
  header = function(v)
    return type(v) == "boolean" or is_names(v), "boolean or list of names"
  end,
  delimiter = function(v)
    return is_byte(v), "character"
  end,
  quote = function(v)
    return v == false or is_byte(v), "character or false"
  end,
  missing = function(v)
    return type(v) == "number" or type(v) == "string" or type(v) == "table",
      "value, or table of values by column,"
  end,
  as = function(v)
    return v == "rows" or v == "columns", '"rows" or "columns"'
  end,
}

local function rules_of(path, options)
  local delimiter = options.delimiter
    or path:gsub("%.gz$", ""):find("%.tsv$") and "\t" or ","
  local quote = options.quote
  if quote == nil then
    quote = '"'
  end
  return {
    delimiter = delimiter:byte(), quote = quote and quote:byte() or -1,
    skips_blank = true,
  }
end

-- -- Columns -----------------------------------------------------------------

local function check_names(path, names)
  local seen = {}
  for k, name in ipairs(names) do
    if seen[name] then
      check.raise(("cannot read %s: columns %d and %d are both called '%s'")
        :format(path, seen[name], k, name),
        "name the columns: header = {\"a\", \"b\", ...}")
    end
    seen[name] = k
  end
  return seen -- name -> number
end

-- The names of the fields, or false; and the records before the first row.
local function names_of(text, header, split)
  if type(header) == "table" then
    return header, 0
  elseif header == false then
    return false, 0
  elseif text.count == 0 then
    check.raise(("cannot read %s: it is empty, and begins with no header")
      :format(text.path), "header = false, if it has none")
  end
  local p, nbytes = text:record_at(1)
  return split(p, nbytes, 1), 1
end

local function check_dtype(key, name)
  if name ~= "string" and not (type(name) == "string"
      and pcall(dtype.find, name)) then
    check.fail(2, ("option 'columns': dtype or \"string\" expected for column "
      .. "%s, got %s"):format(type(key) == "string" and "'" .. key .. "'"
      or tostring(key), check.got(name)))
  end
end

local function number_of(path, key, numbers, field_count)
  local number = numbers and numbers[key] or not numbers and key
  if type(number) == "number" and number >= 1 and number <= field_count
      and number % 1 == 0 then
    return number
  end
  local known = numbers and traverse.keys(numbers) or {}
  table.sort(known)
  check.raise(("cannot read %s: it has no column %s; %s"):format(path,
    type(key) == "string" and "'" .. key .. "'" or tostring(key),
    numbers and "there are " .. table.concat(known, ", ")
      or ("its rows have %d fields"):format(field_count)),
    numbers and type(key) == "string" and suggest(key, numbers) or nil)
end

-- What stands for a missing field of a column; checked against its dtype.
local function missing_of(missing, column)
  local value = missing
  if type(missing) == "table" then
    value = missing[column.key]
  elseif (type(missing) == "string") ~= (column.dtype == "string") then
    return nil
  end
  if value == nil then
    return nil
  end
  local is_text = column.dtype == "string"
  local fits = type(value) == (is_text and "string" or "number")
    and (is_text or pcall(array.new, column.dtype == "bool" and "u8"
      or column.dtype, { 1 }, value))
  if not fits then
    check.fail(2, ("option 'missing': %s expected for column '%s', got %s")
      :format(column.dtype, column.label, check.got(value)))
  end
  return value
end

local function by_field(a, b)
  return a.field < b.field
end

local function columns_of(format, types, names, missing)
  local numbers = names and check_names(format.path, names)
  local list = {}
  for _, key in ipairs(traverse.keys(types)) do
    check_dtype(key, types[key])
    local field = number_of(format.path, key, numbers, format.field_count)
    list[#list + 1] = {
      key = key, label = tostring(key), field = field, dtype = types[key],
      missing = nil,
    }
  end
  table.sort(list, by_field)
  for _, column in ipairs(list) do
    column.missing = missing_of(missing, column)
  end
  return list
end

local function guessed(text, skip, names, field_count, split)
  local list = guess(text.count - skip, field_count, text.points ~= false,
    function(k)
      local p, nbytes = text:record_at(k + skip)
      return split(p, nbytes, k)
    end)
  local types = {}
  for k, name in ipairs(list) do
    types[names and names[k] or k] = name
  end
  return types
end

-- -- The function ------------------------------------------------------------

local function open(path, options)
  local rules = rules_of(path, options)
  local text = Text.open(path, rules)
  local split = parser.splitter(path, rules)
  local names, skip = names_of(text, options.header, split)
  local field_count = names and #names or 0
  if not names and text.count > 0 then
    local p, nbytes = text:record_at(1)
    field_count = #split(p, nbytes, 1)
  end
  local format = { path = path, rules = rules, field_count = field_count }
  if names then
    check_names(path, names)
  end
  local types = options.columns
    or guessed(text, skip, names, field_count, split)
  format.columns = columns_of(format, types, names, options.missing)
  return text, skip, format
end

--- Returns the rows of a CSV file, plain or gzipped, as tables by column; or
-- its columns, as tensors.
-- @function csv
-- @tparam string path
-- @tparam[opt] table options
--   columns: {name = dtype or "string"} of the columns to read; by default all,
--   of types guessed from a sample. Without a header: a list.
--   header: false: there is none, and rows are lists; or a list of names.
--   delimiter: "," (of a .tsv file a tab); quote: '"', or false.
--   missing: what stands for a missing field, or a table of that by column.
--   as: "columns": returns a table {name = tensor}, not a sequence.
-- @treturn Sequence
local function csv(path, options)
  check.text(1, path)
  options = check.options(2, options, OPTIONS)
  local ok, text, skip, format = pcall(open, path, options)
  if not ok then
    check.raise(text)
  elseif options.as == "columns" then
    local parsed, values = pcall(parser.parse_all, parser.new(format), text,
      skip)
    return parsed and values or check.raise(values)
  end
  return handle.wrap(Csv:make({
    text = text, skip = skip, format = format, length = text.count - skip,
  }))
end

return {
  class = Csv, make = csv, options = OPTIONS,
  example = [[neap.csv("houses.csv", { columns = { price = "f32" } })]],
}
