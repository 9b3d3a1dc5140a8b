-- SPDX-License-Identifier: MIT
--- The way of an item: the stages through which an index leads, from the item
-- that was read down to the source.
--
-- Nothing is noted while items are computed. When an error is made, the way is
-- searched: from the item that was read to the one that failed, and on to where
-- that one comes from. A node's `origins(i, e)` returns where its item i comes
-- from: a list of {node =, first =, last =, epoch =}, the items of each source.
-- @module neap.sequence.way

local STEPS_MAX = 20000 -- items that a search visits before it gives up
local STAGES_MAX = 64 -- of a way

-- Adds the items from `node`'s item i down to the wanted one. Returns whether
-- it is there. A batch may have thousands of items to look through.
local function search(found, node, i, e, wanted)
  found.steps = found.steps + 1
  if found.steps > STEPS_MAX then
    return false
  end
  local depth = #found + 1
  found[depth] = { node = node, index = i, epoch = e }
  if node:stage_name() == wanted.stage then -- which comes once on a way
    found[depth] = i == wanted.index and found[depth] or nil
    return found[depth] ~= nil
  end
  for _, origin in ipairs(node:origins(i, e)) do
    for j = origin.first, origin.last do
      if search(found, origin.node, j, origin.epoch, wanted) then
        return true
      end
    end
  end
  found[depth] = nil
  return false
end

-- Goes on from the last item to where it comes from, while that is one item.
-- Of several sources, it is the first.
local function descend(found)
  local at = found[#found]
  while not (at.last or at.node.chooses) and #found < STAGES_MAX do
    local origin = at.node:origins(at.index, at.epoch)[1]
    if not origin then
      return
    end
    at = {
      node = origin.node, index = origin.first, epoch = origin.epoch,
      last = origin.last > origin.first and origin.last or nil,
    }
    found[#found + 1] = at
  end
end

-- The stages of a way, as fields of an error have them. One that passes its
-- source's items on is left out, unless it failed itself.
local function stages_of(found, failed)
  local list = {}
  for k, at in ipairs(found) do
    if not at.node.passes_on or k == failed then
      list[#list + 1] = {
        stage = at.node:stage_kind(), where = at.node.where,
        index = at.index, last = at.last,
      }
    end
  end
  return list
end

-- What the search looks for: the stage that failed, or where the way that is
-- known begins.
local function goal(e)
  local first = e.way and e.way[1]
  return first and {
    stage = ("%s (%s)"):format(first.stage, first.where), index = first.index,
  } or e
end

--- Returns the way from item i of a node to the item that failed, and on to
-- where that comes from; nil if it is not found.
-- @tparam Sequence node
-- @tparam int i
-- @tparam int epoch
-- @tparam table e the error: stage, index, and the way that is known below
local function way(node, i, epoch, e)
  local found, wanted = { steps = 0 }, goal(e)
  if not search(found, node, i, epoch, wanted) then
    return nil
  end
  local failed = #found
  if not e.way then
    descend(found)
    return stages_of(found, failed)
  end
  found[failed] = nil
  local list = stages_of(found)
  for _, at in ipairs(e.way) do
    list[#list + 1] = at
  end
  return list
end

jit.off(true, true) -- cold: it runs where an error is made

return way
