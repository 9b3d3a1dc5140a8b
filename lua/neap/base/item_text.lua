-- SPDX-License-Identifier: MIT
--- What an error says of its item: its index in the stage that failed, where it
-- comes from, and for which item it was read.
-- @module neap.base.item_text

local function index_text(index)
  return type(index) == "number" and ("%.0f"):format(index) or "?"
end

local function stage_text(index, stage)
  return ("item %s of %s"):format(index_text(index), stage)
end

local function way_text(at)
  local stage = ("%s (%s)"):format(at.stage, at.where)
  return at.last and ("items %s to %s of %s"):format(index_text(at.index),
    index_text(at.last), stage) or stage_text(at.index, stage)
end

-- Where the failed stage is in the way of an error.
local function place_in_way(e)
  for k, at in ipairs(e.way or {}) do
    if at.index == e.index and ("%s (%s)"):format(at.stage, at.where) == e.stage
    then
      return k
    end
  end
end

-- Whether the next stage of a way has the same items.
local function is_passed_on(at, after)
  return after ~= nil and at.index == after.index and not after.last
end

-- Says where the item came from, and for which item it was read. Of stages that
-- pass an index on, the lowest is named; none that has the failed one's.
local function way_lines(e, failed)
  local below, above, is_same = { stage_text(e.index, e.stage) }, {}, true
  for k, at in ipairs(e.way) do
    local is_last = not is_passed_on(at, e.way[k + 1])
    if k < failed and is_last then
      above[#above + 1] = way_text(at)
    elseif k > failed then
      is_same = is_same and at.index == e.index and not at.last
      below[#below + 1] = is_last and not is_same and way_text(at) or nil
    end
  end
  return table.concat(below, " -> "), above[1] and table.concat(above, " -> ")
end

--- Returns what an error says of the item that failed, and of the one that was
-- read, if that is another one.
local function item_text(e)
  local failed = place_in_way(e)
  if failed then
    return way_lines(e, failed)
  end
  return stage_text(e.index, e.stage), e.outer_stage and stage_text(
    e.outer_index, e.outer_stage)
end

return item_text
