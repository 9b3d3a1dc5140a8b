-- SPDX-License-Identifier: MIT
--- Coroutines that compute items, so that one goes on while another waits for a
-- socket or a timer: see docs/internals/many.md.
--
-- A thread of a cqueues controller, the *relay*, runs a fiber. Where an item
-- waits, cqueues yields what it waits for to the relay, which polls it and
-- resumes the fiber. What belongs to an item switches with its fiber.
--
-- A fiber:
--   co        its coroutine
--   task      its neap_task, or false in a script
--   wanted    what it computes, in a script
--   item      its context (neap.value.context), or false in a script
--   random    the generators of random_map, in a script
--   memory    the scratch memory that it keeps while it waits, or false
--   timing    the plan that times its item while it waits, or false
--   polls     what it waits for; polls.n of them
--   bell      a condition that ends its wait
--   struck    what its item raises where it waits, or false
--   strikes   how often this run has been struck
--   is_paused whether the host was told that the task waits
--   is_inner  whether it runs within another one, in a script
--   at, ends  an item of the run, and when its time is over
--   limit     what ends its wait then, as cqueues sees it
-- @module neap.prefetch.fibers

local check = require("neap.base.check")
local class = require("neap.base.class")
local clock = require("neap.base.clock")
local compiler = require("neap.sequence.compile")
local context = require("neap.value.context")
local lib = require("neap.base.lib")
local scratch = require("neap.value.scratch")
local turn = require("neap.base.turn")

local C = lib.C
local HUGE = math.huge

local Fibers = class("prefetch.fibers")

-- How often an item may go on after it was struck, until it is not told to be
-- waiting any more: then its time counts as if it computed.
Fibers.STRIKES_MAX = 100

local create, resume, yield = coroutine.create, coroutine.resume,
  coroutine.yield
local running, status = coroutine.running, coroutine.status

local YIELDED = check.with_help("cannot yield: the stage is not in a coroutine "
  .. "of its own", "wait by cqueues or by what is built on it")

local function load_cqueues()
  local ok, cqueues = pcall(require, "cqueues")
  if ok then
    return cqueues, require("cqueues.condition")
  end
  error(check.with_help("cannot have several items in work at once: the module "
    .. "'cqueues' is not there", "install it: apt-get install lua-cqueues, or "
    .. "luarocks install cqueues"), 0)
end

-- -- Coroutines of stages ---------------------------------------------------

local plain = { resume = resume, wrap = coroutine.wrap }
local passing = false -- what passes on what a coroutine waits for

local function set_coroutines(functions)
  coroutine.resume = functions.resume -- luacheck: ignore
  coroutine.wrap = functions.wrap -- luacheck: ignore
end

--- Lets coroutines of stages, such as generators, wait: what they wait for
-- passes through coroutine.resume and wrap to the relay. For a worker, before
-- it reads its chain; a script's functions are replaced while a fiber runs.
function Fibers.replace_coroutines()
  load_cqueues()
  passing = require("cqueues.auxlib")
  set_coroutines(passing)
end

--- Makes fibers.
-- @tparam int limit how many may have work
-- @tparam function begin sets the fields of a new fiber: begin(owner, fiber)
-- @tparam function body runs in its coroutine as long as the fiber has work:
--   body(owner, fiber)
-- @param owner
-- @tparam[opt] number timeout seconds that an item may take
function Fibers.make(limit, begin, body, owner, timeout)
  local cqueues, condition = load_cqueues()
  passing = require("cqueues.auxlib")
  turn.is_needed = true
  return Fibers:new({
    limit = limit, begin = begin, body = body, owner = owner,
    timeout = timeout or false,
    controller = cqueues.new(), poll = cqueues.poll, magic = cqueues._POLL,
    condition = condition,
    count = 0, idle = {}, -- fibers that there are; those without work
    busy = 0, relays = {}, -- fibers with work; thread -> its fiber
    memory = false, spare = {}, -- scratch that fibers share; what they kept
    why = false, -- what has ended all of them
  })
end

-- -- Fibers ------------------------------------------------------------------

local IDLE = {} -- yielded by a fiber without work

local function live(self, fiber)
  while true do
    self.body(self.owner, fiber)
    yield(IDLE)
  end
end

local function new_fiber(self)
  local fiber = {
    co = create(live), item = false, random = {}, memory = false,
    timing = false, outer_random = false, outer_timing = false, polls = false,
    bell = self.condition.new(), struck = false, strikes = 0,
    at = -1, ends = HUGE, limit = {}, task = false, wanted = false,
    has_waited = false, is_paused = false, is_inner = false,
  }
  self.begin(self.owner, fiber)
  if fiber.item then
    self.memory = self.memory or fiber.item.scratch
  end
  self.count = self.count + 1
  return fiber
end

--- Returns a fiber without work; nil if there are as many as there may be.
function Fibers:take()
  local fiber = table.remove(self.idle)
  if not fiber and self.count < self.limit then
    fiber = new_fiber(self)
  end
  return fiber
end

--- Gives back a fiber that was taken, as there is no work for it.
function Fibers:give(fiber)
  self.idle[#self.idle + 1] = fiber
end

-- -- Switching ---------------------------------------------------------------

local function enter(self, fiber)
  local item = fiber.item
  if item then
    if not fiber.memory then
      item.scratch = self.memory
    end
    context.enter(item)
    if fiber.is_paused then
      fiber.is_paused = false
      C.neap_worker_resume(item.worker, fiber.task)
    end
  else
    fiber.outer_random = context.generators
    context.draw_from(fiber.random)
    fiber.is_inner = coroutine.resume == passing.resume
    set_coroutines(passing)
  end
  fiber.outer_timing = compiler.time(fiber.timing)
end

-- A fiber that waits keeps the scratch memory in which it has tensors.
local function keep_memory(self, fiber)
  local memory = self.memory
  if fiber.memory or memory.used == 0 then
    return
  end
  fiber.memory = memory
  self.memory = table.remove(self.spare)
    or scratch.new(fiber.item.worker)
end

-- The time that a run waits, also until it is its turn, is not its own.
local function pause(fiber)
  if fiber.item and fiber.strikes < Fibers.STRIKES_MAX then
    fiber.is_paused = true
    C.neap_worker_wait(fiber.item.worker, fiber.task)
  end
end

local function note_wait(self, fiber)
  fiber.has_waited = true
  pause(fiber)
  if fiber.item then
    keep_memory(self, fiber)
  end
end

--- A fiber goes on with other work.
function Fibers:renew(fiber)
  if fiber.memory then
    fiber.memory.used = 0
    table.insert(self.spare, fiber.memory)
    fiber.memory = false
  end
  fiber.polls, fiber.struck, fiber.strikes = false, false, 0
  fiber.at, fiber.ends, fiber.has_waited = -1, HUGE, false
end

-- After a fiber has yielded. Returns whether it has no more work.
local function leave(self, fiber, ok, what, ...)
  fiber.timing = compiler.time(fiber.outer_timing)
  context.leave()
  if not fiber.item then
    context.draw_from(fiber.outer_random)
    set_coroutines(fiber.is_inner and passing or plain)
  end
  if not ok then
    error(what, 0)
  elseif what == IDLE then
    self:renew(fiber)
    return true
  end
  note_wait(self, fiber)
  if what == self.magic then
    fiber.polls = { n = select("#", ...), ... }
  else
    fiber.polls, fiber.struck = { n = 0 }, YIELDED
  end
  return false
end

local function switch(self, fiber, ...)
  enter(self, fiber)
  return leave(self, fiber, resume(fiber.co, ...))
end

-- Resumes a fiber such that it raises an error where it waits. A hook does so:
-- it is called before the fiber's first instruction.
local function strike(self, fiber)
  local why, co, hook, mask, count = fiber.struck, fiber.co, debug.gethook()
  fiber.struck, fiber.strikes = false, fiber.strikes + 1
  if type(hook) ~= "function" then
    hook = nil
  end
  debug.sethook(function()
    if running() == co then
      debug.sethook(hook, mask, count)
      error(why, 0)
    end
  end, "", 1)
  return switch(self, fiber)
end

-- -- Waiting -----------------------------------------------------------------

local function overdue(self)
  return lib.failure(C.NEAP_ETIMEOUT, ("it took longer than timeout = %g "
    .. "seconds, and waited"):format(self.timeout))
end

-- The clock of an item begins with its first wait, or that of its run.
local function set_limit(self, fiber)
  local now, at = clock(), fiber.task and fiber.task.progress[0] or 0
  if at ~= fiber.at then
    fiber.at, fiber.ends = at, now + self.timeout
  end
  fiber.limit.timeout = math.max(0, fiber.ends - now)
end

-- What is ready of what the fiber waits for.
local function ready(fiber, n, x, ...)
  if n == 0 then
    return
  elseif x == fiber.bell or x == fiber.limit then
    return ready(fiber, n - 1, ...)
  end
  return x, ready(fiber, n - 1, ...)
end

local function heed(fiber, ...)
  return ready(fiber, select("#", ...), ...)
end

local wait

-- Nothing is ready: the bell has rung, or the time is over.
local function heed_time(self, fiber, ...)
  if not fiber.struck and select("#", ...) > 0 then
    return switch(self, fiber, ...)
  elseif not fiber.struck and clock() >= fiber.ends then
    fiber.struck = overdue(self)
  end
  return wait(self, fiber)
end

-- Waits for what a fiber waits for, then resumes it. Returns whether it has no
-- more work.
function wait(self, fiber)
  if fiber.struck then
    return strike(self, fiber)
  end
  local polls = fiber.polls
  if self.timeout then
    set_limit(self, fiber)
  end
  return heed_time(self, fiber, heed(fiber, self.poll(fiber.bell, fiber.limit,
    unpack(polls, 1, polls.n))))
end

-- A thread of the controller.
local function relay(self, fiber)
  local thread = running()
  self.relays[thread] = fiber
  if fiber.polls or not switch(self, fiber, self, fiber) then
    repeat
      local is_idle = wait(self, fiber)
    until is_idle
  end
  self.relays[thread] = nil
  self.busy = self.busy - 1
  self:give(fiber)
end

--- Lets a fiber that was taken work, at the next step.
function Fibers:start(fiber)
  pause(fiber)
  self.busy = self.busy + 1
  self.controller:wrap(relay, self, fiber)
end

--- Whether the item of a fiber waits, and will not be ended.
function Fibers.is_waiting(fiber)
  return fiber.polls and not fiber.struck
end

--- Raises an error in the item of a fiber where it waits, at the next step.
function Fibers.strike(fiber, why)
  fiber.struck = why
  fiber.bell:signal()
end

-- -- Stepping ----------------------------------------------------------------

local function complain(why)
  io.stdout:flush()
  io.stderr:write(("neap: a coroutine that a stage handed to cqueues failed: "
    .. "%s\n"):format(tostring(why)))
end

-- A thread of the controller has ended: a relay since its fiber has, or since
-- cqueues cannot poll what its fiber waits for; or one that a stage started.
local function note_failure(self, why, thread)
  local fiber = self.relays[thread]
  if not fiber then
    complain(why)
    return
  end
  self.relays[thread] = nil
  if status(fiber.co) == "dead" then
    self.why = why
    error(why, 0)
  end
  fiber.struck = fiber.struck or tostring(why)
  self.controller:wrap(relay, self, fiber)
end

--- Resumes what is ready, after so many seconds at most.
function Fibers:step(seconds)
  local ok, why, _, thread = self.controller:step(seconds)
  if not ok then
    note_failure(self, why, thread)
  end
end

--- Lets fibers end that were struck, then closes the controller, unless this
-- runs in one of its own.
function Fibers:close()
  if not self.controller:empty() then
    pcall(self.step, self, 0)
  end
  pcall(self.controller.close, self.controller)
end

jit.off(true, true) -- where an item waits; its own code is compiled

return Fibers
