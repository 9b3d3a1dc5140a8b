-- SPDX-License-Identifier: MIT
--- Writes values as JSON. Keys are sorted, so that equal values are equal
-- texts; what JSON has no number for is null.
--
-- A library (cjson, say) is not used: all commands would need it for the sake
-- of these few lines, and those that are common do not sort keys.
-- @module neap.console.json

local traverse = require("neap.base.traverse")

local json = {}

local Object = {}

--- Marks a table as an object, which matters if it is empty.
function json.object(t)
  return setmetatable(t, Object)
end

local ESCAPES = {
  ['"'] = '\\"', ["\\"] = "\\\\", ["\n"] = "\\n", ["\t"] = "\\t",
}

local function escape(c)
  return ESCAPES[c] or ("\\u%04x"):format(c:byte())
end

local function is_utf8(text)
  return not text:gsub("[\194-\223][\128-\191]", "")
    :gsub("[\224-\239][\128-\191][\128-\191]", "")
    :gsub("[\240-\244][\128-\191][\128-\191][\128-\191]", "")
    :find("[\128-\255]")
end

-- Bytes that are no UTF-8 are taken for Latin-1.
local function write_string(s)
  local out = s:gsub('[%c"\\\127]', escape)
  return '"' .. (is_utf8(out) and out or out:gsub("[\128-\255]", escape)) .. '"'
end

local function write_number(x)
  if x ~= x or x == math.huge or x == -math.huge then
    return "null"
  elseif x % 1 == 0 and math.abs(x) < 2 ^ 53 then
    return ("%.0f"):format(x)
  end
  local text = ("%.15g"):format(x)
  return tonumber(text) == x and text or ("%.17g"):format(x)
end

local write

local function write_list(t)
  local parts = {}
  for k, x in ipairs(t) do
    parts[k] = write(x)
  end
  return "[" .. table.concat(parts, ",") .. "]"
end

local function write_object(t)
  local parts, keys = {}, traverse.keys(t)
  table.sort(keys)
  for k, key in ipairs(keys) do
    parts[k] = write_string(key) .. ":" .. write(t[key])
  end
  return "{" .. table.concat(parts, ",") .. "}"
end

local function write_table(t)
  if getmetatable(t) == Object or #t == 0 and not traverse.is_empty(t) then
    return write_object(t)
  end
  return write_list(t)
end

local WRITERS = {
  string = write_string, number = write_number, boolean = tostring,
  table = write_table,
}

function write(x)
  local f = WRITERS[type(x)]
  return f and f(x) or "null"
end

--- Returns a value as JSON, in one line. A table is a list if it has no keys
-- but 1..n; an empty one is a list unless json.object() marked it.
json.encode = write

return json
