-- SPDX-License-Identifier: MIT
--- Times some of the items that are computed in the script (workers = 0). The
-- time of all items is estimated from these.
-- @module neap.prefetch.in_place

local class = require("neap.base.class")
local compiler = require("neap.sequence.compile")
local errors = require("neap.base.errors")
local stages = require("neap.sequence.stages")

local InPlace = class("prefetch.in_place")

--- Times items of a node.
function InPlace.make(node)
  return InPlace:new({
    plan = stages.plan(node),
    due = 0, -- the item to be timed next, counted from the first one read
  })
end

--- Computes item i, the count-th that is read.
function InPlace:get(i, e, count)
  local plan = self.plan
  local before = stages.start(plan)
  self.due = math.huge -- while it waits
  local ok, x = errors.try(compiler.compile(plan.node), i, e)
  stages.stop(plan, before)
  self.due = count + plan.left
  if not ok then
    error(x, 0)
  end
  return x
end

--- Calls and seconds of stage k.
function InPlace:stage(k)
  local stage = self.plan.memory[k]
  return tonumber(stage.calls), tonumber(stage.busy_ns) / 1e9
end

--- The mean seconds of the items that were timed.
function InPlace:mean()
  local timed, sum = self:stage(0)
  for k = 1, #self.plan.list do
    sum = sum + select(2, self:stage(k))
  end
  return timed > 0 and sum / timed or 0
end

return InPlace
