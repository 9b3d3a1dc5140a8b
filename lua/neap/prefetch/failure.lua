-- SPDX-License-Identifier: MIT
--- Reads the items of a run, or tells why one does not come: as an error of
-- that item alone, so that its neighbours come nonetheless.
--
-- A worker tells of what its user's code raised; of its death, and of what
-- ended it, the run tells; and of a slot that somebody wrote over, the reading.
-- @module neap.prefetch.failure

local ffi = require("ffi")
local errors = require("neap.base.errors")
local lib = require("neap.base.lib")
local traverse = require("neap.base.traverse")
local value = require("neap.value.value")

local C = lib.C

ffi.cdef("char *strsignal(int signal);")

local failure = {}

local function signal_text(status)
  if status == C.NEAP_STATUS_LOST then
    return "a cause that is lost: this process ignores SIGCHLD or waits for "
      .. "all its children"
  end
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
local function death(run, stage, limits)
  local kind, message = "death", nil
  if run.is_overdue ~= 0 then
    kind, message = "timeout", overdue_text(limits.timeout)
  elseif run.wait_status == C.NEAP_EXIT_MEMORY * 256 then
    kind, message = "memory", exhausted_text(run, limits.memory)
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

local function check_field(name, kind, fields)
  if type(fields[name]) ~= kind then
    fields[name] = nil
  end
end

-- What a worker tells of an item's failure, as an error; nothing that a worker
-- gone wild could not have written is taken for granted.
local function told(stage, fields, i)
  traverse.each(TOLD, check_field, fields)
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

local is_busy = false -- whether something is read now

--- Calls f(...), which reads, on behalf of a prefetch. A finalizer may run in
-- the middle of it, and what that reads would spoil what is read: so it may
-- read nothing.
-- @return what f answers, two values at most
function failure.alone(f, ...)
  if is_busy then
    errors.refuse("busy", "cannot read: an item is being read, and this is a "
      .. "finalizer that has come in between")
  end
  is_busy = true
  local ok, a, b = pcall(f, ...)
  is_busy = false
  if not ok then
    error(a, 0)
  end
  return a, b
end

--- Reads item k (from 0) of a run.
-- @tparam cdata run neap_run
-- @tparam int k
-- @tparam table loan of neap.value.borrow
-- @tparam string stage the prefetch's name
-- @tparam table limits of an item: timeout (seconds), memory (bytes)
-- @return the item, or an error
-- @treturn boolean whether it is an error
function failure.read(run, k, loan, stage, limits)
  if run.slot < 0 then
    return death(run, stage, limits), true
  end
  local index = tonumber(run.first) + k + 1
  local ok, x, is_failure = pcall(value.read, run, k, loan)
  if not ok then
    return damage(stage, x, index), true
  elseif is_failure then
    return told(stage, x, index), true
  end
  return x, false
end

return failure
