-- SPDX-License-Identifier: MIT
--- Caches of indexes that libneap has resolved already, for reads in order.
--
-- A tree of index arithmetic has a stretch, if long runs of items come from one
-- leaf at equal steps, or else a window of indexes. Each kind of cache has
-- `new(tree)`, which makes a cache that owns the tree, and two readers:
-- `index(cache, i, e)` returns the index in the only leaf; `leaf(cache, i, e)`
-- returns the number of the leaf, from 0, as well.
-- @module neap.sequence.lookahead

local bit = require("bit")
local ffi = require("ffi")
local exact = require("neap.base.exact")
local lib = require("neap.base.lib")

local C = lib.C
local tobit = bit.tobit

local EXACT, END = 2 ^ 53, 2 ^ 63
local leaf_out = ffi.new("int32_t[1]")

-- C counts 2^63 items of an endless sequence.
local function ask(f, cache, i, e)
  if i >= END then
    error(("index %.0f is out of range 1..2^63"):format(i), 0)
  end
  local j = tonumber(f(cache, e, exact.from_zero(i), leaf_out)) + 1
  if j < 1 then
    error(("index %.0f leads beyond 2^63"):format(i), 0)
  end
  return j
end

local function free_tree(cache)
  C.neap_seq_free(cache.tree)
  cache.tree = nil
end

-- Returns a function that makes an empty cache of a type for a tree.
local function maker(cache_type)
  return function(tree)
    local cache = ffi.gc(cache_type(), free_tree)
    cache.tree = tree
    return cache
  end
end

local function slide(window, i, e)
  return (ask(C.neap_seq_slide, window, i, e))
end

local function stride(stretch, i, e)
  return (ask(C.neap_seq_stride, stretch, i, e))
end

local window = { new = maker(ffi.typeof("neap_window")) }

function window.index(cache, i, e)
  local k = i - cache.first
  if k >= 0 and k < cache.count and e == cache.epoch then
    return cache.place[k]
  end
  return (slide(cache, i, e))
end

function window.leaf(cache, i, e)
  local k = i - cache.first
  if k >= 0 and k < cache.count and e == cache.epoch then
    return cache.place[k], cache.leaf[k]
  end
  local j = slide(cache, i, e)
  return j, leaf_out[0]
end

local stretch = { new = maker(ffi.typeof("neap_stretch")) }

-- For random reads of a sequence that repeats: returns the item of the first
-- stretch that item i repeats, if it is before `stop`. The remainder is
-- negative where the quotient was rounded up.
local function same(cache, i, e, stop)
  if cache.period > 0 and cache.first == 1 and i ~= cache.next and i < EXACT
    and e == cache.epoch then
    local past = (i - 1) % cache.period
    if past >= 0 and past < stop - 1 then
      cache.next = i + 1
      return 1 + past
    end
  end
  return nil
end

function stretch.index(cache, i, e)
  if i >= cache.first and i < cache.stop and e == cache.epoch then
    return i * cache.step + cache.offset
  end
  local again = same(cache, i, e, cache.stop)
  if again then
    return again * cache.step + cache.offset
  end
  return (stride(cache, i, e))
end

function stretch.leaf(cache, i, e)
  if i >= cache.first and i < cache.stop and e == cache.epoch then
    return i * cache.step + cache.offset, cache.leaf
  end
  local again = same(cache, i, e, cache.stop)
  if again then
    return again * cache.step + cache.offset, cache.leaf
  end
  local j = stride(cache, i, e)
  return j, leaf_out[0]
end

-- A stretch whose steps are all 1. For tobit see luajit.md, *integers that
-- fit*.
local shift = { new = stretch.new }

function shift.index(cache, i, e)
  if i >= cache.first and i < cache.near and e == cache.epoch then
    return tobit(i) + cache.shift
  end
  local again = same(cache, i, e, cache.near)
  if again then
    return tobit(again) + cache.shift
  end
  return (stretch.index(cache, i, e))
end

function shift.leaf(cache, i, e)
  if i >= cache.first and i < cache.near and e == cache.epoch then
    return tobit(i) + cache.shift, cache.leaf
  end
  local again = same(cache, i, e, cache.near)
  if again then
    return tobit(again) + cache.shift, cache.leaf
  end
  return stretch.leaf(cache, i, e)
end

local kinds = {
  [C.NEAP_SEQ_ANY] = window, [C.NEAP_SEQ_STEPS] = stretch,
  [C.NEAP_SEQ_UNITS] = shift,
}

--- The kind of cache that suits a tree.
local function kind(tree)
  return kinds[C.neap_seq_kind(tree)]
end

jit.off(kind)

return { kind = kind }
