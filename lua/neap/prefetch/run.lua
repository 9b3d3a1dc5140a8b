-- SPDX-License-Identifier: MIT
--- Computes the runs of a worker: fills the slot of a task with its items, or
-- with what they failed of.
-- @module neap.prefetch.run

local advice = require("neap.prefetch.advice")
local compiler = require("neap.sequence.compile")
local context = require("neap.value.context")
local errors = require("neap.base.errors")
local generation = require("neap.tensor.generation")
local lib = require("neap.base.lib")
local rows = require("neap.value.rows")
local stages = require("neap.sequence.stages")
local watch = require("neap.prefetch.watch")
local write = require("neap.value.write")

local C = lib.C

local run = {}

local function compute(item, getter, k, i, epoch)
  rows.reset(item)
  local x = getter(i, epoch)
  C.neap_worker_confirm(item.worker)
  write.item(item, k, x)
end

local MESSAGE_MAX = 1000 -- bytes, where there is no room for more

-- Sends what can be sent of a failure: its cause as a string, or not at all,
-- and the start of its message.
local function send_failure(item, k, e)
  C.neap_worker_confirm(item.worker)
  item.has_failed = true
  local number = C.neap_worker_number(item.worker) + 1
  local fields = {
    kind = e.kind, message = e.message, index = e.index, stage = e.stage,
    outer_index = e.outer_index, outer_stage = e.outer_stage,
    worker = number, traceback = e.traceback, cause = e.cause,
    status = e.status, help = e.help or advice(e.message), way = e.way,
    is_left_out = e.is_left_out,
  }
  if write.failure(item, k, fields) then
    return
  end
  fields.cause = e.message
  if write.failure(item, k, fields) then
    return
  end
  local is_written = write.failure(item, k, {
    kind = e.kind, message = e.message:sub(1, MESSAGE_MAX), index = e.index,
    stage = e.stage, worker = number, is_left_out = e.is_left_out,
  })
  if not is_written then -- the cell would show what the slot held before
    error("cannot tell the host of a failure: " .. e.message, 0)
  end
end

--- Returns the memory of a tensor that is made while an item is computed. A
-- child that the user's code forked gets none: its parent fills the slot.
function run.allocate(nbytes, code, bits, shape, ndim)
  local item = context.now
  if item == nil or C.neap_worker_is_ours(item.worker) == 0 then
    return nil
  end
  return rows.allocate(item, nbytes, code, bits, shape, ndim)
end

local function run_one(item, task, getter, k, i, epoch)
  task.progress[0] = k
  local ok, e = errors.try(compute, item, getter, k, i, epoch)
  if not ok then
    send_failure(item, k, errors.of_item(e, getter, i, epoch))
  end
end

local function compute_timed(item, plan, k, i, epoch)
  rows.reset(item)
  local x = compiler.compile(plan.node)(i, epoch)
  C.neap_worker_confirm(item.worker)
  write.item(item, k, x)
end

-- As run_one, but times the stages of the chain.
local function run_timed(item, task, getter, plan, k, i, epoch)
  task.progress[0] = k
  local before = stages.start(plan)
  local ok, e = errors.try(compute_timed, item, plan, k, i, epoch)
  stages.stop(plan, before)
  if not ok then
    send_failure(item, k, errors.of_item(e, getter, i, epoch))
  end
end

-- Computes the items of a run of which item `due` is timed.
local function run_timed_task(item, task, getter, plan, due)
  local i, epoch = tonumber(task.first) + 1, tonumber(task.epoch)
  for k = 0, task.count - 1 do
    if k == due then
      run_timed(item, task, getter, plan, k, i + k, epoch)
    else
      run_one(item, task, getter, k, i + k, epoch)
    end
  end
  plan.left = math.max(1, plan.left - (task.count - 1 - due))
  plan.timed = plan.timed + 1
  if plan.timed == plan.look_at then
    plan.look_at = plan.look_at * 10
    watch.look(plan.look)
  end
end

-- Not compiled: it is rare, and would be another way through the loop of all
-- runs.
jit.off(run_timed_task)

-- Computes the items of a run; one alone without a loop (luajit.md, short
-- loops).
local function run_task(item, task, getter, plan)
  local left, count = plan.left, task.count
  if left <= count then
    run_timed_task(item, task, getter, plan, left - 1)
    return
  end
  plan.left = left - count
  local i, epoch = tonumber(task.first) + 1, tonumber(task.epoch)
  if count == 1 then
    run_one(item, task, getter, 0, i, epoch)
    return
  end
  for k = 0, count - 1 do
    run_one(item, task, getter, k, i + k, epoch)
  end
end

local function end_tensors(item, task)
  item.has_tensors = false
  write.end_numbers(item)
  task.undone = item.writer.undone
  generation.bump(item.counter)
  rows.reset(item)
end

--- Fills the slot of a task.
-- @tparam table item the context that computes it
-- @tparam cdata task neap_task
-- @tparam function getter of the chain
-- @tparam table plan of neap.sequence.stages
function run.fill(item, task, getter, plan)
  lib.check(C.neap_writer_begin(item.writer, task.base, task.bytes, task.count,
    lib.error))
  item.has_failed = false
  context.enter(item)
  run_task(item, task, getter, plan)
  context.leave()
  if item.has_tensors then
    end_tensors(item, task)
  end
end

return run
