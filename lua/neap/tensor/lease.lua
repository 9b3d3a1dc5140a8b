-- SPDX-License-Identifier: MIT
--- Leases: how a tensor knows that its memory has moved on to another item.
-- A lease is a word that counts; a tensor that borrows memory remembers the
-- count, and each checked access compares. Words are never freed, only reused
-- at a higher count, so that a stale tensor may look for ever.
-- @module neap.tensor.lease

local ffi = require("ffi")

local CHUNK = 512  -- words

local chunks = {}  -- anchors: nothing here is collected
local free = {}

local lease = {}

local function add_chunk()
  local words = ffi.new("uint64_t[?]", CHUNK)
  chunks[#chunks + 1] = words
  for k = CHUNK - 1, 0, -1 do
    free[#free + 1] = words + k
  end
end

--- Answers a word that nobody holds, a `uint64_t *`.
function lease.take()
  if #free == 0 then
    add_chunk()
  end
  local word = free[#free]
  free[#free] = nil
  return word
end

--- Ends what was lent under the word's present count.
function lease.bump(word)
  word[0] = word[0] + 1
end

--- Gives a word back; what was lent under it has ended.
function lease.give(word)
  lease.bump(word)
  free[#free + 1] = word
end

--- The word of memory that is never lent: it stays at 0.
lease.forever = lease.take()

return lease
