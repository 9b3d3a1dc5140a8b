-- SPDX-License-Identifier: MIT
--- Batches above a skip: of the items that a loop finds, so that each is whole
-- but the last.
--
-- Which items are in a batch depends on all those before. So the batches are
-- read in order, from the first one on, in one process. Its fields are those of
-- neap.adapter.batch, and drop_last.
-- @module neap.adapter.whole_batch

local class = require("neap.base.class")
local epoch = require("neap.adapter.epoch")
local errors = require("neap.base.errors")
local borrow = require("neap.value.borrow")
local Node = require("neap.sequence.node")

local WholeBatch = class("adapter.whole_batch", Node)

WholeBatch.class_name = "batch" -- as messages call it
WholeBatch.takes_several = true
WholeBatch.leaves_out = false
WholeBatch.ends_early = true

-- The loop over the source, in the node's `here`.
local function begin(self, e)
  local source = e == 1 and self.source or epoch.node(self.source, e)
  local here = self:own()
  here.step, here.state, here.control = source:iterate()
  here.epoch, here.at, here.list, here.is_over = e, 0, false, false
  return here
end

function WholeBatch:rewind()
  self:own().at = false
end

function WholeBatch.may_end()
  return true
end

-- The next item of the loop; false at its end.
local function next_item(here)
  local x
  if not here.is_over then
    here.control, x = here.step(here.state, here.control)
    here.is_over = here.control == nil
  end
  return not here.is_over, x
end

-- The next items, k at most. Their memory is their own, since the loop goes on.
local function take(self, here)
  local list, count = {}, 0
  while count < self.k do
    local is_item, x = next_item(here)
    if not is_item then
      break
    end
    count = count + 1
    list[count] = x
    borrow.copy_out(x, math.huge)
  end
  return list, count
end

local function is_over(self, count)
  return count == 0 or self.drop_last and count < self.k
end

local function advance(self, here, i)
  local list, count = take(self, here)
  if is_over(self, count) then
    local message = ("index %d is out of range: a loop found items for %d "
      .. "batch%s"):format(i, i - 1, i == 2 and "" or "es")
    error(errors.make({
      kind = "end", message = message, index = i, stage = self:stage_name(),
      cause = message,
    }), 0)
  end
  for k = count + 1, self.has_pad and self.k or 0 do
    list[k] = self.pad
  end
  here.at, here.list = i, list
end

function WholeBatch:get(i, e)
  local here = self:own()
  if not here.at or here.epoch ~= e or i == 1 and here.at ~= 1 then
    here = begin(self, e)
  end
  if i == here.at + 1 then
    advance(self, here, i)
  elseif i ~= here.at then
    error(("batch %d cannot be read by index: batches above a skip are read in "
      .. "order, and the last one was %d\nhelp: loop over them"):format(i,
      here.at), 0)
  end
  return self.collate and self.collate(here.list) or here.list
end

function WholeBatch:describe()
  return ("batch(%s, %d)"):format(self.source:describe(), self.k)
end

return WholeBatch
