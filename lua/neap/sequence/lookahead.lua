-- SPDX-License-Identifier: MIT
--- Where reads in order find their index: in what C has resolved ahead.
--
-- Each tree of index arithmetic has a way that suits it: a stretch where long
-- runs of items come from one leaf at equal steps, else a window of indexes.
-- A way has two readers: of `(ahead, i, e)`, `index` returns the index in the
-- only leaf, `leaf` also the number of the leaf, from 0. An `ahead` owns its
-- tree.
-- @module neap.sequence.lookahead

local bit = require("bit")
local ffi = require("ffi")
local exact = require("neap.base.exact")
local lib = require("neap.base.lib")

local C = lib.C
local tobit = bit.tobit

local EXACT, END = 2 ^ 53, 2 ^ 63
local leaf_out = ffi.new("int32_t[1]")

-- An endless sequence has 2^63 items, as far as C can count.
local function ask(f, ahead, i, e)
  if i >= END then
    error(("index %.0f is out of range 1..2^63"):format(i), 0)
  end
  local j = tonumber(f(ahead, e, exact.from_zero(i), leaf_out)) + 1
  if j < 1 then
    error(("index %.0f leads beyond 2^63"):format(i), 0)
  end
  return j
end

local function free_tree(ahead)
  C.neap_seq_free(ahead.tree)
  ahead.tree = nil
end

-- What makes an `ahead` of a type: it takes a tree, and has nothing yet.
local function maker(ahead_type)
  return function(tree)
    local ahead = ffi.gc(ahead_type(), free_tree)
    ahead.tree = tree
    return ahead
  end
end

local function slide(window, i, e)
  return (ask(C.neap_seq_slide, window, i, e))
end

local function stride(stretch, i, e)
  return (ask(C.neap_seq_stride, stretch, i, e))
end

local window = { new = maker(ffi.typeof("neap_window")) }

function window.index(ahead, i, e)
  local k = i - ahead.first
  if k >= 0 and k < ahead.count and e == ahead.epoch then
    return ahead.place[k]
  end
  return (slide(ahead, i, e))
end

function window.leaf(ahead, i, e)
  local k = i - ahead.first
  if k >= 0 and k < ahead.count and e == ahead.epoch then
    return ahead.place[k], ahead.leaf[k]
  end
  local j = slide(ahead, i, e)
  return j, leaf_out[0]
end

local stretch = { new = maker(ffi.typeof("neap_stretch")) }

-- For who jumps about in what comes again and again: the item of the first
-- stretch that item i repeats, if there is one before `stop`. A quotient that
-- was rounded up leaves less than nothing.
local function same(ahead, i, e, stop)
  if ahead.period > 0 and ahead.first == 1 and i ~= ahead.next and i < EXACT
    and e == ahead.epoch then
    local past = (i - 1) % ahead.period
    if past >= 0 and past < stop - 1 then
      ahead.next = i + 1
      return 1 + past
    end
  end
  return nil
end

function stretch.index(ahead, i, e)
  if i >= ahead.first and i < ahead.stop and e == ahead.epoch then
    return i * ahead.step + ahead.offset
  end
  local again = same(ahead, i, e, ahead.stop)
  if again then
    return again * ahead.step + ahead.offset
  end
  return (stride(ahead, i, e))
end

function stretch.leaf(ahead, i, e)
  if i >= ahead.first and i < ahead.stop and e == ahead.epoch then
    return i * ahead.step + ahead.offset, ahead.leaf
  end
  local again = same(ahead, i, e, ahead.stop)
  if again then
    return again * ahead.step + ahead.offset, ahead.leaf
  end
  local j = stride(ahead, i, e)
  return j, leaf_out[0]
end

-- A stretch whose steps are all 1. A loop's index is a double to the compiler:
-- tobit makes it an integer without a look whether it is one.
local shift = { new = stretch.new }

function shift.index(ahead, i, e)
  if i >= ahead.first and i < ahead.near and e == ahead.epoch then
    return tobit(i) + ahead.shift
  end
  local again = same(ahead, i, e, ahead.near)
  if again then
    return tobit(again) + ahead.shift
  end
  return (stretch.index(ahead, i, e))
end

function shift.leaf(ahead, i, e)
  if i >= ahead.first and i < ahead.near and e == ahead.epoch then
    return tobit(i) + ahead.shift, ahead.leaf
  end
  local again = same(ahead, i, e, ahead.near)
  if again then
    return tobit(again) + ahead.shift, ahead.leaf
  end
  return stretch.leaf(ahead, i, e)
end

local ways = {
  [C.NEAP_SEQ_ANY] = window, [C.NEAP_SEQ_STEPS] = stretch,
  [C.NEAP_SEQ_UNITS] = shift,
}

--- The way that suits a tree: its readers, and `new`, which returns an `ahead`
-- that owns the tree.
local function way(tree)
  return ways[C.neap_seq_kind(tree)]
end

jit.off(way)

return { way = way }
