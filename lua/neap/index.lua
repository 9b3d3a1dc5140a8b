-- SPDX-License-Identifier: MIT
--- What the rearranging adapters share: their index arithmetic is a tree in
-- libneap, and through any number of them an item takes one call into C.
--
-- A subclass has a `source` and a method `tree(source_tree)`, which calls the
-- constructor of its adapter and answers the tree.
-- @module neap.index

local ffi = require("ffi")
local class = require("neap.class")
local lib = require("neap.lib")
local sequence = require("neap.sequence")

local C = lib.C
local Index = class("index", sequence.class)

local out = ffi.new("neap_seq *[1]")

--- Calls a constructor of libneap: `Index.build(C.neap_seq_..., ...)`.
function Index.build(constructor, ...)
  local arguments = { ... }
  arguments[#arguments + 1] = out
  arguments[#arguments + 1] = lib.error
  lib.check(constructor(unpack(arguments)))
  return out[0]
end

local function is_index(node)
  return node.tree ~= nil
end

local function length_in_c(node)
  return node.length == math.huge and C.NEAP_ENDLESS or node.length
end

--- The tree of a node's adapters, down to the first node that is none.
-- @treturn cdata neap_seq *, the caller's
-- @treturn Sequence the node that its leaf stands for
local function grow(node)
  if not is_index(node) then
    return Index.build(C.neap_seq_leaf, length_in_c(node), 0), node
  end
  local tree, leaf = grow(node.source)
  return node:tree(tree), leaf
end

-- Reads in order find their index in a window that C has resolved ahead.
local function resolve(window, tree, i, e)
  local k = i - 1 - window.base
  if k >= 0 and k < window.count and e == window.epoch then
    local j = tonumber(window.index[k]) + 1
    return j
  end
  local j = tonumber(C.neap_seq_slide(tree, window, e, i - 1)) + 1
  return j
end

function Index:emit(g, i, e)
  local tree, leaf = grow(self)
  local j = g:name("i")
  g:line("local %s = %s(%s, %s, %s, %s)", j, g:constant(resolve),
    g:constant(ffi.new("neap_window")),
    g:constant(ffi.gc(tree, C.neap_seq_free)), i, e)
  return g:value(leaf, j, e)
end

function Index:set(i, value)
  local tree, leaf = grow(self)
  local j = tonumber(C.neap_seq_resolve_one(tree, 1, i - 1, nil)) + 1
  C.neap_seq_free(tree)
  leaf:set(j, value)
end

return Index
