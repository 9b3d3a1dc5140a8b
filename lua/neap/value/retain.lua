-- SPDX-License-Identifier: MIT
--- What a prefetch's items cost when neap itself keeps them: p[i], totable(),
-- cache() and others, which cannot tell how many their caller will keep.
--
-- A tensor that is kept holds its slot. Where few slots are left, first garbage
-- is collected; if that frees none, the tensor is copied, and the slot is free
-- again. Copies are counted until they are collected.
-- @module neap.value.retain

local ffi = require("ffi")
local errors = require("neap.base.errors")
local lib = require("neap.base.lib")
local memory = require("neap.tensor.memory")

local C = lib.C

local retain = {
  --- Bytes of copies that may exist at a time.
  BYTES_MAX = 2 ^ 30,
}

local live = 0 -- bytes of copies that exist

-- -- Copies ------------------------------------------------------------------

local function forget(own)
  live = live - tonumber(own.block_nbytes)
  memory.free_block(own)
end

local function collect()
  collectgarbage()
  collectgarbage() -- owners are collected a cycle later
end

local function refuse(nbytes)
  errors.refuse(("cannot keep %.0f more bytes of items: the items that are "
    .. "kept hold most slots, and copies of others have %.0f of %.0f bytes\n"
    .. "help: keep fewer items, or clone their tensors; a higher buffered lets "
    .. "more slots be held"):format(nbytes, live, retain.BYTES_MAX), "held")
end

--- Returns a copy of a tensor's bytes: a tensor that is not described.
function retain.copy(t)
  local nbytes = t.nbytes
  if live + nbytes > retain.BYTES_MAX then
    collect()
    memory.check(t) -- a finalizer may have closed the prefetch
    if live + nbytes > retain.BYTES_MAX then
      refuse(nbytes)
    end
  end
  local own = ffi.gc(memory.own(nbytes), forget)
  own.block_nbytes = nbytes
  live = live + nbytes
  ffi.copy(own.d.data, t.d.data, nbytes)
  return own
end

-- -- When to copy ------------------------------------------------------------

-- The part of the slots that neap may hold; others are for the caller's loops.
local HELD_PART = 3 / 4

--- What a pool remembers of the slots that were held.
function retain.watch(pool)
  return {
    pool = pool, most = C.neap_pool_held_max(pool) * HELD_PART,
    patience = 0, -- copies from one collection to the next
    copies = 0, -- since the last
  }
end

local function is_short(watch)
  return C.neap_pool_held(watch.pool) > watch.most
end

--- Whether to copy a tensor instead of holding its slot. Collections that free
-- no slot are twice as far apart each time.
function retain.is_due(watch, t)
  if not is_short(watch) then
    return false
  elseif watch.copies < watch.patience then
    watch.copies = watch.copies + 1
    return true
  end
  collect()
  memory.check(t)
  local is_due = is_short(watch)
  watch.patience = is_due and math.max(1, 2 * watch.patience) or 0
  watch.copies = 0
  return is_due
end

return retain
