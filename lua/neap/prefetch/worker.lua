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
local heap = require("neap.tensor.heap")
local lib = require("neap.base.lib")
local load_chain = require("neap.travel.load")
local luajit = require("neap.base.luajit")
local run = require("neap.prefetch.run")
local stages = require("neap.sequence.stages")
local turn = require("neap.base.turn")
local watch = require("neap.prefetch.watch")

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

local function serve_one(worker, getter, plan, collect)
  local task, item = ffi.new("neap_task"), context.new(worker)
  while lib.check(C.neap_worker_next(worker, task, lib.error)) == C.NEAP_OK do
    run.fill(item, task, getter, plan)
    C.neap_worker_publish(worker, task, C.neap_writer_end(item.writer))
    if collect then
      collect()
    end
  end
end

local function serve(worker, getter, plan, timeout)
  local limit = tonumber(C.neap_worker_memory(worker))
  local collect = limit > 0 and new_collector(limit)
  array.set_allocator(run.allocate)
  heap.limit_garbage(GARBAGE_MAX)
  if C.neap_worker_concurrency(worker) > 1 then
    require("neap.prefetch.many").serve(worker, getter, plan, collect, timeout)
  else
    serve_one(worker, getter, plan, collect)
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
  turn.is_needed = C.neap_worker_concurrency(worker) > 1
  if turn.is_needed then
    require("neap.prefetch.fibers").replace_coroutines()
  end
  local sent = read_chain(worker)
  note_natives(worker)
  errors.mode(sent.errors)
  sent.node:expect_rereads(sent.rereads)
  if sent.on_start then
    sent.on_start(number)
  end
  chain = sent.node
  return compiler.compile(chain), plan_of(worker, chain), sent.timeout
end

local NO_MEMORY_AT_START = "not enough memory for the chain and on_start"

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
local function main(exit_without_memory)
  local out = ffi.new("neap_worker *[1]")
  lib.check(C.neap_worker_attach(out, lib.error))
  local worker = out[0]
  local ok, getter, plan, timeout = xpcall(start, errors.handler, worker)
  if not ok then
    local why = getter == errors.NO_MEMORY and NO_MEMORY_AT_START
      or tostring(getter)
    why = check.with_help(why, advice(why))
    C.neap_worker_ready(worker, "cannot start workers: " .. why, lib.error)
    return 1
  end
  exit_without_memory()
  lib.check(C.neap_worker_ready(worker, nil, lib.error))
  serve(worker, getter, plan, timeout)
  close_resources()
  return 0
end

return main
