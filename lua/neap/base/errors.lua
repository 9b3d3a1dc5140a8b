-- SPDX-License-Identifier: MIT
--- Errors: one object that says what happened, to which item, in which stage,
-- and where.
--
-- Generated code calls the user's functions. The line of the call tells the
-- stage, and a local variable there holds the index at that stage. So an error
-- costs nothing until it is raised. An error that keeps all items from being
-- read is of the same class, without a stage and an index.
-- @module neap.base.errors

local check = require("neap.base.check")
local class = require("neap.base.class")
local item_text = require("neap.base.item_text")
local kinds = require("neap.base.kinds")
local lib = require("neap.base.lib")

local C = lib.C
local Error = class("base.errors")

local FRAMES_MAX = 10 -- of each end of the stack that a traceback shows

local errors = { class = Error, NO_MEMORY = "not enough memory" }
local mode = "wrap"

--- Whether an error is of one item alone, and may be skipped.
function errors.is_of_item(e)
  return not kinds.is_of_all[e.kind]
end

-- -- Stages ------------------------------------------------------------------

-- Generated function -> name of its stage, whose index is the local i. If the
-- function contains other stages: the names of all, its own first; and at 0,
-- where they are: line -> {stage = which, index = the name of a local}.
local stages = setmetatable({}, { __mode = "k" })

--- Sets how errors are raised: "wrap" or "passthrough". Returns the mode.
function errors.mode(wanted)
  if wanted ~= nil then
    if wanted ~= "wrap" and wanted ~= "passthrough" then
      check.fail(1, ('"wrap" or "passthrough" expected, got %s'):format(
        check.got(wanted)))
    end
    mode = wanted
  end
  return mode
end

-- Generated function -> its node. Both weak: a node refers to its function.
local nodes = setmetatable({}, { __mode = "kv" })

--- Registers which line of a generated function runs which stage.
-- @tparam function func
-- @tparam table node whose function it is
-- @tparam table lines line -> {stage = k, index = a local's name}
-- @tparam table names of the stages, from 2; 1 is the function's own. This
--   module keeps the table and adds to it.
function errors.register(func, node, lines, names)
  nodes[func] = node
  names[0] = lines
  stages[func] = #names > 1 and names or names[1]
end

-- Makes an error of its fields. The message's help line becomes a field; if it
-- has none, the kind's does.
local function new(fields)
  local text, help = check.split_help(fields.message)
  fields.message = text
  fields.help = fields.help or help or kinds.helps[fields.kind]
  return Error:new(fields)
end

function errors.is(value)
  return getmetatable(value) == Error
end

function Error.__tostring(e)
  local parts = { e.message }
  if e.stage then
    local item, outer = item_text(e)
    parts[#parts + 1] = "\n  " .. item
    parts[#parts + 1] = outer and "\n  for " .. outer
  end
  if e.worker then
    parts[#parts + 1] = ("\n  in worker %d"):format(e.worker)
  end
  if e.help then
    parts[#parts + 1] = "\nhelp: " .. e.help
  end
  if e.traceback then
    parts[#parts + 1] = "\n" .. e.traceback
  end
  return table.concat(parts)
end

local function local_named(level, name)
  for k = 1, 250 do
    local found, value = debug.getlocal(level + 1, k)
    if not found then
      return nil
    elseif found == name then
      return value
    end
  end
end

-- Finds the stages that were running, as fields of an error: the one that
-- failed, from the innermost generated frame, and the one that was read, from
-- the outermost.
local function find_stages(level)
  local found = {}
  while true do
    local info = debug.getinfo(level + 1, "fl")
    if not info then
      break
    end
    local names = stages[info.func]
    if names then
      local is_list = type(names) == "table"
      local at = is_list and names[0][info.currentline]
      if at and not found.stage then
        found.stage = names[at.stage]
        found.index = local_named(level + 1, at.index)
      end
      found.outer_stage = is_list and names[1] or names
      found.outer_index = local_named(level + 1, "i")
    end
    level = level + 1
  end
  if found.outer_stage == found.stage and found.outer_index == found.index then
    found.outer_stage, found.outer_index = nil, nil
  end
  return found
end

-- Names what a frame runs. Generated code calls functions by names that mean
-- nothing to the user.
local function name_of(info)
  if info.what == "main" then
    return "main chunk"
  elseif not info.name or info.name:find("^k%d+$") then
    return ("function <%s:%d>"):format(info.short_src, info.linedefined)
  end
  return "'" .. info.name .. "'"
end

-- Shows the stack without neap's own frames; of a deep stack, both ends.
local function traceback(level)
  local lines = {}
  while true do
    local info = debug.getinfo(level + 1, "Snl")
    if not info then
      break
    end
    if info.what ~= "C" and not check.is_ours(info) then
      lines[#lines + 1] = ("\t%s:%d: in %s"):format(info.short_src,
        info.currentline, name_of(info))
    end
    level = level + 1
  end
  if #lines > 2 * FRAMES_MAX then
    lines[FRAMES_MAX] = "\t..."
    for k = 1, FRAMES_MAX do
      lines[FRAMES_MAX + k] = lines[#lines - FRAMES_MAX + k]
    end
  end
  return lines[1] and "stack traceback:\n" .. table.concat(lines, "\n", 1,
    math.min(#lines, 2 * FRAMES_MAX))
end

local function text_of(cause)
  if type(cause) == "string" then
    return cause
  elseif cause == nil then
    return "error() was called without a message"
  elseif type(cause) == "table" and getmetatable(cause) == nil then
    return "error() was called with a table: see e.cause"
  end
  local ok, text = pcall(tostring, cause)
  if ok and type(text) == "string" then
    return text
  end
  return ("(a %s whose __tostring fails)"):format(type(cause))
end

-- Whether an error object needs no stage above its own. A worker knows those
-- below the prefetch only, as a coroutine does, and a source that has ended
-- knows none.
local function knows_outer(e)
  return not e.is_elsewhere
    and (e.outer_stage or not e.worker and e.kind ~= "end")
end

--- Says that an error comes from a coroutine of neap's: the stages above are on
-- the stack where it is raised again.
function errors.from_elsewhere(e)
  e.outer_stage, e.outer_index, e.is_elsewhere = nil, nil, true
  return e
end

local function set_outer(e, found)
  e.is_elsewhere = nil
  if found.outer_stage ~= e.stage or found.outer_index ~= e.index then
    e.outer_stage, e.outer_index = found.outer_stage, found.outer_index
  end
end

--- Makes an error object of a value that was raised, where it was raised.
function errors.handler(cause)
  local is_error = errors.is(cause)
  if is_error and knows_outer(cause) then
    return cause
  end
  local found = find_stages(2)
  if is_error then
    set_outer(cause, found)
    return cause
  end
  local message, status = text_of(cause), lib.status_of(cause)
  if message:find(": interrupted!$") then
    return new({ kind = "interrupted", message = message, cause = message })
  end
  return new({
    kind = status == C.NEAP_ETIMEOUT and "timeout" or "item", status = status,
    message = message,
    index = found.index, stage = found.stage,
    outer_index = found.outer_index, outer_stage = found.outer_stage,
    traceback = traceback(2),
    cause = status and message or cause,
  })
end

-- The handler also runs where the stack has overflowed. Then there is room for
-- a few calls, and for none while LuaJIT records a trace (see luajit.guard).
for _, f in ipairs({
  errors.handler, text_of, traceback, name_of, find_stages, local_named,
  knows_outer, set_outer,
  check.is_ours, check.split_help, new, lib.status_of,
}) do
  jit.off(f)
end

-- See luajit.md, *return through xpcall*.
local function inner(f, ...)
  return (f(...))
end

local function enter(f, ...)
  return select(1, (inner(f, ...)))
end

--- Adds the stages between item i of a node, which was read, and the item that
-- failed, to the error's way; below that one they lead to the source.
function errors.locate(e, node, i, epoch)
  if node and e.index then
    local ok, way = pcall(node.way, node, i, epoch, e)
    e.way = ok and way or e.way
  end
  return e
end

--- Sets the stage and item of an error that has none: a chain's function's, and
-- i.
function errors.of_item(e, f, i, epoch)
  local names = stages[f]
  if names and e.kind == "item" and not e.stage then
    e.index, e.stage = i, type(names) == "table" and names[1] or names
  end
  return errors.locate(e, nodes[f], i, epoch)
end

-- No handler runs where the stack overflows or memory is short: then only the
-- item that was read is known. LuaJIT does not collect before it gives up.
local function without_handler(cause, f, i, epoch)
  if cause == errors.NO_MEMORY then
    collectgarbage()
    collectgarbage()
  end
  return errors.of_item(new({
    kind = "item", message = text_of(cause), cause = cause,
  }), f, i, epoch)
end

-- Completes an error where it was caught, out of f(i, epoch).
local function located(e, f, i, epoch)
  if not errors.is(e) then
    return without_handler(e, f, i, epoch)
  end
  return errors.locate(e, nodes[f], i, epoch)
end

--- Evaluates f(...): true and its first result, or false and the error.
function errors.try(f, ...)
  local ok, x = xpcall(enter, errors.handler, f, ...)
  if not ok then
    x = located(x, f, ...)
  end
  return ok, x
end

--- Makes an error object of its fields: see docs/reference/lua.md.
errors.make = new

--- Makes the error of item i from a failure of C; nil if no kind of error of a
-- single item has the failure's status.
function errors.of_failure(failure, i, stage)
  local kind = kinds.of_status[false][lib.status_of(failure)]
  return kind and new({
    kind = kind, status = failure.status, message = failure.message,
    index = i, stage = stage,
  })
end

--- Raises why no item can be read, at the line that called neap. The kind is
-- what the status says, or `kind`, or "worker".
-- @param why a failure of C's, or a message
-- @tparam[opt] string kind
function errors.refuse(why, kind)
  local status = lib.status_of(why)
  if status == C.NEAP_EINTERRUPTED then
    debug.sethook() -- which would raise the interruption once more
  end
  error(new({
    kind = kinds.of_status[true][status] or kind or "worker", status = status,
    message = check.located(why),
  }), 0)
end

--- Raises the interruption of the script, if there was one (see neap_interrupt
-- in neap.h).
function errors.check_interrupt()
  if C.neap_interrupt_take() ~= 0 then
    errors.refuse(lib.failure(C.NEAP_EINTERRUPTED, "interrupted!"))
  end
end

--- Returns what to raise for an error, by the mode.
function errors.as_raised(e)
  if mode == "passthrough" and errors.is(e) and e.cause ~= nil then
    return e.cause
  end
  return e
end

--- Raises an error, by the mode.
function errors.raise(e)
  error(errors.as_raised(e), 0)
end

return errors
