-- SPDX-License-Identifier: MIT
--- Computes items ahead in the script (workers = 0 with concurrency): while one
-- waits for a socket or a timer, others go on.
--
-- Items that are read in order have a *window*: `buffered` items from the one
-- that is read. A read aside from it computes its item alone. A *job* is an
-- item that was begun: {index =, epoch =, fiber =, is_done =, ok =, value =}.
-- @module neap.prefetch.ahead

local class = require("neap.base.class")
local clock = require("neap.base.clock")
local compiler = require("neap.sequence.compile")
local errors = require("neap.base.errors")
local Fibers = require("neap.prefetch.fibers")
local lib = require("neap.base.lib")
local turn = require("neap.base.turn")

local C = lib.C

local Ahead = class("prefetch.ahead")

-- Items that do not wait are computed in chunks of about this time.
local CHUNK_S, CHUNK_MAX = 50e-6, 64

local begin, work -- of fibers

--- Makes it for the node below a prefetch.
function Ahead.make(node, pool, concurrency, buffered)
  node:expect_rereads(buffered)
  turn.is_needed = true -- before the node is compiled
  return Ahead:new({
    node = node, pool = pool, buffered = buffered,
    concurrency = concurrency, fibers = false,
    window = {}, -- index -> job
    first = 1, next = 1, -- its first index, and the one to begin next
    limit = 0, -- begin none beyond this one
    stop = node.length + 1, -- or the first index past an iterator's end
    epoch = 0, last = 0, -- of the last read
    chunk = 1, left = 0, -- items of a chunk, and what is left of it
    has_waits = false, -- whether any item has waited
    began = 0, ended = 0, waited = 0, -- the reads, and their waits
  })
end

-- At the first read: a chain is compiled more often than it is read.
local function open(self)
  self.fibers = Fibers.make(self.concurrency, begin, work, self,
    self.pool.options.timeout)
  self.began = clock()
end

-- -- In a fiber --------------------------------------------------------------

local function compute(self, job)
  local pool, i, e = self.pool, job.index, job.epoch
  if pool:is_due() then
    job.ok, job.value = pcall(pool.get_timed, pool, self.node, i, e)
  else
    job.ok, job.value = errors.try(compiler.compile(self.node), i, e)
  end
  job.is_done, job.fiber = true, false
  if not job.ok and job.value.kind == "end" then
    self.stop = math.min(self.stop, i)
  end
end

local function new_job(i, e)
  return {
    index = i, epoch = e, fiber = false, is_done = false, ok = false,
    value = nil,
  }
end

local function give(fiber, job)
  job.fiber, fiber.wanted = fiber, job
end

-- Begins the next item of the window. False if there is none.
local function claim(self, fiber)
  local i = self.next
  if i > self.limit or i >= self.stop then
    return false
  end
  local job = new_job(i, self.epoch)
  self.window[i], self.next = job, i + 1
  give(fiber, job)
  return true
end

function begin() end

function work(self, fiber)
  repeat
    compute(self, fiber.wanted)
    self.fibers:renew(fiber)
    self.left = self.left - 1
  until self.left <= 0 or self.fibers.busy > 1 or not claim(self, fiber)
end

-- -- Outside of fibers -------------------------------------------------------

-- Lets a fiber work until it waits, or has computed a chunk.
local function run(self, fiber)
  local start = clock()
  self.left = self.chunk
  self.fibers:start(fiber)
  self.fibers:step(0)
  local spent = clock() - start
  if self.fibers.busy > 0 then
    self.has_waits = true
  elseif spent < CHUNK_S / 2 then
    self.chunk = math.min(2 * self.chunk, CHUNK_MAX)
  elseif spent > 2 * CHUNK_S then
    self.chunk = math.max(1, math.floor(self.chunk / 2))
  end
end

-- Begins one more item of the window. False if that cannot be.
local function run_next(self)
  local fiber = self.fibers:take()
  if not fiber then
    return false
  elseif not claim(self, fiber) then
    self.fibers:give(fiber)
    return false
  end
  run(self, fiber)
  return true
end

-- Waits until a job is done. Begins others meanwhile.
local function await(self, job)
  while not job.is_done do
    if not run_next(self) then
      local start = clock()
      self.fibers:step()
      self.waited = self.waited + clock() - start
    end
  end
end

local GONE = lib.failure(C.NEAP_ECLOSED, "the item is no longer read")

-- Ends what was begun of the window.
local function drop(self)
  for i = self.first, self.next - 1 do
    local job = self.window[i]
    if job and job.fiber then
      Fibers.strike(job.fiber, GONE)
    end
    self.window[i] = nil
  end
end

local function open_window(self, i, e)
  drop(self)
  self.first, self.next, self.epoch = i, i, e
  self.stop = self.node.length + 1
end

local function read_aside(self, i, e, fiber)
  local job = new_job(i, e)
  give(fiber, job)
  self.left = 0
  self.fibers:start(fiber)
  self.limit = 0
  await(self, job)
  return job
end

local function read_window(self, i)
  self.limit = i + self.buffered - 1
  while not self.window[i] do
    if not run_next(self) then -- all fibers have yet to end
      self.fibers:step()
    end
  end
  local job = self.window[i]
  await(self, job)
  self.window[i], self.first = nil, i + 1
  if self.has_waits then
    while run_next(self) do end
    self.fibers:step(0)
  end
  return job
end

-- Reads an item that is not in the window. If all fibers wait for items of the
-- window, there is a new window.
local function read_elsewhere(self, i, e, follows)
  local fiber = not follows and self.fibers:take()
  if fiber then
    return read_aside(self, i, e, fiber)
  end
  open_window(self, i, e)
  return read_window(self, i)
end

-- The job of item i, done.
local function read(self, i, e)
  local follows = i == 1 or i == self.last + 1
  local is_in = self.epoch == e and (self.window[i] or i == self.next)
  self.last = i
  if is_in and i < self.stop then
    return read_window(self, i)
  end
  return read_elsewhere(self, i, e, follows)
end

--- Returns item i, or raises its error.
function Ahead:get(i, e)
  if not self.fibers then
    open(self)
  end
  local job = read(self, i, e)
  self.ended = clock()
  if not job.ok then
    self.pool:check_open() -- the item itself may have closed it
    error(errors.from_elsewhere(job.value), 0)
  end
  return job.value
end

--- Ends what was begun.
function Ahead:close()
  if self.fibers then
    drop(self)
    self.fibers:close()
  end
end

return Ahead
