-- SPDX-License-Identifier: MIT
--- Computes the items of a node and writes them to a file, as they lie in the
-- slots of workers, or in a slot of this process.
-- @module neap.dataset.write

local ffi = require("ffi")
local borrow = require("neap.value.borrow")
local compiler = require("neap.sequence.compile")
local context = require("neap.value.context")
local errors = require("neap.base.errors")
local failure = require("neap.prefetch.failure")
local lib = require("neap.base.lib")
local memory = require("neap.tensor.memory")
local Pool = require("neap.prefetch.pool")
local write = require("neap.value.write")
local zstd = require("neap.source.zstd")

local C = lib.C

local BUFFERED = 256 -- items computed ahead
local RUN_ITEMS, SLOT_BYTES = 256, 2 ^ 20 -- of a run of this process
local INLINE_MAX = 2 ^ 22 -- bytes; larger slots need memory of the heap

-- -- Blocks ------------------------------------------------------------------

local size_out = ffi.new("uint64_t[1]")

-- Writes the block that is built, if it has items.
local function flush(saver, level)
  local block = C.neap_saver_block(saver, size_out)
  if block == nil then
    return
  end
  local size = size_out[0]
  if level then
    block, size = zstd.pack(block, tonumber(size), level)
  end
  lib.check(C.neap_saver_write(saver, block, size, lib.error))
end

local function add(saver, run, count, level)
  lib.check(C.neap_saver_add(saver, run, count, lib.error))
  if C.neap_saver_is_due(saver) ~= 0 then
    flush(saver, level)
  end
end

-- -- Items of workers --------------------------------------------------------

-- Adds the items of a run, or raises the error of the first that failed.
-- Returns the index of an item that did not fit the slot; alone, it may.
local function add_run(job, run)
  local good = C.neap_run_good(run)
  if good > 0 then
    add(job.saver, run, good, job.level)
  end
  if good < run.count then
    local borrowed = borrow.new(job.pool.opened.pool)
    borrowed:aim(run.slot)
    local e = failure.read(run, good, borrowed, job.stage,
      job.pool.opened.settings, job.pool.chain.native)
    borrow.copy_out(e, borrow.ERROR_BYTES_MAX)
    if e.kind ~= "room" then
      error(e, 0)
    end
    return tonumber(run.first) + good + 1
  end
end

-- Calls f of a run, and releases its slot.
local function take(job, run, f)
  local ok, x = pcall(f, job, run)
  C.neap_pool_release(job.pool.opened.pool, run.slot)
  run.slot = -1
  if not ok then
    error(x, 0)
  end
  return x
end

local function add_alone(job, run)
  if add_run(job, run) then
    error((failure.read(run, 0, borrow.new(job.pool.opened.pool),
      job.stage, job.pool.opened.settings, job.pool.chain.native)), 0)
  end
end

local function write_from_workers(job, run)
  local pool = job.pool
  pool:run_workers()
  pool:seek(1, tonumber(C.neap_saver_items(job.saver)) + 1)
  while pool:next_run(run) do
    local alone = take(job, run, add_run)
    if alone then
      pool:get_run(1, alone, run)
      take(job, run, add_alone)
      pool:seek(1, alone + 1)
    end
  end
end

-- -- Items of this process ---------------------------------------------------

local function new_slot(nbytes)
  return (nbytes <= INLINE_MAX and memory.inline or memory.in_heap)(nbytes)
end

-- A run that is built in memory of this process.
local function new_run(nbytes)
  return {
    item = context.new(), slot = new_slot(nbytes), nbytes = nbytes,
    count = 0, run = ffi.new("neap_run", { slot = 0 }),
  }
end

local function begin(built)
  built.count = 0
  lib.check(C.neap_writer_begin(built.item.writer, built.slot.d.data,
    built.nbytes, RUN_ITEMS, lib.error))
end

-- Adds the items of the run, and begins the next.
local function finish(job, built)
  local run = built.run
  run.base, run.cells = built.slot.d.data, built.slot.d.data
  run.count, run.bytes = built.count, C.neap_writer_end(built.item.writer)
  if built.count > 0 then
    add(job.saver, run, built.count, job.level)
  end
  begin(built)
end

-- Writes an item. False where the run has no room for it.
local function put(built, x)
  local ok, e = pcall(write.item, built.item, built.count, x)
  if ok then
    built.count = built.count + 1
    return true
  elseif not (errors.is(e) and e.kind == "room") then
    error(e, 0)
  end
  C.neap_writer_undo_item(built.item.writer)
  return false
end

-- Writes an item to this run, or to the next, which alone it makes larger.
local function put_somewhere(job, built, x)
  while not put(built, x) do
    if built.count == 0 then
      built.nbytes = 2 * built.nbytes
      built.slot = new_slot(built.nbytes)
    end
    finish(job, built)
  end
  if built.count == RUN_ITEMS then
    finish(job, built)
  end
end

local function compute(job, getter, built, i)
  put_somewhere(job, built, getter(i, 1))
end

local function write_in_place(job)
  local getter, built = compiler.compile(job.node), new_run(SLOT_BYTES)
  begin(built)
  for i = tonumber(C.neap_saver_items(job.saver)) + 1, job.node.length do
    local ok, e = errors.try(compute, job, getter, built, i)
    if not ok then
      finish(job, built)
      error(errors.of_item(e, getter, i, 1), 0)
    end
    errors.check_interrupt()
  end
  finish(job, built)
end

-- -- Files -------------------------------------------------------------------

local out = ffi.new("neap_saver *[1]")

local function open(path, about)
  local options = ffi.new("neap_saver_options", {
    path = path, text = about.text, key = about.key, items = about.items,
    packing = about.packing, waits = about.waits and 1 or 0,
    bytes_max = about.bytes_max or 0,
  })
  local status = lib.check(C.neap_saver_open(options, out, lib.error))
  return status ~= C.NEAP_END and ffi.gc(out[0], C.neap_saver_close)
end

local function run_job(job)
  local f = job.pool.workers > 0 and write_from_workers or write_in_place
  local ok, e = pcall(f, job, ffi.new("neap_run", { slot = -1 }))
  local is_flushed, why = pcall(flush, job.saver, job.level)
  if not (ok and is_flushed) then
    error(ok and why or e, 0)
  end
  lib.check(C.neap_saver_finish(job.saver, lib.error))
end

--- Writes all items of a node to a file.
-- @tparam Sequence node with an end
-- @tparam string path
-- @tparam table about key, text, packing; level, of packing; workers;
--   slot_bytes; bytes_max, of the file; waits: for another process that writes
--   it, which then is enough
local function save(node, path, about)
  local pool = Pool.make({
    workers = about.workers, buffered = BUFFERED, slot_bytes = about.slot_bytes,
  })
  if pool.workers > 0 then
    pool:pack(node)
  end
  local saver = open(path, {
    text = about.text, key = about.key, items = node.length,
    packing = about.packing, waits = about.waits, bytes_max = about.bytes_max,
  })
  if not saver then
    return
  end
  local ok, e = pcall(run_job, {
    node = node, pool = pool, saver = saver, level = about.level,
    stage = node:stage_name(),
  })
  pool:close()
  C.neap_saver_close(ffi.gc(saver, nil))
  if not ok then
    error(e, 0)
  end
end

return save
