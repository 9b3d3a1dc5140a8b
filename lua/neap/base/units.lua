-- SPDX-License-Identifier: MIT
--- Numbers with units, for people: "1.25 ms", "12.0 MB", "38 %".
-- @module neap.base.units

local units = {}

-- A number with a unit of a list, {{name, size}, ...}, largest first.
local function scaled(value, list)
  for k, unit in ipairs(list) do
    if value >= unit[2] or k == #list then
      local x = value / unit[2]
      local is_whole = x >= 100 or x == 0 or unit[2] == 1 and x % 1 == 0
      local digits = is_whole and 0 or x >= 10 and 1 or 2
      return ("%." .. digits .. "f %s"):format(x, unit[1])
    end
  end
end

local SECONDS = { { "s", 1 }, { "ms", 1e-3 }, { "us", 1e-6 }, { "ns", 1e-9 } }
local BYTES = { { "GB", 1e9 }, { "MB", 1e6 }, { "kB", 1e3 }, { "B", 1 } }

function units.seconds(seconds)
  return seconds == 0 and "0 s" or scaled(seconds, SECONDS)
end

function units.bytes(bytes)
  return scaled(bytes, BYTES)
end

--- A part of a whole: "38 %".
function units.share(part)
  return ("%.0f %%"):format(100 * part)
end

--- A count: "12", "endless".
function units.count(n)
  return n == math.huge and "endless" or ("%.0f"):format(n)
end

--- "1 item", "2 items".
function units.plural(n, word)
  return ("%s %s%s"):format(units.count(n), word, n == 1 and "" or "s")
end

--- Items per second: "950/s", "12.5k/s".
function units.rate(rate)
  if rate >= 1e6 then
    return ("%.1fM/s"):format(rate / 1e6)
  elseif rate >= 1e4 then
    return ("%.1fk/s"):format(rate / 1e3)
  end
  return (rate >= 100 and "%.0f/s" or rate >= 10 and "%.1f/s" or "%.2f/s")
    :format(rate)
end

return units
