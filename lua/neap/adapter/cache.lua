-- SPDX-License-Identifier: MIT
--- Keeps the items read last, so that reading them again is free.
-- @module neap.adapter.cache

local check = require("neap.base.check")
local class = require("neap.base.class")
local compiler = require("neap.sequence.compile")
local borrow = require("neap.value.borrow")
local Node = require("neap.sequence.node")
local handle = require("neap.sequence.handle")

local Cache = class("adapter.cache", Node)

local NIL = {} -- a nil that is kept

-- See luajit.md, *null is nil*.
local function is_nil(x)
  return rawequal(x, nil)
end

-- Starts an epoch in the node's `here`: `items` by index, their count at 0, and
-- a ring of the indexes in the order of their last reads. newer[i] and older[i]
-- are the neighbours of i; those of 0 are the ends of the ring. (LuaJIT would
-- not compile one table with negative keys among others.)
local function begin(here, epoch)
  here.items, here.epoch = { [0] = 0 }, epoch
  here.newer, here.older = { [0] = 0 }, { [0] = 0 }
end

local function unlink(here, i)
  local newer, older = here.newer[i], here.older[i]
  here.older[newer], here.newer[older] = older, newer
end

local function link_newest(here, i)
  local newest = here.older[0]
  here.older[0], here.newer[i] = i, 0
  here.older[i], here.newer[newest] = newest, i
end

local function forget_oldest(here)
  local i = here.newer[0]
  unlink(here, i)
  here.items[i] = nil
  here.newer[i], here.older[i] = nil, nil
  here.items[0] = here.items[0] - 1
end

local function add(here, i, x, size)
  local items = here.items
  if not is_nil(items[i]) then
    unlink(here, i)
  else
    items[0] = items[0] + 1
  end
  if is_nil(x) then
    x = NIL
  end
  items[i] = x
  link_newest(here, i)
  if items[0] > size then
    forget_oldest(here)
  end
end

-- While a call is at work on what is kept, `is_busy` is set: a finalizer that
-- reads in between computes its item, and leaves the rest alone.

local function keep(here, i, e, x, size)
  if here.is_busy then
    return
  end
  here.is_busy = true
  if here.epoch == e then -- else the source has changed what is kept
    add(here, i, x, size)
  end
  here.is_busy = false
end

function Cache:get(i, e)
  local here = self.here or self:own()
  if not here.is_busy then
    here.is_busy = true
    if here.epoch ~= e then
      begin(here, e)
    end
    local x = here.items[i]
    if not is_nil(x) then
      unlink(here, i)
      link_newest(here, i)
      here.is_busy = false
      if rawequal(x, NIL) then
        return nil
      end
      return x
    end
    here.is_busy = false
  end
  local x = borrow.retain(compiler.compile(self.source)(i, e))
  keep(here, i, e, x, self.size)
  return x
end

-- Drops all items: one may be kept under several indexes, and a read does not
-- always return what was stored.
function Cache:set(i, value, e)
  self.source:set(i, value, e)
  self:own().epoch = false
end

function Cache:describe()
  return ("cache(%s%s)"):format(self.source:describe(),
    self.size == math.huge and "" or (", %d"):format(self.size))
end

--- Returns a sequence that remembers the k items read last.
-- @function cache
-- @tparam Sequence source
-- @tparam[opt] int k nil: all items
-- @treturn Sequence
local function cache(source, k)
  source = handle.check(1, source)
  return handle.wrap(Cache:make({
    source = source, length = source.length,
    size = k == nil and math.huge or check.count(2, k),
  }))
end

return {
  class = Cache, make = cache,
  example = [[neap.cache(neap.range(3), 100):totable() --> 1, 2, 3]],
}
