-- SPDX-License-Identifier: MIT
--- An iterator as a sequence: read forwards, with a memory of its last items.
-- @module neap.from_iter

local check = require("neap.check")
local class = require("neap.class")
local errors = require("neap.errors")
local hold = require("neap.hold")
local sequence = require("neap.sequence")

local FromIter = class("from_iter", sequence.class)

FromIter.transient = { getter = true, record = true, state = true }

-- -- Stepping ----------------------------------------------------------------
--
-- `state` is where the iterator stands: its function, state and control value,
-- how many indexes it has passed, and the last of their items.
--
-- A call that raises has given no item, and so may be tried again for the same
-- index. Who asks for the next one instead passes that index: of what the
-- iterator gives, nothing is lost.

local FAILURES_MAX = 1000 -- indexes in a row that may be passed

local function begin(self)
  local f, invariant, control = self.f, self.invariant, self.control
  if self.is_factory then
    f, invariant, control = f()
  end
  return {
    f = f, invariant = invariant, control = control, count = 0, kept = {},
    has_ended = false,
    has_failed = false, -- the call for the next index, as far as is known
    failures = 0, -- indexes in a row that were passed
  }
end

-- A lone function may make the iterator instead of being one: its first answer
-- shows that.
local function first_answer(self, state)
  local answer, b, c = state.f(state.invariant, state.control)
  if type(answer) == "function" and self.is_lone then
    self.is_factory = true
    state.f, state.invariant, state.control = answer, b, c
    answer = answer(b, c)
  end
  return answer
end

-- Moves on by an index, which has an item or is passed without.
local function move(self, state, x)
  state.has_failed = false
  state.count = state.count + 1
  state.kept[state.count] = x
  state.kept[state.count - self.cache] = nil
end

local function advance(self, state)
  local x
  state.has_failed = true
  if state.count == 0 and not self.is_factory then
    x = first_answer(self, state)
  else
    x = state.f(state.invariant, state.control)
  end
  if x == nil then
    state.has_failed, state.has_ended = false, true
    return
  end
  state.control, state.failures = x, 0
  move(self, state, hold.keep(x))
end

-- One that raises again and again would perhaps never end.
local function advance_or_give_up(self, state)
  local ok, e = errors.try(advance, self, state)
  if not ok then
    e.kind = "iterator"
    error(e, 0)
  end
end

local function read_to(self, i)
  local state = self.state
  if not state or (self.is_factory and i <= state.count - self.cache) then
    state = begin(self)
    self.state = state
  end
  if i <= state.count and state.kept[i] == nil then
    error(("item %d has gone by: the iterator stands at %d and cache = %d")
      :format(i, state.count, self.cache), 0)
  end
  while state.count < i and not state.has_ended do
    if state.has_failed and state.count + 1 < i then
      state.failures = state.failures + 1
      move(self, state, nil)
    elseif state.failures < FAILURES_MAX then
      advance(self, state)
    else
      advance_or_give_up(self, state)
    end
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
  return state.kept[i]
end

local KNOWN = { cache = "count", size = "natural" }

local function is_options(value)
  if type(value) ~= "table" or next(value) == nil then
    return false
  end
  for name in pairs(value) do
    if not KNOWN[name] then
      return false
    end
  end
  return true
end

--- Returns what an iterator answers, as a sequence. An item is the first value
-- of each answer. Going further back than the cache raises; where a function
-- that makes the iterator is given, it starts again instead. Where the iterator
-- raises, that index has no item unless it is tried again; the next one has
-- what the iterator gives next.
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
    cache = options.cache or 1, length = options.size or math.huge,
  }))
end

return from_iter
