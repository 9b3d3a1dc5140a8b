-- SPDX-License-Identifier: MIT
--- The loop of a worker that has several runs in work: claims runs for fibers
-- (neap.prefetch.fibers), and sleeps until there is work, or what its items
-- wait for.
-- @module neap.prefetch.many

local ffi = require("ffi")
local class = require("neap.base.class")
local context = require("neap.value.context")
local Fibers = require("neap.prefetch.fibers")
local lib = require("neap.base.lib")
local run = require("neap.prefetch.run")

local C = lib.C

local Many = class("prefetch.many")

-- Runs that a fiber computes in a row, before a stage's own coroutines go on.
local RUNS_MAX = 256
-- Items that failed where they waited, until garbage is collected: of their
-- sockets, LuaJIT's collector sees some hundred bytes each.
local LEFT_MAX = 32

-- -- In a fiber --------------------------------------------------------------

-- Claims a run for a fiber, if there is one.
local function claim(self, fiber)
  local status = C.neap_worker_try_next(self.worker, fiber.task, lib.error)
  if status == C.NEAP_OK then
    if fiber.task.alone ~= 0 then
      self.alone = fiber
    end
    return true
  end
  self.is_over = lib.check(status) == C.NEAP_END
  return false
end

local function finish_wait(self, fiber)
  if fiber.item.has_failed then
    self.left = self.left + 1
  end
  self.fibers:renew(fiber)
end

local function finish(self, fiber)
  if fiber.has_waited then
    finish_wait(self, fiber)
  end
  if self.alone == fiber then
    self.alone = false
  end
end

-- Computes the run of a fiber, and while it alone has work, those that follow.
local function work(self, fiber)
  local item, task, fibers = fiber.item, fiber.task, self.fibers
  local getter, plan, worker = self.getter, self.plan, self.worker
  local runs = 0
  repeat
    run.fill(item, task, getter, plan)
    C.neap_worker_publish(worker, task, C.neap_writer_end(item.writer))
    finish(self, fiber)
    if self.collect then
      self.collect()
    end
    runs = runs + 1
  until runs == RUNS_MAX or fibers.busy > 1 or self.alone
    or not claim(self, fiber)
end

local function begin(self, fiber)
  fiber.task = ffi.new("neap_task")
  fiber.item = context.new(self.worker, self.fibers and self.fibers.memory)
  self.list[#self.list + 1] = fiber
end

-- -- Outside of fibers -------------------------------------------------------

-- Whether there may be one more run in work.
local function may_claim(self)
  return self.fibers.busy < self.limit and not self.alone
end

-- A run that is to be computed alone waits until no other is in work. Returns
-- whether it was started.
local function start_alone(self)
  local fiber = self.fibers.busy == 0 and self.held
  if not fiber then
    return false
  end
  self.held = false
  self.fibers:start(fiber)
  return true
end

local function start(self, fiber)
  if self.alone == fiber and self.fibers.busy > 0 then
    self.held = fiber
    C.neap_worker_wait(self.worker, fiber.task)
  else
    self.fibers:start(fiber)
  end
end

-- Whether it has claimed a run.
local function try_next(self)
  local fiber = may_claim(self) and self.fibers:take()
  if not fiber then
    return false
  elseif not claim(self, fiber) then
    self.fibers:give(fiber)
    return false
  end
  start(self, fiber)
  return true
end

local GONE = lib.failure(C.NEAP_ECLOSED, "the item is no longer read")

-- Items that are no longer wanted may wait for a server that never replies.
local function strike_cancelled(self)
  for _, fiber in ipairs(self.list) do
    if Fibers.is_waiting(fiber)
      and C.neap_worker_holds(self.worker, fiber.task) == 0 then
      Fibers.strike(fiber, GONE)
      self.left = self.left + 1
    end
  end
end

-- Closes the sockets of items that were left.
local function collect_left(self)
  self.left = 0
  collectgarbage()
  collectgarbage() -- what the first one has finalized
end

-- Nothing waits: sleeps until there is a run, as a worker without fibers does.
local function wait_for_run(self)
  local fiber = self.fibers:take()
  local status = C.neap_worker_next(self.worker, fiber.task, lib.error)
  self.is_over = lib.check(status) == C.NEAP_END
  if not self.is_over then
    self.alone = fiber.task.alone ~= 0 and fiber
    self.fibers:start(fiber)
  end
end

-- Sleeps until there is a run, or what an item waits for.
local function rest(self)
  local controller = self.fibers.controller
  if controller:empty() then
    wait_for_run(self)
    return
  end
  local status = C.neap_worker_poll(self.worker, controller:pollfd(),
    may_claim(self) and 1 or 0, controller:timeout() or -1)
  if status == C.NEAP_AGAIN then
    strike_cancelled(self)
  end
  self.is_over = status == C.NEAP_END
end

--- Computes runs until the host stops the worker.
-- @tparam cdata worker neap_worker
-- @tparam function getter of the chain
-- @tparam table plan of neap.sequence.stages
-- @tparam function|boolean collect to be called after each run
-- @tparam number|boolean timeout seconds that an item may take
function Many.serve(worker, getter, plan, collect, timeout)
  local limit = C.neap_worker_concurrency(worker)
  local self = Many:new({
    worker = worker, getter = getter, plan = plan, collect = collect,
    limit = limit, fibers = false, list = {}, left = 0, is_over = false,
    alone = false, -- the fiber that computes its run alone: no other claims
    held = false, -- that one, until no other is in work
  })
  self.fibers = Fibers.make(limit, begin, work, self, timeout)
  while not self.is_over do
    if not start_alone(self) and not try_next(self) then
      rest(self)
    end
    self.fibers:step(0)
    if self.left >= LEFT_MAX then
      collect_left(self)
    end
  end
end

return Many
