-- SPDX-License-Identifier: MIT
--- Computes items ahead in worker processes.
--
-- A prefetch is a node like others; what runs behind it is a *pool*: the
-- loader of libneap and where its iteration stands. Workers start with the
-- first read. In a worker, and with workers = 0, a prefetch is its source.
-- @module neap.prefetch

local ffi = require("ffi")
local chain = require("neap.chain")
local check = require("neap.check")
local class = require("neap.class")
local errors = require("neap.errors")
local heap = require("neap.heap")
local hold = require("neap.hold")
local lease = require("neap.lease")
local lib = require("neap.lib")
local sequence = require("neap.sequence")
local value = require("neap.value")

local C = lib.C
local NUMBER = C.NEAP_NUMBER
local number_in = value.number_in

ffi.cdef("char *strsignal(int signal);")

local INT32_MAX = 2 ^ 31 - 1

local Prefetch = class("prefetch", sequence.class)

local OPTIONS = {
  workers = "integer", buffered = "count", chunk = "chunk", order = "boolean",
  on_start = "function", retries = "natural", timeout = "positive",
  slot_bytes = "count", memory = "count",
}

-- -- The pool ----------------------------------------------------------------

local function worker_count(workers)
  local cores = C.neap_cores()
  if workers == nil then
    return cores
  end
  return workers < 0 and math.max(1, cores + workers) or workers
end

local function new_pool(options)
  return {
    loader = false, handle = false, is_closed = false, has_started = false,
    workers = worker_count(options.workers),
    timeout = options.timeout or false, -- seconds that an item may take
    memory = options.memory or false, -- bytes that a worker may allocate
    text = false, -- the chain, until the workers have it
    start = 1, -- where the next each() begins
    reader = false, -- the iteration that the loader serves
    run = ffi.new("neap_run"), -- for single reads
    loan = false, -- theirs
    stream = false, -- the iteration that single reads in order become
    last = 0, -- index of the single read before
  }
end

-- When a Lua state ends, finalizers run in no order, and a user's may still use
-- a prefetch: its handle tells whether the loader has been closed already.
ffi.cdef("typedef struct neap_pool { neap_loader *loader; } neap_pool;")

local function close_handle(handle)
  local loader = handle.loader
  handle.loader = nil
  C.neap_close(loader)
end

local TIMEOUT_MAX = 2 ^ 30 -- seconds; more is for ever

local function timeout_ns(seconds)
  if seconds == nil or seconds > TIMEOUT_MAX then
    return 0
  end
  return math.max(1, seconds * 1e9)
end

local function open(node)
  local o, pool = node.options, node.pool
  local text = pool.text
  local settings = ffi.new("neap_options", {
    chain = text, chain_bytes = #text, lua_dir = lib.lua_dir,
    length = node.length == math.huge and C.NEAP_ENDLESS or node.length,
    workers = math.min(pool.workers, INT32_MAX),
    buffered = math.min(o.buffered or 16, INT32_MAX),
    chunk = o.chunk and o.chunk ~= "auto" and math.min(o.chunk, INT32_MAX) or 0,
    retries = math.min(o.retries or 2, INT32_MAX),
    ordered = o.order == false and 0 or 1,
    heap_fd = heap.fd(), slot_bytes = o.slot_bytes or 2 ^ 30,
    timeout_ns = timeout_ns(o.timeout), memory_bytes = o.memory or 0,
  })
  local out = ffi.new("neap_loader *[1]")
  lib.check(C.neap_open(settings, out, lib.error))
  pool.loader = out[0]
  pool.handle = ffi.gc(ffi.new("neap_pool", out[0]), close_handle)
  pool.text = false
  pool.loan = hold.new(pool.loader)
end

-- Whether there are no workers any more.
local function is_closed(pool)
  return pool.is_closed or pool.handle and pool.handle.loader == nil
end

local function check_open(pool)
  if is_closed(pool) then
    check.raise("cannot read: the prefetch is closed")
  end
end

-- The pool of a node, its workers started.
local function running(node)
  local pool = node.pool
  check_open(pool)
  if not pool.loader then
    local ok, why = pcall(open, node)
    if not ok then
      check.raise(why)
    end
  end
  return pool
end

-- -- Failures ----------------------------------------------------------------

local function signal_text(status)
  local signal = status % 128
  if signal ~= 0 then
    return ("signal %d (%s)"):format(signal,
      ffi.string(ffi.C.strsignal(signal)))
  end
  return ("exit status %d"):format(math.floor(status / 256) % 256)
end

local function exhausted_text(run, memory)
  return ("a worker ran out of memory at this item, %d time%s%s"):format(
    run.attempts, run.attempts == 1 and "" or "s",
    memory and (" (memory = %.0f bytes)"):format(memory) or "")
end

local function overdue_text(timeout)
  return ("it took longer than timeout = %g seconds, and its worker was ended")
    :format(timeout)
end

local function death_text(run)
  return ("a worker died of this item, %d time%s; the last by %s"):format(
    run.attempts, run.attempts == 1 and "" or "s",
    signal_text(run.wait_status))
end

-- A run that is one failure: the item that ended its workers.
local function death(pool, stage, run)
  local kind, message = "death", nil
  if run.is_overdue ~= 0 then
    kind, message = "timeout", overdue_text(pool.timeout)
  elseif run.wait_status == C.NEAP_EXIT_MEMORY * 256 then
    kind, message = "memory", exhausted_text(run, pool.memory)
  end
  return errors.make({
    kind = kind, message = message or death_text(run),
    index = tonumber(run.first) + 1, stage = stage,
  })
end

local TOLD = {
  kind = "string", message = "string", index = "number", stage = "string",
  outer_index = "number", outer_stage = "string", worker = "number",
  traceback = "string",
}

-- What a worker tells of an item's failure, as an error; nothing that a worker
-- gone wild could not have written is taken for granted.
local function failure(stage, fields, i)
  for name, kind in pairs(TOLD) do
    if type(fields[name]) ~= kind then
      fields[name] = nil
    end
  end
  fields.message = fields.message or "its worker does not tell why"
  if fields.index == nil then
    fields.index, fields.stage = i, stage
  end
  return errors.make(fields)
end

-- What keeps an item from being read, as an error: others come nonetheless.
local function damage(stage, message, i)
  if type(message) ~= "string" or not message:find("is damaged", 1, true) then
    error(message, 0)
  end
  return errors.make({
    kind = "damaged", message = message, index = i, stage = stage,
  })
end

-- Item k of a run: the item, or what raises.
local function item_of(pool, stage, run, k, loan)
  if run.slot < 0 then
    return death(pool, stage, run), true
  end
  local ok, x, is_failure = pcall(value.read, run, k, loan)
  if not ok then
    return damage(stage, x, tonumber(run.first) + k + 1), true
  elseif is_failure then
    x = failure(stage, x, tonumber(run.first) + k + 1)
  end
  return x, is_failure
end

-- Reads a run; a shortage of slots lets the collector look for kept items
-- that nobody uses any more: twice, since owners are let go a cycle later.
local function read_run(read, ...)
  local status = read(...)
  if status == C.NEAP_EHELD then
    collectgarbage()
    collectgarbage()
    status = read(...)
  end
  if status < 0 then
    check.raise(ffi.string(lib.error.text))
  end
  return status
end

-- Item i in a run of its own, kept: the item, or what raises.
local function read_one(stage, pool, i, epoch)
  local run, loan = pool.run, pool.loan
  read_run(C.neap_run_get, pool.loader, epoch, i - 1, run, lib.error)
  loan:aim(run.slot)
  local ok, x, is_failure = pcall(item_of, pool, stage, run, 0, loan)
  if ok and not is_failure and loan.has_tensors then
    hold.keep(x)
  end
  C.neap_run_release(pool.loader, run.slot)
  return x, is_failure or not ok
end

-- -- Iterating ---------------------------------------------------------------

local Reader = {}
Reader.__index = Reader

-- Gives back what a reader has of its run, which ends what it lent.
local function let_go(reader)
  local slot = reader.run.slot
  reader.loan:aim(-1)
  reader.run.slot = -1
  reader.k, reader.count = 0, 0
  C.neap_run_release(reader.pool.loader, slot)
end

-- The loader serves its reader no more. Tensors of the item that this is at
-- stay valid: its loop has not gone on yet.
local function detach(pool)
  local reader = pool.reader
  if reader then
    pool.reader = false
    reader.is_lost = not reader.is_ordered
    if reader.loan.has_tensors then
      reader.k, reader.count = 0, 0
    else
      let_go(reader)
    end
  end
end

-- Makes the loader serve this reader, from the item that it wants next.
local function attach(reader)
  local pool = reader.pool
  if reader.is_lost then
    check.raise("cannot go on: another loop has begun, and this prefetch is "
      .. "read as completed (order = false)")
  end
  detach(pool)
  lib.check(C.neap_seek(pool.loader, reader.epoch, reader.wanted - 1,
    lib.error))
  pool.reader = reader
end

-- Releases the run that is read out, and gets the next. False at the end.
local function next_run(reader)
  local pool, run = reader.pool, reader.run
  check_open(pool)
  if pool.reader ~= reader then
    attach(reader)
  end
  let_go(reader)
  if read_run(C.neap_run_next, pool.loader, run, lib.error) ~= C.NEAP_OK then
    detach(pool)
    reader.is_done = true
    return false
  end
  reader.loan:aim(run.slot)
  reader.k, reader.count = 0, run.count
  reader.first, reader.cells = tonumber(run.first) + 1, run.cells
  return true
end

-- Where an iterator of unknown size has ended: so does the loop.
local function step_past_end(reader, e)
  if not reader.node.source:may_end() then
    if not reader.record then
      errors.raise(e)
    end
    table.insert(reader.record, e)
  end
  detach(reader.pool)
  reader.is_done = true
  return nil
end

local step

-- What is not a number: other items, failures, and the end of a run. It has no
-- loop of its own, or LuaJIT would not compile the user's.
local function step_slowly(reader)
  if reader.is_done then
    return nil
  elseif reader.pool.reader ~= reader or reader.k >= reader.count then
    if not next_run(reader) then
      return nil
    end
    return step(reader)
  end
  local k = reader.k
  reader.k = k + 1
  reader.wanted = reader.first + k + 1
  reader.loan:advance()
  local x, is_failure = item_of(reader.pool, reader.stage, reader.run, k,
    reader.loan)
  if is_failure and x.kind == "room" then
    x, is_failure = read_one(reader.stage, reader.pool, reader.wanted - 1,
      reader.epoch)
  end
  if not is_failure then
    return reader.first + k, x
  elseif x.kind == "end" and reader.node.length == math.huge then
    return step_past_end(reader, x)
  elseif not reader.record then
    errors.raise(x)
  end
  table.insert(reader.record, x)
  return step(reader)
end

function step(reader)
  local k = reader.k
  if k < reader.count and reader.run.slot >= 0
    and reader.cells[k].type == NUMBER then
    reader.k = k + 1
    reader.wanted = reader.first + k + 1
    return reader.first + k, number_in(reader.cells[k])
  end
  return step_slowly(reader)
end

local function kept_step(reader)
  local i, x = step(reader)
  hold.keep(x)
  reader.loan.has_tensors = false -- none is lent
  return i, x
end

-- A loop that is left and forgotten holds a run until it is collected, with
-- all tensors that it lent.
local function new_run(loader, loan)
  local word = loan.lease
  local run = ffi.gc(ffi.new("neap_run"), function(run)
    local slot = run.slot
    run.slot = -1
    lease.give(word)
    C.neap_run_release(loader, slot)
  end)
  run.slot = -1
  loan.run = run
  return run
end

local function new_reader(node, epoch, start, record)
  local loader = node.pool.loader
  local loan = hold.new(loader)
  return setmetatable({
    node = node, stage = node:stage_name(), pool = node.pool, epoch = epoch,
    run = new_run(loader, loan), loan = loan,
    k = 0, count = 0, first = 0, cells = false,
    wanted = start, is_done = false, is_lost = false,
    is_ordered = node.options.order ~= false, record = record,
  }, Reader)
end

-- An iteration that computes in place: it keeps the position, as others do.
local function step_in_place(reader, i)
  check_open(reader.pool)
  reader.wanted = i + 2
  local at, x = reader.step(reader.state, i)
  if at then
    reader.wanted = at + 1
  else
    reader.pool.reader = false
  end
  return at, x
end

local function iterate_in_place(pool, step_source, state)
  check_open(pool)
  local start = pool.start
  pool.start = 1
  pool.reader = {
    pool = pool, wanted = start, step = step_source, state = state,
  }
  return step_in_place, pool.reader, start - 1
end

function Prefetch:iterate(options)
  if not self.pool then
    return sequence.class.iterate(self, options)
  elseif self:is_in_place() then
    return iterate_in_place(self.pool, sequence.class.iterate(self, options))
  end
  local pool = running(self)
  local reader = new_reader(self, self.epoch or 1, pool.start,
    options and options.on_error == "skip" and self:new_record())
  pool.start = 1
  return options and options.keep and kept_step or step, reader
end

-- -- Reading one item --------------------------------------------------------

-- Reads in order are an iteration: items are computed ahead for them too.
local function stream(node, pool, i, epoch)
  local reader = pool.stream
  if pool.last ~= i - 1 or node.options.order == false then
    return nil
  elseif not reader or reader.wanted ~= i or reader.epoch ~= epoch then
    reader = new_reader(node, epoch, i, false)
    pool.stream = reader
  end
  return reader
end

function Prefetch:get(i, e)
  local pool = running(self)
  local epoch = self.epoch or e
  local reader = i > 1 and stream(self, pool, i, epoch)
  pool.last = i
  if not reader then
    local x, is_failure = read_one(self:stage_name(), pool, i, epoch)
    if is_failure then
      error(x, 0)
    end
    return x
  end
  local _, x = kept_step(reader)
  return x
end

-- -- As a node ---------------------------------------------------------------

--- Whether items are computed in this process.
function Prefetch:is_in_place()
  return not self.pool or self.pool.workers == 0
end

--- The source, after on_start has run here, once.
function Prefetch:start()
  local pool = self.pool
  if pool and self.options.on_start and not pool.has_started then
    self.options.on_start(1)
    pool.has_started = true
  end
  return self.source
end

function Prefetch:emit(g, i, e)
  if self:is_in_place() then
    if self.pool then
      g:line("%s(%s)", g:constant(check_open), g:constant(self.pool))
    end
    return g:value(self:start(), i, self.epoch and g:constant(self.epoch) or e)
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

-- The node of a method's self.
local function node_of(s)
  local node = sequence.is(s) and sequence.node(s)
  if not node or node.class_name ~= "prefetch" then
    check.fail(1, "prefetch expected, got " .. check.got(s))
  end
  return node
end

local function pool_of(s)
  return node_of(s).pool
end

--- Ends the workers now; items that are kept stay valid.
function methods.close(s)
  local pool = pool_of(s)
  if not is_closed(pool) and pool.loader then
    if pool.reader then
      let_go(pool.reader)
    end
    detach(pool)
    close_handle(ffi.gc(pool.handle, nil))
  end
  pool.is_closed, pool.loader = true, false
end

--- The index of the next item that iteration will deliver.
function methods.position(s)
  local pool = pool_of(s)
  return pool.reader and pool.reader.wanted or pool.start
end

--- Lets the next each() begin at item i.
function methods.seek(s, i)
  local node = node_of(s)
  check.integer(2, i)
  if is_closed(node.pool) then
    check.raise("cannot seek: the prefetch is closed")
  elseif i < 1 or i > node.length + 1 then
    check.fail(2, ("index %d is out of range 1..%.0f"):format(i,
      node.length + 1))
  end
  node.pool.start = i
end

local function stats_table(stats)
  return {
    items = tonumber(stats.items), runs = tonumber(stats.runs),
    bytes = tonumber(stats.bytes), busy = tonumber(stats.busy_ns) / 1e9,
    idle = tonumber(stats.idle_ns) / 1e9,
  }
end

--- Counters: items, runs, bytes, seconds busy, idle and waited, restarts and
-- retries, and the same for each worker.
function methods.stats(s)
  local pool = pool_of(s)
  local stats = ffi.new("neap_stats")
  if not pool.loader or is_closed(pool) then
    local none = stats_table(stats)
    none.wait, none.restarts, none.retries, none.held = 0, 0, 0, 0
    none.workers = {}
    return none
  end
  C.neap_loader_stats(pool.loader, stats)
  local all = stats_table(stats)
  all.wait = tonumber(stats.consumer_wait_ns) / 1e9
  all.restarts, all.retries = tonumber(stats.restarts), tonumber(stats.retries)
  all.held, all.workers = stats.held, {}
  for w = 1, stats.workers do
    local pid = C.neap_worker_stats(pool.loader, w - 1, stats)
    all.workers[w] = stats_table(stats)
    all.workers[w].pid = pid
  end
  return all
end

-- -- Making ------------------------------------------------------------------

-- The limits of neap_open(), told where the prefetch is made.
local WORKERS_MAX, SLOT_BYTES_MIN, SLOT_BYTES_MAX = 512, 2 ^ 16, 2 ^ 46

local function check_limits(options)
  local bytes = options.slot_bytes
  if options.workers and options.workers > WORKERS_MAX then
    check.fail(2, ("option 'workers': %d at most expected, got %d"):format(
      WORKERS_MAX, options.workers))
  elseif bytes and (bytes < SLOT_BYTES_MIN or bytes > SLOT_BYTES_MAX) then
    check.fail(2, ("option 'slot_bytes': 2^16 to 2^46 expected, got %.0f")
      :format(bytes))
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
  local pool = new_pool(options)
  if pool.workers > 0 then
    local ok, text = pcall(chain.pack,
      { node = source, on_start = options.on_start }, "the chain")
    if not ok then
      check.raise(text)
    end
    pool.text = text
  end
  return sequence.wrap(Prefetch:make({
    source = source, options = options, length = source.length,
    epoch = false, pool = pool,
  }))
end

return prefetch
