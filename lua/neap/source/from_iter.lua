-- SPDX-License-Identifier: MIT
--- An iterator as a sequence: read forwards, with a memory of its last items.
-- @module neap.source.from_iter

local borrow = require("neap.value.borrow")
local check = require("neap.base.check")
local class = require("neap.base.class")
local clock = require("neap.base.clock")
local errors = require("neap.base.errors")
local sequence = require("neap.sequence.sequence")
local traverse = require("neap.base.traverse")

local FromIter = class("source.from_iter", sequence.class)

FromIter.transient = { getter = true, record = true, state = true }

-- -- Stepping ----------------------------------------------------------------
--
-- `state` is where the iterator stands: its function, state and control value,
-- how many indexes it has passed, and the items of those that are not gone.
--
-- Each process reads an iterator of its own, and perhaps some indexes only; so
-- what an index has must not depend on which others were asked for. Each index
-- takes one call that returns, or `tries` calls that raise, more than one under
-- a retry, with its delay between them. Then it has failed, for good, and the
-- next index has what the iterator gives next.

local FAILURES_MAX = 1000 -- indexes in a row that may fail

local Failed = {} -- the metatable of what stands for an item that failed

local function begin(self)
  return {
    f = self.f, -- false: it has ended
    invariant = self.invariant, control = self.control,
    is_open = false, -- whether f is the iterator, and not what makes it
    count = 0, gone = 0, kept = {},
    failures = 0, -- indexes in a row that failed
  }
end

-- A lone function may make the iterator instead of being one: what it returns
-- first shows that.
local function open(self, state)
  local x, b, c = state.f(state.invariant, state.control)
  if type(x) == "function" and self.is_lone then
    self.is_factory = true
    state.f, state.invariant, state.control = x, b, c
    state.is_open = true
    return (x(b, c))
  end
  state.is_open = true
  return x
end

local function call(self, state)
  if state.is_open then
    return (state.f(state.invariant, state.control))
  end
  return (open(self, state))
end

-- Moves on by an index, with its item or what stands for it.
local function move(self, state, x)
  local size = self.cache + self.room
  state.count = state.count + 1
  if state.count - size > state.gone then
    state.gone = state.count - size
  end
  state.kept[state.count % size] = x
end

-- Moves on past an index that failed. False where no index can be passed: one
-- iterator that raises again and again would perhaps never end.
local function pass(self, state, e)
  if e.cause == errors.NO_MEMORY or not errors.is_of_item(e) then
    return false
  elseif state.failures == FAILURES_MAX then
    e.kind = "iterator"
    return false
  end
  state.failures = state.failures + 1
  pcall(borrow.keep, e.cause) -- not what it has of items that are gone already
  move(self, state, setmetatable({ cause = e.cause }, Failed))
  return true
end

-- Calls the iterator again, which has raised once: until it returns, or has
-- raised `tries` times.
local function try_again(self, state, x)
  local ok = false
  for _ = 2, self.tries do
    if ok or x.cause == errors.NO_MEMORY or not errors.is_of_item(x) then
      break
    elseif self.delay > 0 then
      clock.sleep(self.delay)
    end
    ok, x = errors.try(call, self, state)
  end
  return ok, x
end

-- The next index, on the way to index i.
local function advance(self, state, i)
  local ok, x = errors.try(call, self, state)
  if not ok then
    ok, x = try_again(self, state, x)
  end
  if not ok then
    local is_asked_for = state.count + 1 == i
    x.is_final = pass(self, state, x) -- no retry above need read it again
    if is_asked_for or not x.is_final then
      error(x, 0)
    end
  elseif x == nil then
    state.f = false
  else
    state.control, state.failures = x, 0
    move(self, state, borrow.keep(x))
  end
end

local function read_to(self, i)
  local state = self.state
  if not state or self.is_factory and i <= state.gone then
    state = begin(self)
    self.state = state
  end
  if i <= state.gone then
    error(("item %d has gone by: the iterator stands at %d and cache = %d")
      :format(i, state.count, self.cache), 0)
  end
  while state.count < i and state.f do
    advance(self, state, i)
  end
  return state
end

function FromIter:get(i)
  local state = read_to(self, i)
  if i > state.count then
    local message = ("index %d is out of range: the iterator ended after %d "
      .. "item%s"):format(i, state.count, state.count == 1 and "" or "s")
    error(errors.make({
      kind = "end", message = message, index = i, stage = self:stage_name(),
      cause = message,
    }), 0)
  end
  local x = state.kept[i % (self.cache + self.room)]
  if getmetatable(x) == Failed then
    error(x.cause, 0)
  end
  return x
end

function FromIter:expect_tries(count, delay)
  self.tries = math.max(self.tries, count)
  self.delay = math.max(self.delay, delay)
end

-- What is kept already moves to its place among more.
function FromIter:expect_rereads(count)
  local state, before = self.state, self.cache + self.room
  self.room = math.max(self.room, count)
  local size = self.cache + self.room
  if not state or size == before then
    return
  end
  local kept = {}
  for i = state.gone + 1, state.count do
    kept[i % size] = state.kept[i % before]
  end
  state.kept = kept
end

local KNOWN = { cache = "count", size = "natural" }

local function is_options(value)
  if type(value) ~= "table" or traverse.is_empty(value) then
    return false
  end
  return traverse.key_outside(value, KNOWN) == nil
end

--- Returns what an iterator answers, as a sequence. An item is the first value
-- of each answer. Going further back than the cache raises; where a function
-- that makes the iterator is given, it starts again instead. Where the iterator
-- raises, that item fails, unless a retry calls the iterator again; the next
-- one is what the iterator gives next.
-- @function from_iter
-- @tparam function f an iterator with its state and control value, as a `for`
--   wants them, or a function that answers these
-- @tparam[opt] table options last: cache (items kept, 1), size (if it is known)
-- @treturn Sequence endless unless size is given; each() ends with the iterator
-- @usage neap.from_iter(io.lines("names.txt"), { cache = 10 })
local function from_iter(f, ...)
  check.func(1, f)
  local count = select("#", ...)
  local rest = { ... }
  while count > 0 and rest[count] == nil do
    count = count - 1
  end
  if count > 3 then
    check.fail(5, "nothing expected after the options, got "
      .. check.got(rest[4]))
  end
  local options = {}
  if count == 3 or is_options(rest[count]) then
    options = rest[count]
    count = count - 1
  end
  options = check.options(count + 2, options, KNOWN)
  return sequence.wrap(FromIter:make({
    f = f, invariant = count > 0 and rest[1] or nil,
    control = count > 1 and rest[2] or nil,
    is_lone = count == 0, is_factory = false, state = false,
    cache = options.cache or 1,
    room = 0, -- items kept besides, as a prefetch may ask for them again
    tries = 1, delay = 0, -- as retries above ask for
    length = options.size or math.huge,
  }))
end

return from_iter
