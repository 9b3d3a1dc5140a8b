-- SPDX-License-Identifier: MIT
--- A limit that all workers share: of things done in a second, and at once.
--
-- A limit is a range of the shared heap, which workers know by its offset. What
-- they share is that file itself, opened again by each process: the first bytes
-- hold the time of the next thing, and each thing that is being done holds a
-- lock of the kernel's on a byte of its own. The kernel releases the locks of a
-- process that dies. Of the coroutines of a process one asks at a time, and the
-- others wait for their turn.
-- @module neap.waiting.limit

local ffi = require("ffi")
local check = require("neap.base.check")
local class = require("neap.base.class")
local clock = require("neap.base.clock")
local heap = require("neap.tensor.heap")
local loop = require("neap.waiting.loop")
local sleep = require("neap.waiting.sleep")
local tensor = require("neap.travel.tensor")

ffi.cdef([[
  typedef struct neap_flock {
    short type, whence;
    int64_t start, length;
    int pid;
  } neap_flock;
  int neap_limit_open(const char *path, int flags, ...) __asm__("open");
  int neap_limit_fcntl(int fd, int command, ...) __asm__("fcntl");
  ssize_t neap_limit_pread(int fd, void *to, size_t n, int64_t at)
    __asm__("pread");
  ssize_t neap_limit_pwrite(int fd, const void *from, size_t n, int64_t at)
    __asm__("pwrite");
  typedef struct neap_limit_block {
    void *data; int64_t offset, nbytes;
  } neap_limit_block;
]])

local O_RDWR, O_CLOEXEC = 2, 0x80000
local SET, SET_WAIT = 37, 38 -- locks that belong to an open file (F_OFD_)
local WRITE, UNLOCK = 1, 2

local CONCURRENCY_MAX = 4000
local FIRST = 16 -- the offset of the first lock of a thing
local SLACK_S = 0.01 -- that was not used, and may be made up for
local PAUSE_S, PAUSE_MAX_S = 0.001, 0.02 -- between asking for a lock
local LEASE_S = 1 -- after which a turn that nobody gave back is over

local Permit = ffi.typeof("struct { int place; }")
local Block = ffi.typeof("neap_limit_block")
local word = ffi.new("double[1]")
local lock = ffi.new("neap_flock")

local Limit = class("waiting.limit")

-- -- The file ----------------------------------------------------------------

local function free(block)
  heap.free(block.data, tonumber(block.offset), tonumber(block.nbytes), true)
end

local opened = {} -- a heap's descriptor -> this one's; never closed

-- Opens the heap again: locks belong to an open file, and workers inherit
-- the host's.
local function open(heap_fd)
  local path = ("/proc/self/fd/%d"):format(heap_fd)
  local fd = ffi.C.neap_limit_open(path, O_RDWR + O_CLOEXEC)
  if fd < 0 then
    error(("cannot open the shared heap by %s: error %d"):format(path,
      ffi.errno()), 0)
  end
  opened[heap_fd] = fd
  return fd
end

local function new_here(heap_fd, block)
  return {
    fd = opened[heap_fd] or open(heap_fd),
    block = block or false,
    held = {}, -- place -> whether this process holds its lock
    turn = false, -- conditions, once there are coroutines
    freed = false,
    has_turn = false, -- whether a coroutine asks, ...
    until_s = 0, -- ... which is over by then
  }
end

local function here_of(self)
  local here = self.here
  if not here then
    here = new_here(tensor.heap_fd, nil)
    self.here = here
  end
  return here
end

-- Sets or releases the lock of a byte; returns whether it could.
local function set_lock(fd, at, kind, command)
  lock.type, lock.whence, lock.start, lock.length, lock.pid = kind, 0, at, 1, 0
  return ffi.C.neap_limit_fcntl(fd, command, lock) == 0
end

-- -- Asking ------------------------------------------------------------------

-- Takes the next time at which something may be done, and returns it.
local function take_time(self, here)
  local fd, at, now = here.fd, self.where, clock()
  set_lock(fd, at, WRITE, SET_WAIT)
  ffi.C.neap_limit_pread(fd, word, 8, at)
  local time = math.max(word[0], now - SLACK_S)
  word[0] = time + 1 / self.rate
  ffi.C.neap_limit_pwrite(fd, word, 8, at)
  set_lock(fd, at, UNLOCK, SET)
  return time - now
end

-- Takes a place among those that are done at once; nil if there is none.
local function take_place(self, here)
  local held = here.held
  for k = 1, self.concurrency do
    if not held[k]
      and set_lock(here.fd, self.where + FIRST + k, WRITE, SET) then
      held[k] = true
      return k
    end
  end
end

local function lease(here, seconds)
  here.until_s = clock() + seconds + LEASE_S
end

-- Waits until a place is free. This process's are told of, others asked for.
local function wait_place(self, here)
  local pause = PAUSE_S
  while true do
    local place = take_place(self, here)
    if place then
      return place
    end
    lease(here, pause)
    if here.freed then
      loop.cqueues().poll(here.freed, pause)
    else
      sleep(pause)
    end
    pause = math.min(2 * pause, PAUSE_MAX_S)
  end
end

local function ask(self, here)
  local place = self.concurrency and wait_place(self, here)
  local wait = self.rate and take_time(self, here) or 0
  if wait > 0 then
    lease(here, wait)
    sleep(wait)
  end
  return place
end

-- -- Coroutines --------------------------------------------------------------

local function wait_turn(here)
  if not here.turn then
    local condition = require("cqueues.condition")
    here.turn, here.freed = condition.new(), condition.new()
  end
  while here.has_turn and clock() < here.until_s do
    loop.cqueues().poll(here.turn, LEASE_S)
  end
  here.has_turn = true
  lease(here, 0)
end

local function end_turn(here)
  here.has_turn = false
  here.turn:signal(1)
end

local function ask_in_turn(self, here)
  wait_turn(here)
  local ok, place = pcall(ask, self, here)
  end_turn(here)
  return ok and place or not ok and error(place, 0)
end

local function free_place(self, here, place)
  set_lock(here.fd, self.where + FIRST + place, UNLOCK, SET)
  here.held[place] = nil
  if here.freed then
    here.freed:signal(1)
  end
end

-- A place that is free again when nothing refers to it: that of a coroutine
-- that nobody resumes.
local function permit_of(self, here, place)
  return ffi.gc(Permit(place), function()
    free_place(self, here, place)
  end)
end

--- Waits until something more may be done.
-- @return what give() gets when it is done
function Limit:take()
  local here = here_of(self)
  local place
  if loop.is_running() then
    place = ask_in_turn(self, here)
  else
    place = ask(self, here)
  end
  return place and permit_of(self, here, place) or false
end

--- Says that it is done.
function Limit:give(permit)
  if permit then
    ffi.gc(permit, nil)
    free_place(self, self.here, permit.place)
  end
end

local function finish(self, permit, ok, ...)
  self:give(permit)
  if not ok then
    error((...), 0)
  end
  return ...
end

--- Calls f(...) within the limit.
function Limit:run(f, ...)
  if getmetatable(self) ~= Limit then
    check.fail_self(self, "limit", "limit")
  end
  return finish(self, self:take(), pcall(f, ...))
end

function Limit:__tostring()
  local rate, places = self.rate, self.concurrency
  return ("limit(%s%s%s)"):format(rate and rate .. " a second" or "",
    rate and places and ", " or "", places and places .. " at once" or "")
end

-- -- Making ------------------------------------------------------------------

local OPTIONS = {
  rate = check.kinds.positive,
  concurrency = function(v)
    return check.is_integer(v) and v >= 1 and v <= CONCURRENCY_MAX,
      "whole number, 1 to " .. CONCURRENCY_MAX .. ","
  end,
}

local function new_block()
  local nbytes = FIRST + CONCURRENCY_MAX + 1
  local data, offset = heap.alloc(nbytes)
  if not data then
    check.raise("cannot make a limit in a process that the script forked")
  end
  ffi.fill(data, FIRST) -- it may have been another tensor's
  return ffi.gc(Block(data, offset, nbytes), free)
end

--- Returns a limit, for neap.http's option `limit`, or for limit:run(f, ...).
-- The workers of a prefetch whose functions use it share it.
-- @function limit
-- @tparam table options rate (things begun in a second), concurrency (at once)
-- @usage local limit = neap.limit({ rate = 10, concurrency = 4 })
local function make(options)
  options = check.options(1, options, OPTIONS)
  if not options.rate and not options.concurrency then
    check.fail(1, "rate or concurrency expected")
  end
  local block = new_block()
  return Limit:new({
    rate = options.rate or false, concurrency = options.concurrency or false,
    where = tonumber(block.offset), -- in the heap; says nothing of items
    here = new_here(heap.fd(), block),
  })
end

check.register("run", Limit.run, { is_method = true })

return { make = make, class = Limit }
