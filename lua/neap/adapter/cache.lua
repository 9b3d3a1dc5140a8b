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

local END = math.huge -- the index before the first and after the last

-- Starts an epoch in the node's `here`: `items` by index, and `links`, a ring
-- of the indexes in the order of their last reads. links[i] is the next newer
-- index, links[-i] the next older. links[END] is the oldest, links[-END] the
-- newest.
local function begin(here, epoch)
  here.items, here.count, here.epoch = {}, 0, epoch
  here.links = {}
  here.links[END], here.links[-END] = END, END
end

local function unlink(links, i)
  local newer, older = links[i], links[-i]
  links[-newer], links[older] = older, newer
end

local function link_newest(links, i)
  local newest = links[-END]
  links[-END], links[i] = i, END
  links[-i], links[newest] = newest, i
end

local function forget_oldest(here)
  local links = here.links
  local i = links[END]
  unlink(links, i)
  here.items[i] = nil
  links[i], links[-i] = nil, nil
  here.count = here.count - 1
end

local function add(here, i, x, size)
  if not is_nil(here.items[i]) then
    unlink(here.links, i)
  else
    here.count = here.count + 1
  end
  if is_nil(x) then
    x = NIL
  end
  here.items[i] = x
  link_newest(here.links, i)
  if here.count > size then
    forget_oldest(here)
  end
end

function Cache:get(i, e)
  local here = self.here or self:own()
  if here.epoch ~= e then
    begin(here, e)
  end
  local x = here.items[i]
  if not is_nil(x) then
    unlink(here.links, i)
    link_newest(here.links, i)
    if rawequal(x, NIL) then
      return nil
    end
    return x
  end
  x = borrow.keep(compiler.compile(self.source)(i, e))
  if here.epoch == e then -- else the source has changed what is kept
    add(here, i, x, self.size)
  end
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
