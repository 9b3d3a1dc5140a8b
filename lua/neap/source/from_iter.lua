-- SPDX-License-Identifier: MIT
--- An iterator as a sequence: read forwards, with a cache of its last items.
-- @module neap.source.from_iter

local check = require("neap.base.check")
local class = require("neap.base.class")
local clock = require("neap.base.clock")
local errors = require("neap.base.errors")
local borrow = require("neap.value.borrow")
local Node = require("neap.sequence.node")
local handle = require("neap.sequence.handle")
local traverse = require("neap.base.traverse")
local turn = require("neap.base.turn")

local FromIter = class("source.from_iter", Node)

FromIter.words = { f = "iterator", invariant = "state" }
FromIter.own_help = "give a function that makes the iterator: "
  .. "neap.from_iter(function() return ... end)"

-- -- Stepping ----------------------------------------------------------------
--
-- A node's `here` has the iterator's `state`: its function, state and control
-- value, the count of indexes passed, and the items that are kept; and `tries`,
-- `delay` and `room`, as the readers above need them.
--
-- Each process reads its own iterator, perhaps for some indexes only. So an
-- item must not depend on which other indexes are read. Each index takes one
-- call that returns, or `tries` calls that raise (more than one under a retry,
-- with its delay between them). Then it has failed for good, and the next index
-- has the next value of the iterator.

local FAILURES_MAX = 1000 -- indexes in a row that may fail

local Failed = {} -- the metatable of the mark of an item that failed

-- The node's `here`; until the first read `state` is false.
local function reading(self)
  local here = self.here or self:own()
  if not here.tries then
    here.state = false
    here.room = 0 -- items kept besides, as a prefetch may ask for them again
    here.tries, here.delay = 1, 0 -- as retries above ask for
    here.owner, here.bell = false, false -- of the turn to read it
  end
  return here
end

local GIVEN, MADE = 1, 2

local function begin(self)
  return {
    f = self.f, -- false: it has ended
    invariant = self.invariant, control = self.control,
    origin = false, -- of the iterator, once it runs: GIVEN, or MADE by f
    count = 0, gone = 0, kept = {},
    failures = 0, -- indexes in a row that failed
  }
end

-- A lone function may make the iterator instead of being one: then it returns a
-- function first.
local function open(self, state)
  local x, b, c = state.f(state.invariant, state.control)
  state.origin = GIVEN
  if type(x) == "function" and self.is_lone then
    state.origin = MADE
    state.f, state.invariant, state.control = x, b, c
    return (x(b, c))
  end
  return x
end

local function call(self, state)
  if state.origin then
    return (state.f(state.invariant, state.control))
  end
  return (open(self, state))
end

-- Moves on by an index, with its item or the mark of a failure.
local function move(self, state, x)
  local size = self.cache + self.here.room
  state.count = state.count + 1
  if state.count - size > state.gone then
    state.gone = state.count - size
  end
  state.kept[state.count % size] = x
end

-- Moves on past an index that failed. Returns false if it cannot: an iterator
-- that raises again and again might never end.
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

-- Calls an iterator that has raised once again, until it returns or has raised
-- `tries` times.
local function try_again(self, state, x)
  local ok = false
  for _ = 2, self.here.tries do
    if ok or x.cause == errors.NO_MEMORY or not errors.is_of_item(x) then
      break
    elseif self.here.delay > 0 then
      clock.sleep(self.here.delay)
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
    move(self, state, borrow.retain(x))
  end
end

local function read_to(self, i)
  local here = reading(self)
  local state = here.state
  if not state or state.origin == MADE and i <= state.gone then
    state = begin(self)
    here.state = state
  end
  if i <= state.gone then
    error(check.with_help(
      ("item %d has gone by: the iterator stands at %d and cache = %d"):format(
      i, state.count, self.cache), "raise cache, or give a function that makes "
      .. "the iterator: then it starts again"), 0)
  end
  while state.count < i and state.f do
    advance(self, state, i)
  end
  return state
end

local function raise_end(self, i, count)
  local message = ("index %d is out of range: the iterator ended after %d "
    .. "item%s"):format(i, count, count == 1 and "" or "s")
  error(errors.make({
    kind = "end", message = message, index = i, stage = self:stage_name(),
    cause = message, help = (self.length == math.huge
      and "from_iter does not know its length: { size = %d } tells it"
      or "the size is too large: set { size = %d }"):format(count),
  }), 0)
end

function FromIter:get(i)
  local state
  if turn.is_needed then
    state = turn.call(reading(self), read_to, self, i)
  else
    state = read_to(self, i)
  end
  if i > state.count then
    raise_end(self, i, state.count)
  end
  local x = state.kept[i % (self.cache + self.here.room)]
  if getmetatable(x) == Failed then
    error(x.cause, 0)
  end
  return x
end

function FromIter:expect_tries(count, delay)
  local here = reading(self)
  here.tries = math.max(here.tries, count)
  here.delay = math.max(here.delay, delay)
end

-- Items that are kept move to their indexes in the larger ring.
function FromIter:expect_rereads(count)
  local here = reading(self)
  local state, before = here.state, self.cache + here.room
  here.room = math.max(here.room, count)
  local size = self.cache + here.room
  if not state or size == before then
    return
  end
  local kept = {}
  for i = state.gone + 1, state.count do
    kept[i % size] = state.kept[i % before]
  end
  state.kept = kept
end

local OPTIONS = { cache = check.kinds.count, size = check.kinds.natural }

local function is_options(value)
  if type(value) ~= "table" or traverse.is_empty(value) then
    return false
  end
  return traverse.key_outside(value, OPTIONS) == nil
end

--- Returns what an iterator returns, as a sequence. An item is the first value
-- of each call. Going further back than the cache raises; where a function
-- that makes the iterator is given, it starts again instead. Where the iterator
-- raises, that item fails, unless a retry calls the iterator again; the next
-- one is what the iterator gives next.
-- @function from_iter
-- @tparam function f an iterator with its state and control value, as a `for`
--   wants them, or a function that returns these
-- @tparam[opt] table options last: cache (items kept, 1), size (if it is known)
-- @treturn Sequence endless unless size is given; each() ends with the iterator
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
  options = check.options(count + 2, options, OPTIONS)
  return handle.wrap(FromIter:make({
    f = f, invariant = count > 0 and rest[1] or nil,
    control = count > 1 and rest[2] or nil,
    is_lone = count == 0, cache = options.cache or 1,
    length = options.size or math.huge,
  }))
end

return {
  class = FromIter, make = from_iter, options = OPTIONS,
  example = [[neap.from_iter(("to be"):gmatch("%a+"), { size = 2 }):totable()
    --> to, be]],
}
