-- SPDX-License-Identifier: MIT
--- A batch of native stages that is read in this process: one call of C
-- computes all of it, into tensors that Lua made, where those of other
-- functions lie. So a chain that goes on in Lua has no loop of Lua below.
-- @module neap.native.whole

local ffi = require("ffi")
local dtype = require("neap.tensor.dtype")
local lib = require("neap.base.lib")
local lower = require("neap.native.lower")
local memory = require("neap.tensor.memory")
local opened = require("neap.native.opened")

local C = lib.C
local failed = lib.error

local STAGES_MAX = 16 -- that may fail: each is a line of code
local PATH_MAX = 1024

local whole = {}

-- -- Reading -----------------------------------------------------------------

-- Makes the tensors of an item.
local function make(state, i, e)
  local values, made = state.values, state.made
  C.neap_chain_plan(state.chain, e, i - 1, values)
  for k = 1, state.count do
    local part = values[k - 1]
    local t = memory.make(dtype.of(part.code, part.bits), part.ndim, part.shape,
      tonumber(part.count))
    part.data = t.d.data
    made[k] = t
  end
end

-- The number of the stage that failed, and its item.
local function where(state)
  local index = state.index
  local name = ffi.string(C.neap_chain_failed_stage(state.reader, index))
  return state.stages[name], tonumber(index[0]) + 1
end

-- Returns the item for the tensors of a tree, and lets go of them.
local function item_of(tree, made)
  if type(tree) == "number" then
    local t = made[tree]
    made[tree] = false
    return t
  end
  local x = {}
  for k = 1, #tree do
    x[tree[k].key] = item_of(tree[k].tree, made)
  end
  return x
end

-- Item i; or nil, the stage that failed, and the index of its item.
local function read(state, i, e)
  make(state, i, e)
  if C.neap_chain_read(state.reader, e, i - 1, state.values, failed) < 0 then
    return nil, where(state)
  end
  return item_of(state.tree, state.made)
end

local function raise()
  error(lib.failure(), 0)
end

-- -- Opening -----------------------------------------------------------------

ffi.cdef([[
  typedef struct neap_whole {
    neap_chain *chain;
    neap_chain_reader *reader;
  } neap_whole;
]])

local function close(owner)
  C.neap_chain_reader_close(owner.reader)
  C.neap_chain_free(owner.chain)
end

-- Sets the place of value k in a tree: "a.b" is b of a.
local function set_path(tree, path, k)
  local first, rest = path:match("^([^.]+)%.?(.*)$")
  local found = tree[#tree]
  local key = first:find("^%d+$") and tonumber(first) or first
  if not found or found.key ~= key then
    found = { key = key, tree = rest == "" and k or {} }
    tree[#tree + 1] = found
  end
  if rest ~= "" then
    set_path(found.tree, rest, k)
  end
end

-- The number of values, and their tree.
local function tree_of(chain)
  local path, tree = ffi.new("char[?]", PATH_MAX), {}
  local count = C.neap_chain_value_count(chain)
  for k = 1, count do
    C.neap_chain_value_path(chain, k - 1, path, PATH_MAX)
    local text = ffi.string(path)
    if text == "" then
      return count, 1
    end
    set_path(tree, text, k)
  end
  return count, tree
end

-- The names of the stages that may fail: a list, and name -> number.
local function stages_of(node, list, numbers)
  local name = node:stage_name()
  if not node.tree and not numbers[name] then
    list[#list + 1] = node
    numbers[name] = #list
  end
  for _, source in ipairs(node:inputs()) do
    stages_of(source, list, numbers)
  end
  return list, numbers
end

local function open(node, numbers)
  local chain, kept = lower.live(node)
  local out = ffi.new("neap_chain_reader *[1]")
  if not chain or C.neap_chain_reader_open(chain, -1, out, failed) < 0 then
    return nil
  end
  local owner = ffi.gc(ffi.new("neap_whole", ffi.gc(chain, nil), out[0]), close)
  opened.tell(out[0])
  local count, tree = tree_of(chain)
  return {
    owner = owner, kept = kept, chain = chain, reader = out[0],
    count = count, tree = tree, values = ffi.new("neap_part[?]", count),
    made = {}, stages = numbers, index = ffi.new("int64_t[1]"),
  }
end

--- Writes the code of a batch.
-- @treturn string the local with the item; nil if C cannot make it
function whole.emit(node, g, i, e)
  local list, numbers = stages_of(node, {}, {})
  local state = #list <= STAGES_MAX and open(node, numbers)
  if not state then
    return nil
  end
  local x, f, j = g:name(), g:name("f"), g:name("i")
  g:staged(node, i, "local %s, %s, %s = %s(%s, %s, %s)", x, f, j, g:own(read),
    g:constant(state), i, e)
  for k, stage in ipairs(list) do
    g:staged(stage, j, "if %s == %d then %s() end", f, k, g:own(raise))
  end
  return x
end

jit.off(open)
jit.off(tree_of)
jit.off(whole.emit)

return whole
