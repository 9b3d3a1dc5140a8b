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

-- Of items that have no context, which are computed one at a time.
local generators = setmetatable({}, { __mode = "k" })

--- The generators of the code that runs now: stage -> the one it draws from.
-- Only enter(), leave() and draw_from() set it.
context.generators = generators

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
-- @tparam[opt] table memory neap.value.scratch that it shares with others
function context.new(worker, memory)
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
    scratch = memory or scratch.new(worker), guess = guess.new(),
    is_converted = false, -- whether a value was written as another
    has_failed = false, -- whether any item of the run has
    generators = {}, -- stage -> the generator that it draws from
  }
end

--- Makes a context the one of the code that runs from here on.
function context.enter(item)
  context.now, context.generators = item, item.generators
end

--- Says that the code that runs from here on computes no item.
function context.leave()
  context.now, context.generators = nil, generators
end

--- Gives code that computes an item without a context generators of its own.
function context.draw_from(list)
  context.generators = list
end

return context
