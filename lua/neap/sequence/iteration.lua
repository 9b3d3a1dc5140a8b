-- SPDX-License-Identifier: MIT
--- Loops over nodes: the functions that a `for` calls.
--
-- Options of an iteration: `record`, a list: the loop skips items that raise
-- and appends their errors to it; `keep`: items stay valid after the loop
-- advances.
-- @module neap.sequence.iteration

local clock = require("neap.base.clock")
local compiler = require("neap.sequence.compile")
local errors = require("neap.base.errors")
local traverse = require("neap.base.traverse")

local iteration = {}

-- Compiled loops call no hook, by which Ctrl-C would end them. So a loop looks
-- whether it was interrupted, before item `stop`, which is no further than its
-- end: every LOOK_S seconds, as far as the items so far tell.
local LOOK_S, LOOK_ITEMS_MAX = 0.02, 2 ^ 16

-- Whether the node's function may be called without xpcall just now.
local function is_guarded(node)
  return node:is_guarded() and errors.mode() == "wrap"
end

--- Computes item i, from 1, of a node.
function iteration.read(node, i)
  if is_guarded(node) then
    return (compiler.compile(node)(i, 1))
  end
  local ok, x = errors.try(compiler.compile(node), i, 1)
  if not ok then
    errors.raise(x)
  end
  return x
end

-- Looks for an interruption before item i. False past the end.
local function look(state, i)
  errors.check_interrupt()
  local now = clock()
  local is_early = now - state.looked < LOOK_S
  state.every = is_early and math.min(2 * state.every, LOOK_ITEMS_MAX)
    or math.max(1, math.floor(state.every / 4))
  state.looked = now
  state.stop = math.min(i + state.every, state.length + 1)
  return i <= state.length
end

local function step(state, i)
  i = i + 1
  if i >= state.stop and not look(state, i) then
    return nil
  end
  local ok, x = errors.try(state.getter, i, 1)
  if ok then
    return i, x
  elseif state.node:is_end(x) and state.node:may_end() then
    return nil
  end
  errors.raise(x)
end

local function step_guarded(state, i)
  if not is_guarded(state.node) then
    return step(state, i)
  end
  i = i + 1
  if i < state.stop or look(state, i) then
    return i, (state.getter(i, 1))
  end
end

-- As step, but goes on after an item that raises, and records its error.
local function step_skipping(state, i)
  if i >= state.stop then
    look(state, i)
  end
  for k = i + 1, state.length do
    local ok, x = errors.try(state.getter, k, 1)
    if ok then
      return k, x
    elseif not errors.is_of_item(x) then
      errors.raise(x)
    end
    local is_over = state.node:is_end(x)
    if not (is_over and state.node:may_end()) then
      table.insert(state.record, x)
    end
    if is_over then
      return nil
    end
  end
  return nil
end

--- Returns what a `for` over a node needs: a function, its state and its start.
function iteration.start(node, options)
  local record = options and options.record
  local plain = node:is_guarded() and step_guarded or step
  return record and step_skipping or plain, {
    node = node, getter = compiler.compile(node), length = node.length,
    record = record, stop = 1, every = 1, looked = 0,
  }, 0
end

local function fill(list, node)
  for i, x in node:iterate({ keep = true }) do
    list[i] = x
  end
end

--- All items of a node in a Lua array.
function iteration.list(node)
  local list = {}
  local ok, e = pcall(fill, list, node)
  if not ok then
    -- A dead value on the stack may keep the list alive, and so its slots.
    traverse.clear(list)
    error(e, 0)
  end
  return list
end

return iteration
