-- SPDX-License-Identifier: MIT
--- What the parameters of a native stage are bound to: from the table that
-- users write to a list of bindings, which travels, and from that to what C
-- reads.
--
-- A binding is {parameter =} and one of
--   part             of the item: "image.data"
--   number, text     a constant
--   is_output        with code and bits a tensor, with a `shape` or a
--                    `shape_of`; with a part a copy of it; else what the
--                    parameter, a pointer, points at
-- @module neap.native.arguments

local ffi = require("ffi")
local check = require("neap.base.check")
local dtype = require("neap.tensor.dtype")
local lib = require("neap.base.lib")
local suggest = require("neap.base.suggest")
local traverse = require("neap.base.traverse")

local DIMS_MAX = lib.C.NEAP_DIMS_MAX

local arguments = {}

local FORMS = "a number, a part of the item (\"data\"), {value = ...}, "
  .. "{out = dtype, shape = ...}, {out = true} or {copy = \"data\"}"

local function refuse(name, why, help)
  check.raise(("cannot bind parameter '%s': %s"):format(name, why), help)
end

local function check_fields(name, value, known)
  for _, key in ipairs(traverse.keys(value)) do
    if not known[key] then
      refuse(name, ("unknown field '%s'"):format(tostring(key)),
        suggest(tostring(key), known) or "write " .. FORMS)
    end
  end
end

-- A number or boolean, as C gets it.
local function number_of(value)
  if type(value) == "boolean" then
    return value and 1 or 0
  end
  return value
end

local function constant(name, value)
  check_fields(name, value, { value = true })
  local kind = type(value.value)
  if kind == "string" then
    return { parameter = name, text = value.value }
  elseif kind ~= "number" and kind ~= "boolean" then
    refuse(name, ("its value is %s, and must be a number, a boolean or a "
      .. "string"):format(check.got(value.value)))
  end
  return { parameter = name, number = number_of(value.value) }
end

local function shape_of(name, sizes)
  if #sizes > DIMS_MAX then
    refuse(name, ("its shape has %d dimensions, and %d are the most"):format(
      #sizes, DIMS_MAX))
  end
  if #traverse.keys(sizes) ~= #sizes then
    refuse(name, "its shape is no list of sizes",
      "write shape = { height, width }")
  end
  local shape = {}
  for k, size in ipairs(sizes) do
    if not check.kinds.natural(size) then
      refuse(name, ("size %d of its shape is %s, and must be a whole number, 0 "
        .. "or more"):format(k, check.got(size)))
    end
    shape[k] = size
  end
  return shape
end

-- The number that an output begins as.
local function begin_of(name, value)
  if value ~= nil and type(value) ~= "number" and type(value) ~= "boolean" then
    refuse(name, ("it begins as %s, and must be a number or a boolean"):format(
      check.got(value)))
  end
  return number_of(value)
end

local function output(name, value)
  local binding = { parameter = name, is_output = true }
  if value.out == true then
    check_fields(name, value, { out = true, value = true })
    binding.number = begin_of(name, value.value)
    return binding
  end
  check_fields(name, value, { out = true, shape = true })
  local kind, shape = dtype.find(value.out), value.shape
  binding.code, binding.bits = kind.code, kind.bits
  if type(shape) == "string" then
    binding.shape_of = shape
  elseif type(shape) == "table" and getmetatable(shape) == nil then
    binding.shape = shape_of(name, shape)
  else
    refuse(name, "its tensor has no shape",
      "write shape = {height, width}, or \"shape\" for that of the item")
  end
  return binding
end

local function copy(name, value)
  check_fields(name, value, { copy = true })
  if type(value.copy) ~= "string" then
    refuse(name, ("copy is %s, and must be a part of the item"):format(
      check.got(value.copy)), "write { copy = \"data\" }")
  end
  return { parameter = name, is_output = true, part = value.copy }
end

local function binding_of(name, value)
  local kind = type(value)
  if kind == "string" then
    return { parameter = name, part = value }
  elseif kind == "number" or kind == "boolean" then
    return { parameter = name, number = number_of(value) }
  elseif kind ~= "table" or getmetatable(value) ~= nil then
    refuse(name, "got a " .. kind, "write " .. FORMS)
  elseif value.out ~= nil then
    return output(name, value)
  elseif value.copy ~= nil then
    return copy(name, value)
  end
  return constant(name, value)
end

-- C takes the rest of a text for another one.
local function check_texts(binding)
  for _, field in ipairs({ "parameter", "part", "text", "shape_of" }) do
    if binding[field] and binding[field]:find("\0", 1, true) then
      refuse(binding.parameter:gsub("%z", "\\0"),
        "a text of its binding has a zero byte")
    end
  end
  return binding
end

--- Checks a table {parameter = value}.
-- @treturn table a list of bindings, by parameter
function arguments.check(values)
  local names, list = traverse.keys(values), {}
  for _, name in ipairs(names) do
    if type(name) ~= "string" then
      check.raise(("cannot bind parameter %s: parameters are bound by name")
        :format(tostring(name)), "write args = { NAME = ... }")
    end
  end
  table.sort(names)
  for k, name in ipairs(names) do
    list[k] = check_texts(binding_of(name, values[name]))
  end
  return list
end

local function fill(argument, binding)
  argument.parameter = binding.parameter
  argument.part, argument.text = binding.part, binding.text
  argument.number = binding.number or 0
  argument.is_output = binding.is_output and 1 or 0
  if binding.code then
    argument.code, argument.bits = binding.code, binding.bits
    argument.shape_of = binding.shape_of
    argument.ndim = binding.shape and #binding.shape or -1
    for k, size in ipairs(binding.shape or {}) do
      argument.shape[k - 1] = size
    end
  end
end

--- Writes bindings as C reads them. Their texts are those of the list.
-- @treturn cdata neap_argument[]
-- @treturn int how many they are
function arguments.write(list)
  local written = ffi.new("neap_argument[?]", math.max(1, #list))
  for k, binding in ipairs(list) do
    fill(written[k - 1], binding)
  end
  return written, #list
end

jit.off(true, true) -- cold: it runs once for each stage

return arguments
