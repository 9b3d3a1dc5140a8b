-- SPDX-License-Identifier: MIT
--- Keeps the items read last, so that reading them again is free.
-- @module neap.adapter.cache

local borrow = require("neap.value.borrow")
local check = require("neap.base.check")
local class = require("neap.base.class")
local compiler = require("neap.sequence.compile")
local sequence = require("neap.sequence.sequence")

local Cache = class("adapter.cache", sequence.class)

Cache.transient = {
  getter = true, record = true, kept = true, kept_epoch = true,
}

local NIL = {} -- a nil that is kept

-- Not by ==, to which a null pointer is a nil.
local function is_nil(x)
  return rawequal(x, nil)
end

-- What is kept: items by index, and the indexes in a ring from the one read
-- last (`newer` and `older` of index 0 are its ends).
local function new_kept()
  return { items = {}, count = 0, newer = { [0] = 0 }, older = { [0] = 0 } }
end

local function unlink(kept, i)
  local newer, older = kept.newer[i], kept.older[i]
  kept.older[newer], kept.newer[older] = older, newer
end

local function link_newest(kept, i)
  local newest = kept.older[0]
  kept.older[0], kept.newer[i] = i, 0
  kept.older[i], kept.newer[newest] = newest, i
end

local function forget_oldest(kept)
  local i = kept.newer[0]
  unlink(kept, i)
  kept.items[i] = nil
  kept.newer[i], kept.older[i] = nil, nil
  kept.count = kept.count - 1
end

local function add(self, kept, i, x)
  if not is_nil(kept.items[i]) then
    unlink(kept, i)
  else
    kept.count = kept.count + 1
  end
  if is_nil(x) then
    x = NIL
  end
  kept.items[i] = x
  link_newest(kept, i)
  if kept.count > self.size then
    forget_oldest(kept)
  end
end

function Cache:get(i, e)
  local kept = self.kept
  if not kept or self.kept_epoch ~= e then
    kept = new_kept()
    self.kept, self.kept_epoch = kept, e
  end
  local x = kept.items[i]
  if not is_nil(x) then
    unlink(kept, i)
    link_newest(kept, i)
    if rawequal(x, NIL) then
      return nil
    end
    return x
  end
  x = borrow.keep(compiler.compile(self.source)(i, e))
  add(self, kept, i, x)
  return x
end

-- What is stored may be kept under other indexes too, and is not always what a
-- read answers then.
function Cache:set(i, value, e)
  self.source:set(i, value, e)
  self.kept = false
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
-- @usage neap.cache(neap.map(slow, files), 100)
local function cache(source, k)
  source = check.sequence(1, source)
  return sequence.wrap(Cache:make({
    source = source, length = source.length,
    size = k == nil and math.huge or check.count(2, k),
    kept = false, kept_epoch = 0,
  }))
end

return cache
