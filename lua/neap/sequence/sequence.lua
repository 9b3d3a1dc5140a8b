-- SPDX-License-Identifier: MIT
--- What every sequence answers, and the handles that users hold.
--
-- A *node* is one stage of a chain: an immutable Lua object with a length.
-- A *handle* is what the user sees: a small cdata (stock LuaJIT gives `#` to
-- nothing else) that stands for a node. Inside neap there are only nodes.
-- @module neap.sequence.sequence

local ffi = require("ffi")
local array = require("neap.tensor.array")
local blob = require("neap.travel.blob")
local check = require("neap.base.check")
local class = require("neap.base.class")
local compiler = require("neap.sequence.compile")
local errors = require("neap.base.errors")
local exact = require("neap.base.exact")
local seeds = require("neap.sequence.seeds")
local traverse = require("neap.base.traverse")
local item_value = require("neap.value.value")

local Sequence = class("sequence.sequence")
local sequence = { class = Sequence }

-- -- Handles -----------------------------------------------------------------

ffi.cdef("typedef struct neap_handle { int32_t id; } neap_handle;")

local nodes = {} -- id -> node
local spare = {} -- ids that were given back
local methods = {} -- what s:name() finds

local handle_type

--- The handle of a new node.
function sequence.wrap(node)
  local id = table.remove(spare) or #nodes + 1
  nodes[id] = node
  return handle_type(id)
end

-- In brackets, as LuaJIT compiles no function that is left by a call of C's.
function sequence.is(value)
  return (ffi.istype("neap_handle", value))
end

-- A table of fields would pass for an empty array.
local function is_list(value)
  return type(value) == "table" and getmetatable(value) == nil
    and (#value > 0 or traverse.is_empty(value))
end

--- The node of a handle, or of a Lua array or tensor taken as a sequence;
-- nil for what is not a sequence.
function sequence.node(value)
  if sequence.is(value) then
    return nodes[value.id]
  elseif is_list(value) or array.is(value) and value.ndim > 0 then
    return require("neap.source.from").node(value)
  end
end

--- How a value that is no sequence shows in a message.
function sequence.unfit(value)
  if array.is(value) then
    return value.ndim == 0 and "a tensor without dimensions" or "a tensor"
  elseif type(value) ~= "table" then
    return check.got(value)
  end
  return getmetatable(value) == nil and "a table of fields"
    or "a table with a metatable"
end

--- Checks an argument that must be a sequence; answers its node.
function check.sequence(narg, value)
  local node = sequence.node(value)
  if not node then
    check.fail(narg, "sequence expected, got " .. sequence.unfit(value))
  end
  return node
end

--- Checks an argument that must be a sequence with an end.
function check.finite(narg, value)
  local node = check.sequence(narg, value)
  if node.length == math.huge then
    check.fail(narg, "sequence with an end expected, got an endless one")
  end
  return node
end

--- Checks the self of a method that only one class has; answers its node.
function check.self(s, class_name)
  local node = sequence.is(s) and sequence.node(s)
  if not node or node.class_name ~= class_name then
    check.fail(1, ("%s expected, got %s"):format(class_name, check.got(s)))
  end
  return node
end

-- In a worker nobody may have loaded the adapters.
setmetatable(methods, { __index = function(_, name)
  require("neap")
  return rawget(methods, name)
end })

--- Gives all handles a method.
function sequence.method(name, f)
  methods[name] = f
end

-- -- Nodes -------------------------------------------------------------------
--
-- A class of nodes has some of these:
--   emit(g, i, e)   writes the code for item i (neap.compile), or
--   get(i, e)       computes item i of epoch e; i is in range
--   set(i, v, e)    stores item i of epoch e where it comes from
--   iterate(options) answers what a `for` wants, if it has its own way
--   describe()      shows itself and its sources
-- and the fields `length` (math.huge: endless) and `where` it was made;
-- `takes_several`: an item of it may want more than one of a source;
-- `keeps_seeds`: it is not copied where it is joined with others (neap.seeds).
-- `reach()` and `expect_...` below tell iterators how they are read.
-- Fields named in `transient` are this process's own and do not travel.

Sequence.transient = { getter = true, pool = true, record = true }

--- What s:name() finds; a class may have more.
Sequence.methods = methods

--- Makes a node: checks done, nothing evaluated.
function Sequence:make(fields)
  fields.where = fields.where or check.where()
  if fields.sources and #fields.sources > 1 then
    fields.sources = seeds.part(fields.sources)
  end
  if self.is_seeded or seeds.are_below(fields) then
    fields.has_seed_below = true -- no field at all elsewhere: nodes are small
  end
  return self:new(fields)
end

function Sequence:emit(g, i, e)
  local x = g:name()
  g:staged(self, i, "local %s = %s:get(%s, %s)", x, g:constant(self), i, e)
  return x
end

function Sequence:set()
  error("cannot assign: the items of " .. self:stage_name()
    .. " are computed, not stored", 0)
end

--- Stores the items of a list, tensor or sequence as those from index `first`
-- on; it has `count` of them, or `most`, of which the last are dropped.
function Sequence:set_several(first, count, values, e, most)
  local from = sequence.node(values)
  if not from or from.length ~= count and from.length ~= most then
    error(("cannot assign: a list of %d item%s expected, got %s"):format(count,
      count == 1 and "" or "s", from and from.length ~= math.huge
      and ("%d"):format(from.length) or sequence.unfit(values)), 0)
  end
  local item, list = compiler.compile(from), {}
  for k = 1, count do -- all, before any is stored: they may be one another's
    list[k] = item(k, 1)
  end
  for k = 1, count do
    self:set(first + k - 1, list[k], e)
  end
end

--- How many items of a source lie between an item and the next.
function Sequence.reach()
  return 1
end

--- Tells the iterators below that the items they raise for are read again, so
-- often in all, with a delay in seconds between.
function Sequence:expect_tries(count, delay)
  for _, source in ipairs(self.sources or { self.source }) do
    source:expect_tries(count, delay)
  end
end

--- Tells the iterators below that this node's items may be read again, from so
-- many before the last on.
function Sequence:expect_rereads(count)
  for _, source in ipairs(self.sources or { self.source }) do
    source:expect_rereads(count * self:reach())
  end
end

--- How the stage is called in messages: "map (train.lua:12)".
function Sequence:stage_name()
  return ("%s (%s)"):format(self.class_name, self.where)
end

--- Stages of a class below this node and itself: the seeds of shuffles come
-- from it, so that no two of a chain, one above the other, draw the same.
function Sequence:count_stages(class_name, seen)
  seen = seen or {}
  if seen[self] then
    return 0
  end
  seen[self] = true
  local count = self.class_name == class_name and 1 or 0
  for _, source in ipairs(self.sources or { self.source }) do
    count = count + source:count_stages(class_name, seen)
  end
  return count
end

function Sequence:describe()
  return self.source and ("%s(%s)"):format(self.class_name,
    self.source:describe()) or self.class_name
end

--- A `describe` for nodes of several sources.
function sequence.describe_sources(node)
  local parts = {}
  for k, source in ipairs(node.sources) do
    parts[k] = source:describe()
  end
  return ("%s(%s)"):format(node.class_name, table.concat(parts, ", "))
end

--- An index as users give it, made one of 1..n; raises out of range.
local function place(node, i)
  local n = node.length
  if i >= 1 and i <= n and i % 1 == 0 then
    return i
  elseif i % 1 ~= 0 then
    check.raise(("index %s is not a whole number"):format(tostring(i)))
  elseif i < 0 and n == math.huge then
    check.raise(("index %d counts from the end, and there is none"):format(i))
  elseif i < 0 and -i <= n then
    return exact.from_start(i, n)
  end
  check.raise(n == 0 and ("index %d is out of range: no items"):format(i)
    or ("index %d is out of range 1..%s"):format(i,
      n == math.huge and "inf" or ("%d"):format(n)))
end

-- Whether a node's function may be called without xpcall; see
-- Generator:guarded.
local function is_guarded(node)
  return node:is_guarded() and errors.mode() == "wrap"
end

local function read(node, i)
  if is_guarded(node) then
    return (compiler.compile(node)(i, 1))
  end
  local ok, x = errors.try(compiler.compile(node), i, 1)
  if not ok then
    errors.raise(x)
  end
  return x
end

--- Whether what its function raises is an error as it is.
function Sequence.is_guarded()
  return false
end

--- Whether a loop over this node ends where an iterator of unknown size below
-- it does. Not where items are made of several, which would be lost, or where
-- other sources go on.
function Sequence:may_end()
  if self.takes_several then
    return false
  end
  for _, source in ipairs(self.sources or { self.source }) do
    if source.length == math.huge and not source:may_end() then
      return false
    end
  end
  return self.length == math.huge
end

local function step(state, i)
  i = i + 1
  if i > state.length then
    return nil
  end
  local ok, x = errors.try(state.getter, i, 1)
  if ok then
    return i, x
  elseif x.kind == "end" and state.node:may_end() then
    return nil
  end
  errors.raise(x)
end

local function step_guarded(state, i)
  if not is_guarded(state.node) then
    return step(state, i)
  end
  i = i + 1
  if i <= state.length then
    return i, (state.getter(i, 1))
  end
end

-- As step, but goes on after an item that raises, and keeps its error.
local function step_skipping(state, i)
  for k = i + 1, state.length do
    local ok, x = errors.try(state.getter, k, 1)
    if ok then
      return k, x
    elseif not errors.is_of_item(x) then
      errors.raise(x)
    end
    local is_over = x.kind == "end" and state.length == math.huge
    if not (is_over and state.node:may_end()) then
      table.insert(state.record, x)
    end
    if is_over then
      return nil
    end
  end
  return nil
end

--- A fresh list for the errors that an iteration of this node skips.
function Sequence:new_record()
  self.record = {}
  return self.record
end

--- What a `for` wants: a function, its state and its start.
-- @tparam[opt] table options on_error ("raise" or "skip"); and, inside neap,
--   keep (items stay valid after the loop has advanced)
function Sequence:iterate(options)
  local is_skipping = options and options.on_error == "skip"
  local plain = self:is_guarded() and step_guarded or step
  return is_skipping and step_skipping or plain, {
    node = self, getter = compiler.compile(self), length = self.length,
    record = is_skipping and self:new_record(),
  }, 0
end

-- -- What handles answer -----------------------------------------------------

local mt = {}

function mt.__index(handle, key)
  if type(key) == "number" then
    local node = nodes[handle.id]
    return read(node, place(node, key))
  elseif type(key) ~= "string" then
    check.raise("cannot index: number expected, got " .. check.got(key))
  end
  return nodes[handle.id].methods[key]
end

-- What a user's function on the way raised is an item's failure as in reading;
-- else the caller is to blame, not the line of ours that found out.
local function raise_unset(e)
  if e.stage or type(e.cause) ~= "string" then
    errors.raise(e)
  end
  check.raise((e.message:gsub("^[^\n:]*/neap/[%w_/]+%.lua:%d+: ", "")))
end

function mt.__newindex(handle, key, value)
  local node = nodes[handle.id]
  if type(key) ~= "number" then
    check.raise(("cannot assign: index expected, got %s"):format(
      check.got(key)))
  end
  local i = place(node, key)
  local ok, e = errors.try(node.set, node, i, value, 1)
  if not ok then
    raise_unset(e)
  end
end

function mt.__len(handle)
  local n = nodes[handle.id].length
  if n == math.huge then
    check.raise("cannot count: the sequence is endless (s:len() is math.huge)")
  end
  return n
end

-- s .. t
function mt.__concat(a, b)
  return (require("neap.adapter.concat")(a, b))
end

function mt.__tostring(handle)
  local node = nodes[handle.id]
  return ("%s: %s"):format(node:describe(), node.length == math.huge
    and "endless" or ("%d item%s"):format(node.length,
      node.length == 1 and "" or "s"))
end

function mt.__gc(handle)
  nodes[handle.id] = false
  spare[#spare + 1] = handle.id
end

handle_type = ffi.metatype("neap_handle", mt)

--- The number of items; math.huge for an endless sequence.
function methods.len(s)
  return check.sequence(1, s).length
end

--- Iterates: `for i, x in s:each() do`; {on_error = "skip"} goes on after
-- items that raise.
function methods.each(s, options)
  local node = check.sequence(1, s)
  return node:iterate(check.options(2, options, { on_error = "on_error" }))
end

--- The errors that the last each{on_error = "skip"} went past.
function methods.skipped(s)
  return check.sequence(1, s).record or {}
end

--- All items in a Lua array.
local function fill(list, node)
  for i, x in node:iterate({ keep = true }) do
    list[i] = x
  end
end

function methods.totable(s)
  local node = check.finite(1, s)
  local list = {}
  local ok, e = pcall(fill, list, node)
  if not ok then
    -- A stale place on the stack may hold the list, and so its items' slots.
    traverse.clear(list)
    error(e, 0)
  end
  return list
end

-- A sequence that is an item is sent as the list of its items.
item_value.convert(sequence.is, methods.totable)

local DEPTH_MAX = 64 -- tables within tables; a worker refuses more

local listed_within

--- What becomes of an item that is sent, for one that is not: the list of its
-- items if it is a sequence.
function sequence.listed(x)
  if type(x) == "cdata" and sequence.is(x) then
    return (listed_within(methods.totable(x)))
  end
  return x
end

local function has_sequence(x, depth)
  if type(x) ~= "table" or getmetatable(x) ~= nil or depth > DEPTH_MAX then
    return type(x) == "cdata" and sequence.is(x)
  end
  for _, key in ipairs(traverse.keys(x)) do
    if has_sequence(x[key], depth + 1) then
      return true
    end
  end
  return false
end

--- The same for an item that may be a table with sequences in it, at any depth.
function listed_within(x)
  if not has_sequence(x, 1) then
    return x
  elseif type(x) == "cdata" then
    return sequence.listed(x)
  end
  local copy = {}
  for _, key in ipairs(traverse.keys(x)) do
    copy[key] = listed_within(x[key])
  end
  return copy
end

jit.off(has_sequence)
jit.off(listed_within)
sequence.listed_within = listed_within

-- Sequences travel to workers as their nodes.
blob.register("neap.sequence.sequence", sequence.is, function(handle)
  return nodes[handle.id]
end, sequence.wrap)

return sequence
