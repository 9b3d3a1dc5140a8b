-- SPDX-License-Identifier: MIT
--- Turns at what one item at a time may use, such as an iterator: where several
-- items are in work at once (docs/internals/many.md), the others wait.
-- @module neap.base.turn

local turn = {}

--- Whether several items may be in work in this process.
turn.is_needed = false

local function wait(state)
  if not state.bell then
    state.bell = require("cqueues.condition").new()
  end
  state.bell:wait()
end

-- Whether this coroutine may wait: outside of a controller, no other one could
-- end the turn.
local function may_wait()
  return (require("cqueues").running()) ~= nil
end

local function finish(state, ok, ...)
  state.owner = false
  if state.bell then
    state.bell:signal()
  end
  if not ok then
    error((...), 0)
  end
  return ...
end

--- Calls f(...) once no other coroutine is in such a call with that state.
-- @tparam table state has the fields owner and bell, false at first
-- @return its results
function turn.call(state, f, ...)
  local co = coroutine.running()
  while state.owner and state.owner ~= co and may_wait() do
    wait(state)
  end
  if state.owner then -- the iterator reads itself
    return f(...)
  end
  state.owner = co or true
  return finish(state, pcall(f, ...))
end

jit.off(true, true)

return turn
