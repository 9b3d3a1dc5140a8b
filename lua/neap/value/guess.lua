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
local PLANNED_MAX = 64  -- kinds of tensors in a plan

--- The part of an item's bytes in a slot that need not be delivered.
guess.WASTE_MAX = 1 / 6

--- Makes the fields of a context.
function guess.new()
  return {
    births = 0, -- tensors that were made
    first = 0, -- of these, before the item
    types = {}, dims = {}, nbytes = {}, -- of the item's tensors
    plan = {}, planned = 0, -- type -> dims -> what is expected, and how many
  }
end

--- Begins an item.
function guess.begin(state)
  if state.births > 2 ^ 30 then
    state.births = 0 -- a birth has 32 bits
  end
  state.first = state.births
end

local function entry_of(state, kind, dims)
  local by_dims = state.plan[kind]
  return by_dims and by_dims[dims]
end

--- Whether a tensor that is made now will be delivered. Its birth is
-- `state.births` afterwards.
function guess.is_delivered(state, nbytes, code, bits, shape, ndim)
  local n = state.births - state.first + 1
  local kind, dims = code * 256 + bits, ffi.string(shape, ndim * 8)
  state.births = state.births + 1
  if n <= LOGGED_MAX then
    state.types[n], state.dims[n], state.nbytes[n] = kind, dims, nbytes
  end
  local entry = entry_of(state, kind, dims)
  if not entry then
    return false
  elseif entry.first ~= state.first then
    entry.first, entry.seen = state.first, 0
  end
  entry.seen = entry.seen + 1
  return entry.is_all or entry.is_delivered[entry.seen] or false
end

-- -- Learning ----------------------------------------------------------------

-- Adds up the bytes of each of the item's tensors that are in x.
local function cover(_, x, state, covered)
  if array.is(x) then
    local n = x.birth - state.first
    if n >= 1 then
      covered[n] = (covered[n] or 0) + x.nbytes
    end
  elseif type(x) == "table" then
    traverse.each(x, cover, state, covered)
  end
end

local function set_entry(state, kind, dims, entry)
  if state.planned >= PLANNED_MAX then
    guess.forget(state)
  end
  local by_dims = state.plan[kind] or {}
  state.plan[kind] = by_dims
  state.planned = state.planned + (by_dims[dims] and 0 or 1)
    - (entry and 0 or 1)
  by_dims[dims] = entry
end

-- What is known of the item's tensors of the kind of tensor n.
local function found_of(found, state, n)
  local key = state.types[n] .. " " .. state.dims[n]
  local entry = found[key]
  if not entry then
    entry = {
      n = n, count = 0, delivered = 0, is_delivered = {}, -- by order
      is_all = false, -- as in a list, however long the next one is
      first = false, seen = 0, -- in the item that began there
    }
    found[key], found[#found + 1] = entry, entry
  end
  return entry
end

--- Learns from an item x that was guessed wrong.
function guess.learn(state, x)
  local covered, found = {}, {}
  cover(nil, x, state, covered)
  for n = 1, math.min(state.births - state.first, LOGGED_MAX) do
    local entry = found_of(found, state, n)
    entry.count = entry.count + 1
    if (covered[n] or 0) >= state.nbytes[n] * (1 - guess.WASTE_MAX) then
      entry.is_delivered[entry.count] = true
      entry.delivered = entry.delivered + 1
    end
  end
  for k = 1, #found do
    local entry = found[k]
    local kind, dims = state.types[entry.n], state.dims[entry.n]
    entry.is_all = entry.count > 1 and entry.delivered == entry.count
    if entry.delivered > 0 then
      set_entry(state, kind, dims, entry)
    elseif entry_of(state, kind, dims) then
      set_entry(state, kind, dims, nil)
    end
  end
end

--- Expects no tensor to be delivered.
function guess.forget(state)
  state.plan, state.planned = {}, 0
end

return guess
