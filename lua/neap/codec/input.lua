-- SPDX-License-Identifier: MIT
--- What decoders take: bytes, as a string or a tensor of u8, or a table with
-- `bytes`, `path` or both, as the items of neap.files are. A table without
-- bytes stands for what its file holds.
-- @module neap.codec.input

local ffi = require("ffi")
local array = require("neap.tensor.array")
local check = require("neap.base.check")

local pointer = ffi.typeof("const uint8_t *")

-- What was read last: nothing else refers to it while C reads its bytes, as far
-- as compiled code can tell.
local held = { bytes = false } -- luacheck: ignore

local input = {}

--- What an argument is called in messages.
function input.name(from, what)
  local path = type(from) == "table" and from.path
  if type(path) == "string" then
    return path
  end
  local ok, _, nbytes = pcall(input.read, from)
  return ok and ("%s of %d bytes"):format(what, nbytes) or what
end

--- Raises "cannot decode FILE: why".
-- @param from the argument
-- @tparam string what it is, if it has no path: "an image"
function input.fail(from, what, why, ...)
  check.raise(("cannot decode %s: %s"):format(input.name(from, what),
    select("#", ...) > 0 and why:format(...) or why))
end

local function read_file(path)
  local file, why = io.open(path, "rb")
  local bytes
  if file then
    bytes, why = file:read("*a")
    file:close()
  end
  if not bytes then
    check.raise(("cannot read %s: %s"):format(path,
      tostring(why):gsub("^.*: ", "")))
  end
  return bytes
end

local function bytes_of(from)
  if type(from) ~= "table" then
    return from
  elseif from.bytes ~= nil then
    return from.bytes
  elseif type(from.path) == "string" then
    return read_file(from.path)
  end
end

local function refuse(bytes)
  check.fail(1, "bytes expected (a string, a tensor of u8, or a table with "
    .. "one of them as `bytes`, or with a `path`), got "
    .. (array.is(bytes) and "a tensor of " .. bytes.dtype or check.got(bytes)))
end

--- Finds the bytes of an argument.
-- @treturn cdata a `const uint8_t *`, valid until the next call
-- @treturn number how many
function input.read(from)
  local bytes = bytes_of(from)
  held.bytes = bytes
  if type(bytes) == "string" then
    return ffi.cast(pointer, bytes), #bytes
  elseif array.is(bytes) and bytes.dtype == "u8" then
    return ffi.cast(pointer, bytes:ptr()), bytes.nbytes
  end
  refuse(bytes)
end

--- The same as a Lua string.
function input.text(from)
  local bytes = bytes_of(from)
  if type(bytes) == "string" then
    return bytes
  elseif array.is(bytes) and bytes.dtype == "u8" then
    return (ffi.string(bytes:ptr(), bytes.nbytes))
  end
  refuse(bytes)
end

--- Lets go of what was read.
function input.release()
  held.bytes = false
end

return input
