-- SPDX-License-Identifier: MIT
--- The stages of a chain whose time is measured, and how.
--
-- The stages are numbered in the order in which items pass them, so that a
-- worker and its host, which have the same chain, number them alike. A stage
-- that only rearranges has no time of its own: any number of them are one call.
-- That is in the time of stage 0, which surrounds the chain.
--
-- A *plan* belongs to one process:
--   node      the chain
--   list      its stages, without stage 0
--   numbers   node of the chain -> its number; 0 if it is not timed
--   watch     neap_stopwatch
--   getters   node -> its timed function (neap.sequence.compile)
--   left      items up to the next one that is timed: 1 for the next one
-- @module neap.sequence.stages

local ffi = require("ffi")
local compiler = require("neap.sequence.compile")
local lib = require("neap.base.lib")

local C = lib.C
local STAGES_MAX = 1000 -- of a chain; the others have no number

local stages = {}

local function visit(node, list, numbers)
  if numbers[node] then
    return
  end
  numbers[node] = 0
  for _, source in ipairs(node:inputs()) do
    visit(source, list, numbers)
  end
  if (node.is_timed or node.count_at) and #list < STAGES_MAX then
    list[#list + 1] = node
    numbers[node] = node.is_timed and #list or 0
  end
end

--- Returns the stages of a chain: a list of nodes, and node -> number.
function stages.of(node)
  local list, numbers = {}, {}
  visit(node, list, numbers)
  return list, numbers
end

--- Begins an item that is timed. Returns the plan before, or false.
function stages.start(plan)
  local before = compiler.time(plan)
  plan.left = math.huge -- none of those that begin while this one waits
  C.neap_stopwatch_start(plan.watch)
  return before
end

--- Ends it; `before` is what start() returned.
function stages.stop(plan, before)
  plan.left = C.neap_stopwatch_stop(plan.watch)
  compiler.time(before)
end

--- Makes the plan of a chain.
-- @tparam Sequence node
-- @tparam[opt] cdata memory neap_stage[] that the host reads, for a worker
function stages.plan(node, memory)
  local list, numbers = stages.of(node)
  local plan = {
    node = node, list = list, numbers = numbers, getters = {},
    watch = ffi.new("neap_stopwatch"),
    left = 2, -- the first one comes without the delay of timing it
    memory = memory or ffi.new("neap_stage[?]", #list + 1),
  }
  C.neap_stopwatch_open(plan.watch, plan.memory)
  return plan
end

jit.off(true, true) -- cold: it runs once for each chain

return stages
