-- SPDX-License-Identifier: MIT
--- Marks items that raise: loops leave them out, and batches stay whole.
--
-- Indexes stay as they are, so that any worker computes any item: what is left
-- out is known only to the loop that comes to it. See docs/internals/lives.md.
-- @module neap.adapter.skip

local class = require("neap.base.class")
local errors = require("neap.base.errors")
local iteration = require("neap.sequence.iteration")
local Node = require("neap.sequence.node")
local handle = require("neap.sequence.handle")

local Skip = class("adapter.skip", Node)

Skip.is_timed = false
Skip.leaves_out = true

-- Not the end of an iterator of unknown size, nor an error of all items.
local function mark(e, length)
  e.is_left_out = errors.is_of_item(e)
    and not (e.kind == "end" and length == math.huge)
  error(e, 0)
end

function Skip:emit(g, i, e)
  local ok, x = g:name("ok"), g:name()
  g:line("local %s, %s = %s(%s, %s, %s)", ok, x, g:own(errors.try),
    g:constant(g.compile(self.source)), i, e)
  g:line("if not %s then %s(%s, %s) end", ok, g:own(mark), x,
    g:constant(self.length))
  return x
end

-- Uses the source's own iteration, so that a prefetch below computes ahead.
function Skip:iterate(options)
  return self.source:iterate({
    record = iteration.new_record(self), keep = options and options.keep,
  })
end

function Skip:set(i, value, e)
  self.source:set(i, value, e)
end

--- Returns the same items; loops leave out those that raise, and batches above
-- take the next good item instead. s:skipped() is the list of their errors. An
-- item that is read by index still raises.
-- @function skip
-- @tparam Sequence source
-- @treturn Sequence
local function skip(source)
  source = handle.check(1, source)
  return handle.wrap(Skip:make({ source = source, length = source.length }))
end

return {
  class = Skip, make = skip,
  example = [[neap.skip(neap.map(function(x)
    return x > 1 and x or error("bad")
  end, { 1, 2, 3 })):batch(2):totable() --> {2, 3}]],
}
