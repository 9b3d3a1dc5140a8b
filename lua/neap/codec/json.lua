-- SPDX-License-Identifier: MIT
--- JSON, by lua-cjson.
-- @module neap.codec.json

local check = require("neap.base.check")
local input = require("neap.codec.input")
local library = require("neap.codec.shared_library")
local traverse = require("neap.base.traverse")

local OPTIONS = {
  null = function(value)
    return type(value) ~= "function", "value that can be sent"
  end,
}

local decode, null -- of a cjson with settings of its own

local function open_library()
  local ok, cjson = pcall(require, "cjson")
  if not ok then
    check.raise("cannot decode JSON: cannot find the module cjson",
      library.help("lua-cjson"))
  end
  decode, null = cjson.new().decode, cjson.null
end

local replace

local function replace_field(key, value, parent, instead)
  if value == null then
    parent[key] = instead
  elseif type(value) == "table" then
    replace(value, instead)
  end
end

-- Fields may be set while a table is traversed, not added.
function replace(x, instead)
  traverse.each(x, replace_field, x, instead)
end

--- Decodes a JSON text: tables, strings, numbers and booleans.
-- @function json
-- @param bytes as neap.decode.image takes them
-- @tparam[opt] table options null: what stands for null. Without it a field
--   that is null is absent, and an array has a hole there
local function json(bytes, options)
  options = check.options(2, options, OPTIONS)
  local text = input.text(bytes)
  if not decode then
    open_library()
  end
  local ok, value = pcall(decode, text)
  if not ok then
    input.fail(bytes, "JSON", tostring(value))
  elseif value == null then
    return options.null
  elseif type(value) == "table" and text:find("null", 1, true) then
    replace(value, options.null)
  end
  return value
end

return {
  make = json,
  options = OPTIONS,
  example = [[neap.decode.json('{"x": [1, 2]}').x[2] --> 2]],
}
