-- SPDX-License-Identifier: MIT
--- Computes items ahead in worker processes.
--
-- A prefetch is a node like others; a *pool* runs behind it (neap.pool), and
-- its own iteration (neap.reader) takes what the workers have computed. In a
-- worker, and with workers = 0, a prefetch is its source.
-- @module neap.adapter.prefetch

local check = require("neap.base.check")
local class = require("neap.base.class")
local failure = require("neap.prefetch.failure")
local lib = require("neap.base.lib")
local Pool = require("neap.prefetch.pool")
local reader = require("neap.prefetch.reader")
local sequence = require("neap.sequence.sequence")

local C = lib.C
local Prefetch = class("adapter.prefetch", sequence.class)

Prefetch.keeps_seeds = true -- its workers' chain is packed

local OPTIONS = {
  workers = "integer", buffered = "count", chunk = "chunk", order = "boolean",
  on_start = "function", retries = "natural", timeout = "positive",
  slot_bytes = "count", memory = "count",
}

-- -- Reading ----------------------------------------------------------------

function Prefetch:iterate(options)
  local pool = self.pool
  if not pool then
    return sequence.class.iterate(self, options)
  elseif self:is_in_place() then
    return reader.in_place(pool, sequence.class.iterate(self, options))
  end
  pool:run_workers()
  local loop = reader.new(self, self.epoch or 1, reader.start(pool),
    options and options.on_error == "skip" and self:new_record())
  return options and options.keep and reader.kept_step or reader.step, loop
end

-- Reads in order are an iteration: items are computed ahead for them too.
local function stream(node, i, epoch)
  local pool = node.pool
  local loop = pool.stream
  if pool.last ~= i - 1 or node.options.order == false then
    return nil
  elseif not loop or loop.wanted ~= i or loop.epoch ~= epoch then
    loop = reader.new(node, epoch, i, false, true)
    pool.stream = loop
  end
  return loop
end

local function read(self, i, epoch)
  local pool = self.pool
  pool:run_workers()
  local loop = i > 1 and stream(self, i, epoch)
  pool.last = i
  if not loop then
    local x, is_failure = pool:get(i, epoch, self:stage_name())
    if is_failure then
      error(x, 0)
    end
    return x
  end
  return reader.next(loop)
end

function Prefetch:get(i, e)
  return (failure.alone(read, self, i, self.epoch or e))
end

-- -- As a node ---------------------------------------------------------------

--- Whether items are computed in this process.
function Prefetch:is_in_place()
  return not self.pool or self.pool.workers == 0
end

-- Its workers know of no retry above it; nor may what is read in place.
function Prefetch.expect_tries() end

--- The source, after on_start has run here, once.
function Prefetch:start()
  local pool = self.pool
  if pool and self.options.on_start and not pool.has_started then
    self.options.on_start(1)
    pool.has_started = true
  end
  return self.source
end

-- Workers send lists for sequences, and so must this process: those that are
-- items, and those within items, where there may be any. Only there it is worth
-- its memory to tell the stage of what fails.
local function emit_listed(self, g, i, x)
  local y, source = g:name(), self.source
  if source:count_stages("split") > 0 then
    g:staged(source, i, "local %s = %s(%s)", y, g:own(sequence.listed_within),
      x)
  else
    g:line("local %s = %s(%s)", y, g:own(sequence.listed), x)
  end
  return y
end

function Prefetch:emit(g, i, e)
  if self:is_in_place() then
    if self.pool then
      g:line("%s(%s)", g:own(Pool.check_open), g:constant(self.pool))
    end
    local x = g:value(self:start(), i, self.epoch and g:constant(self.epoch)
      or e)
    return emit_listed(self, g, i, x)
  end
  return sequence.class.emit(self, g, i, e)
end

function Prefetch:describe()
  local text = ("prefetch(%s)"):format(self.source:describe())
  return self.epoch and ("epoch(%s, %d)"):format(text, self.epoch) or text
end

--- The same workers at another epoch.
function Prefetch:at_epoch(n)
  return Prefetch:make({
    source = self.source, options = self.options, length = self.length,
    epoch = n, where = self.where, pool = self.pool,
  })
end

-- -- What its handles answer besides -----------------------------------------

local methods = setmetatable({}, { __index = sequence.class.methods })
Prefetch.methods = methods

local function pool_of(s)
  return check.self(s, "prefetch").pool
end

--- Ends the workers now; items that are kept stay valid.
function methods.close(s)
  local pool = pool_of(s)
  if pool:has_workers() then
    reader.stop(pool)
  end
  pool:close()
end

--- The index of the next item that iteration will deliver. Reads by index are
-- none.
function methods.position(s)
  return reader.position(pool_of(s))
end

--- Lets the next each() begin at item i.
function methods.seek(s, i)
  local pool = pool_of(s)
  check.integer(2, i)
  if pool:is_closed() then
    check.raise("cannot seek: the prefetch is closed")
  elseif i < 1 or i > pool.length + 1 then
    check.fail(2, ("index %d is out of range 1..%.0f"):format(i,
      pool.length + 1))
  end
  pool.start = i
  reader.place(pool, i)
end

--- Counters: items, runs, bytes, seconds busy, idle and waited, restarts and
-- retries, and the same for each worker.
function methods.stats(s)
  return pool_of(s):stats()
end

-- -- Making ------------------------------------------------------------------

-- The limits of neap_pool_open(), told where the prefetch is made.
local WORKERS_MAX = C.NEAP_WORKERS_MAX
local SLOT_BITS_MIN, SLOT_BITS_MAX = C.NEAP_SLOT_BITS_MIN, C.NEAP_SLOT_BITS_MAX

local function check_limits(options)
  local bytes = options.slot_bytes
  if options.workers and options.workers > WORKERS_MAX then
    check.fail(2, ("option 'workers': %d at most expected, got %d"):format(
      WORKERS_MAX, options.workers))
  elseif bytes and (bytes < 2 ^ SLOT_BITS_MIN or bytes > 2 ^ SLOT_BITS_MAX) then
    check.fail(2, ("option 'slot_bytes': 2^%d to 2^%d expected, got %.0f")
      :format(SLOT_BITS_MIN, SLOT_BITS_MAX, bytes))
  end
end

--- Returns the same items, computed ahead by worker processes.
-- @function prefetch
-- @tparam Sequence source
-- @tparam[opt] table options workers (processes; 0 evaluates in place;
--   negative: cores to spare; default: the cores that this process may use),
--   buffered (items computed ahead at most, 16), chunk (consecutive items a
--   worker computes in one go, "auto"), order (false: as completed), on_start
--   (f(worker) in each worker before its first item), retries (2, of an item
--   whose worker died), timeout (seconds that one item may take in a worker),
--   memory (bytes that one worker may allocate), slot_bytes (address space of a
--   slot, 2^30)
-- @treturn Sequence with the methods close, stats, position, seek
-- @usage for i, x in neap.prefetch(s, {workers = 2}):each() do end
local function prefetch(source, options)
  source = check.sequence(1, source)
  options = check.options(2, options, OPTIONS)
  check_limits(options)
  local pool = Pool.make(options, source.length)
  if pool.workers > 0 then
    local ok, text = pcall(pool.pack, pool, source)
    if not ok then
      check.raise(text)
    end
  end
  return sequence.wrap(Prefetch:make({
    source = source, options = options, length = source.length,
    epoch = false, pool = pool,
  }))
end

return prefetch
