-- SPDX-License-Identifier: MIT
--- Finds the known name that a misspelt one was meant to be.
-- @module neap.base.nearest

-- Insertions, deletions, replacements and swaps of neighbours from a to b.
local function distance(a, b)
  local rows = { [0] = {} }
  for k = 0, #b do
    rows[0][k] = k
  end
  for i = 1, #a do
    rows[i] = { [0] = i }
    for k = 1, #b do
      local is_same = a:byte(i) == b:byte(k)
      local least = math.min(rows[i - 1][k] + 1, rows[i][k - 1] + 1,
        rows[i - 1][k - 1] + (is_same and 0 or 1))
      if i > 1 and k > 1 and a:byte(i) == b:byte(k - 1)
        and a:byte(i - 1) == b:byte(k) then
        least = math.min(least, rows[i - 2][k - 2] + 1)
      end
      rows[i][k] = least
    end
  end
  return rows[#a][#b]
end

local LENGTH_MAX = 64 -- of a name that is compared

--- Returns the nearest of some names; nil if none is near: more than a third of
-- the longer one differs.
-- @tparam string name
-- @tparam table names a list
local function nearest(name, names)
  local best, least
  for _, known in ipairs(names) do
    local longer = math.max(#name, #known)
    local far = longer <= LENGTH_MAX
      and distance(name:lower(), known:lower()) or longer
    if far <= math.max(1, longer / 3) and far < longer
      and (not least or far < least) then
      best, least = known, far
    end
  end
  return best
end

return nearest
