-- SPDX-License-Identifier: MIT
--- What items are made of: types, fields, dtypes, shapes and bytes.
--
-- A structure is a table of
--   type     "number", "tensor" and so on; "nil or number" where items differ
--   bytes, bytes_max   of the smallest and the largest
--   dtype, shape       of a tensor; a size that differs is "*"
--   length, items      of a list: "*" where it differs; their structure
--   fields             name -> structure, or nil
-- @module neap.inspect.structure

local array = require("neap.tensor.array")
local traverse = require("neap.base.traverse")
local units = require("neap.base.units")

local structure = {}

local of

local function of_tensor(t)
  return { type = "tensor", bytes = t.nbytes, dtype = t.dtype, shape = t.shape }
end

local function of_table(t)
  local made = { type = "table", bytes = 0 }
  for k, x in ipairs(t) do
    local item = of(x)
    made.bytes = made.bytes + item.bytes_max
    made.items, made.length = structure.merge(made.items, item), k
  end
  for _, key in ipairs(traverse.keys(t)) do
    if type(key) ~= "number" or not made.length or key > made.length then
      made.fields = made.fields or {}
      local field = of(t[key])
      made.fields[tostring(key)] = field
      made.bytes = made.bytes + field.bytes_max
    end
  end
  return made
end

local BYTES = { number = 8, cdata = 8, boolean = 1 }

--- The structure of one item.
function of(x)
  local kind = type(x)
  local made
  if array.is(x) then
    made = of_tensor(x)
  elseif kind == "table" then
    made = of_table(x)
  else
    made = {
      type = kind == "cdata" and "integer" or kind,
      bytes = kind == "string" and #x or BYTES[kind] or 0,
    }
  end
  made.bytes_max = made.bytes
  return made
end
structure.of = of

-- -- Merging -----------------------------------------------------------------

local function merged_shape(a, b)
  if not a or not b or #a ~= #b then
    return { "*" }
  end
  local shape = {}
  for k = 1, #a do
    shape[k] = a[k] == b[k] and a[k] or "*"
  end
  return shape
end

-- "nil or number": the words of both, each once.
local function merged_type(a, b)
  for word in b:gmatch("%a+") do
    if word ~= "or" and not a:find("%f[%a]" .. word .. "%f[%A]") then
      a = a .. " or " .. word
    end
  end
  return a
end

local NIL = { type = "nil", bytes = 0, bytes_max = 0 }

local function merged_fields(a, b)
  if not a or not b then
    return a or b
  end
  local fields = {}
  for _, key in ipairs(traverse.keys(a)) do
    fields[key] = structure.merge(a[key], b[key] or NIL)
  end
  for _, key in ipairs(traverse.keys(b)) do
    fields[key] = fields[key] or structure.merge(NIL, b[key])
  end
  return fields
end

--- The structure of items of either structure; a may be nil.
function structure.merge(a, b)
  if not a then
    return b
  end
  local made = {
    type = merged_type(a.type, b.type),
    bytes = math.min(a.bytes, b.bytes),
    bytes_max = math.max(a.bytes_max, b.bytes_max),
    fields = merged_fields(a.fields, b.fields),
    items = a.items and b.items and structure.merge(a.items, b.items)
      or a.items or b.items,
  }
  if a.dtype or b.dtype then
    made.dtype = a.dtype and b.dtype and a.dtype ~= b.dtype
      and a.dtype .. " or " .. b.dtype or a.dtype or b.dtype
    made.shape = a.dtype and b.dtype and merged_shape(a.shape, b.shape)
      or a.shape or b.shape
  end
  if a.length or b.length then
    made.length = a.length == b.length and a.length or "*"
  end
  return made
end

-- -- Telling -----------------------------------------------------------------

local function text_of(s)
  if s.dtype then
    return ("%s %s %s"):format(s.type, s.dtype, table.concat(s.shape, "x"))
  elseif s.items and not s.fields then
    return s.type == "table" and ("list of %s"):format(s.length)
      or ("%s, list of %s"):format(s.type, s.length)
  elseif s.type == "table" then
    return "table"
  end
  return s.type
end

local function bytes_text(s)
  if s.bytes == s.bytes_max then
    return units.bytes(s.bytes)
  end
  return ("%s to %s"):format(units.bytes(s.bytes), units.bytes(s.bytes_max))
end

local function add(rows, s, name, depth)
  rows[#rows + 1] = { name, text_of(s), bytes_text(s), depth = depth }
  if s.items then
    add(rows, s.items, "[i]", depth + 1)
  end
  local keys = traverse.keys(s.fields or {})
  table.sort(keys)
  for _, key in ipairs(keys) do
    add(rows, s.fields[key], key, depth + 1)
  end
end

--- Returns rows {name, what it is, bytes, depth =}.
function structure.rows(s, name)
  local rows = {}
  add(rows, s, name, 0)
  return rows
end

return structure
