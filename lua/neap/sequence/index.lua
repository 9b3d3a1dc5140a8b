-- SPDX-License-Identifier: MIT
--- The base class of adapters that rearrange. Their index arithmetic is a tree
-- in libneap: through any number of them an item takes one call into C.
--
-- A subclass has a `source` and a method `tree(source_tree)`, or `sources` and
-- `tree(source_trees, count)`. `tree` returns the adapter's tree, made by
-- `Index.build`, and the object whose memory the tree reads, if any.
-- @module neap.sequence.index

local ffi = require("ffi")
local new_table = require("table.new")
local check = require("neap.base.check")
local lookahead = require("neap.sequence.lookahead")
local class = require("neap.base.class")
local exact = require("neap.base.exact")
local lib = require("neap.base.lib")
local Node = require("neap.sequence.node")

local C = lib.C
local Index = class("sequence.index", Node)

Index.is_timed = false

--- Makes a node of checked fields.
function Index:make(fields)
  local node = Node.make(self, fields)
  if node.ends_early then
    check.raise(("cannot %s batches above a skip: they are read in order, and "
      .. "only a loop finds how many there are\nhelp: %s before batch"):format(
      self.class_name, self.class_name))
  end
  return node
end

-- For more leaves than this, the code looks up a leaf's function in a table.
local BRANCHES_MAX = 4
local LEAVES_MAX = 2 ^ 15 -- a neap_window has 16 bits for their numbers

local out = ffi.new("neap_seq *[1]")

--- Calls a constructor of libneap: `Index.build(C.neap_seq_..., ...)`.
function Index.build(constructor, ...)
  local arguments = { ... }
  arguments[#arguments + 1] = out
  arguments[#arguments + 1] = lib.error
  lib.check(constructor(unpack(arguments)))
  return out[0]
end

local grow

local function leaf_tree(node, number)
  return Index.build(C.neap_seq_leaf, node.length == math.huge
    and C.NEAP_ENDLESS or node.length, number)
end

local function grow_leaf(node, leaves)
  local number = leaves[node]
  if not number then
    number = #leaves
    leaves[node] = number
    leaves[number + 1] = node
  end
  return leaf_tree(node, number)
end

local function grow_several(node, leaves, kept)
  local count = #node.sources
  local trees = ffi.new("neap_seq *[?]", count)
  for k, source in ipairs(node.sources) do
    trees[k - 1] = grow(source, leaves, kept)
  end
  return node:tree(trees, count)
end

-- Returns the tree of a node, which the caller owns. Its leaves are the nodes
-- that do not rearrange, numbered from 0 in the order met. Appends to `kept`
-- the objects whose memory the tree reads.
function grow(node, leaves, kept)
  if not node.tree then
    return grow_leaf(node, leaves)
  end
  local tree, memory
  if node.sources then
    tree, memory = grow_several(node, leaves, kept)
  else
    tree, memory = node:tree(grow(node.source, leaves, kept))
  end
  kept[#kept + 1] = memory
  return tree
end

-- Returns f(leaf) for each leaf, in the array part of a table from 0; nil if f
-- returns nil for one of them.
local function by_number(leaves, f)
  local list = new_table(#leaves, 0)
  for k, leaf in ipairs(leaves) do
    list[k - 1] = f(leaf)
    if list[k - 1] == nil then
      return nil
    end
  end
  return list
end

local function stored(leaf)
  return leaf.stored
end

-- Writes the code for item `j` of leaf `which`, both names of locals.
local function emit_leaves(g, leaves, which, j, e)
  local x = g:name()
  local values = by_number(leaves, stored)
  if values then
    g:line("local %s = %s[%s][%s]", x, g:constant(values), which, j)
  elseif #leaves > BRANCHES_MAX then
    local getters = g:constant(by_number(leaves, g.compile))
    g:line("local %s = %s[%s](%s, %s)", x, getters, which, j, e)
  else
    g:line("local %s", x)
    for k, leaf in ipairs(leaves) do
      g:open("%s %s == %d then", k == 1 and "if" or "elseif", which, k - 1)
      g:line("%s = %s", x, g:value(leaf, j, e))
      g:close(k < #leaves and "" or "end")
    end
  end
  return x
end

function Index:emit(g, i, e)
  local leaves, kept = {}, {}
  local tree = grow(self, leaves, kept)
  for _, memory in ipairs(kept) do
    g:keep(memory)
  end
  local kind = lookahead.kind(tree)
  local arguments = ("%s, %s, %s"):format(g:constant(kind.new(tree)), i, e)
  local j = g:name("i")
  if #leaves == 1 then
    g:line("local %s = %s(%s)", j, g:own(kind.index), arguments)
    return g:value(leaves[1], j, e)
  end
  if #leaves >= LEAVES_MAX then
    error(("cannot read: %d sequences are rearranged as one, not 1..%d"):format(
      #leaves, LEAVES_MAX - 1), 0)
  end
  local which = g:name("w")
  g:line("local %s, %s = %s(%s)", j, which, g:own(kind.leaf), arguments)
  return emit_leaves(g, leaves, which, j, e)
end

-- Returns where item i is: the index in a source, and the source's number. The
-- tree is that of the node, or of its own step alone; `_` is what it reads.
local function resolve(tree, i, e, _)
  local which = ffi.new("int32_t[1]")
  local owned = ffi.gc(tree, C.neap_seq_free)
  local j = C.neap_seq_resolve_one(owned, e, exact.from_zero(i), which)
  C.neap_seq_free(ffi.gc(owned, nil))
  return tonumber(j) + 1, which[0] + 1
end

function Index:native(build)
  local leaves, kept = {}, {}
  local tree = ffi.gc(grow(self, leaves, kept), C.neap_seq_free)
  for _, leaf in ipairs(leaves) do
    build:chain(leaf)
  end
  build:keep(kept)
  local sources, count = build:take(#leaves)
  build:make(self, C.neap_chain_arrange, ffi.gc(tree, nil), sources, count)
end

function Index:set(i, value, e)
  local leaves, kept = {}, {}
  local j, which = resolve(grow(self, leaves, kept), i, e, kept)
  leaves[which]:set(j, value, e)
end

-- The tree of the node's own step, whose leaves are its sources.
function Index:origins(i, e)
  local sources, trees = self:inputs(), {}
  for k, source in ipairs(sources) do
    trees[k] = leaf_tree(source, k - 1)
  end
  local tree, memory
  if self.sources then
    tree, memory = self:tree(ffi.new("neap_seq *[?]", #trees, trees), #trees)
  else
    tree, memory = self:tree(trees[1])
  end
  local j, which = resolve(tree, i, e, memory)
  return { { node = sources[which], first = j, last = j, epoch = e } }
end

jit.off(true, true) -- cold: it runs once for each chain

return Index
