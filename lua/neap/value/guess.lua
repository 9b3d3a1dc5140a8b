-- SPDX-License-Identifier: MIT
--- Guesses which new tensors an item delivers: only these belong in its slot.
--
-- The tensors of an item are told apart by dtype, shape, and their order among
-- those of the same dtype and shape. The next item is expected to deliver the
-- tensors that the last item of that kind delivered. A tensor that was
-- delivered against the guess is copied into the slot. If the slot has too many
-- bytes that are not delivered, the item is written anew.
-- @module neap.value.guess

local ffi = require("ffi")
local array = require("neap.tensor.array")
local traverse = require("neap.base.traverse")

local guess = {}

local LOGGED_MAX = 1024 -- tensors of an item that are told apart
local KNOWN_MAX = 256 -- dtypes and shapes

--- The part of an item's bytes in a slot that need not be delivered.
guess.WASTE_MAX = 1 / 6

--- Makes the fields of a context.
function guess.new()
  return {
    births = 0, -- tensors that were made
    first = 0, -- of these, before the item
    made = {}, -- entries of the item's tensors
    known = {}, count = 0, -- dtype -> dims -> entry, and how many there are
  }
end

--- Begins an item.
function guess.begin(state)
  if state.births > 2 ^ 30 then
    state.births = 0 -- a birth has 32 bits
  end
  state.first = state.births
end

-- What is known of the tensors of a dtype and shape.
local function add_entry(state, kind, dims, nbytes)
  if state.count == KNOWN_MAX then
    guess.forget(state)
  end
  local entry = {
    nbytes = nbytes,
    is_delivered = {}, -- by order
    is_all = false, -- as in a list, however long the next one is
    first = false, seen = 0, -- in the item that began there
    total = 0, delivered = 0, -- of the item that is learned from
  }
  local by_dims = state.known[kind] or {}
  state.known[kind], by_dims[dims] = by_dims, entry
  state.count = state.count + 1
  return entry
end

--- Whether a tensor that is made now will be delivered. Its birth is
-- `state.births` afterwards.
function guess.is_delivered(state, nbytes, code, bits, shape, ndim)
  local first, n = state.first, state.births - state.first + 1
  local kind, dims = code * 256 + bits, ffi.string(shape, ndim * 8)
  local by_dims = state.known[kind]
  local entry = by_dims and by_dims[dims]
    or add_entry(state, kind, dims, nbytes)
  state.births = state.births + 1
  if n <= LOGGED_MAX then
    state.made[n] = entry
  end
  if entry.first ~= first then
    entry.first, entry.seen = first, 0
  end
  local seen = entry.seen + 1
  entry.seen = seen
  return entry.is_all or entry.is_delivered[seen] or false
end

-- -- Learning ----------------------------------------------------------------

-- Adds up the bytes of each of the item's tensors that are in x. `covered` has
-- at 0 how many of them lie elsewhere than in the slot.
local function cover(_, x, state, covered)
  if array.is(x) then
    local n = x.birth - state.first
    if n >= 1 then
      covered[n] = (covered[n] or 0) + x.nbytes
      covered[0] = covered[0] + (x.counter == covered.counter and 0 or 1)
    end
  elseif type(x) == "table" then
    traverse.each(x, cover, state, covered)
  end
end

local function note(state, covered, made)
  for n = 1, made do
    local entry = state.made[n]
    entry.total = entry.total + 1
    local is_delivered = (covered[n] or 0)
      >= entry.nbytes * (1 - guess.WASTE_MAX) and covered[n] ~= nil
    entry.is_delivered[entry.total] = is_delivered
    entry.delivered = entry.delivered + (is_delivered and 1 or 0)
  end
end

--- Learns from an item x if it was guessed wrong.
-- @param counter of the tensors in the slot
-- @tparam number wasted bytes in the slot that are not delivered
function guess.learn(state, x, counter, wasted)
  local covered = { [0] = 0, counter = counter }
  cover(nil, x, state, covered)
  if covered[0] == 0 and wasted <= 0 then
    return
  end
  local made = math.min(state.births - state.first, LOGGED_MAX)
  for n = 1, made do
    local entry = state.made[n]
    entry.is_delivered, entry.total, entry.delivered = {}, 0, 0
  end
  note(state, covered, made)
  for n = 1, made do
    local entry = state.made[n]
    entry.is_all = entry.total > 1 and entry.delivered == entry.total
  end
end

--- Expects no tensor to be delivered.
function guess.forget(state)
  state.known, state.count = {}, 0
end

return guess
