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
local InPlace = require("neap.prefetch.in_place")
local lib = require("neap.base.lib")
local report = require("neap.prefetch.report")
local retain = require("neap.value.retain")
local stages = require("neap.sequence.stages")
local statistics = require("neap.prefetch.statistics")
local warnings = require("neap.base.warnings")
local without_lua = require("neap.prefetch.without_lua")

local C = lib.C
local INT32_MAX = 2 ^ 31 - 1

-- By default, the more of: items, and items for each worker.
local BUFFERED, BUFFERED_EACH = 16, 2
local BUFFERED_MAX = 4096 -- by default

local Pool = class("prefetch.pool")

--- Returns how many workers the options of a prefetch mean.
function Pool.count_workers(options)
  local workers = options.threads or options.workers
  local cores = C.neap_cores()
  if workers == nil then
    return cores
  end
  return workers < 0 and math.max(1, cores + workers) or workers
end

local function concurrency_of(pool)
  return pool.options.concurrency or 1
end

local function buffered_of(pool)
  local claims = math.max(1, pool.workers) * concurrency_of(pool)
  local default = math.max(BUFFERED, math.min(BUFFERED_EACH * claims,
    BUFFERED_MAX))
  return math.min(pool.options.buffered or default, INT32_MAX)
end

--- A pool for the options of a prefetch. Nothing runs yet.
function Pool.make(options)
  return Pool:new({
    options = options,
    workers = Pool.count_workers(options), -- 0: items are computed here
    chain = false, -- what the workers get; see pack()
    opened = false, -- the pool of C, from the first read on; see open()
    count = 0, -- items computed here, or reads of runs
    place = false, -- what times some of them
    ahead = false, -- what computes them ahead; see compute_ahead()
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
  return math.min(SPAN * buffered_of(pool), AHEAD_MAX)
end

-- How many of its last items a worker may be asked for again, by a loop that
-- goes on where another was left, or after a death: the items ahead, and those
-- of the run that is being read.
local function rereads_of(pool, span)
  local chunk, buffered = pool.options.chunk, buffered_of(pool)
  local ahead = math.min(math.max(buffered, span), AHEAD_MAX)
  local longest = type(chunk) == "number" and math.min(chunk, ahead)
    or ahead / (2 * pool.workers)
  return ahead + math.ceil(longest)
end

-- Returns the chain as workers of Lua get it.
local function pack_for_lua(pool, source, span)
  return chain.pack({
    node = source, on_start = pool.options.on_start, errors = errors.mode(),
    rereads = rereads_of(pool, span), timeout = pool.options.timeout,
  }, "the chain")
end

--- Packs what the workers compute.
function Pool:pack(source)
  local list, numbers = stages.of(source)
  for k, stage in ipairs(list) do
    if stage.count_by then
      stage:count_by(self, k)
    end
  end
  local span = span_of(self, source)
  local text, kept = without_lua.pack(source, numbers, self.options)
  local is_native = text ~= nil
  if not is_native then
    text, kept = pack_for_lua(self, source, span)
  end
  self.chain = {
    text = text, -- until the workers have it
    kept = kept, -- the tensors that the text refers to
    stages = list, span = span, length = source.length,
    native = is_native and source or false, -- if its workers have no Lua
  }
end

-- -- Opening and closing -----------------------------------------------------

-- The pool is NULL once it is closed: also by the finalizer, since a user's
-- finalizer may read a prefetch after that, when a Lua state ends.
ffi.cdef([[
  typedef struct neap_pool_owner {
    neap_pool *pool;
    uint64_t *counter; /* generations of single reads */
    neap_chain *chain; /* of its threads */
    void *bytes;       /* of that */
  } neap_pool_owner;
]])

local function close_owned(owner)
  local pool, counter = owner.pool, owner.counter
  owner.pool, owner.counter = nil, nil
  if counter ~= nil then
    generation.give(counter)
  end
  C.neap_pool_close(pool)
  without_lua.free(owner)
end

local TIMEOUT_MAX = 2 ^ 30 -- seconds; more is for ever

local function timeout_ns(seconds)
  if seconds == nil or seconds > TIMEOUT_MAX then
    return 0
  end
  return math.max(1, seconds * 1e9)
end

--- Returns the neap_pool_options of a packed pool.
-- @param arguments of the launch
function Pool:settings(arguments)
  local o, chunk, sent = self.options, self.options.chunk, self.chain
  return ffi.new("neap_pool_options", {
    chain = sent.text, chain_bytes = #sent.text,
    launch = { arguments = arguments, is_native = sent.native and 1 or 0 },
    length = sent.length == math.huge and C.NEAP_ENDLESS or sent.length,
    workers = math.min(self.workers, INT32_MAX),
    buffered = buffered_of(self),
    chunk = type(chunk) == "number" and math.min(chunk, INT32_MAX) or 0,
    retries = math.min(o.retries or 2, INT32_MAX),
    ordered = o.order == false and 0 or 1, span = sent.span,
    stages = #sent.stages + 1,
    heap_fd = heap.fd(), slot_bytes = o.slot_bytes or 0,
    timeout_ns = timeout_ns(o.timeout), memory_bytes = o.memory or 0,
    concurrency = concurrency_of(self),
  })
end

local function open(self)
  local arguments = ffi.new("const char *[4]", "neap", "--worker", lib.lua_dir)
  local settings, out = self:settings(arguments), ffi.new("neap_pool *[1]")
  local owner = ffi.gc(ffi.new("neap_pool_owner"), close_owned)
  if self.options.threads then
    settings.threads = without_lua.unpack(self.chain.text, owner)
  end
  lib.check(C.neap_pool_open(settings, out, lib.error))
  owner.pool = out[0]
  local watch = retain.watch(out[0])
  local borrowed = borrow.new(out[0], watch)
  owner.counter = borrowed.counter
  self.chain.text = false
  self.opened = {
    pool = out[0], owner = owner, settings = settings, arguments = arguments,
    run = ffi.new("neap_run"), borrow = borrowed, -- of single reads
    watch = watch,
  }
end

-- What `opened` is after close(), besides what was measured.
local CLOSED = ffi.new("neap_pool_owner")

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

-- -- Warnings of workers -----------------------------------------------------

local warning = ffi.new("char[?]", C.NEAP_WARNING_BYTES)

local READS = 64 -- of runs, after which to look for warnings

local function pass_warnings_on(self)
  while C.neap_pool_take_warning(self.opened.pool, warning) ~= 0 do
    warnings.warn(ffi.string(warning))
  end
end

-- -- Closing -----------------------------------------------------------------

--- Ends the workers. Items that are kept stay valid.
function Pool:close()
  if self:is_closed() then
    return
  end
  local closed = { pool = false, owner = CLOSED, stats = self:stats() }
  for k = 0, self:has_workers() and #self.chain.stages or -1 do
    closed[k] = { self:stage(k) }
  end
  if self:has_workers() then
    pass_warnings_on(self)
    close_owned(ffi.gc(self.opened.owner, nil))
  end
  self.opened = closed
  if self.ahead then
    self.ahead:close()
    self.ahead = false
  end
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
  pool.count = pool.count + 1
  if status == C.NEAP_END or pool.count % READS == 0 then
    pass_warnings_on(pool)
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
local function read_kept(opened, stage, native)
  local x, is_failure = failure.read(opened.run, 0, opened.borrow, stage,
    opened.settings, native)
  if is_failure then
    borrow.copy_out(x, borrow.ERROR_BYTES_MAX)
  elseif opened.borrow.has_tensors then
    borrow.retain(x)
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
  local ok, x, is_failure = pcall(read_kept, opened, stage, self.chain.native)
  borrowed:aim(-1)
  C.neap_pool_release(opened.pool, run.slot)
  return x, is_failure or not ok
end

-- -- Items that are computed here --------------------------------------------

--- Runs on_start in this process, once.
function Pool:start_in_place()
  local options = self.options
  if options.on_start then
    options.on_start(1)
    options.on_start = nil
  end
end

--- Returns what computes items of a node ahead here; nil without concurrency.
function Pool:compute_ahead(node)
  if concurrency_of(self) == 1 then
    return nil
  end
  self.ahead = self.ahead or require("neap.prefetch.ahead").make(node, self,
    concurrency_of(self), buffered_of(self))
  return self.ahead
end

--- Counts an item that is computed here; returns whether it is to be timed.
-- Raises if the prefetch is closed.
function Pool:is_due()
  self:check_open()
  local count, place = self.count + 1, self.place
  self.count = count
  if place then
    return count >= place.due
  end
  return count == 2
end

--- Computes item i here, and others ahead.
function Pool:get_ahead(i, e)
  self:check_open()
  return (self.ahead:get(i, e))
end

--- Computes item i of a node here, and times its stages.
function Pool:get_timed(node, i, e)
  self.place = self.place or InPlace.make(node)
  return (self.place:get(i, e, self.count))
end

-- -- What was measured -------------------------------------------------------

--- Returns the table of p:stats().
function Pool:stats()
  if self:has_workers() then
    return statistics.of_pool(self.opened.pool)
  end
  if self.opened and self.opened.stats then
    return self.opened.stats
  elseif self.workers > 0 then
    return statistics.of_none()
  end
  local place, ahead = self.place, self.ahead
  local seconds = place and place:mean() * self.count or 0
  if ahead then
    return statistics.of_place(self.count, ahead.ended - ahead.began,
      ahead.waited)
  end
  return statistics.of_place(self.count, seconds, seconds)
end

local stage = ffi.new("neap_stage")

--- Returns calls and seconds of stage k, for the items that were timed.
function Pool:stage(k)
  if self:has_workers() then
    C.neap_pool_read_stage(self.opened.pool, k, stage)
    return tonumber(stage.calls), tonumber(stage.busy_ns) / 1e9
  elseif self.opened and self.opened[k] then
    return unpack(self.opened[k])
  elseif self.place then
    return self.place:stage(k)
  end
  return 0, 0
end

--- Returns the table of p:report().
function Pool:report()
  local list = self.chain and self.chain.stages
    or self.place and self.place.plan.list or {}
  return report(self:stats(), list, function(k)
    return self:stage(k)
  end)
end

return Pool
