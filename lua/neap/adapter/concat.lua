-- SPDX-License-Identifier: MIT
--- One sequence after another.
-- @module neap.adapter.concat

local arguments = require("neap.sequence.arguments")
local check = require("neap.base.check")
local class = require("neap.base.class")
local exact = require("neap.base.exact")
local lib = require("neap.base.lib")
local Index = require("neap.sequence.index")
local handle = require("neap.sequence.handle")

local Concat = class("adapter.concat", Index)

function Concat:tree(sources, count)
  return self.build(lib.C.neap_seq_concat, sources, count)
end

local MAX = lib.C.NEAP_SEQ_SOURCES_MAX

-- Replaces a concat among the sources by its own sources, if they fit.
local function flatten(...)
  local parts, length = {}, 0
  for k = 1, select("#", ...) do
    local node = handle.check(k, (select(k, ...)))
    if length == math.huge then
      check.fail(k, "no sequence expected after an endless one")
    end
    local inner = node.class_name == "concat" and node.sources or { node }
    if #parts + #inner > MAX - (select("#", ...) - k) then
      inner = { node }
    end
    for _, part in ipairs(inner) do
      parts[#parts + 1] = part
    end
    length = exact.sum(length, node.length)
    if length >= exact.TOO_MANY and length < math.huge then
      check.fail(k, "fewer than 2^63 items in all expected")
    end
  end
  return parts, length
end

--- Returns the items of several sequences, one after another; s .. t does too.
-- @function concat
-- @tparam Sequence ... only the last may be endless
-- @treturn Sequence a view
local function concat(...)
  arguments.check_count(...)
  local sources, length = flatten(...)
  return handle.wrap(Concat:make({ sources = sources, length = length }))
end

return {
  class = Concat, make = concat,
  example = [[neap.concat({ 1, 2 }, { 3 }):totable() --> 1, 2, 3]],
}
