-- SPDX-License-Identifier: MIT
--- Which items satisfy a predicate.
-- @module neap.adapter.where

local check = require("neap.base.check")
local class = require("neap.base.class")
local from = require("neap.source.from")
local Map = require("neap.adapter.map").class
local prefetch = require("neap.adapter.prefetch")
local handle = require("neap.sequence.handle")

-- Its items are the predicate's results. The class gives errors its name.
local Where = class("adapter.where", Map)

local BUFFERED = 1024 -- results computed ahead: they are small

local OPTIONS = { workers = check.kinds.integer }

--- Returns the indexes of the items that satisfy the predicate. It reads the
-- whole sequence before it returns.
-- @function where
-- @tparam Sequence source with an end
-- @tparam function predicate
-- @tparam[opt] table options {workers = n}: call it in n worker processes
-- @treturn Sequence of indexes, for neap.gather
local function where(source, predicate, options)
  source = handle.check_finite(1, source)
  check.func_of_item(2, predicate)
  options = check.options(3, options, OPTIONS)
  local results = handle.wrap(Where:make({
    f = predicate, sources = { source }, length = source.length,
  }))
  if options.workers and options.workers ~= 0 then
    results = prefetch.make(results, {
      workers = options.workers, buffered = BUFFERED,
    })
  end
  local indexes = {}
  for i, is_so in results:each() do
    if is_so then
      indexes[#indexes + 1] = i
    end
  end
  if options.workers and options.workers ~= 0 then
    results:close()
  end
  return from.make(indexes)
end

return {
  class = Where, make = where, options = OPTIONS,
  example = [[neap.where({ 1, 5, 3 }, function(x) return x > 2 end):totable()
    --> 2, 3]],
}
