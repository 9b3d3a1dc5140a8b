-- SPDX-License-Identifier: MIT
--- Packs a chain for workers: one string, and the descriptor of the heap in
-- which its large tensors lie. neap.travel.load reads it.
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

return chain
