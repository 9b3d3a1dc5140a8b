-- SPDX-License-Identifier: MIT
--- k items at a time, as a table or collated into one.
-- @module neap.adapter.batch

local check = require("neap.base.check")
local class = require("neap.base.class")
local lib = require("neap.base.lib")
local Node = require("neap.sequence.node")
local handle = require("neap.sequence.handle")
local rows = require("neap.value.rows")
local stack = require("neap.tensor.stack")
local WholeBatch = require("neap.adapter.whole_batch")

local C = lib.C
local Batch = class("adapter.batch", Node)

Batch.takes_several = true

-- Asks about the function whose result is missing: of a stage below the batch.
local function raise_nil(node, j)
  while node and not node.f do
    node = node:inputs()[1]
  end
  error(check.with_help(("cannot stack: item %d is nil"):format(j),
    node and ("does the function of %s return a value?"):format(
      node:stage_name())), 0)
end

local function put(state, j, item, count, outer, source, dtype)
  rows.finish(outer)
  if rawequal(item, nil) then
    raise_nil(source, j)
  end
  state = state or stack.begin(item, count, dtype)
  stack.put(state, j, item)
  rows.settle(outer)
  return state
end

--- Writes the code for how many items batch i of epoch e has.
-- @treturn string the local with the number
-- @treturn string an expression: the index in the source of item j, to format
--   with the local j
function Batch:emit_members(g, i)
  local n, before = g:name("n"), g:name("i") -- the index before the first
  g:line("local %s = (%s - 1) * %s", before, i, g:constant(self.stride))
  g:line("local %s = %s(%s, %s - %s)", n, g:own(math.min),
    g:constant(self.k), g:constant(self.source.length), before)
  return n, before .. " + %s"
end

-- A loop over the batch's items, with the source's code as its body.
local function emit_loop(self, g, i, e, is_guarded, body)
  local n, member = self:emit_members(g, i, e)
  local j, inner = g:name("j"), g:name("i")
  g:open("for %s = 1, %s do", j, n)
  g:line("local %s = %s", inner, member:format(j))
  body(n, j, function()
    return is_guarded and g:guarded(self.source, inner, e)
      or g:value(self.source, inner, e)
  end)
  g:close()
  return n
end

-- Of stages that C knows: one call for the batch, unless their times are
-- measured.
local function emit_whole(self, g, i, e)
  local source = self.source
  if g.plan or not source.native or source.not_native and source:not_native()
    or self:not_native() then
    return nil
  end
  return require("neap.native.whole").emit(self, g, i, e)
end

local function emit_stack(self, g, i, e)
  local state, x = g:name("s"), g:name()
  local total = self.has_pad and self.k
  g:line("local %s", state)
  local function body(n, j, item)
    local outer = g:name("d")
    g:line("local %s = %s(%s, %s)", outer, g:own(rows.begin), state, j)
    local y = item()
    g:staged(self, i, "%s = %s(%s, %s, %s, %s, %s, %s%s)", state, g:own(put),
      state, j, y, total and g:constant(total) or n, outer,
      g:constant(self.source),
      self.dtype and ", " .. g:constant(self.dtype) or "")
  end
  local n = emit_loop(self, g, i, e, false, body)
  if self.has_pad then
    g:staged(self, i, "for j = %s + 1, %s do %s(%s, j, %s) end", n,
      g:constant(self.k), g:own(stack.put), state, g:constant(self.pad))
  end
  g:line("local %s = %s(%s)", x, g:own(stack.finish), state)
  return x
end

-- Whether nothing but a source's item can fail.
function Batch:is_guarded()
  return self.collate == nil
end

function Batch:emit(g, i, e)
  if self.collate == stack then
    return emit_whole(self, g, i, e) or emit_stack(self, g, i, e)
  end
  local list = g:name()
  g:line("local %s = {}", list)
  local is_guarded = self:is_guarded() and g.node == self
  local n = emit_loop(self, g, i, e, is_guarded, function(_, j, item)
    g:line("%s[%s] = %s", list, j, item())
  end)
  if self.has_pad then
    g:line("for j = %s + 1, %s do %s[j] = %s end", n, g:constant(self.k), list,
      g:constant(self.pad))
  end
  return self.collate and g:call(self, i, self.collate, { list }) or list
end

function Batch:not_native()
  if self.emit_members ~= Batch.emit_members or self.stride ~= self.k then
    return "C makes no such batches"
  elseif self.collate ~= stack then
    return self.collate and "its collate is a function of Lua"
      or "it makes lists", "collate = neap.stack makes tensors"
  elseif self.has_pad or self.dtype then
    return ("C does not know its option '%s'"):format(
      self.has_pad and "pad" or "dtype")
  end
end

function Batch:native(build)
  local n = self.source.length
  build:chain(self.source)
  build:check_narrow(self)
  local drops_last = self.length < n / self.k
  local k = drops_last and self.k or math.max(1, math.min(self.k, n))
  build:make(self, C.neap_chain_batch, build:take_one(), k,
    drops_last and 1 or 0)
end

--- Stores the items of a list, or the rows of a tensor, in those of batch i.
-- Items in the place of a batch's padding are dropped.
function Batch:set(i, values, e)
  if type(self.collate) == "function" then
    Node.set(self)
  end
  local before = (i - 1) * self.stride
  handle.set_several(self.source, before + 1,
    math.min(self.k, self.source.length - before), values, e,
    self.has_pad and self.k)
end

function Batch:origins(i, e)
  local before = (i - 1) * self.stride
  return { {
    node = self.source, first = before + 1, epoch = e,
    last = math.min(before + self.k, self.source.length),
  } }
end

function Batch:reach()
  return self.stride
end

function Batch:describe()
  return ("batch(%s, %d%s)"):format(self.source:describe(), self.k,
    self.collate == stack and ", stacked" or "")
end

local function any()
  return true
end

local function is_collate(collate)
  return collate == stack or type(collate) == "function",
    "function or neap.stack", select(3, check.kinds.func(collate)) or nil
end

local OPTIONS = {
  drop_last = check.kinds.boolean, pad = any, collate = is_collate,
  dtype = stack.is_dtype,
}

local function collate_of(options)
  if options.dtype and type(options.collate) == "function" then
    check.fail(3, "option 'dtype' goes with collate = neap.stack, got a "
      .. "function", "call neap.stack(items, { dtype = ... }) in the function")
  end
  return options.dtype and stack or options.collate
end

--- Returns batches of k consecutive items.
-- @function batch
-- @tparam Sequence source
-- @tparam int k items of a batch
-- @tparam[opt] table options drop_last (leave out an incomplete last batch),
--   pad (a value that completes it), collate (f(list), or neap.stack; default:
--   the list), dtype (stacks to it: a dtype, or a table of them by field)
-- @treturn Sequence
local function batch(source, k, options)
  source = handle.check(1, source)
  check.count(2, k)
  options = check.options(3, options, OPTIONS)
  local n = source.length / k
  local fields = {
    source = source, k = k, stride = k,
    length = options.drop_last and math.floor(n) or math.ceil(n),
    has_pad = options.pad ~= nil, pad = options.pad,
    collate = collate_of(options), dtype = options.dtype,
  }
  if source.leaves_out then
    fields.drop_last = options.drop_last or false
    return handle.wrap(WholeBatch:make(fields))
  end
  return handle.wrap(Batch:make(fields))
end

return {
  class = Batch, make = batch, options = OPTIONS,
  example = [[neap.batch({ 1, 2, 3 }, 2):totable() --> {1, 2}, {3}]],
}
