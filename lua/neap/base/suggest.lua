-- SPDX-License-Identifier: MIT
--- The known name that a wrong one is nearest to, for messages.
-- @module neap.base.suggest

local traverse = require("neap.base.traverse")

local DISTANCE_MAX = 2 -- edits between a wrong name and the one it suggests

-- The edits (insert, delete, replace, swap neighbours) from one name to
-- another: Damerau and Levenshtein's distance. rows[i][j] is that of the first
-- i bytes of a and the first j of b.
local function distance(a, b)
  local rows = { [0] = {} }
  for j = 0, #b do
    rows[0][j] = j
  end
  for i = 1, #a do
    local row, above = { [0] = i }, rows[i - 1]
    rows[i] = row
    for j = 1, #b do
      local x, y = a:byte(i), b:byte(j)
      row[j] = math.min(above[j] + 1, row[j - 1] + 1,
        above[j - 1] + (x == y and 0 or 1))
      if i > 1 and j > 1 and x == b:byte(j - 1) and a:byte(i - 1) == y then
        row[j] = math.min(row[j], rows[i - 2][j - 2] + 1)
      end
    end
  end
  return rows[#a][#b]
end

--- Returns the text of a help line, "did you mean 'first'?", or nil if no known
-- name is near. At least half of a short name must be right.
-- @tparam string name
-- @tparam table known the keys are the known names; others are ignored
local function suggest(name, known)
  local nearest, least = nil, math.min(DISTANCE_MAX, math.floor(#name / 2)) + 1
  local names = traverse.keys(known)
  table.sort(names, function(a, b) return tostring(a) < tostring(b) end)
  for _, candidate in ipairs(names) do
    if type(candidate) == "string"
      and math.abs(#candidate - #name) <= DISTANCE_MAX then
      local edits = distance(name, candidate)
      if edits < least then
        nearest, least = candidate, edits
      end
    end
  end
  return nearest and ("did you mean '%s'?"):format(nearest)
end

jit.off(true, true) -- cold: it runs where an error is raised

return suggest
