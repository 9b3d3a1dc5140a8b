-- SPDX-License-Identifier: MIT
--- Keeps the items read last, so that reading them again is free.
-- @module neap.cache

local check = require("neap.check")
local class = require("neap.class")
local compiler = require("neap.compile")
local hold = require("neap.hold")
local sequence = require("neap.sequence")

local Cache = class("cache", sequence.class)

Cache.transient = {
  getter = true, record = true, kept = true, get_source = true,
}

-- What is kept: items by index, and the indexes in a ring from the one read
-- last (`newer` and `older` of index 0 are its ends).
local function new_kept(epoch)
  return {
    epoch = epoch, items = {}, has = {}, count = 0,
    newer = { [0] = 0 }, older = { [0] = 0 },
  }
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
  kept.items[i], kept.has[i] = nil, nil
  kept.newer[i], kept.older[i] = nil, nil
  kept.count = kept.count - 1
end

local function add(self, kept, i, x)
  if kept.has[i] then
    unlink(kept, i)
  else
    kept.count = kept.count + 1
  end
  kept.items[i], kept.has[i] = x, true
  link_newest(kept, i)
  if kept.count > self.size then
    forget_oldest(kept)
  end
end

function Cache:get(i, e)
  local kept = self.kept
  if not kept or kept.epoch ~= e then
    kept = new_kept(e)
    self.kept = kept
    self.get_source = compiler.compile(self.source)
  end
  if kept.has[i] then
    unlink(kept, i)
    link_newest(kept, i)
    return kept.items[i]
  end
  local x = hold.keep(self.get_source(i, e))
  add(self, kept, i, x)
  return x
end

function Cache:set(i, value, e)
  self.source:set(i, value, e)
  if not self.kept or self.kept.epoch ~= e then
    self.kept = false
  elseif self.kept.has[i] then
    self.kept.items[i] = value
  end
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
    kept = false, get_source = false,
  }))
end

return cache
