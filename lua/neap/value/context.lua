-- SPDX-License-Identifier: MIT
--- The state of an item that is being computed: where its values are written,
-- where its tensors may lie, and how far writing it has come. A worker has one
-- context for each item that it computes at a time.
-- @module neap.value.context

local ffi = require("ffi")
local generation = require("neap.tensor.generation")
local guess = require("neap.value.guess")
local lib = require("neap.base.lib")
local scratch = require("neap.value.scratch")

local C = lib.C

local context = {}

--- The context of the code that runs now; nil outside of items, and always nil
-- in a host. Only enter() and leave() set it.
context.now = nil

--- Makes the state of a batch within an item, or of the item itself.
function context.level()
  return {
    leaves = false, k = 0, -- of the batch row that is built (neap.value.rows)
    counter = generation.take(), -- of its tensors in rows and in scratch memory
    mark = 0, -- where its scratch memory begins
    top = 0, -- and where the last tensor in it ends
  }
end

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
    depth = 0, -- of stacked batches within stacked batches
    levels = { [0] = context.level() }, -- depth -> see level()
    is_dirty = false, -- whether the item has made a tensor ...
    has_tensors = false, -- ... or any of the run
    scratch = scratch.new(worker), guess = guess.new(),
    is_converted = false, -- whether a value was written as another
    generators = {}, -- stage -> the generator that it draws from
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
