-- SPDX-License-Identifier: MIT
--- Iterates over a prefetch, run by run.
--
-- Each loop has a *reader*. The loader of a pool serves one of them at a time:
-- one that is left takes the loader back by seeking to the item that it wants
-- next. What a reader lends of its run is valid until its loop goes on.
-- @module neap.prefetch.reader

local ffi = require("ffi")
local borrow = require("neap.value.borrow")
local check = require("neap.base.check")
local errors = require("neap.base.errors")
local failure = require("neap.prefetch.failure")
local generation = require("neap.tensor.generation")
local lib = require("neap.base.lib")
local value = require("neap.value.value")

local C = lib.C
local NUMBER = C.NEAP_NUMBER
local number_in = value.number_in

local reader = {}

-- A loop that is left and forgotten holds a run until it is collected, with
-- all tensors that it lent.
local function new_run(loader, loan)
  local word = loan.counter
  local run = ffi.gc(ffi.new("neap_run"), function(run)
    local slot = run.slot
    run.slot = -1
    generation.give(word)
    C.neap_pool_release(loader, slot)
  end)
  run.slot = -1
  loan.run = run
  return run
end

--- A reader of a node, whose workers run, that wants item `start` next.
-- @tparam Sequence node
-- @tparam int epoch
-- @tparam int start
-- @param record a list for the errors of items, which it skips then, or false
-- @tparam[opt] boolean is_stream it reads items by index, not for a loop
function reader.new(node, epoch, start, record, is_stream)
  local loader = node.pool.loader
  local loan = borrow.new(loader)
  return {
    node = node, stage = node:stage_name(), pool = node.pool, epoch = epoch,
    run = new_run(loader, loan), loan = loan,
    k = 0, count = 0, first = 0, cells = false,
    wanted = start, is_done = false, is_lost = false, has_met_end = false,
    is_ordered = node.options.order ~= false, record = record,
    is_stream = is_stream or false,
    room = borrow.ERROR_BYTES_MAX,
  }
end

-- -- Whom the loader serves --------------------------------------------------

-- Gives back what a reader has of its run, which ends what it lent.
local function let_go(self)
  local slot = self.run.slot
  self.loan:aim(-1)
  self.run.slot = -1
  self.k, self.count = 0, 0
  self.pool:release(slot)
end

--- The index of the next item of the loop that has gone on last, unless another
-- has begun since, or a seek: then where that starts. Where a loop has ended,
-- where the next one starts.
function reader.position(pool)
  local loop = pool.reader
  if loop and not loop.is_stream and loop.wanted ~= pool.mark then
    return loop.wanted
  end
  return pool.place
end

--- Lets the position be i until a loop goes on.
function reader.place(pool, i)
  pool.place = i
  pool.mark = pool.reader and pool.reader.wanted
end

--- Where a loop starts that begins now; the next one starts at 1.
function reader.start(pool)
  local start = pool.start
  pool.start = 1
  reader.place(pool, start)
  return start
end

-- The loader serves its reader no more. Tensors of the item that this is at
-- stay valid: its loop has not gone on yet.
local function detach(pool)
  local served = pool.reader
  if served then
    pool.place, pool.reader = reader.position(pool), false
    served.is_lost = not served.is_ordered
    if served.loan.has_tensors then
      served.k, served.count = 0, 0
    else
      let_go(served)
    end
  end
end

--- Ends the iteration that a pool's loader serves, and what it lent.
function reader.stop(pool)
  if pool.reader then
    let_go(pool.reader)
  end
  detach(pool)
end

-- Makes the loader serve this reader, from the item that it wants next.
local function attach(self)
  local pool = self.pool
  if self.is_lost then
    check.raise("cannot go on: another loop has begun, and this prefetch is "
      .. "read as completed (order = false)")
  end
  detach(pool)
  pool:seek(self.epoch, self.wanted)
  pool.reader, pool.mark = self, false
end

-- Releases the run that is read out, and gets the next. False at the end.
local function next_run(self)
  local pool, run = self.pool, self.run
  pool:check_open()
  if pool.reader ~= self then
    attach(self)
  end
  let_go(self)
  if not pool:next_run(run) then
    detach(pool)
    pool.place = pool.start
    self.is_done = true
    return false
  end
  self.loan:aim(run.slot)
  self.k, self.count = 0, run.count
  self.first, self.cells = tonumber(run.first) + 1, run.cells
  return true
end

-- -- Stepping ----------------------------------------------------------------

local step

-- Where an iterator of unknown size has ended: so does the loop. Out of order,
-- others may still be computing items before that.
local function step_past_end(self, e)
  if not self.has_met_end and not self.node.source:may_end() then
    if not self.record then
      errors.raise(e)
    end
    table.insert(self.record, e)
  end
  self.has_met_end = true
  if not self.is_ordered then
    self.count = self.k -- what follows in the run lies behind the end
    self.pool:end_before(self.wanted - 1)
    return step(self)
  end
  detach(self.pool)
  self.is_done = true
  return nil
end

-- What is not a number: other items, failures, and the end of a run. It has no
-- loop of its own, or LuaJIT would not compile the user's.
local function step_slowly(self)
  if self.is_done then
    return nil
  elseif self.pool.reader ~= self or self.k >= self.count then
    if not next_run(self) then
      return nil
    end
    return step(self)
  end
  local pool, stage, k = self.pool, self.stage, self.k
  self.k = k + 1
  self.wanted = self.first + k + 1
  self.loan:advance()
  local x, is_failure = failure.read(self.run, k, self.loan, stage,
    pool.chain.settings)
  if is_failure and x.kind == "room" then
    x, is_failure = pool:get(self.wanted - 1, self.epoch, stage)
  end
  if not is_failure then
    return self.first + k, x
  elseif self.is_stream then -- the chain that reads the node decides
    borrow.copy_out(x, borrow.ERROR_BYTES_MAX)
    error(x, 0)
  elseif x.kind == "end" and self.node.length == math.huge then
    local i, y = step_past_end(self, x)
    if self.is_done then
      pool.place = pool.start
    end
    return i, y
  elseif not self.record or not errors.is_of_item(x) then
    borrow.copy_out(x, borrow.ERROR_BYTES_MAX)
    errors.raise(x)
  end
  self.room = borrow.copy_out(x, self.room)
  table.insert(self.record, x)
  return step(self)
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
  borrow.keep(x)
  self.loan.has_tensors = false -- none is lent
end

--- Steps a `for` over a reader.
function reader.step(self)
  if has_number(self) then
    return step_number(self)
  end
  return failure.alone(step_slowly, self)
end

--- The same, with items that stay valid after the loop has gone on.
function reader.kept_step(self)
  local i, x = reader.step(self)
  keep(self, x)
  return i, x
end

--- The next item of a reader that reads by index, which stays valid.
function reader.next(self)
  local _, x = step(self)
  keep(self, x)
  return x
end

-- -- Without workers ---------------------------------------------------------

local function step_in_place(self, i)
  local pool = self.pool
  pool:check_open()
  if pool.reader ~= self or pool.mark then
    pool.reader, pool.mark = self, false
  end
  self.wanted = i + 2
  local at, x = self.step(self.state, i)
  if at then
    self.wanted = at + 1
  else
    pool.reader, pool.place = false, pool.start
  end
  return at, x
end

--- The source's own iteration, which keeps the position as others do; what a
-- `for` wants.
function reader.in_place(pool, step_source, state)
  pool:check_open()
  local start = reader.start(pool)
  return step_in_place, {
    pool = pool, wanted = start, step = step_source, state = state,
    is_stream = false,
  }, start - 1
end

return reader
