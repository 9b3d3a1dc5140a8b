-- SPDX-License-Identifier: MIT
--- How a chain travels from the host to its workers: one string, and the
-- descriptor of the heap in which its large tensors lie.
-- @module neap.travel.chain

local blob = require("neap.travel.blob")
local tensor = require("neap.travel.tensor")
local traverse = require("neap.base.traverse")

local chain = {}

--- Packs a chain. The module paths come first, because reading the rest may
-- need modules that only they find. They are plain text, because a second blob
-- would take as long as the first.
-- @tparam table value what the worker gets: {node =, on_start =, errors =,
--   rereads =}
-- @tparam string name what errors call it
-- @treturn string the chain as it is now: later writes reach no worker
-- @treturn table what must live for as long as workers may unpack that
function chain.pack(value, name)
  local path, cpath = package.path, package.cpath
  local kept = {}
  tensor.frozen = kept
  local ok, text = pcall(blob.pack, value, name)
  tensor.frozen = false
  if not ok then
    error(text, 0)
  end
  return ("%d %d\n"):format(#path, #cpath) .. path .. cpath .. text,
    not traverse.is_empty(kept) and kept
end

--- Reads what pack() made, in a worker, and sets the module paths.
-- @tparam string text
-- @tparam int fd the host's heap, or -1
function chain.unpack(text, fd)
  tensor.heap_fd = fd
  local size, csize, start = text:match("^(%d+) (%d+)\n()")
  local cstart = start + size
  local rest = cstart + csize
  package.path = text:sub(start, cstart - 1)
  package.cpath = text:sub(cstart, rest - 1)
  return blob.unpack(text:sub(rest))
end

return chain
