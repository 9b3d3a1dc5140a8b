-- SPDX-License-Identifier: MIT
--- The state of an item that is being computed: where its values are written,
-- which batch rows its tensors may use, and how far writing it has come. A
-- worker has one context for each item that it computes at a time.
-- @module neap.value.context

local ffi = require("ffi")
local generation = require("neap.tensor.generation")
local lib = require("neap.base.lib")

local C = lib.C

local context = {}

--- The context of the code that runs now; nil outside of items, and always nil
-- in a host. Only enter() and leave() set it.
context.now = nil

--- Makes a context.
-- @tparam[opt] cdata worker neap_worker; nil to write values without one
function context.new(worker)
  local keys = {}
  for depth = 0, C.NEAP_DEPTH_MAX do
    keys[depth] = {}
  end
  return {
    worker = worker,
    writer = ffi.new("neap_writer"),
    counter = generation.take(), -- of the tensors in the slot
    path = {}, -- keys on the way to the value that is being written
    keys = keys, -- depth -> keys of the table that is being written there
    row = false, -- the batch row that is being computed: one of `rows`
    depth = 0, -- of batches within batches
    generators = {}, -- stage -> the generator that it draws from
    rows = {}, -- depth -> {outer, leaves, k, counter} (neap.value.rows)
  }
end

--- Makes a context the one of the code that runs from here on.
function context.enter(item)
  context.now = item
end

--- Says that the code that runs from here on computes no item.
function context.leave()
  context.now = nil
end

return context
