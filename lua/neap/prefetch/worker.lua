-- SPDX-License-Identifier: MIT
--- The main program of a worker process: reads the chain that the host sent,
-- then fills slots with items until the host stops it.
-- @module neap.prefetch.worker

local ffi = require("ffi")
local advice = require("neap.prefetch.advice")
local array = require("neap.tensor.array")
local check = require("neap.base.check")
local compiler = require("neap.sequence.compile")
local context = require("neap.value.context")
local errors = require("neap.base.errors")
local generation = require("neap.tensor.generation")
local heap = require("neap.tensor.heap")
local lib = require("neap.base.lib")
local load_chain = require("neap.travel.load")
local luajit = require("neap.base.luajit")
local rows = require("neap.value.rows")
local stages = require("neap.sequence.stages")
local watch = require("neap.prefetch.watch")
local write = require("neap.value.write")

local C = lib.C

-- Bytes of large tensors beside slot and scratch memory, before garbage is
-- collected: there are many workers.
local GARBAGE_MAX = 64 * 2 ^ 20

-- math.random draws other numbers in each worker, and after each restart.
-- Those of random_map do not depend on the worker.
local function seed_random(number)
  local address = tonumber(ffi.cast("uintptr_t", ffi.new("char[1]")))
  math.randomseed((os.time() * 512 + number) * 2 ^ 12 + address % 2 ^ 24)
end

local function read_chain(worker)
  local nbytes = ffi.new("uint64_t[1]")
  local text = C.neap_worker_chain(worker, nbytes)
  local sent = load_chain(ffi.string(text, tonumber(nbytes[0])),
    C.neap_worker_heap_fd(worker))
  lib.check(C.neap_worker_limit(worker, lib.error))
  return sent
end

-- -- Running -----------------------------------------------------------------

local function compute(item, getter, k, i, epoch)
  rows.reset(item)
  local x = getter(i, epoch)
  C.neap_worker_confirm(item.worker)
  write.item(item, k, x)
end

local NO_MEMORY_AT_START = "not enough memory for the chain and on_start"
local MESSAGE_MAX = 1000 -- bytes, where there is no room for more

-- Sends what can be sent of a failure: its cause as a string, or not at all,
-- and the start of its message.
local function send_failure(item, k, e)
  C.neap_worker_confirm(item.worker)
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

-- Returns the memory of a tensor that is made while an item is computed. A
-- child that the user's code forked gets none: its parent fills the slot.
local function allocate(nbytes, code, bits, shape, ndim)
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

-- Fills the slot of a task.
local function fill(item, task, getter, plan)
  lib.check(C.neap_writer_begin(item.writer, task.base, task.bytes, task.count,
    lib.error))
  context.enter(item)
  run_task(item, task, getter, plan)
  context.leave()
  if item.has_tensors then
    end_tensors(item, task)
  end
end

-- With a limit of memory, LuaJIT's collector may be too late: this one collects
-- as soon as half of what can be garbage is in use.
local function new_collector(limit)
  local mark = 0
  return function()
    if collectgarbage("count") * 1024 > mark then
      collectgarbage()
      collectgarbage() -- what the first one has finalized
      local used = collectgarbage("count") * 1024
      mark = used + (limit - used) / 2
    end
  end
end

local function serve(worker, getter, plan)
  local task = ffi.new("neap_task")
  local limit = tonumber(C.neap_worker_memory(worker))
  local collect = limit > 0 and new_collector(limit)
  local item = context.new(worker)
  array.set_allocator(allocate)
  heap.limit_garbage(GARBAGE_MAX)
  while lib.check(C.neap_worker_next(worker, task, lib.error)) == C.NEAP_OK do
    fill(item, task, getter, plan)
    C.neap_worker_publish(worker, task, C.neap_writer_end(item.writer))
    if collect then
      collect()
    end
  end
end

local chain -- its node: errors ask it for the way of their item
-- The host reads what the stages of the chain, and its monitors, count.
local function plan_of(worker, node)
  local memory = C.neap_worker_stages(worker)
  local plan = stages.plan(node, memory)
  plan.timed, plan.look_at = 0, 1 -- the items after which to look
  plan.look = watch.begin(worker, node)
  for k, stage in ipairs(plan.list) do
    if stage.count_at then
      stage:count_at(memory + k)
    end
  end
  return plan
end

-- Lets the host say, of this worker's death, which native stage it was calling.
local function note_natives(worker)
  local native = package.loaded["neap.native.opened"]
  if native then
    native.watch(function(stage)
      C.neap_worker_note(worker, stage)
    end)
  end
end

local function start(worker)
  luajit.guard()
  luajit.allow_long_traces()
  local number = C.neap_worker_number(worker) + 1
  io.stdout:setvbuf("line")
  seed_random(number)
  watch.random(worker)
  local sent = read_chain(worker)
  note_natives(worker)
  errors.mode(sent.errors)
  sent.node:expect_rereads(sent.rereads)
  if sent.on_start then
    sent.on_start(number)
  end
  chain = sent.node
  return compiler.compile(chain), plan_of(worker, chain)
end

local function close_resources()
  local per_worker = package.loaded["neap.prefetch.per_worker"]
  local native = package.loaded["neap.native.opened"]
  if per_worker then
    per_worker.close_all()
  end
  if native then
    native.close_all()
  end
end

-- @tparam function exit_without_memory after this call, the process ends where
--   Lua finds no memory
local function run(exit_without_memory)
  local out = ffi.new("neap_worker *[1]")
  lib.check(C.neap_worker_attach(out, lib.error))
  local worker = out[0]
  local ok, getter, plan = xpcall(start, errors.handler, worker)
  if not ok then
    local why = getter == errors.NO_MEMORY and NO_MEMORY_AT_START
      or tostring(getter)
    why = check.with_help(why, advice(why))
    C.neap_worker_ready(worker, "cannot start workers: " .. why, lib.error)
    return 1
  end
  exit_without_memory()
  lib.check(C.neap_worker_ready(worker, nil, lib.error))
  serve(worker, getter, plan)
  close_resources()
  return 0
end

return run
