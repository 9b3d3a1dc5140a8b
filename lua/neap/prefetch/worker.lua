-- SPDX-License-Identifier: MIT
--- What a worker process does: reads the chain that the host sent, then fills
-- slots with items until it is told to stop.
-- @module neap.prefetch.worker

local ffi = require("ffi")
local array = require("neap.tensor.array")
local chain = require("neap.travel.chain")
local compiler = require("neap.sequence.compile")
local errors = require("neap.base.errors")
local generation = require("neap.tensor.generation")
local lib = require("neap.base.lib")
local luajit = require("neap.base.luajit")
local place = require("neap.value.place")
local value = require("neap.value.value")

local C = lib.C

-- Each worker draws other numbers from math.random, and other ones again
-- after a restart; random_map is what does not depend on the worker.
local function seed_random(number)
  local address = tonumber(ffi.cast("uintptr_t", ffi.new("char[1]")))
  math.randomseed((os.time() * 512 + number) * 2 ^ 12 + address % 2 ^ 24)
end

local function read_chain(worker)
  local nbytes = ffi.new("uint64_t[1]")
  local text = C.neap_worker_chain(worker, nbytes)
  local sent = chain.unpack(ffi.string(text, tonumber(nbytes[0])),
    C.neap_worker_heap_fd(worker))
  lib.check(C.neap_worker_limit(worker, lib.error))
  return sent
end

-- -- Running -----------------------------------------------------------------

local function compute(worker, getter, k, i, epoch)
  place.reset()
  value.begin_item()
  local x = getter(i, epoch)
  C.neap_worker_confirm(worker)
  value.write(k, x)
end

local NO_MEMORY = errors.NO_MEMORY
local NO_MEMORY_AT_START = "not enough memory for the chain and on_start"
local MESSAGE_MAX = 1000 -- bytes, where there is no room for more

-- What is written of a failure; what cannot be sent is told in words.
local function send_failure(worker, k, e, number)
  C.neap_worker_confirm(worker)
  local fields = {
    kind = e.kind, message = e.message, index = e.index, stage = e.stage,
    outer_index = e.outer_index, outer_stage = e.outer_stage,
    worker = number, traceback = e.traceback, cause = e.cause,
    status = e.status,
  }
  if value.write_failure(k, fields) then
    return
  end
  fields.cause = e.message
  if value.write_failure(k, fields) then
    return
  end
  local is_written = value.write_failure(k, {
    kind = e.kind, message = e.message:sub(1, MESSAGE_MAX), index = e.index,
    stage = e.stage, worker = number,
  })
  if not is_written then -- an item must not pass for what lay there before
    error("cannot tell the host of a failure: " .. e.message, 0)
  end
end

-- Once more, now that the collector has run: LuaJIT counts no foreign memory.
-- Where that is not enough, a fresh worker may have what this one has lost.
local function compute_with_less(worker, ...)
  local ok, e = errors.try(compute, worker, ...)
  if not ok and e.cause == NO_MEMORY then
    C.neap_worker_exhausted(worker)
  end
  return ok, e
end

-- What becomes of item k that raised.
local function recover(worker, getter, number, k, i, epoch, e)
  local ok = false
  if e.cause == NO_MEMORY then
    ok, e = compute_with_less(worker, getter, k, i, epoch)
  end
  if not ok then
    send_failure(worker, k, errors.of_item(e, getter, i), number)
  end
end

-- The memory of tensors that are made while an item is computed; not of those
-- that a child makes which the user's code forks: its parent fills the slot.
local function allocator(worker, word)
  return function(nbytes, code, bits, shape, ndim)
    if C.neap_worker_is_ours(worker) == 0 then
      return nil
    end
    local data, own = place.find(code, bits, shape, ndim)
    if data ~= nil then
      return data, own, own[0]
    end
    data = value.allocate(nbytes)
    if data ~= nil then
      return data, word, word[0]
    end
  end
end

-- Computes the items of a run. LuaJIT compiles no loop that is left at once,
-- nor any around it: where the run is one item, there is none.
local function run_task(worker, task, getter, number)
  local i, epoch = tonumber(task.first) + 1, tonumber(task.epoch)
  if task.count == 1 then
    local ok, e = errors.try(compute, worker, getter, 0, i, epoch)
    if not ok then
      recover(worker, getter, number, 0, i, epoch, e)
    end
    return
  end
  local progress = task.progress
  for k = 0, task.count - 1 do
    progress[0] = k
    local ok, e = errors.try(compute, worker, getter, k, i + k,
      epoch)
    if not ok then
      recover(worker, getter, number, k, i + k, epoch, e)
    end
  end
end

local function serve(worker, getter, number)
  local task = ffi.new("neap_task")
  local word = generation.take()
  place.enable()
  array.set_allocator(allocator(worker, word))
  while lib.check(C.neap_worker_next(worker, task, lib.error)) == C.NEAP_OK do
    value.begin(task.base, tonumber(task.bytes), task.count)
    run_task(worker, task, getter, number)
    local used = value.finish()
    generation.bump(word)
    place.reset()
    C.neap_worker_publish(worker, task, used)
  end
end

local function start(worker)
  luajit.guard()
  local number = C.neap_worker_number(worker) + 1
  io.stdout:setvbuf("line")
  seed_random(number)
  local sent = read_chain(worker)
  errors.mode(sent.errors)
  sent.node:expect_rereads(sent.rereads)
  if sent.on_start then
    sent.on_start(number)
  end
  return compiler.compile(sent.node), number
end

local function run()
  local out = ffi.new("neap_worker *[1]")
  lib.check(C.neap_worker_attach(out, lib.error))
  local worker = out[0]
  local ok, getter, number = xpcall(start, errors.handler, worker)
  if not ok then
    local why = getter == NO_MEMORY and NO_MEMORY_AT_START or tostring(getter)
    C.neap_worker_ready(worker, "cannot start workers: " .. why, lib.error)
    return 1
  end
  lib.check(C.neap_worker_ready(worker, nil, lib.error))
  serve(worker, getter, number)
  return 0
end

return run
