-- SPDX-License-Identifier: MIT
--- Generations: how a tensor knows that its memory belongs to another item now.
-- A counter counts the generations of a piece of memory. A tensor that borrows
-- the memory remembers its generation, and each checked access compares the
-- two. Counters are never freed, only used again at a higher count, so that a
-- stale tensor can compare at any time.
-- @module neap.tensor.generation

local ffi = require("ffi")

local CHUNK = 512  -- counters

local chunks = {}  -- anchors: nothing here is collected
local free = {}

local generation = {}

local function add_chunk()
  local counters = ffi.new("uint64_t[?]", CHUNK)
  chunks[#chunks + 1] = counters
  for k = CHUNK - 1, 0, -1 do
    free[#free + 1] = counters + k
  end
end

--- Returns a counter that nothing else uses, a `uint64_t *`.
function generation.take()
  if #free == 0 then
    add_chunk()
  end
  local counter = free[#free]
  free[#free] = nil
  return counter
end

--- Ends what was borrowed in the counter's present generation.
function generation.bump(counter)
  counter[0] = counter[0] + 1
end

--- Gives a counter back; what was borrowed under it has ended.
function generation.give(counter)
  generation.bump(counter)
  free[#free + 1] = counter
end

--- The counter of memory that always belongs to the same tensors: it stays 0.
generation.forever = generation.take()

return generation
