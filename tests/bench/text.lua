-- SPDX-License-Identifier: MIT
--- Text files: the index of lines, and CSV of numbers parsed into tensors.

local measure = require("measure")
local neap = require("neap")

local LINES, LINE = 2e6, 80 -- bytes
local ROWS, COLUMNS = 1e5, 10

local lines_path, csv_path

local function path_of(write)
  local path = os.tmpname()
  local file = assert(io.open(path, "wb"))
  write(file)
  file:close()
  return path
end

local function make_lines()
  local part = (("x"):rep(LINE - 1) .. "\n"):rep(1000)
  lines_path = path_of(function(file)
    for _ = 1, measure.count(LINES) / 1000 do
      file:write(part)
    end
  end)
end

-- Numbers of six digits, as measurements have.
local function make_csv()
  local header, row = {}, {}
  for k = 1, COLUMNS do
    header[k] = "c" .. k
  end
  csv_path = path_of(function(file)
    file:write(table.concat(header, ","), "\n")
    for _ = 1, measure.count(ROWS) do
      for k = 1, COLUMNS do
        row[k] = ("%.3f"):format(math.random() * 2000 - 1000)
      end
      file:write(table.concat(row, ","), "\n")
    end
  end)
end

local function columns()
  local types = {}
  for k = 1, COLUMNS do
    types["c" .. k] = "f32"
  end
  return types
end

-- Milliseconds that f takes; a second time, as memory was touched before.
local function time(f)
  f()
  collectgarbage()
  collectgarbage()
  local since = measure.now()
  f()
  return (measure.now() - since) * 1e3
end

local function index()
  assert(#neap.lines(lines_path) == measure.count(LINES))
end

local function parse()
  local t = neap.csv(csv_path, { columns = columns(), as = "columns" })
  assert(#t.c1 == measure.count(ROWS))
end

local LOADTXT = [[/usr/bin/python3 -c '
import numpy, sys, time
since = time.perf_counter()
numpy.loadtxt("%s", delimiter=",", skiprows=1, dtype="f4")
print((time.perf_counter() - since) * 1e3)' 2>/dev/null]]

local function loadtxt()
  return tonumber(measure.output(LOADTXT, csv_path))
end

local function csv_row(name, target, limit_name, limit)
  return {
    name = name, unit = "ms", target = target, is_alone = true,
    limit_name = limit_name, limit = limit,
    begin = make_csv,
    finish = function() os.remove(csv_path) end,
    run = function() return time(parse) end,
  }
end

local rows = {
  {
    name = "index of lines of 80 bytes", unit = "ms", target = "ratio 1.4",
    is_alone = true, limit_name = "reads and memchr",
    begin = make_lines,
    finish = function() os.remove(lines_path) end,
    run = function() return time(index) end,
    limit = function() return measure.limit("limit_text lines %s", lines_path)
    end,
  },
  csv_row("CSV of numbers to tensors", "ratio 2", "parsed by hand in C",
    function() return measure.limit("limit_text csv %s", csv_path) end),
}

if os.execute("/usr/bin/python3 -c 'import numpy' 2>/dev/null") == 0 then
  rows[#rows + 1] = csv_row("CSV of numbers to tensors, beside NumPy",
    "ratio 0.33", "numpy.loadtxt", loadtxt)
end

return rows
