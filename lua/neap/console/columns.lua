-- SPDX-License-Identifier: MIT
--- Rows of text in columns.
-- @module neap.console.columns

local function widths_of(rows)
  local widths = {}
  for _, row in ipairs(rows) do
    for k, cell in ipairs(row) do
      widths[k] = math.max(widths[k] or 0, #cell)
    end
  end
  return widths
end

--- Returns rows as lines, two blanks between columns.
-- @tparam table rows lists of texts
-- @tparam[opt] table right column -> true, if it ends at its right
local function columns(rows, right)
  local widths, lines = widths_of(rows), {}
  for _, row in ipairs(rows) do
    local cells = {}
    for k, cell in ipairs(row) do
      local blanks = (" "):rep(widths[k] - #cell)
      cells[k] = right and right[k] and blanks .. cell or cell .. blanks
    end
    lines[#lines + 1] = "  " .. table.concat(cells, "  "):gsub(" +$", "")
  end
  return table.concat(lines, "\n")
end

return columns
