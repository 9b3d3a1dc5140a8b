-- SPDX-License-Identifier: MIT
--- One loop over a prefetch, run by run.
--
-- The items of a loop borrow from its run: their tensors are valid until the
-- loop goes on.
-- @module neap.prefetch.loop

local ffi = require("ffi")
local alone = require("neap.prefetch.alone")
local class = require("neap.base.class")
local errors = require("neap.base.errors")
local failure = require("neap.prefetch.failure")
local borrow = require("neap.value.borrow")
local generation = require("neap.tensor.generation")
local iterate = require("neap.sequence.iteration")
local lib = require("neap.base.lib")
local read = require("neap.value.read")

local C = lib.C
local NUMBER = C.NEAP_NUMBER

-- Kinds of errors of an item whose worker tells nothing.
local LOST = { death = true, timeout = true, memory = true, damaged = true }

local number_in = read.number

local Loop = class("prefetch.loop")

-- A loop that was left holds its run, and all tensors that borrow from it,
-- until it is collected.
local function new_run(pool, borrowed)
  local counter = borrowed.counter
  local run = ffi.gc(ffi.new("neap_run"), function(run)
    local slot = run.slot
    run.slot = -1
    generation.give(counter)
    C.neap_pool_release(pool, slot)
  end)
  run.slot = -1
  borrowed.run = run
  return run
end

-- Gives a loop a run that holds nothing yet.
local function begin_run(self)
  local opened = self.pool.opened
  self.borrow = borrow.new(opened.pool, opened.watch)
  self.run = new_run(opened.pool, self.borrow)
  self.k, self.count = 0, 0
end

--- Makes a loop of an iteration whose workers run.
-- @tparam Iteration iteration
-- @tparam Sequence node
-- @tparam int epoch
-- @tparam int start the item that it wants first
-- @tparam table|boolean record a list: it skips items that raise, and adds
--   their errors to the list; or false
-- @tparam[opt] boolean is_stream it reads by index, not for a `for`
function Loop.make(iteration, node, epoch, start, record, is_stream)
  local pool = iteration.pool
  local self = Loop:new({
    iteration = iteration, node = node, pool = pool, epoch = epoch,
    stage = node:stage_name(), settings = pool.opened.settings,
    is_ordered = pool.options.order ~= false, is_stream = is_stream or false,
    run = false, borrow = false,
    first = 0, count = 0, cells = false, -- of the run: index, items, cells
    k = 0, -- items of the run that were read
    wanted = start, -- the index of the next item
    is_done = false, is_lost = false, has_met_end = false,
    record = record,
    left_out = node.leaves_out and iterate.new_record(node),
    room = borrow.ERROR_BYTES_MAX, -- bytes that tensors in its errors may copy
  })
  begin_run(self)
  return self
end

--- Releases its run: tensors that borrow from it are no longer valid.
function Loop:give_back()
  local run, borrowed = self.run, self.borrow
  local slot = run.slot
  run.slot = -1 -- first: a finalizer may close the prefetch meanwhile
  borrowed:aim(-1)
  self.k, self.count = 0, 0
  C.neap_pool_release(borrowed.loader, slot)
end

--- Ends its tensors, as the prefetch closes. A finalizer may close it while an
-- item is being read or a tensor is being used: what does so keeps the run, and
-- with it the memory.
function Loop:abandon()
  generation.bump(self.borrow.counter)
  begin_run(self)
end

--- The workers serve it no more. Tensors of its last item stay valid, since it
-- has not gone on yet.
function Loop:leave()
  self.is_lost = not self.is_ordered
  if self.borrow.has_tensors then
    self.k, self.count = 0, 0
  else
    self:give_back()
  end
end

local function finish(self)
  self:give_back()
  self.is_done = true
  iterate.note_end(self.node)
  self.iteration:finish()
end

-- Releases the run that was read, and gets the next. False at the end.
local function next_run(self)
  local pool, run = self.pool, self.run
  pool:check_open()
  if self.iteration.served ~= self then
    self.iteration:serve(self)
  end
  self:give_back()
  if not pool:next_run(run) then
    finish(self)
    return false
  end
  self.borrow:aim(run.slot)
  self.k, self.count = 0, run.count
  self.first, self.cells = tonumber(run.first) + 1, run.cells
  return true
end

-- -- Stepping ----------------------------------------------------------------

local step

-- An iterator of unknown size has ended, and so does the loop. Out of order,
-- workers may still be computing earlier items.
local function step_past_end(self, e)
  if not self.has_met_end and not self.node.source:may_end() then
    if not self.record then
      errors.raise(e)
    end
    table.insert(self.record, e)
  end
  self.has_met_end = true
  if not self.is_ordered then
    self.count = self.k -- the rest of the run comes after the end
    self.pool:end_before(self.wanted - 1)
    return step(self)
  end
  finish(self)
  return nil
end

-- A worker marks what a skip leaves out, unless it dies of it.
local function mark_lost(self, e)
  if self.node.leaves_out and LOST[e.kind] then
    e.is_left_out = true
  end
end

-- The list for the error of an item that is not delivered.
local function record_for(self, e)
  if e.is_left_out and not self.is_stream then
    return self.left_out
  end
  return self.record and errors.is_of_item(e) and self.record
end

local function step_past_error(self, e)
  mark_lost(self, e)
  local record = record_for(self, e)
  if not self.is_stream and self.node:is_end(e) then
    return step_past_end(self, e)
  elseif record then
    self.room = borrow.copy_out(e, self.room)
    table.insert(record, e)
    return step(self)
  end
  borrow.copy_out(e, borrow.ERROR_BYTES_MAX)
  error(self.is_stream and e or errors.as_raised(e), 0)
end

-- Handles what is not a number: other items, errors, and the end of a run. It
-- has no loop, or LuaJIT would not compile the user's loop.
local function step_slowly(self)
  if self.is_done then
    return nil
  elseif self.iteration.served ~= self or self.k >= self.count then
    if not next_run(self) then
      return nil
    end
    return step(self)
  end
  local pool, run, borrowed, k = self.pool, self.run, self.borrow, self.k
  self.k = k + 1
  self.wanted = self.first + k + 1
  borrowed:advance()
  local x, is_failure = failure.read(run, k, borrowed, self.stage,
    self.settings, pool.chain.native)
  if is_failure and x.kind == "room" then -- alone, it may fit a slot
    x, is_failure = pool:get(self.wanted - 1, self.epoch, self.stage)
  end
  if is_failure then
    return step_past_error(self, x)
  end
  return self.first + k, x
end

local function has_number(self)
  local k = self.k
  return k < self.count and self.run.slot >= 0 and self.cells[k].type == NUMBER
end

local function step_number(self)
  local k = self.k
  self.k = k + 1
  self.wanted = self.first + k + 1
  return self.first + k, number_in(self.cells[k])
end

function step(self)
  if has_number(self) then
    return step_number(self)
  end
  return step_slowly(self)
end

local function keep(self, x)
  borrow.retain(x)
  self.borrow.has_tensors = false -- none borrows any more
end

--- The step function of a `for`.
function Loop:step()
  if has_number(self) then
    return step_number(self)
  end
  return alone(step_slowly, self)
end

--- The same, with items that stay valid after the loop has gone on.
function Loop:kept_step()
  local i, x = self:step()
  keep(self, x)
  return i, x
end

--- The next item of a loop that reads by index, kept.
function Loop:next()
  local _, x = step(self)
  keep(self, x)
  return x
end

return Loop
