-- SPDX-License-Identifier: MIT
--- The rows of NumPy's archive of several arrays, side by side.
-- @module neap.source.npz

local array = require("neap.tensor.array")
local check = require("neap.base.check")
local class = require("neap.base.class")
local decode = require("neap.codec.npy")
local File = require("neap.source.file")
local Node = require("neap.sequence.node")
local gzip = require("neap.codec.gzip")
local handle = require("neap.sequence.handle")
local npy_array = require("neap.source.npy_array")
local suggest = require("neap.base.suggest")
local zip = require("neap.source.zip")

local Npz = class("source.npz", Node)

function Npz:get(i)
  local item, names, arrays = {}, self.names, self.arrays
  for k = 1, #names do
    local values = arrays[k] -- a node, or a tensor
    item[names[k]] = array.is(values) and values[i] or values:get(i)
  end
  return item
end

function Npz:describe()
  return ("npz(%s: %s)"):format(self.path, table.concat(self.names, ", "))
end

-- -- Arrays ------------------------------------------------------------------

local function le32(n)
  return string.char(n % 256, math.floor(n / 2^8) % 256,
    math.floor(n / 2^16) % 256, math.floor(n / 2^24) % 256)
end

-- The data of an entry, which is read whole. What deflate packed becomes gzip
-- data by a header and a trailer.
local function unpack_entry(file, entry)
  local data = file:text(entry.offset, entry.packed)
  if entry.method == zip.STORED then
    return data
  end
  return gzip.make({
    path = ("%s: '%s'"):format(file.path, entry.name),
    bytes = "\31\139\8\0\0\0\0\0\0\255" .. data .. entry.checksum
      .. le32(entry.nbytes),
  }, { bytes_max = math.max(1, entry.nbytes) })
end

-- The rows of an array: a node if they can be read where they lie, or a tensor.
local function open_array(file, entry)
  local what = ("%s: '%s'"):format(file.path, entry.name)
  if entry.method == zip.STORED then
    local about = npy_array.header(file, entry.offset, entry.packed, what)
    if not about.is_fortran then
      return npy_array.rows("npz", file, about)
    end
  end
  local values = decode.make({ path = what, bytes = unpack_entry(file, entry) })
  if values.ndim == 0 then
    check.raise(("cannot read %s: it is one number, and has no rows"):format(
      what), "choose other arrays: { fields = { ... } }")
  end
  return values
end

local function arrays_by_name(file)
  local by_name, names = {}, {}
  for _, entry in ipairs(zip.entries(file)) do
    local name = entry.name:match("^(.*)%.npy$")
    if name and by_name[name] then
      check.raise(("cannot read %s: it has two arrays '%s'"):format(file.path,
        name))
    elseif name then
      names[#names + 1] = name
      by_name[name] = entry
    end
  end
  if #names == 0 then
    check.raise(("cannot read %s: it contains no array"):format(file.path))
  end
  return by_name, names
end

local function find(file, by_name, names, name)
  if not by_name[name] then
    check.raise(("cannot read %s: it has no array '%s'; there are %s"):format(
      file.path, name, table.concat(names, ", ")), suggest(name, by_name))
  end
  return by_name[name]
end

local function length_of(values)
  return array.is(values) and #values or values.length
end

local function check_lengths(file, names, arrays)
  for k = 2, #arrays do
    local first, length = length_of(arrays[1]), length_of(arrays[k])
    if length ~= first then
      check.raise(("cannot read %s: array '%s' has %d rows, '%s' has %d")
        :format(file.path, names[1], first, names[k], length),
        "choose arrays of equal length: { fields = { ... } }")
    end
  end
end

-- -- The function ------------------------------------------------------------

local OPTIONS = {
  fields = function(v)
    return type(v) == "table" and #v > 0, "list of names"
  end,
}

--- Returns the rows of the arrays of an npz file, as {name = row}. Arrays that
-- are packed (numpy.savez_compressed) or in Fortran's order are read here,
-- whole.
-- @function npz
-- @tparam string path
-- @tparam[opt] table options fields: the arrays to read
-- @treturn Sequence
local function npz(path, options)
  check.text(1, path)
  options = check.options(2, options, OPTIONS)
  local file = File.open(path)
  local by_name, all = arrays_by_name(file)
  local names, arrays = {}, {}
  for k, name in ipairs(options.fields or all) do
    names[k] = name
    arrays[k] = open_array(file, find(file, by_name, all, name))
  end
  check_lengths(file, names, arrays)
  return handle.wrap(Npz:make({
    path = path, names = names, arrays = arrays, length = length_of(arrays[1]),
  }))
end

return {
  class = Npz, make = npz, options = OPTIONS,
  example = [[neap.npz("train.npz", { fields = { "images", "labels" } })]],
}
