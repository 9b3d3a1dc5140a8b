-- SPDX-License-Identifier: MIT
--- What a coroutine that waits must give back if nobody resumes it again: its
-- connection, its place in a limit.
-- A coroutine that returns or raises has given back all by itself.
-- @module neap.waiting.abandon

local abandon = {}

-- Coroutine -> a list of {give_back, thing}, in the order of taking.
local held = setmetatable({}, { __mode = "k" })

--- Says that the coroutine that runs holds a thing.
-- @tparam function give_back is called with the thing, and must not wait
function abandon.hold(give_back, thing)
  local running = coroutine.running()
  if running then
    local list = held[running] or {}
    held[running] = list
    list[#list + 1] = { give_back, thing }
  end
end

--- Says that the coroutine that runs has given back a thing.
function abandon.drop(thing)
  local list = held[coroutine.running() or false]
  for k = list and #list or 0, 1, -1 do
    if list[k][2] == thing then
      table.remove(list, k)
      return
    end
  end
end

--- Gives back what a coroutine holds that is never resumed again.
-- @tparam thread co
function abandon.all(co)
  local list = held[co]
  held[co] = nil
  for k = list and #list or 0, 1, -1 do
    list[k][1](list[k][2])
  end
end

return abandon
