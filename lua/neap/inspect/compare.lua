-- SPDX-License-Identifier: MIT
--- Compares items bit for bit.
-- @module neap.inspect.compare

local ffi = require("ffi")
local array = require("neap.tensor.array")
local traverse = require("neap.base.traverse")

ffi.cdef([[
  int neap_inspect_compare(const void *a, const void *b, size_t bytes)
    __asm__("memcmp");
]])

local function same_number(a, b)
  return a == b and (a ~= 0 or 1 / a == 1 / b) or a ~= a and b ~= b
end

local function same_tensor(a, b)
  return a.dtype == b.dtype and table.concat(a.shape, "x")
    == table.concat(b.shape, "x")
    and ffi.C.neap_inspect_compare(a:ptr(), b:ptr(), a.nbytes) == 0
end

local compare

local function step_text(key)
  return type(key) == "string" and key:find("^[%a_][%w_]*$") and "." .. key
    or ("[%s]"):format(tostring(key))
end

local function compare_tables(a, b, path)
  local keys = traverse.keys(a)
  for _, key in ipairs(traverse.keys(b)) do
    if a[key] == nil then
      keys[#keys + 1] = key
    end
  end
  for _, key in ipairs(keys) do
    local where, x, y = compare(a[key], b[key], path .. step_text(key))
    if where then
      return where, x, y
    end
  end
end

--- Returns where two items differ, ".image" say, "" for the whole, and what
-- differs; nil if they are the same.
function compare(a, b, path)
  path = path or ""
  local kind = type(a)
  local is_same
  if kind ~= type(b) then
    return path, a, b
  elseif array.is(a) and array.is(b) then
    is_same = same_tensor(a, b)
  elseif kind == "table" then
    return compare_tables(a, b, path)
  elseif kind == "number" then
    is_same = same_number(a, b)
  else
    is_same = a == b
  end
  if not is_same then
    return path, a, b
  end
end

return compare
