-- SPDX-License-Identifier: MIT
--- Loops over nodes: the functions that a `for` calls.
--
-- Options of an iteration: `record`, a list: the loop skips items that raise
-- and appends their errors to it; `keep`: items stay valid after the loop
-- advances. Every loop leaves out the items that a skip below has marked.
-- @module neap.sequence.iteration

local clock = require("neap.base.clock")
local compiler = require("neap.sequence.compile")
local errors = require("neap.base.errors")
local traverse = require("neap.base.traverse")

local iteration = {}

-- -- Items that are left out -------------------------------------------------

local left_out = setmetatable({}, { __mode = "k" }) -- node -> its last loop's

--- Begins the record of a loop over a node: the list of what it leaves out.
function iteration.new_record(node)
  local list = {}
  left_out[node] = list
  return list
end

local function append_records(node, list, seen)
  if seen[node] then
    return
  end
  seen[node] = true
  for _, e in ipairs(left_out[node] or {}) do
    list[#list + 1] = e
  end
  for _, source in ipairs(node:inputs()) do
    append_records(source, list, seen)
  end
end

--- Appends the errors of the items that the last loop over a node, and the
-- loops below it, have left out.
function iteration.append_left_out(node, list)
  append_records(node, list, {})
end

-- -- Loops that end ----------------------------------------------------------

local ended = setmetatable({}, { __mode = "k" }) -- node -> true

--- Notes that a loop over a node has come to its end.
function iteration.note_end(node)
  ended[node] = true
end

--- Whether a loop over a node, or over the node whose loop it is, has ended.
function iteration.has_ended(node)
  while node.loops_source do
    node = node.source
  end
  return ended[node] or false
end

-- -- Stepping ----------------------------------------------------------------

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
    ended[state.node] = true
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
  ended[state.node] = true
end

-- Records the error of an item that is not delivered, or raises it.
local function pass(state, x)
  if x.is_left_out then
    table.insert(state.left_out, x)
  elseif state.record and errors.is_of_item(x) then
    table.insert(state.record, x)
  else
    errors.raise(x)
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
    end
    local is_over = state.node:is_end(x)
    if not (is_over and state.node:may_end()) then
      pass(state, x)
    end
    if is_over then
      return nil
    end
  end
  ended[state.node] = true
  return nil
end

--- Returns what a `for` over a node needs: a function, its state and its start.
function iteration.start(node, options)
  local record = options and options.record or false
  local plain = node:is_guarded() and step_guarded or step
  if node.ends_early then
    node:rewind()
  end
  return (record or node.leaves_out) and step_skipping or plain, {
    node = node, getter = compiler.compile(node), length = node.length,
    record = record, stop = 1, every = 1, looked = 0,
    left_out = node.leaves_out and iteration.new_record(node),
  }, 0
end

local function fill(list, node)
  local count = 0
  for i, x in node:iterate({ keep = true }) do
    count = count + 1
    list[node.leaves_out and count or i] = x
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
