-- SPDX-License-Identifier: MIT
--- Rows of one dtype and shape that lie at equal distances in a file. A row is
-- read by its position, straight into the slot or the batch that it is for.
-- @module neap.source.strided

local ffi = require("ffi")
local array = require("neap.tensor.array")
local class = require("neap.base.class")
local dtype = require("neap.tensor.dtype")
local lib = require("neap.base.lib")
local Node = require("neap.sequence.node")
local npy = require("neap.codec.npy")

local bytes = ffi.typeof("uint8_t *")
local cell = ffi.new("uint8_t[8]")

local Strided = class("source.strided", Node)

local function get_number(self, offset)
  local size = self.row_nbytes
  ffi.copy(cell, self.file:at(offset, size), size)
  if self.is_swapped then
    npy.swap(cell, 1, size)
  end
  return (dtype.find(self.dtype).read(cell, 0))
end

function Strided:get(i)
  local offset = self.offset + (i - 1) * self.stride
  if #self.sizes == 0 then
    return (get_number(self, offset))
  end
  local row = array.empty(self.dtype, self.sizes)
  self.file:read(offset, row.d.data, self.row_nbytes)
  if self.is_swapped then
    npy.swap(ffi.cast(bytes, row.d.data), self.row_count, self.element_nbytes)
  end
  return row
end

function Strided:native(build)
  local rows, kind = ffi.new("neap_file_rows"), dtype.find(self.dtype)
  local expected = ffi.new("neap_identity")
  ffi.copy(expected, self.file.identity, ffi.sizeof(expected))
  rows.path, rows.expected = self.file.path, expected
  rows.offset, rows.stride = self.offset, self.stride
  rows.length, rows.is_swapped = self.length, self.is_swapped and 1 or 0
  rows.code, rows.bits, rows.ndim = kind.code, kind.bits, #self.sizes
  rows.shape = self.sizes
  build:make(self, lib.C.neap_chain_file_rows, rows)
end

function Strided:describe()
  local sizes = #self.sizes == 0 and "" or " " .. table.concat(self.sizes, "x")
  return ("%s(%s: %s%s)"):format(self.name, self.file.path, self.dtype, sizes)
end

function Strided:stage_kind()
  return self.name
end

--- Elements of a shape.
local function count_of(sizes)
  local count = 1
  for _, size in ipairs(sizes) do
    count = count * size
  end
  return count
end

--- Makes a node.
-- @tparam string name of the source
-- @tparam File file
-- @tparam table rows dtype, sizes (of a row), length, offset (of the first
--   row), stride (nil: rows follow each other), is_swapped (big-endian)
local function make(name, file, rows)
  local count, size = count_of(rows.sizes), dtype.find(rows.dtype).size
  return Strided:make({
    name = name, file = file, dtype = rows.dtype, sizes = rows.sizes,
    length = rows.length, offset = rows.offset,
    stride = rows.stride or count * size,
    row_count = count, row_nbytes = count * size, element_nbytes = size,
    is_swapped = rows.is_swapped and size > 1 or false,
  })
end

return { class = Strided, make = make, count_of = count_of }
