-- SPDX-License-Identifier: MIT
--- Shows how fast neap is, each row beside its limit.
--
--   build/bin/neap tests/bench/bench.lua [--quick] [--json] [NAME...]
--
-- runs the rows whose names contain one of NAME, all of them by default. A
-- row and its limit, which is the plainest program that does the same work,
-- take turns; what is shown of both is the median, least and most, and of the
-- row the quotient of the two medians, or, where both keep to one thread, of
-- the two least of more turns: others on the machine can only add to these, and
-- do so for seconds on end, so these rows take one turn each, round by round.
-- Nothing here passes or fails.
--
-- FILES each answer a list of rows. A row is a table:
--   name, unit    what is measured, and in what
--   target        in words
--   run()         measures once
--   limit_name, limit()   the same for its limit
--   begin(), finish()     before the first turn and after the last, or around
--                         each where others come between; optional
--   is_alone      whether it keeps to one thread; optional

local folder = arg[0]:match("^.*/") or "./"
package.path = folder .. "?.lua;" .. package.path

local measure = require("measure")

local FILES = {
  "numbers", "tensors", "operations", "ragged", "slots", "slow", "reads",
  "counters", "workers", "many", "web", "chains", "memory", "hosts",
  "fashion_mnist", "images", "text", "saved", "tar", "native", "native_chains",
}

local HEAD = "%-48s %9s %21s %6s  %s\n"

local function read_words(words)
  local options, names = {}, {}
  for _, word in ipairs(words) do
    if word == "--quick" or word == "--json" then
      options[word] = true
    elseif word:match("^%-") then
      error("unknown option " .. word .. ": --quick, --json or a name", 0)
    else
      names[#names + 1] = word
    end
  end
  return options, names
end

local function is_wanted(row, names)
  for _, name in ipairs(names) do
    if row.name:find(name, 1, true) then
      return true
    end
  end
  return #names == 0
end

local function wanted_rows(names)
  local rows = {}
  for _, file in ipairs(FILES) do
    for _, row in ipairs(dofile(folder .. file .. ".lua")) do
      if is_wanted(row, names) then
        rows[#rows + 1] = row
      end
    end
  end
  return #rows > 0 and rows or error("no row has such a name", 0)
end

local function summary(name, unit, values)
  table.sort(values)
  local n = #values
  return {
    name = name, unit = unit, runs = n, min = values[1], max = values[n],
    value = (values[math.ceil(n / 2)] + values[math.floor(n / 2) + 1]) / 2,
  }
end

-- Adds some turns of a row and its limit to what was measured of them.
local function measure_turns(row, turns, count)
  if row.begin then
    row.begin()
  end
  for _ = 1, count do
    jit.flush()
    collectgarbage()
    table.insert(turns.values, row.run())
    table.insert(turns.limits, row.limit())
  end
  if row.finish then
    row.finish()
  end
end

-- Puts what was measured of a row and of its limit.
local function report(row, turns)
  local value = summary(row.name, row.unit, turns.values)
  local limit = summary("limit: " .. row.limit_name, row.unit, turns.limits)
  value.limit = limit.value
  value.ratio = row.is_alone and value.min / limit.min
    or value.value / limit.value
  value.target = row.target
  return value, limit
end

-- From one row, those that are measured with it: itself, or it and all that
-- keep to one thread, up to the next that does not.
local function group_at(rows, first)
  local group = { rows[first] }
  while rows[first].is_alone and rows[first + #group]
    and rows[first + #group].is_alone do
    group[#group + 1] = rows[first + #group]
  end
  return group
end

-- Measures a group; answers what was measured of each row.
local function run(group)
  local runs = measure.is_quick and 5 or 7
  local all = {}
  for k = 1, #group do
    all[k] = { values = {}, limits = {} }
  end
  if not group[1].is_alone then
    measure_turns(group[1], all[1], runs)
    return all
  end
  for _ = 1, 3 * runs do
    for k, row in ipairs(group) do
      measure_turns(row, all[k], 1)
    end
  end
  return all
end

local function show(value)
  io.write(HEAD:format(value.name, ("%.4g"):format(value.value),
    ("%.4g .. %.4g %-4s"):format(value.min, value.max, value.unit),
    value.ratio and ("%.2f"):format(value.ratio) or "", value.target or ""))
end

local FIELDS = {
  "name", "value", "unit", "min", "max", "runs", "limit", "ratio", "target",
}

local function show_json(value)
  local parts = {}
  for _, field in ipairs(FIELDS) do
    local x = value[field]
    if x ~= nil then
      parts[#parts + 1] = (type(x) == "number" and '"%s": %.6g'
        or '"%s": "%s"'):format(field, x)
    end
  end
  io.write("{", table.concat(parts, ", "), "}\n")
end

local options, names = read_words(arg)
measure.is_quick = options["--quick"]
local put = options["--json"] and show_json or show
if put == show then
  io.write(HEAD:format("", "median", "least .. most", "ratio", "target"))
end

local function show_row(row, turns)
  local value, limit = report(row, turns)
  put(value)
  limit.name = put == show and "  " .. limit.name
    or row.name .. ", " .. limit.name
  put(limit)
  io.flush()
end

local rows = wanted_rows(names)
local first = 1
while first <= #rows do
  local group = group_at(rows, first)
  for k, turns in ipairs(run(group)) do
    show_row(group[k], turns)
  end
  first = first + #group
end
