-- SPDX-License-Identifier: MIT
--- What runs behind a prefetch: a loader of libneap with its workers, which
-- start with the first read.
--
-- All prefetches that differ in their epoch alone share one, and so where the
-- iteration stands; what iterates is neap.reader.
-- @module neap.prefetch.pool

local ffi = require("ffi")
local chain = require("neap.travel.chain")
local class = require("neap.base.class")
local errors = require("neap.base.errors")
local exact = require("neap.base.exact")
local failure = require("neap.prefetch.failure")
local heap = require("neap.tensor.heap")
local hold = require("neap.value.hold")
local lease = require("neap.tensor.lease")
local lib = require("neap.base.lib")

local C = lib.C
local INT32_MAX = 2 ^ 31 - 1
local BUFFERED = 16 -- unless told

local Pool = class("prefetch.pool")

local function worker_count(workers)
  local cores = C.neap_cores()
  if workers == nil then
    return cores
  end
  return workers < 0 and math.max(1, cores + workers) or workers
end

local function buffered_of(options)
  return math.min(options.buffered or BUFFERED, INT32_MAX)
end

--- A pool for the options of a prefetch; nothing runs yet.
function Pool.make(options, length)
  return Pool:new({
    options = options, length = length,
    workers = worker_count(options.workers),
    chain = false, -- what the workers get: text, which goes when they have it,
    -- their span, and the tensors that the text refers to
    loader = false, handle = false, was_closed = false,
    has_started = false, -- on_start, in this process
    start = 1, -- where the next each() begins
    place = 1, -- the position, where no loop that the loader serves tells it
    mark = false, -- what such a loop wanted when the place was set
    reader = false, -- the iteration that the loader serves
    run = false, loan = false, -- for single reads, once workers run
    stream = false, -- the iteration that single reads in order become
    last = 0, -- index of the single read before
  })
end

-- -- What the workers get ----------------------------------------------------

local AHEAD_MAX = 2 ^ 20 -- entries of a ring, by the items of a run
local SPAN = 4 -- times buffered

-- Where order does not matter: how far the first item that is in work and the
-- last may be apart. Workers that read an iterator can go back no further.
local function span_of(pool, source)
  if pool.options.order ~= false or source:count_stages("from_iter") == 0 then
    return 0
  end
  return math.min(SPAN * buffered_of(pool.options), AHEAD_MAX)
end

-- How many of the items that it computed last a worker may be asked for again,
-- by a loop that goes on where one was left, or after a death: what is ahead,
-- and a run, which is being read.
local function rereads_of(pool, span)
  local buffered = buffered_of(pool.options)
  local ahead, told = math.min(math.max(buffered, span), AHEAD_MAX),
    pool.options.chunk
  local longest = type(told) == "number" and math.min(told, ahead)
    or ahead / (2 * pool.workers)
  return ahead + math.ceil(longest)
end

--- Packs what the workers compute, and how they are asked for it.
function Pool:pack(source)
  local span = span_of(self, source)
  local text, kept = chain.pack({
    node = source, on_start = self.options.on_start, errors = errors.mode(),
    rereads = rereads_of(self, span),
  }, "the chain")
  self.chain = { span = span, text = text, kept = kept }
end

-- -- Opening and closing -----------------------------------------------------

-- When a Lua state ends, finalizers run in no order, and a user's may still use
-- a prefetch: its handle tells whether the loader has been closed already.
ffi.cdef([[
  typedef struct neap_pool_owner {
    neap_pool *loader;
    uint64_t *word; /* the lease of single reads */
  } neap_pool_owner;
]])

local function close_handle(handle)
  local loader, word = handle.loader, handle.word
  handle.loader, handle.word = nil, nil
  if word ~= nil then
    lease.give(word)
  end
  C.neap_pool_close(loader)
end

local TIMEOUT_MAX = 2 ^ 30 -- seconds; more is for ever

local function timeout_ns(seconds)
  if seconds == nil or seconds > TIMEOUT_MAX then
    return 0
  end
  return math.max(1, seconds * 1e9)
end

local function open(pool)
  local o, text = pool.options, pool.chain.text
  local arguments = ffi.new("const char *[4]", "neap", "--worker", lib.lua_dir)
  local settings = ffi.new("neap_pool_options", {
    chain = text, chain_bytes = #text, launch = { arguments = arguments },
    length = pool.length == math.huge and C.NEAP_ENDLESS or pool.length,
    workers = math.min(pool.workers, INT32_MAX),
    buffered = buffered_of(o),
    chunk = o.chunk and o.chunk ~= "auto" and math.min(o.chunk, INT32_MAX) or 0,
    retries = math.min(o.retries or 2, INT32_MAX),
    ordered = o.order == false and 0 or 1, span = pool.chain.span,
    heap_fd = heap.fd(), slot_bytes = o.slot_bytes or 2 ^ 30,
    timeout_ns = timeout_ns(o.timeout), memory_bytes = o.memory or 0,
  })
  local out = ffi.new("neap_pool *[1]")
  lib.check(C.neap_pool_open(settings, out, lib.error))
  pool.loader = out[0]
  pool.handle = ffi.gc(ffi.new("neap_pool_owner", out[0]), close_handle)
  pool.chain.text = false
  pool.run, pool.loan = ffi.new("neap_run"), hold.new(pool.loader)
  pool.handle.word = pool.loan.lease
end

--- Whether there are no workers any more.
function Pool:is_closed()
  return self.was_closed or self.handle and self.handle.loader == nil
end

function Pool:check_open()
  if self:is_closed() then
    errors.refuse("closed", "cannot read: the prefetch is closed")
  end
end

--- Whether workers run.
function Pool:has_workers()
  return self.loader and not self:is_closed()
end

--- Sees to it that workers run.
function Pool:run_workers()
  self:check_open()
  if not self.loader then
    local ok, why = pcall(open, self)
    if not ok then
      errors.refuse("worker", why)
    end
  end
end

--- Ends the workers; what is held of their items stays valid.
function Pool:close()
  if self:has_workers() then
    close_handle(ffi.gc(self.handle, nil))
  end
  self.was_closed, self.loader = true, false
end

-- -- Reading -----------------------------------------------------------------

local KINDS = { [C.NEAP_EHELD] = "held", [C.NEAP_ECLOSED] = "closed" }

-- Reads a run; a shortage of slots lets the collector look for kept items
-- that nobody uses any more: twice, since owners are let go a cycle later.
local function read_run(pool, read, ...)
  local status = read(pool.loader, ...)
  if status == C.NEAP_EHELD then
    collectgarbage()
    collectgarbage()
    pool:check_open() -- a finalizer may have closed it
    status = read(pool.loader, ...)
  end
  if status < 0 then
    errors.refuse(KINDS[status] or "worker", ffi.string(lib.error.text))
  end
  return status
end

--- Moves the iteration: the next run begins at item i.
function Pool:seek(epoch, i)
  read_run(self, C.neap_pool_seek, epoch, exact.from_zero(i), lib.error)
end

--- The next run of the iteration; false at its end.
function Pool:next_run(run)
  return read_run(self, C.neap_pool_next, run, lib.error) == C.NEAP_OK
end

--- Lets the iteration end with the items before item i, once all have come.
function Pool:end_before(i)
  C.neap_pool_shorten(self.loader, exact.from_zero(i))
end

--- Gives a run's slot back; -1 is fine.
function Pool:release(slot)
  C.neap_pool_release(self.loader, slot)
end

-- The item of a run, or its error, with tensors that stay valid.
local function read_kept(run, loan, stage, limits)
  local x, is_failure = failure.read(run, 0, loan, stage, limits)
  if is_failure then
    hold.copy_out(x, hold.ERROR_BYTES_MAX)
  elseif loan.has_tensors then
    hold.keep(x)
  end
  return x, is_failure
end

--- Item i in a run of its own, kept.
-- @return the item, or an error
-- @treturn boolean whether it is an error
function Pool:get(i, epoch, stage)
  local run, loan = self.run, self.loan
  read_run(self, C.neap_pool_get, epoch, exact.from_zero(i), run, lib.error)
  loan:aim(run.slot)
  local ok, x, is_failure = pcall(read_kept, run, loan, stage, self.options)
  loan:aim(-1)
  C.neap_pool_release(loan.loader, run.slot)
  return x, is_failure or not ok
end

-- -- Statistics --------------------------------------------------------------

local function stats_table(stats)
  return {
    items = tonumber(stats.items), runs = tonumber(stats.runs),
    bytes = tonumber(stats.bytes), busy = tonumber(stats.busy_ns) / 1e9,
    idle = tonumber(stats.idle_ns) / 1e9,
  }
end

--- What p:stats() answers.
function Pool:stats()
  local stats = ffi.new("neap_pool_stats")
  if not self:has_workers() then
    local none = stats_table(stats)
    none.wait, none.restarts, none.retries, none.held = 0, 0, 0, 0
    none.workers = {}
    return none
  end
  C.neap_pool_read_stats(self.loader, stats)
  local all = stats_table(stats)
  all.wait = tonumber(stats.consumer_wait_ns) / 1e9
  all.restarts, all.retries = tonumber(stats.restarts), tonumber(stats.retries)
  all.held, all.workers = stats.held, {}
  for w = 1, stats.workers do
    local pid = C.neap_pool_read_worker(self.loader, w - 1, stats)
    all.workers[w] = stats_table(stats)
    all.workers[w].pid = pid
  end
  return all
end

return Pool
