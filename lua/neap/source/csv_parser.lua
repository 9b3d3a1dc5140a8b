-- SPDX-License-Identifier: MIT
--- Parses rows of CSV, one into Lua values or many into tensors; the work is
-- done by runtime/source/csv.c.
-- A parser belongs to one process.
-- @module neap.source.csv_parser

local ffi = require("ffi")
local array = require("neap.tensor.array")
local dtype = require("neap.tensor.dtype")
local lib = require("neap.base.lib")

local C = lib.C

local FIELDS_MAX = 2^20 -- of a record
local ROWS_MAX = 2^16 -- that are parsed at once
local BYTES = 2^20 -- of text that are parsed at once

local Csv = ffi.typeof("neap_csv")
local new_columns = ffi.typeof("neap_csv_column[?]")
local new_texts = ffi.typeof("neap_csv_text[?]")
local new_numbers = ffi.typeof("int32_t[?]")
local new_cells = ffi.typeof("int64_t[?]")
local bytes = ffi.typeof("uint8_t *")
local out_count = ffi.new("int32_t[1]")

local parser = {}

-- A field as a string.
local function string_of(field, pair, quote)
  local text = ffi.string(field.start, field.nbytes)
  if field.has_pairs ~= 0 then
    text = text:gsub(pair, quote)
  end
  return text
end

-- -- Taking a record apart ---------------------------------------------------

--- Makes what reads records of any number of fields.
-- @tparam string path for messages
-- @tparam table rules quote (-1: none) and delimiter, as bytes
-- @treturn function split(p, nbytes, row): a list of strings; raises
function parser.splitter(path, rules)
  local csv = Csv({ path = path, delimiter = rules.delimiter,
    quote = rules.quote })
  local quote = rules.quote >= 0 and string.char(rules.quote) or ""
  local pair = (quote .. quote):gsub("%p", "%%%0")
  local room, texts = 64, new_texts(64)
  return function(p, nbytes, row)
    lib.check(C.neap_csv_split(csv, p, nbytes, row, texts, room, out_count,
      lib.error))
    if out_count[0] > room then
      room = math.min(out_count[0], FIELDS_MAX)
      texts = new_texts(room)
      lib.check(C.neap_csv_split(csv, p, nbytes, row, texts, room, out_count,
        lib.error))
    end
    local list = { path } -- named here, as csv only points to it
    for k = 1, math.min(out_count[0], room) do
      list[k] = string_of(texts[k - 1], pair, quote)
    end
    return list
  end
end

-- -- Columns -----------------------------------------------------------------

local function set_column(column, wanted)
  column.name = wanted.label
  column.has_missing = type(wanted.missing) == "number" and 1 or 0
  column.missing = type(wanted.missing) == "number" and wanted.missing or 0
  if wanted.dtype == "string" then
    column.code, column.bits = C.NEAP_CSV_TEXT, 8
  else
    local kind = dtype.find(wanted.dtype)
    column.code, column.bits = kind.code, kind.bits
  end
end

--- Makes a parser.
-- @tparam table format path, rules, field_count, columns: a list of {field =
--   its number, label = its name as text, dtype =, missing =}
function parser.new(format)
  local count = #format.columns
  local self = {
    columns = new_columns(count), column_of = new_numbers(format.field_count),
    cells = new_cells(count), texts = new_texts(count),
    format = format, quote = "", pair = "",
  }
  for k = 0, format.field_count - 1 do
    self.column_of[k] = -1
  end
  for k, wanted in ipairs(format.columns) do
    self.column_of[wanted.field - 1] = k - 1
    set_column(self.columns[k - 1], wanted)
  end
  local rules = format.rules
  if rules.quote >= 0 then
    self.quote = string.char(rules.quote)
    self.pair = (self.quote .. self.quote):gsub("%p", "%%%0")
  end
  self.csv = Csv({ path = format.path, columns = self.columns,
    column_of = self.column_of, field_count = format.field_count,
    delimiter = rules.delimiter, quote = rules.quote })
  return self
end

local function text_of(self, field, missing)
  if field.nbytes == 0 and field.is_quoted == 0 and missing ~= nil then
    return missing
  end
  return (string_of(field, self.pair, self.quote))
end

-- -- One row -----------------------------------------------------------------

--- Points each column to a cell of its own, for parse_row().
function parser.prepare_rows(self)
  for k, wanted in ipairs(self.format.columns) do
    local is_text = wanted.dtype == "string"
    self.columns[k - 1].data = is_text and self.texts + (k - 1)
      or self.cells + (k - 1)
  end
  self.readers = {}
  for k, wanted in ipairs(self.format.columns) do
    self.readers[k] = wanted.dtype ~= "string" and dtype.find(wanted.dtype).read
      or false
  end
end

--- Parses a row: a table of the columns' values, by their keys.
function parser.parse_row(self, p, nbytes, row)
  lib.check(C.neap_csv_parse(self.csv, p, nbytes, row, 1, lib.error))
  local values, columns = {}, self.format.columns
  for k = 1, #columns do
    local read, column = self.readers[k], columns[k]
    if read then
      values[column.key] = read(self.columns[k - 1].data, 0)
    else
      values[column.key] = text_of(self, self.texts[k - 1], column.missing)
    end
  end
  return values
end

-- -- All rows ----------------------------------------------------------------

-- The rows after `first` whose text is parsed at once: at least one.
local function stop_of(text, first, last)
  local low, high = first + 1, math.min(last + 1, first + ROWS_MAX)
  local limit = text:start(first) + BYTES
  while low < high do
    local middle = math.ceil((low + high) / 2)
    if text:start(middle) <= limit then
      low = middle
    else
      high = middle - 1
    end
  end
  return low
end

local function point(self, targets, texts, done)
  for k, target in ipairs(targets) do
    local column = self.columns[k - 1]
    if texts[k] then
      column.data = texts[k]
    else
      column.data = ffi.cast(bytes, target.d.data) + done * column.bits / 8
    end
  end
end

local function collect(self, targets, texts, done, count)
  for k, target in ipairs(targets) do
    local missing = self.format.columns[k].missing
    for j = 1, texts[k] and count or 0 do
      target[done + j] = text_of(self, texts[k][j - 1], missing)
    end
  end
end

--- Parses all rows: a table of tensors, and of lists of strings.
-- @param self the parser
-- @tparam Text text
-- @tparam int skip records before the first row
function parser.parse_all(self, text, skip)
  local rows, targets, texts, values = text.count - skip, {}, {}, {}
  for k, column in ipairs(self.format.columns) do
    local is_text = column.dtype == "string"
    targets[k] = is_text and {} or array.lasting(column.dtype, { rows })
    texts[k] = is_text and new_texts(math.min(rows, ROWS_MAX)) or false
    values[column.key] = targets[k]
  end
  local first = skip + 1
  while first <= text.count do
    local stop = stop_of(text, first, text.count)
    local start = text:start(first)
    local nbytes = text:start(stop) - start
    point(self, targets, texts, first - skip - 1)
    lib.check(C.neap_csv_parse(self.csv, text:at(start, nbytes), nbytes,
      first - skip, stop - first, lib.error))
    collect(self, targets, texts, first - skip - 1, stop - first)
    first = stop
  end
  return values
end

return parser
