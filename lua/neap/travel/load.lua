-- SPDX-License-Identifier: MIT
--- Reads a chain that neap.travel.chain packed. A worker loads nothing that
-- only packing needs.
-- @module neap.travel.load

local tensor = require("neap.travel.tensor")
local unpack_blob = require("neap.travel.unpack")

--- Returns the packed value, in a worker, and sets the module paths.
-- @tparam string text
-- @tparam int fd the host's heap, or -1
local function load(text, fd)
  tensor.heap_fd = fd
  local size, csize, start = text:match("^(%d+) (%d+)\n()")
  local cstart = start + size
  local rest = cstart + csize
  package.path = text:sub(start, cstart - 1)
  package.cpath = text:sub(cstart, rest - 1)
  return unpack_blob(text:sub(rest))
end

return load
