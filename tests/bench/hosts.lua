-- SPDX-License-Identifier: MIT
--- Hosts in C and Python: what an item costs, at what rate large tensors come,
-- how soon the first item is there, and what libneap takes before a loader is
-- open. What they are compared with: the same loader files in a script, and in
-- C.

local measure = require("measure")
local neap = require("neap")

local LOADERS = arg[0]:match("^.*/") .. "loaders/"
local NUMBERS, TENSORS = LOADERS .. "numbers.lua", LOADERS .. "tensors.lua"
local FIRST = LOADERS .. "first.lua"
local ROW_BYTES = 4 * 3 * 224 * 224
local WARM, COUNT = 500, 9500

local function host(command, ...)
  return measure.limit("host_reads " .. command, ...)
end

local function tensors_in_lua()
  local p, since = neap.open(TENSORS), nil
  for i, x in p:each() do
    assert(x:ptr()[0] == i)
    if i == WARM then
      since = measure.now()
    end
  end
  local seconds = measure.now() - since
  p:close()
  return COUNT / seconds * ROW_BYTES / 1e9
end

local function first_in_lua()
  local since = measure.now()
  local p = neap.open(FIRST)
  local step, state, at = p:each()
  assert(step(state, at) == 1)
  local seconds = measure.now() - since
  p:close()
  return seconds * 1000
end

-- A Python that has numpy, or nil.
local function find_python()
  for _, name in ipairs({ "python3", "/usr/bin/python3" }) do
    if os.execute(name .. " -c 'import numpy' 2>/dev/null") == 0 then
      return name
    end
  end
end

local PYTHON = find_python()

local function python(command, path)
  local text = measure.output("%s '%shost_reads.py' %s '%s'", PYTHON,
    arg[0]:match("^.*/"), command, path)
  return tonumber(text) or error("no number from host_reads.py", 0)
end

local rows = {
  {
    name = "host: neap_next and release of a ready item", unit = "ns",
    target = "100 ns", limit_name = "malloc and free",
    run = function()
      return host("next '%s'", NUMBERS)
    end,
    limit = function()
      return host("malloc")
    end,
  },
  {
    name = "host: tensors, filled in their slots, and read", unit = "GB/s",
    target = "ratio 1", limit_name = "the same loader in a script",
    run = function()
      return host("tensors '%s'", TENSORS) * ROW_BYTES / 1e9
    end,
    limit = tensors_in_lua,
  },
  {
    name = "host: first item after neap_open, 4 workers", unit = "ms",
    target = "8 ms more", limit_name = "the same loader in a script",
    run = function()
      return host("first '%s' 4", FIRST)
    end,
    limit = first_in_lua,
  },
  {
    name = "host: private memory before a loader is open", unit = "KiB",
    target = "400 KiB more", limit_name = "cat",
    run = function()
      return host("memory")
    end,
    limit = function()
      local sum = 0
      for line in io.popen("cat /proc/self/smaps_rollup"):lines() do
        sum = sum + (line:match("^Private_%a+:%s+(%d+)") or 0)
      end
      return sum
    end,
  },
}

local python_rows = {
  {
    name = "python: next of a ready number", unit = "ns",
    target = "3000 ns", limit_name = "neap_next and its release in C",
    run = function()
      return python("next", NUMBERS)
    end,
    limit = function()
      return host("next '%s'", NUMBERS)
    end,
  },
  {
    name = "python: tensors, each in numpy.from_dlpack", unit = "GB/s",
    target = "ratio 0.9", limit_name = "the same loader in C",
    run = function()
      return python("tensors", TENSORS) * ROW_BYTES / 1e9
    end,
    limit = function()
      return host("tensors '%s'", TENSORS) * ROW_BYTES / 1e9
    end,
  },
}

for _, row in ipairs(PYTHON and python_rows or {}) do
  rows[#rows + 1] = row
end
return rows
