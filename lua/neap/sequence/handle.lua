-- SPDX-License-Identifier: MIT
--- The sequences that users see: `#s`, `s[i]`, `s:name()`.
--
-- A handle is a small cdata that refers to a node. It is a cdata because LuaJIT
-- does not call __len of tables. Inside neap there are only nodes.
-- @module neap.sequence.handle

local ffi = require("ffi")
local format = require("neap.travel.format")
local check = require("neap.base.check")
local compiler = require("neap.sequence.compile")
local elsewhere = require("neap.sequence.elsewhere")
local errors = require("neap.base.errors")
local exact = require("neap.base.exact")
local iteration = require("neap.sequence.iteration")
local array = require("neap.tensor.array")
local refuse_operators = require("neap.base.operators")
local suggest = require("neap.base.suggest")
local traverse = require("neap.base.traverse")
local warnings = require("neap.base.warnings")
local write = require("neap.value.write")

local handle = {}

ffi.cdef("typedef struct neap_handle { int32_t id; } neap_handle;")

local nodes = {} -- id -> node
local free_ids = {} -- ids to use again
local records = setmetatable({}, { __mode = "k" }) -- node -> errors skipped
local handle_type

--- The handle of a new node.
function handle.wrap(node)
  local id = table.remove(free_ids) or #nodes + 1
  nodes[id] = node
  return handle_type(id)
end

-- In brackets: see luajit.md, *no tail call of C*.
function handle.is(value)
  return (ffi.istype("neap_handle", value))
end

-- -- What other modules add ---------------------------------------------------

local load_all = false

--- Sets the function that loads all of neap. A worker starts with the classes
-- of its chain, and loads the rest when it first needs a method or a list.
function handle.set_loader(load)
  load_all = load
end

local function load_missing(added, name)
  if load_all then
    load_all()
    return rawget(added, name)
  end
end

-- Sets a method whose first argument is self.
local function register_method(more, name, f)
  check.register(name, f, { is_method = true })
  rawset(more, name, f)
end

-- What s:name() finds.
local methods = setmetatable({}, {
  __index = load_missing, __newindex = register_method,
})
local makers = setmetatable({}, { __index = load_missing }) -- the functions

-- A method that is called with a dot lacks its self, argument `narg`.
local function check_called(narg, s)
  if not handle.is(s) then
    check.fail_self(s, "sequence", "s", narg)
  end
end

-- Methods are functions of their own, so that the stack tells s:batch(0) from
-- neap.batch(s, 0), whose arguments are counted otherwise.
local function method_of(make)
  return function(s, ...)
    check_called(1, s)
    return (make(s, ...))
  end
end

local function swapped_of(make)
  return function(s, f, ...)
    check_called(2, s)
    return (make(f, s, ...))
  end
end

--- Gives all handles a method.
-- @tparam string name
-- @tparam function make its method is make(s, ...), and returns one value
-- @tparam[opt] boolean is_swapped the method is make(f, s, ...)
function handle.method(name, make, is_swapped)
  local method = (is_swapped and swapped_of or method_of)(make)
  makers[name] = make
  rawset(methods, name, method)
  check.register(name, method, { is_method = true, is_swapped = is_swapped })
end

local helps = {} -- name of a method that not all handles have -> what to do

--- Says that neap.name is no method.
function handle.no_method(name)
  helps[name] = ("write neap.%s(...)"):format(name)
end

--- Returns a table for the field `methods` of a class with methods of its own.
function handle.more_methods(class_name)
  local own = { __index = methods }
  function own.__newindex(more, name, f)
    helps[name] = ("only a %s has it"):format(class_name)
    register_method(more, name, f)
  end
  return setmetatable({}, own)
end

--- Sets the function that makes a node of a Lua array or a tensor.
function handle.set_maker(make)
  makers.node = make
end

-- -- Arguments ----------------------------------------------------------------

-- A table of named fields has length 0, but is not an empty list.
local function is_list(value)
  return type(value) == "table" and getmetatable(value) == nil
    and (#value > 0 or traverse.is_empty(value))
end

--- Returns the node of a handle, a Lua array or a tensor; nil for other values.
function handle.node(value)
  if handle.is(value) then
    return nodes[value.id]
  elseif is_list(value) or array.is(value) and value.ndim > 0 then
    return makers.node(value)
  end
end

--- Returns what messages call a value that is not a sequence.
function handle.unfit(value)
  if array.is(value) then
    return value.ndim == 0 and "a tensor without dimensions" or "a tensor"
  elseif type(value) ~= "table" then
    return check.got(value)
  end
  return getmetatable(value) == nil and "a table of fields"
    or "a table with a metatable"
end

-- What to do with a value that is not a sequence.
local function help_unfit(value)
  if type(value) == "function" then
    return "neap.from(f, n) is the sequence of f(1) to f(n)"
  elseif type(value) == "table" and getmetatable(value) == nil then
    return "neap.zip(fields) joins the sequences in a table of fields"
  end
end

--- Checks an argument that must be a sequence; returns its node.
function handle.check(narg, value)
  local node = handle.node(value)
  if not node then
    check.fail(narg, "sequence expected, got " .. handle.unfit(value),
      help_unfit(value))
  end
  return node
end

--- Checks a function that comes before the sequences, as in neap.map(f, s).
-- @tparam[opt] boolean takes_native whether it may be a native stage
function handle.check_function(f, takes_native)
  local check_kind = takes_native and check.func_of_item or check.func
  if type(f) ~= "function" then
    local _, called = check.caller()
    local is_swapped = called and not called.is_method and handle.node(f)
    check_kind(1, f, is_swapped and ("the function comes first: neap.%s(f, s)")
      :format(called.name) or nil)
  end
end

--- Checks an argument that must be a sequence with an end.
function handle.check_finite(narg, value)
  local node = handle.check(narg, value)
  if node.length == math.huge then
    check.fail(narg, "sequence with an end expected, got an endless one",
      "s:slice(1, n) has an end")
  end
  return node
end

--- Checks the self of a method that only one class has; returns its node.
function handle.check_self(s, class_name)
  local node = handle.is(s) and handle.node(s)
  if not node then
    check.fail_self(s, class_name, "s")
  elseif node.class_name ~= class_name then
    check.fail(1, ("%s expected, got %s"):format(class_name, node.class_name))
  end
  return node
end

-- -- Reading and assigning ----------------------------------------------------

-- Returns a user's index as one of 1..n; raises if it is out of range.
local function index_in(node, i)
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
      n == math.huge and "inf" or ("%d"):format(n)),
    i == 0 and "indexes count from 1" or nil)
end

-- For a method that a node does not have.
local function raise_unknown(node, name)
  local help = helps[name] or elsewhere[name] and "write " .. elsewhere[name]
    or suggest(name, methods)
    or node.methods and suggest(name, node.methods)
  check.raise(("a sequence (%s) has no method '%s'"):format(node.class_name,
    name), help)
end

local mt = {}

function mt.__index(s, key)
  if type(key) == "number" then
    local node = nodes[s.id]
    return iteration.read(node, index_in(node, key))
  elseif type(key) ~= "string" then
    check.raise("cannot index: number expected, got " .. check.got(key))
  end
  local method = (nodes[s.id].methods or methods)[key]
  if method == nil then
    raise_unknown(nodes[s.id], key)
  end
  return method
end

-- An error of a user's function is raised as in reading. Any other names the
-- caller's line in place of the line of neap that raised it.
local function raise_unset(e)
  if e.stage or type(e.cause) ~= "string" then
    errors.raise(e)
  end
  check.raise((e.message:gsub("^[^\n:]*/neap/[%w_/]+%.lua:%d+: ", "")),
    e.help)
end

function mt.__newindex(s, key, value)
  local node = nodes[s.id]
  if type(key) ~= "number" then
    check.raise(("cannot assign: index expected, got %s"):format(
      check.got(key)))
  end
  local i = index_in(node, key)
  local ok, e = errors.try(node.set, node, i, value, 1)
  if not ok then
    raise_unset(e)
  end
end

--- Stores the items of a list, tensor or sequence in a node from index `first`
-- on. There are `count` of them, or `most`, of which the last are dropped.
function handle.set_several(node, first, count, values, e, most)
  local from = handle.node(values)
  if not from or from.length ~= count and from.length ~= most then
    error(("cannot assign: a list of %d item%s expected, got %s"):format(count,
      count == 1 and "" or "s", from and from.length ~= math.huge
      and ("%d"):format(from.length) or handle.unfit(values)), 0)
  end
  local item, list = compiler.compile(from), {}
  for k = 1, count do -- read all first: a store may change another
    list[k] = item(k, 1)
  end
  for k = 1, count do
    node:set(first + k - 1, list[k], e)
  end
end

-- -- Operators and methods ----------------------------------------------------

function mt.__len(s)
  local n = nodes[s.id].length
  if n == math.huge then
    check.raise("cannot count: the sequence is endless",
      "s:len() returns math.huge, and s:slice(1, n) has n items")
  end
  return n
end

-- s .. t
function mt.__concat(a, b)
  return (makers.concat(a, b))
end
check.register("..", mt.__concat)

local EACH_HELP = "write `for i, x in s:each() do`"

-- What `for x in s`, `pairs(s)` and `ipairs(s)` call, and s(...).
local function raise_not_iterator(what)
  return function()
    check.raise(what, EACH_HELP)
  end
end

mt.__call = raise_not_iterator("cannot call a sequence: it is no function")
mt.__pairs = raise_not_iterator("cannot use pairs() on a sequence")
mt.__ipairs = raise_not_iterator("cannot use ipairs() on a sequence")

refuse_operators(mt, "a sequence", "s:map(f) computes with its items")

function mt.__tostring(s)
  local node = nodes[s.id]
  return ("%s: %s"):format(node:describe(), node.length == math.huge
    and "endless" or ("%d item%s"):format(node.length,
      node.length == 1 and "" or "s"))
end

function mt.__gc(s)
  nodes[s.id] = false
  free_ids[#free_ids + 1] = s.id
end

handle_type = ffi.metatype("neap_handle", mt)

--- The number of items; math.huge for an endless sequence.
function methods.len(s)
  return handle.check(1, s).length
end

local EACH = {
  on_error = function(v)
    return v == "raise" or v == "skip", '"raise" or "skip"'
  end,
}

-- Whether the items of a node are drawn, by an epoch that nobody has set.
local function is_drawn(node)
  if node.epoch then
    return false
  elseif node.draws or node.is_seeded then
    return true
  end
  for _, source in ipairs(node:inputs()) do
    if is_drawn(source) then
      return true
    end
  end
  return false
end

-- A second loop over a chain that shuffles has the order of the first. A loop
-- that a seek has moved goes on.
local function warn_of_repetition(node)
  if iteration.has_ended(node) and is_drawn(node)
    and not (node.here and node.here.start and node.here.start > 1) then
    warnings.warn(("%s: this loop has the same order and random numbers as the "
      .. "one before\nhelp: s:epoch(n):each() draws anew for each n"):format(
      check.where()))
  end
end

-- For a node, and those below it whose own loop this one is.
local function set_record(node, record)
  while node do
    records[node] = record
    node = node.loops_source and node.source
  end
end

--- Iterates: `for i, x in s:each() do`; {on_error = "skip"} goes on after
-- items that raise.
function handle.each(s, options)
  local node = handle.check(1, s)
  if type(options) == "string" then
    check.fail(2, "table of options expected, got " .. check.got(options),
      ("write s:each({ on_error = %q })"):format(options))
  end
  warn_of_repetition(node)
  if check.options(2, options, EACH).on_error ~= "skip" then
    set_record(node, nil)
    return node:iterate()
  end
  local record = {}
  set_record(node, record)
  return node:iterate({ record = record })
end

-- It returns three values; see handle.method.
function methods.each(s, options)
  check_called(1, s)
  local step, state, start = handle.each(s, options)
  return step, state, start
end

--- The errors of the items that the last loop has left out: where a skip is
-- below, and by each{on_error = "skip"}.
function methods.skipped(s)
  local node, list = handle.check(1, s), {}
  for _, e in ipairs(records[node] or {}) do
    list[#list + 1] = e
  end
  iteration.append_left_out(node, list)
  return list
end

--- All items in a Lua array.
function methods.totable(s)
  return (iteration.list(handle.check_finite(1, s)))
end

-- Workers send a sequence that is an item as the list of its items.
write.convert(handle.is, methods.totable)

-- Sequences are sent to workers as their nodes.
format.register("neap.sequence.handle", handle.is, function(s)
  return nodes[s.id]
end, handle.wrap)

return handle
