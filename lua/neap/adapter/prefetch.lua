-- SPDX-License-Identifier: MIT
--- Computes items ahead in worker processes.
--
-- A prefetch is a node like others. Its workers are a neap.prefetch.pool; its
-- loops and reads are a neap.prefetch.iteration, its `here`. In a worker, where
-- it has none, and with workers = 0, a prefetch is its source.
-- @module neap.adapter.prefetch

local check = require("neap.base.check")
local class = require("neap.base.class")
local Iteration = require("neap.prefetch.iteration")
local lib = require("neap.base.lib")
local Pool = require("neap.prefetch.pool")
local Node = require("neap.sequence.node")
local handle = require("neap.sequence.handle")
local listing = require("neap.sequence.listing")

local C = lib.C
local Prefetch = class("adapter.prefetch", Node)

Prefetch.is_timed = false

Prefetch.keeps_seeds = true -- its workers' chain is packed
Prefetch.passes_on = true
Prefetch.epoch = false -- that of the read; at_epoch() sets another

local kinds = check.kinds

local OPTIONS = {
  workers = kinds.integer, buffered = kinds.count, order = kinds.boolean,
  on_start = kinds.func, retries = kinds.natural, timeout = kinds.positive,
  slot_bytes = kinds.count, memory = kinds.count, concurrency = kinds.count,
  threads = kinds.count,
  chunk = function(v)
    return v == "auto" or kinds.count(v), 'positive integer or "auto"'
  end,
}

-- -- Reading ----------------------------------------------------------------

function Prefetch:iterate(options)
  local iteration = self.here
  if not iteration then
    return Node.iterate(self, options)
  elseif self:is_in_place() then
    return iteration:each_in_place(Node.iterate(self, options))
  end
  return iteration:each(self, options)
end

function Prefetch:get(i, e)
  return self.here:get(self, i, self.epoch or e)
end

-- -- As a node ---------------------------------------------------------------

--- Whether items are computed in this process.
function Prefetch:is_in_place()
  return not self.here or self.here.pool.workers == 0
end

-- Workers do not know of a retry above the prefetch, so items that are computed
-- in place must not depend on one either.
function Prefetch.expect_tries() end

-- Workers send lists in place of sequences, and so must this process: in place
-- of items, and of what is in items, where there may be any. Only the second is
-- worth the memory of a stage's line.
local function emit_listed(self, g, i, x)
  local y, source = g:name(), self.source
  if source:count_stages("split") > 0 then
    g:staged(source, i, "local %s = %s(%s)", y, g:own(listing.within), x)
  else
    g:line("local %s = %s(%s)", y, g:own(listing.item), x)
  end
  return y
end

-- Some items are timed.
local function emit_counted(self, g, i, e)
  local pool, x = self.here.pool, g:name()
  pool:start_in_place()
  g:line("local %s", x)
  g:open("if %s(%s) then", g:own(Pool.is_due), g:constant(pool))
  g:line("%s = %s(%s, %s, %s, %s)", x, g:own(Pool.get_timed), g:constant(pool),
    g:constant(self.source), i, e)
  g:close("")
  g:open("else")
  g:line("%s = %s", x, g:value(self.source, i, e))
  g:close()
  return x
end

-- Several items are in work at once.
local function emit_ahead(self, g, i, e)
  local pool, x = self.here.pool, g:name()
  pool:start_in_place()
  g:line("local %s = %s(%s, %s, %s)", x, g:own(Pool.get_ahead),
    g:constant(pool), i, e)
  return x
end

local function emit_here(self, g, i, e)
  if not self.here then
    return g:value(self.source, i, e)
  elseif self.here.pool:compute_ahead(self.source) then
    return emit_ahead(self, g, i, e)
  end
  return emit_counted(self, g, i, e)
end

function Prefetch:emit(g, i, e)
  if not self:is_in_place() then
    return Node.emit(self, g, i, e)
  end
  e = self.epoch and g:constant(self.epoch) or e
  return emit_listed(self, g, i, emit_here(self, g, i, e))
end

function Prefetch:not_native()
  return self.epoch and "it has an epoch of its own" or nil
end

function Prefetch:native(build)
  build:chain(self.source)
end

function Prefetch:origins(i, e)
  return { {
    node = self.source, first = i, last = i, epoch = self.epoch or e,
  } }
end

function Prefetch:describe()
  local text = ("prefetch(%s)"):format(self.source:describe())
  return self.epoch and ("epoch(%s, %d)"):format(text, self.epoch) or text
end

--- The same workers at another epoch.
function Prefetch:at_epoch(n)
  return Prefetch:make({
    source = self.source, length = self.length, epoch = n,
    where = self.where, here = self.here,
  })
end

-- -- Methods of its handles -------------------------------------------------

local methods = handle.more_methods("prefetch")
Prefetch.methods = methods

local function iteration_of(s)
  return handle.check_self(s, "prefetch").here
end

--- Ends the workers now. Items that are kept stay valid.
function methods.close(s)
  iteration_of(s):close()
end

--- The index of the next item that iteration will deliver. Reads by index do
-- not change it.
function methods.position(s)
  return iteration_of(s):position()
end

--- Makes the next each() begin at item i.
function methods.seek(s, i)
  local iteration, last = iteration_of(s), s:len() + 1
  check.integer(2, i)
  if iteration.pool:is_closed() then
    check.raise("cannot seek: the prefetch is closed",
      "make a prefetch of the same chain anew")
  elseif i < 1 or i > last then
    check.fail(2, ("index %d is out of range 1..%.0f"):format(i, last))
  end
  iteration:seek(i)
end

--- Counters: items, runs, bytes, rates, seconds busy, idle and waited, restarts
-- and retries, and the same for each worker. It prints as a table.
function methods.stats(s)
  return iteration_of(s).pool:stats()
end

--- Where the time goes, stage by stage, and what limits. It prints as text.
function methods.report(s)
  return iteration_of(s).pool:report()
end

-- -- Making ------------------------------------------------------------------

-- The limits of neap_pool_open(), checked where the prefetch is made.
local WORKERS_MAX = C.NEAP_WORKERS_MAX
local CLAIMS_MAX = C.NEAP_CLAIMS_MAX
local SLOT_BITS_MIN, SLOT_BITS_MAX = C.NEAP_SLOT_BITS_MIN, C.NEAP_SLOT_BITS_MAX

-- What threads cannot have, and why.
local ONLY_PROCESSES = {
  { "workers", "a prefetch has worker processes or threads" },
  { "on_start", "threads run no Lua" },
  { "concurrency", "threads run no Lua" },
  { "timeout", "a thread cannot be ended" },
  { "memory", "threads share the memory of the process" },
  { "retries", "a crash ends the process" },
}

local function check_threads(options)
  for _, only in ipairs(options.threads and ONLY_PROCESSES or {}) do
    local name, why = unpack(only)
    if options[name] ~= nil then
      check.fail(2, ("option '%s' does not go with threads: %s"):format(name,
        why))
    end
  end
end

local function check_count(options, name)
  if options[name] and options[name] > WORKERS_MAX then
    check.fail(2, ("option '%s': %d at most expected, got %d"):format(name,
      WORKERS_MAX, options[name]))
  end
end

local function check_limits(options)
  local bytes, concurrency = options.slot_bytes, options.concurrency or 1
  local workers = math.max(1, Pool.count_workers(options))
  check_count(options, "workers")
  check_count(options, "threads")
  check_threads(options)
  if concurrency * workers > CLAIMS_MAX then
    check.fail(2, ("option 'concurrency': %d at most expected with workers = "
      .. "%d, got %d"):format(CLAIMS_MAX / workers, workers, concurrency))
  elseif bytes and (bytes < 2 ^ SLOT_BITS_MIN or bytes > 2 ^ SLOT_BITS_MAX) then
    check.fail(2, ("option 'slot_bytes': 2^%d to 2^%d expected, got %.0f")
      :format(SLOT_BITS_MIN, SLOT_BITS_MAX, bytes))
  end
end

--- Returns why a sequence cannot be prefetched, or nil.
function Prefetch.refusal(source)
  return source.ends_early and "cannot prefetch batches above a skip: they are "
    .. "whole only where one process puts all of them together\nhelp: "
    .. "prefetch first: s:skip():prefetch(...):batch(...)" or nil
end

--- Returns the same items, computed ahead by worker processes.
-- @function prefetch
-- @tparam Sequence source
-- @tparam[opt] table options workers (processes; 0 evaluates in place;
--   negative: cores to leave free; default: the cores that it may use),
--   buffered (items computed ahead at most, 16, or twice the
--   workers if that is more), chunk (consecutive items a
--   worker computes in one go, "auto"), order (false: as completed), on_start
--   (f(worker) in each worker before its first item), retries (2, of an item
--   whose worker died), timeout (seconds that one item may take in a worker),
--   memory (bytes that one worker may allocate), slot_bytes (address space of a
--   slot, 2^30), threads (of this process in place of workers, for a chain
--   whose every stage is native)
-- @treturn Sequence with the methods close, stats, report, position, seek
local function prefetch(source, options)
  source = handle.check(1, source)
  if type(options) == "number" then
    check.fail(2, "table of options expected, got " .. check.got(options),
      ("write { workers = %.14g }"):format(options))
  end
  options = check.options(2, options, OPTIONS)
  check_limits(options)
  local why = Prefetch.refusal(source)
  if why then
    check.raise(why)
  end
  local pool = Pool.make(options)
  if pool.workers > 0 then
    local ok, text = pcall(pool.pack, pool, source)
    if not ok then
      check.raise(text)
    end
  end
  return handle.wrap(Prefetch:make({
    source = source, length = source.length, here = Iteration.make(pool),
  }))
end

return {
  class = Prefetch, make = prefetch, options = OPTIONS,
  example = [[neap.prefetch(neap.range(3), { workers = 2 }):totable()
    --> 1, 2, 3]],
}
