-- SPDX-License-Identifier: MIT
--- Turns a chain into one Lua function, `item(i, epoch)`.
--
-- Each node of a chain writes the lines that compute its item into one
-- function, so that LuaJIT compiles the chain like a loop written by hand. A
-- long chain gets several functions (see luajit.md, *limits of a function*).
-- A node that writes no lines is called through its method `get`.
--
-- A call of a user's function has a line of its own: an error finds its stage
-- by that line. The line also reads the index after the call, so that the error
-- handler finds it (see luajit.md, *read it once more*).
--
-- Some items are timed (neap.sequence.stages). They are computed by a second
-- function of the same chain, whose stages are entered and left: so the first
-- one is as fast as without.
-- @module neap.sequence.compile

local errors = require("neap.base.errors")
local lib = require("neap.base.lib")

local C = lib.C
local UPVALUES_MAX = 56 -- of 60; further constants are in a table
local NAMES_MAX = 140 -- of 200 locals; calls take more of the 250 slots
local HEAD = 3 -- lines before the first of a generator
local STILL = " do local _ = " -- reads a local once more
local NAMES_NODE = 8 -- locals of a node at most, plus one for each source

local Generator = {}
Generator.__index = Generator

local function new_generator(node, plan, compile)
  return setmetatable({
    node = node, lines = {}, names = 0, reserved = 0,
    constants = {}, constant_names = {}, -- in the order met
    shared = {}, shared_names = {}, kept = {}, upvalues = 0,
    stages = { node:stage_name() }, -- the chain's name, then its stages'
    stage_lines = {}, -- line -> {stage = its number, index = a local's name}
    indent = "  ",
    compile = compile, -- for parts that become functions of their own
    plan = plan, -- of neap.sequence.stages, or false: nothing is timed
    states = {}, -- node -> how many of its states the code has
  }, Generator)
end

--- Appends a line of code.
function Generator:line(text, ...)
  if select("#", ...) > 0 then
    text = text:format(...)
  end
  self.lines[#self.lines + 1] = self.indent .. text
end

--- A fresh local's name.
function Generator:name(prefix)
  self.names = self.names + 1
  return (prefix or "x") .. self.names
end

-- Takes an upvalue; returns false if none is left.
local function take_upvalue(self)
  local is_left = self.upvalues < UPVALUES_MAX
  self.upvalues = self.upvalues + (is_left and 1 or 0)
  return is_left
end

--- Returns the name by which the code refers to a value of this process.
function Generator:constant(value)
  local constants, names = self.constants, self.constant_names
  for k = 1, #constants do
    if rawequal(constants[k], value) then
      return names[k]
    end
  end
  local k = #constants + 1
  constants[k] = value
  names[k] = (take_upvalue(self) and "k%d" or "more[%d]"):format(k)
  return names[k]
end

local own_names, own_count = {}, 0 -- function -> its name in all texts

--- The same for a function of neap. All chains of a shape share its upvalue.
function Generator:own(f)
  if not own_names[f] then
    own_count = own_count + 1
    own_names[f] = "own" .. own_count
  end
  local name = own_names[f]
  if not self.shared[name] then
    if not take_upvalue(self) then
      return self:constant(f)
    end
    self.shared[name] = f
    table.insert(self.shared_names, name)
  end
  return name
end

--- Returns the name of a table of a node that the code may change. The n-th one
-- of a node is the same in all functions, the timed ones too.
function Generator:state(node, fields)
  local here = node:own()
  local k = (self.states[node] or 0) + 1
  self.states[node] = k
  here.states = here.states or {}
  here.states[k] = here.states[k] or fields
  return self:constant(here.states[k])
end

--- Keeps a value alive as long as the code, which may read its memory.
function Generator:keep(value)
  self.kept[#self.kept + 1] = self:constant(value)
end

-- Returns the result of an xpcall, or raises its error again, as one of item i
-- of the node that the code is of.
local function result(node, i, e, ok, x)
  if not ok then
    error(errors.locate(x, node, i, e), 0)
  end
  return x
end

--- Writes the code for an item that a loop in the code computes. What it raises
-- is an error object already, so the function need not be called through
-- xpcall: LuaJIT does not compile a return from a loop through xpcall.
-- @treturn string the name of the local with the item
function Generator:guarded(node, i, e)
  local x = self:name()
  self:line("local %s = %s(%s, i, e, %s(%s, %s, %s))", x, self:own(result),
    self:constant(self.node), self:own(errors.try),
    self:constant(self.compile(node)), i, e)
  return x
end

--- Writes a call of a user's function on behalf of a stage.
-- @treturn string the name of the local with its result
function Generator:call(node, i, f, arguments)
  local x = self:name()
  self:staged(node, i, "local %s = %s(%s)", x, self:constant(f),
    table.concat(arguments, ", "))
  return x
end

--- Appends a line of a stage that may fail; `i` is the local with its index.
function Generator:staged(node, i, text, ...)
  self:line(text .. STILL .. i .. " end", ...)
  self.stages[#self.stages + 1] = node:stage_name()
  self.stage_lines[#self.lines + HEAD] = { stage = #self.stages, index = i }
end

--- Opens a block. `close` ends it with "end" or with its argument.
function Generator:open(text, ...)
  self:line(text, ...)
  self.indent = self.indent .. "  "
end

function Generator:close(text)
  self.indent = self.indent:sub(3)
  if text ~= "" then
    self:line(text or "end")
  end
end

local function enter(watch, stage)
  return (C.neap_stopwatch_enter(watch, stage))
end

local function leave(watch, stage)
  C.neap_stopwatch_leave(watch, stage)
end

-- Writes the code of a node itself, and what times it.
local function emit(self, node, i, e)
  local plan = self.plan
  local stage = plan and plan.numbers[node] or 0
  if stage == 0 then
    return node:emit(self, i, e)
  end
  local watch, before = self:constant(plan.watch), self:name("t")
  self:line("local %s = %s(%s, %d)", before, self:own(enter), watch, stage)
  local x = node:emit(self, i, e)
  self:line("%s(%s, %s)", self:own(leave), watch, before)
  return x
end

--- Writes the code for an item of a node.
-- @tparam Sequence node
-- @tparam string i the local with the index
-- @tparam string e the local with the epoch
-- @treturn string the name of the local with the item
function Generator:value(node, i, e)
  local wanted = NAMES_NODE + (node.sources and #node.sources or 1)
  if self.reserved == 0 or self.reserved + wanted <= NAMES_MAX then
    self.reserved = self.reserved + wanted
    return emit(self, node, i, e)
  end
  local x = self:name()
  self:line("local %s = %s(%s, %s)", x, self:constant(self.compile(node)), i, e)
  return x
end

local SHAPES_MAX = 500 -- texts that are kept
local CLOSURES = 8

-- Chains of the same shape have the same text, and share one prototype and its
-- traces (see luajit.md, *one text for a shape*).
local shapes, shape_count = {}, 0

-- Returns the shape of a text: `make`, which returns a function for some
-- constants, and the lines of the function's stages.
local function shape_of(text, g, node)
  local shape = shapes[text]
  if not shape then
    local chunk = assert(loadstring(text, "=neap: " .. node.class_name))
    local own = {}
    for k, name in ipairs(g.shared_names) do
      own[k] = g.shared[name]
    end
    shape = { make = chunk(unpack(own)), stage_lines = g.stage_lines }
    for _ = 1, CLOSURES do
      shape.make()
    end
    if shape_count == SHAPES_MAX then
      shapes, shape_count = {}, 0
    end
    shapes[text], shape_count = shape, shape_count + 1
  end
  return shape
end

local function listed(names, none)
  return #names > 0 and table.concat(names, ", ") or none
end

local function build(node, plan, compile)
  local g = new_generator(node, plan, compile)
  local x = g:value(node, "i", "e")
  g:line(STILL .. "i end") -- for the error handler
  local names = {}
  for k, name in ipairs(g.constant_names) do
    names[k] = name:match("^k.*")
  end
  local text = table.concat({
    ("local %s = ..."):format(listed(g.shared_names, "_")),
    ("return function(...) local more, %s = ..."):format(listed(names, "_")),
    ("return function(i, e) do local _ = %s end"):format(listed(g.kept, "nil")),
    table.concat(g.lines, "\n"),
    "  return " .. x,
    "end end",
  }, "\n")
  local shape = shape_of(text, g, node)
  local getter = shape.make(#g.constants > #names and g.constants,
    unpack(g.constants, 1, #names))
  errors.register(getter, node, shape.stage_lines, g.stages)
  return getter
end

-- The function that times nothing.
local function plain(node)
  if not node.getter then
    node.getter = build(node, false, plain)
  end
  return node.getter
end

local timed

local function build_timed(node, plan)
  return build(node, plan, function(part)
    return timed(part, plan)
  end)
end

-- The function that times its stages by a plan.
function timed(node, plan)
  if not plan.getters[node] then
    plan.getters[node] = build_timed(node, plan)
  end
  return plan.getters[node]
end

local timing = false -- the plan of the item that is timed now

--- Returns the function that computes a node's items. It is made once.
-- @treturn function item(i, epoch), i in range
local function compile(node)
  if timing and timing.numbers[node] then
    return timed(node, timing)
  elseif not node.getter then
    return plain(node)
  end
  return node.getter
end

--- Begins an item that is timed by a plan, or, with false, ends it.
-- @return the plan before, or false
local function time(plan)
  local before = timing
  timing = plan
  return before
end

--- Returns the text that compile() loads, for tests.
local function text_of(node)
  local g = new_generator(node, false, plain)
  local x = g:value(node, "i", "e")
  return table.concat(g.lines, "\n") .. "\n  return " .. x
end

-- Cold: it runs once for each chain.
jit.off(true, true)
jit.on(plain)
jit.on(timed)
jit.on(compile)
jit.on(result)
jit.on(enter)
jit.on(leave)

return { compile = compile, time = time, text = text_of }
