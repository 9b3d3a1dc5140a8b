-- SPDX-License-Identifier: MIT
--- What an item's failure becomes: one object that says what happened, to
-- which item, in which stage, and where.
--
-- The evaluator calls the user's functions from generated code; its line
-- tells the stage, and a local of it the index at that stage. So an error
-- costs nothing until it is raised. What keeps all items from being read is an
-- error of the same class without a stage and an index, and never passed over.
-- @module neap.base.errors

local check = require("neap.base.check")
local class = require("neap.base.class")

local Error = class("base.errors")

local FRAMES_MAX = 10 -- of each end of the stack that a traceback shows

local errors = { class = Error, NO_MEMORY = "not enough memory" }
local mode = "wrap"

-- Generated function -> name of the stage that it is, whose index is the local
-- i; or, if other stages stand in it, the names of all, the whole's first; and
-- at 0, where these stand: line -> {stage = which, index = a local's name}.
local stages = setmetatable({}, { __mode = "k" })

--- Sets how errors are raised: "wrap" or "passthrough"; answers the mode.
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

--- Says which line of a generated function runs which stage.
-- @tparam function func
-- @tparam table lines line -> {stage = k, index = a local's name}
-- @tparam table names of the stages, from 2; 1 is the whole's; kept, added to
function errors.register(func, lines, names)
  names[0] = lines
  stages[func] = #names > 1 and names or names[1]
end

function errors.is(value)
  return getmetatable(value) == Error
end

local function index_text(index)
  return type(index) == "number" and ("%.0f"):format(index) or "?"
end

function Error.__tostring(e)
  local parts = { e.message }
  if e.stage then
    parts[#parts + 1] = ("\n  item %s of %s"):format(index_text(e.index),
      e.stage)
  end
  if e.outer_stage then
    parts[#parts + 1] = ("\n  for item %s of %s"):format(
      index_text(e.outer_index), e.outer_stage)
  end
  if e.worker then
    parts[#parts + 1] = ("\n  in worker %d"):format(e.worker)
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

-- Which stages were running, as fields of an error: the one that failed, from
-- the innermost generated frame, and the one that was read, from the outermost.
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

-- What a frame runs; a function that generated code calls has a name there
-- that says nothing.
local function name_of(info)
  if info.what == "main" then
    return "main chunk"
  elseif not info.name or info.name:find("^k%d+$") then
    return ("function <%s:%d>"):format(info.short_src, info.linedefined)
  end
  return "'" .. info.name .. "'"
end

-- The stack, without neap's own frames; of a deep one its two ends.
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
  end
  local ok, text = pcall(tostring, cause)
  if ok and type(text) == "string" then
    return text
  end
  return ("(a %s whose __tostring fails)"):format(type(cause))
end

--- What an evaluation's failure becomes: at the place where it is raised.
function errors.handler(cause)
  local is_error = errors.is(cause)
  if is_error and (not cause.worker or cause.outer_stage) then
    return cause
  end
  local found = find_stages(2)
  if is_error then -- a worker knows of the stages below the prefetch alone
    cause.outer_stage, cause.outer_index = found.outer_stage, found.outer_index
    return cause
  end
  return Error:new({
    kind = "item",
    message = text_of(cause),
    index = found.index, stage = found.stage,
    outer_index = found.outer_index, outer_stage = found.outer_stage,
    traceback = traceback(2),
    cause = cause,
  })
end

-- It may run where the stack has overflowed, and then has room for few calls:
-- not for what LuaJIT does while it records a trace (see luajit.guard).
for _, f in ipairs({
  errors.handler, text_of, traceback, name_of, find_stages, local_named,
  check.is_ours,
}) do
  jit.off(f)
end

-- LuaJIT compiles no return through xpcall, unless the call is in the trace as
-- well; one that tries to is given up, and after some times for good. So no
-- trace must begin in what xpcall calls: a function that has "..." is not
-- counted when it is entered, nor is one of C's, by which it ends. And none
-- must come there that began below: where a trace that has left the functions
-- that it began in meets a second "...", it ends, and the interpreter returns.
local function inner(f, ...)
  return (f(...))
end

local function enter(f, ...)
  return select(1, (inner(f, ...)))
end

--- Makes an error that tells of no stage one of item i of a chain's function.
function errors.of_item(e, f, i)
  local names = stages[f]
  if names and e.kind == "item" and not e.stage then
    e.index, e.stage = i, type(names) == "table" and names[1] or names
  end
  return e
end

-- Where the stack overflows or memory is short, no handler runs: what is left
-- to tell is which item was read. LuaJIT does not collect before it gives up.
local function without_handler(cause, f, i)
  if cause == errors.NO_MEMORY then
    collectgarbage()
    collectgarbage()
  end
  return errors.of_item(Error:new({
    kind = "item", message = text_of(cause), cause = cause,
  }), f, i)
end

--- Evaluates: true and what f(...) answers, one value; or false and the error.
function errors.try(f, ...)
  local ok, x = xpcall(enter, errors.handler, f, ...)
  if not ok and not errors.is(x) then
    x = without_handler(x, f, ...)
  end
  return ok, x
end


--- Makes an error object; fields as Error's.
function errors.make(fields)
  return Error:new(fields)
end

-- Kinds of errors that keep all items from being read, whichever is asked for:
-- "iterator" is of one that raises all the time.
local OF_ALL_ITEMS = {
  worker = true, held = true, closed = true, iterator = true, busy = true,
}

--- Raises what is no single item's failure, as reading and iterating do alike.
-- @tparam string kind "worker", "held", "closed" or "busy"
-- @tparam string message told at the line that called neap
function errors.refuse(kind, message)
  error(Error:new({ kind = kind, message = check.located(message) }), 0)
end

--- Whether an error costs one item alone, and may be skipped.
function errors.is_of_item(e)
  return not OF_ALL_ITEMS[e.kind]
end

--- What a user's function gets of what the handler made, as the mode says.
function errors.as_raised(e)
  if mode == "passthrough" and errors.is(e) and e.cause ~= nil then
    return e.cause
  end
  return e
end

--- Raises what the handler made, as the mode says.
function errors.raise(e)
  error(errors.as_raised(e), 0)
end

return errors
