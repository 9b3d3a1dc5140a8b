-- SPDX-License-Identifier: MIT
--- Reads the first items of a chain in place and through one worker, and
-- compares them.
-- @module neap.inspect.trial

local compare = require("neap.inspect.compare")
local errors = require("neap.base.errors")
local structure = require("neap.inspect.structure")

local trial = {}

local function index(p, i)
  return p[i]
end

-- What an item of both is, and what is wrong with it.
local function take(found, i, x)
  found.count = i
  found.structure = structure.merge(found.structure, structure.of(x))
end

local function fail(found, i, where, e)
  found.failures[#found.failures + 1] = {
    index = i, where = where, message = tostring(e),
  }
end

local function differ(found, i, path, here, there)
  found.differences[#found.differences + 1] = {
    index = i, path = path, here = tostring(here), there = tostring(there),
  }
end

-- Of workers that an item ended: it would end this process, or hang it.
local LOST = { death = true, timeout = true }

-- Compares an item with what came of a worker.
local function compare_with(found, i, x, is_sent, y)
  if not is_sent then
    fail(found, i, "in a worker", y)
    return
  end
  local path, a, b = compare(x, y)
  if path then
    differ(found, i, path, a, b)
  end
end

-- The worker comes first, since it can be lost. Returns false at the end of an
-- iterator.
local function read(found, i, here, there)
  local is_sent, y
  if there then
    is_sent, y = errors.try(index, there, i)
    if not is_sent and LOST[y.kind] then
      fail(found, i, "in a worker", y)
      return true
    end
  end
  local ok, x = errors.try(index, here, i)
  if not ok then
    if x.kind ~= "end" then
      fail(found, i, "in place", x)
    end
    return x.kind ~= "end"
  end
  take(found, i, x)
  if there then
    compare_with(found, i, x, is_sent, y)
  end
  return true
end

--- Reads items 1..count of two prefetches of a chain.
-- @tparam Sequence here with workers = 0
-- @tparam Sequence there with a worker; nil: it is not compared
-- @tparam int count
-- @treturn table `count` (items that came), `structure` of all (nil: none
--   came), `failures` {index =, where =, message =}, `differences` {index =,
--   path =, here =, there =}
function trial.run(here, there, count)
  local found = { count = 0, failures = {}, differences = {} }
  for i = 1, count do
    if not read(found, i, here, there) then
      break
    end
  end
  return found
end

return trial
