-- SPDX-License-Identifier: MIT
--- Finds which of several parts, one after another, has an index.
-- @module neap.base.bisect

--- Returns the last k with list[k] <= i.
-- @tparam table list numbers, none larger than the next, the first at most i
-- @tparam number i
local function bisect(list, i)
  local first, stop = 1, #list + 1
  while stop - first > 1 do
    local middle = math.floor((first + stop) / 2)
    if list[middle] <= i then
      first = middle
    else
      stop = middle
    end
  end
  return first
end

return bisect
