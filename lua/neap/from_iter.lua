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
-- how many items it has given, and the last of them by index.

local function begin(self)
  local f, invariant, control = self.f, self.invariant, self.control
  if self.is_factory then
    f, invariant, control = f()
  end
  return {
    f = f, invariant = invariant, control = control, count = 0, kept = {},
    has_ended = false,
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

local function advance(self, state)
  local x
  if state.count == 0 and not self.is_factory then
    x = first_answer(self, state)
  else
    x = state.f(state.invariant, state.control)
  end
  if x == nil then
    state.has_ended = true
    return
  end
  state.control = x
  state.count = state.count + 1
  state.kept[state.count] = hold.keep(x)
  state.kept[state.count - self.cache] = nil
end

local function read_to(self, i)
  local state = self.state
  if not state or (self.is_factory and i <= state.count - self.cache) then
    state = begin(self)
    self.state = state
  end
  if i <= state.count - self.cache then
    error(("item %d has gone by: the iterator stands at %d and cache = %d")
      :format(i, state.count, self.cache), 0)
  end
  while state.count < i and not state.has_ended do
    advance(self, state)
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

-- An iterator that raises has given no item, so its next one has the same
-- index. One that raises twice in a row would perhaps never end.
local function step_skipping(loop, i)
  i = i + 1
  if i > loop.length then
    return nil
  end
  local ok, x = errors.try(loop.getter, i, 1)
  if not ok and x.kind ~= "end" then
    table.insert(loop.record, x)
    ok, x = errors.try(loop.getter, i, 1)
  end
  if ok then
    return i, x
  elseif x.kind ~= "end" or loop.length < math.huge then
    errors.raise(x)
  end
end

function FromIter:iterate(options)
  local step, loop, first = sequence.class.iterate(self, options)
  return loop.record and step_skipping or step, loop, first
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
-- that makes the iterator is given, it starts again instead.
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
