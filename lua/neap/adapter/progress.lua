-- SPDX-License-Identifier: MIT
--- A progress bar on a terminal while a sequence is iterated.
-- @module neap.adapter.progress

local Bar = require("neap.base.bar")
local check = require("neap.base.check")
local class = require("neap.base.class")
local epoch = require("neap.adapter.epoch")
local Node = require("neap.sequence.node")
local handle = require("neap.sequence.handle")

local function step(state, i)
  local bar = state.bar
  bar:before(i)
  local j, x = state.next_item(state.state, i)
  if j == nil then
    bar:finish(i)
  end
  return j, x
end

local Progress = class("adapter.progress", Node)

Progress.is_timed = false

Progress.loops_source = true

function Progress:iterate(options)
  local next_item, state, first = self.source:iterate(options)
  if not Bar.is_shown() then
    return next_item, state, first
  end
  return step, {
    next_item = next_item, state = state,
    bar = Bar.make(self.length, self.label),
  }, first
end

-- -- As a node ---------------------------------------------------------------

function Progress:emit(g, i, e)
  return g:value(self.source, i, e)
end

function Progress:set(i, value, e)
  self.source:set(i, value, e)
end

-- Below the bar, so that the bar is still what is iterated.
function Progress:at_epoch(n)
  local source = handle.node(epoch.make(handle.wrap(self.source), n))
  return Progress:make({
    source = source, length = self.length, label = self.label,
    where = self.where,
  })
end

local OPTIONS = { label = check.kinds.text }

--- Returns the same items; while they are iterated, and stderr is a terminal, a
-- bar shows the items done, the items per second, the time passed and the time
-- left.
-- @function progress
-- @tparam Sequence source
-- @tparam[opt] table options {label = text that stands before the bar}
-- @treturn Sequence
local function progress(source, options)
  source = handle.check(1, source)
  options = check.options(2, options, OPTIONS)
  return handle.wrap(Progress:make({
    source = source, length = source.length, label = options.label or "",
  }))
end

return {
  class = Progress, make = progress, options = OPTIONS,
  example = [[neap.progress({ 1, 2 }, { label = "epoch 1" }):totable()
    --> 1, 2]],
}
