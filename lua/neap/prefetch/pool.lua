-- SPDX-License-Identifier: MIT
--- The worker processes of a prefetch: what they get, how they start and end,
-- and the runs of items that come from them.
--
-- All epochs of a prefetch share one pool. Its workers start with the first
-- read. What reads in order is neap.prefetch.iteration.
-- @module neap.prefetch.pool

local ffi = require("ffi")
local borrow = require("neap.value.borrow")
local chain = require("neap.travel.chain")
local class = require("neap.base.class")
local errors = require("neap.base.errors")
local exact = require("neap.base.exact")
local failure = require("neap.prefetch.failure")
local generation = require("neap.tensor.generation")
local heap = require("neap.tensor.heap")
local lib = require("neap.base.lib")

local C = lib.C
local INT32_MAX = 2 ^ 31 - 1
local BUFFERED = 16 -- by default

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

--- A pool for the options of a prefetch. Nothing runs yet.
function Pool.make(options)
  return Pool:new({
    options = options,
    workers = worker_count(options.workers), -- 0: items are computed here
    chain = false, -- what the workers get; see pack()
    opened = false, -- the pool of C, from the first read on; see open()
  })
end

-- -- What the workers get ----------------------------------------------------

local AHEAD_MAX = 2 ^ 20 -- entries of a ring times the items of a run
local SPAN = 4 -- times buffered

-- Without order: how far the first and the last item in work may be apart.
-- Workers that read an iterator cannot go back further.
local function span_of(pool, source)
  if pool.options.order ~= false or source:count_stages("from_iter") == 0 then
    return 0
  end
  return math.min(SPAN * buffered_of(pool.options), AHEAD_MAX)
end

-- How many of its last items a worker may be asked for again, by a loop that
-- goes on where another was left, or after a death: the items ahead, and those
-- of the run that is being read.
local function rereads_of(pool, span)
  local chunk, buffered = pool.options.chunk, buffered_of(pool.options)
  local ahead = math.min(math.max(buffered, span), AHEAD_MAX)
  local longest = type(chunk) == "number" and math.min(chunk, ahead)
    or ahead / (2 * pool.workers)
  return ahead + math.ceil(longest)
end

--- Packs what the workers compute.
function Pool:pack(source)
  local span = span_of(self, source)
  local text, kept = chain.pack({
    node = source, on_start = self.options.on_start, errors = errors.mode(),
    rereads = rereads_of(self, span),
  }, "the chain")
  self.chain = {
    text = text, -- until the workers have it
    kept = kept, -- the tensors that the text refers to
    span = span, length = source.length,
  }
end

-- -- Opening and closing -----------------------------------------------------

-- The pool is NULL once it is closed: also by the finalizer, since a user's
-- finalizer may read a prefetch after that, when a Lua state ends.
ffi.cdef([[
  typedef struct neap_pool_owner {
    neap_pool *pool;
    uint64_t *counter; /* generations of single reads */
  } neap_pool_owner;
]])

local function close_owned(owner)
  local pool, counter = owner.pool, owner.counter
  owner.pool, owner.counter = nil, nil
  if counter ~= nil then
    generation.give(counter)
  end
  C.neap_pool_close(pool)
end

local TIMEOUT_MAX = 2 ^ 30 -- seconds; more is for ever

local function timeout_ns(seconds)
  if seconds == nil or seconds > TIMEOUT_MAX then
    return 0
  end
  return math.max(1, seconds * 1e9)
end

local function settings_of(self, arguments)
  local o, chunk, sent = self.options, self.options.chunk, self.chain
  return ffi.new("neap_pool_options", {
    chain = sent.text, chain_bytes = #sent.text,
    launch = { arguments = arguments },
    length = sent.length == math.huge and C.NEAP_ENDLESS or sent.length,
    workers = math.min(self.workers, INT32_MAX),
    buffered = buffered_of(o),
    chunk = type(chunk) == "number" and math.min(chunk, INT32_MAX) or 0,
    retries = math.min(o.retries or 2, INT32_MAX),
    ordered = o.order == false and 0 or 1, span = sent.span,
    heap_fd = heap.fd(), slot_bytes = o.slot_bytes or 2 ^ 30,
    timeout_ns = timeout_ns(o.timeout), memory_bytes = o.memory or 0,
  })
end

local function open(self)
  local arguments = ffi.new("const char *[4]", "neap", "--worker", lib.lua_dir)
  local settings, out = settings_of(self, arguments), ffi.new("neap_pool *[1]")
  lib.check(C.neap_pool_open(settings, out, lib.error))
  local owner = ffi.gc(ffi.new("neap_pool_owner", out[0]), close_owned)
  local borrowed = borrow.new(out[0])
  owner.counter = borrowed.counter
  self.chain.text = false
  self.opened = {
    pool = out[0], owner = owner, settings = settings, arguments = arguments,
    run = ffi.new("neap_run"), borrow = borrowed, -- of single reads
  }
end

-- What `opened` is after close().
local CLOSED = { pool = false, owner = ffi.new("neap_pool_owner") }

--- Whether the prefetch was closed.
function Pool:is_closed()
  return self.opened and self.opened.owner.pool == nil
end

function Pool:check_open()
  if self:is_closed() then
    errors.refuse(lib.failure(C.NEAP_ECLOSED,
      "cannot read: the prefetch is closed"))
  end
end

--- Whether workers run.
function Pool:has_workers()
  return self.opened and not self:is_closed()
end

--- Starts the workers unless they run.
function Pool:run_workers()
  self:check_open()
  if not self.opened then
    local ok, why = pcall(open, self)
    if not ok then
      errors.refuse(why)
    end
  end
end

--- Runs on_start in this process, once: for items that are computed here.
function Pool:start_in_place()
  local options = self.options
  if options.on_start then
    options.on_start(1)
    options.on_start = nil
  end
end

--- Ends the workers. Items that are kept stay valid.
function Pool:close()
  if self:has_workers() then
    close_owned(ffi.gc(self.opened.owner, nil))
  end
  self.opened = CLOSED
end

-- -- Reading -----------------------------------------------------------------

-- Reads a run. Where slots are short, collects kept items that are no longer in
-- use: twice, since their owners are collected a cycle later.
local function read_run(pool, read, ...)
  pool:check_open() -- a finalizer may have closed it, and again below
  local status = read(pool.opened.pool, ...)
  if status == C.NEAP_EHELD then
    collectgarbage()
    collectgarbage()
    pool:check_open()
    status = read(pool.opened.pool, ...)
  end
  if status < 0 then
    errors.refuse(lib.failure())
  end
  return status
end

--- Moves the iteration: the next run begins at item i.
function Pool:seek(epoch, i)
  read_run(self, C.neap_pool_seek, epoch, exact.from_zero(i), lib.error)
end

--- Gets the next run of the iteration. False at its end.
function Pool:next_run(run)
  return read_run(self, C.neap_pool_next, run, lib.error) == C.NEAP_OK
end

--- Gets a run of item i alone, aside from the iteration.
function Pool:get_run(epoch, i, run)
  read_run(self, C.neap_pool_get, epoch, exact.from_zero(i), run, lib.error)
end

--- Ends the iteration before item i.
function Pool:end_before(i)
  C.neap_pool_shorten(self.opened.pool, exact.from_zero(i))
end

-- Reads the item of a run, or its error. Tensors in either stay valid.
local function read_kept(opened, stage)
  local x, is_failure = failure.read(opened.run, 0, opened.borrow, stage,
    opened.settings)
  if is_failure then
    borrow.copy_out(x, borrow.ERROR_BYTES_MAX)
  elseif opened.borrow.has_tensors then
    borrow.keep(x)
  end
  return x, is_failure
end

--- Reads item i in a run of its own, aside from the iteration; kept.
-- @return the item, or an error
-- @treturn boolean whether it is an error
function Pool:get(i, epoch, stage)
  local opened = self.opened
  local run, borrowed = opened.run, opened.borrow
  self:get_run(epoch, i, run)
  borrowed:aim(run.slot)
  local ok, x, is_failure = pcall(read_kept, opened, stage)
  borrowed:aim(-1)
  C.neap_pool_release(opened.pool, run.slot)
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

--- Returns the table of p:stats().
function Pool:stats()
  local stats = ffi.new("neap_pool_stats")
  if not self:has_workers() then
    local none = stats_table(stats)
    none.wait, none.restarts, none.retries, none.held = 0, 0, 0, 0
    none.workers = {}
    return none
  end
  C.neap_pool_read_stats(self.opened.pool, stats)
  local all = stats_table(stats)
  all.wait = tonumber(stats.consumer_wait_ns) / 1e9
  all.restarts, all.retries = tonumber(stats.restarts), tonumber(stats.retries)
  all.held, all.workers = stats.held, {}
  for w = 1, stats.workers do
    local pid = C.neap_pool_read_worker(self.opened.pool, w - 1, stats)
    all.workers[w] = stats_table(stats)
    all.workers[w].pid = pid
  end
  return all
end

return Pool
