-- SPDX-License-Identifier: MIT
--- How a chain travels from the host to its workers: one string, and the
-- descriptor of the heap in which its large tensors lie.
-- @module neap.chain

local blob = require("neap.blob")
local tensor = require("neap.tensor")

local chain = {}

local heap_fd = -1 -- in a worker: the host's heap

blob.register("neap.chain", tensor.is, tensor.pack, function(packed)
  return tensor.unpack(packed, heap_fd)
end)

--- Packs a chain. The module paths go apart, since reading the rest may need
-- modules that only they find.
-- @tparam table value what the worker gets: {node =, on_start =}
-- @tparam string name what errors call it
function chain.pack(value, name)
  local paths = blob.pack({ path = package.path, cpath = package.cpath })
  return ("%d\n%s%s"):format(#paths, paths, blob.pack(value, name))
end

--- Reads what pack() made, in a worker: sets the module paths as well.
-- @tparam string text
-- @tparam int fd the host's heap, or -1
function chain.unpack(text, fd)
  heap_fd = fd
  local size, start = text:match("^(%d+)\n()")
  local paths = blob.unpack(text:sub(start, start + size - 1))
  package.path, package.cpath = paths.path, paths.cpath
  return blob.unpack(text:sub(start + size))
end

return chain
