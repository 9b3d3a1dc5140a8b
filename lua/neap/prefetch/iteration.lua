-- SPDX-License-Identifier: MIT
--- Where a prefetch is read: where the next loop begins, which loop the workers
-- serve, and reads by index.
--
-- All epochs of a prefetch share one iteration. The workers compute ahead for
-- one loop at a time. Another loop that goes on takes them over: it seeks to
-- the item that it wants next. Reads by index in order are a loop as well, the
-- *stream*.
-- @module neap.prefetch.iteration

local alone = require("neap.prefetch.alone")
local check = require("neap.base.check")
local class = require("neap.base.class")
local Loop = require("neap.prefetch.loop")

local Iteration = class("prefetch.iteration")

--- An iteration over the items of a pool.
function Iteration.make(pool)
  return Iteration:new({
    pool = pool,
    start = 1, -- where the next loop begins
    place = 1, -- the position, unless the loop that is served has gone on
    mark = false, -- what that loop wanted when `place` was set
    served = false, -- the loop that the workers compute for
    stream = false, -- the loop that reads by index in order
    last = 0, -- the index of the last read by index
  })
end

-- -- The position ------------------------------------------------------------

--- The index of the next item of the loop that has gone on last. After a seek
-- or the start of a loop: the index where that begins. After the end of a loop:
-- the index where the next one begins.
function Iteration:position()
  local loop = self.served
  if loop and not loop.is_stream and loop.wanted ~= self.mark then
    return loop.wanted
  end
  return self.place
end

-- Sets the position until a loop goes on.
local function move(self, i)
  self.place = i
  self.mark = self.served and self.served.wanted
end

--- Lets the next loop begin at item i.
function Iteration:seek(i)
  self.start = i
  move(self, i)
end

-- Returns where a loop begins now. The next one begins at item 1.
local function take_start(self)
  local start = self.start
  self.start = 1
  move(self, start)
  return start
end

-- -- The loop that is served -------------------------------------------------

local function leave(self)
  local loop = self.served
  if loop then
    self.place, self.served = self:position(), false
    loop:leave()
  end
end

--- Makes the workers compute for a loop, from the item that it wants next.
function Iteration:serve(loop)
  if loop.is_lost then
    check.raise("cannot go on: another loop has begun, and this prefetch is "
      .. "read as completed (order = false)",
      "end a loop before the next one, or leave order as it is")
  end
  leave(self)
  self.pool:seek(loop.epoch, loop.wanted)
  self.served, self.mark = loop, false
end

--- The loop that is served has ended.
function Iteration:finish()
  self.served, self.place = false, self.start
end

--- Ends the workers, and the tensors of the loop that they served.
function Iteration:close()
  if self.pool:has_workers() then
    if self.served then
      self.served:abandon()
    end
    leave(self)
  end
  self.pool:close()
end

-- -- Reading -----------------------------------------------------------------

--- Iterates over a node: returns what a `for` wants.
function Iteration:each(node, options)
  self.pool:run_workers()
  local loop = Loop.make(self, node, node.epoch or 1, take_start(self),
    options and options.record or false)
  return options and options.keep and Loop.kept_step or Loop.step, loop
end

local function step_in_place(loop, i)
  local self = loop.iteration
  self.pool:check_open()
  self.served, self.mark = loop, false
  loop.wanted = i + 2
  local at, x = loop.step(loop.state, i)
  if at then
    loop.wanted = at + 1
  else
    self:finish()
  end
  return at, x
end

--- The same without workers, over the source's own iteration.
function Iteration:each_in_place(step, state)
  self.pool:check_open()
  local start = take_start(self)
  return step_in_place, {
    iteration = self, wanted = start, is_stream = false,
    step = step, state = state,
  }, start - 1
end

local function stream_at(self, node, i, epoch)
  local loop = self.stream
  if self.last ~= i - 1 or self.pool.options.order == false then
    return nil
  elseif not loop or loop.wanted ~= i or loop.epoch ~= epoch then
    loop = Loop.make(self, node, epoch, i, false, true)
    self.stream = loop
  end
  return loop
end

local function read(self, node, i, epoch)
  self.pool:run_workers()
  local loop = i > 1 and stream_at(self, node, i, epoch)
  self.last = i
  if loop then
    return loop:next()
  end
  local x, is_failure = self.pool:get(i, epoch, node:stage_name())
  if is_failure then
    error(x, 0)
  end
  return x
end

--- Reads item i of a node, kept. Reads in order are computed ahead.
function Iteration:get(node, i, epoch)
  return (alone(read, self, node, i, epoch))
end

return Iteration
