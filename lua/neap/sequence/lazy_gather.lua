-- SPDX-License-Identifier: MIT
--- A gather whose indexes are computed: each is read when its item is.
-- @module neap.sequence.lazy_gather

local check = require("neap.base.check")
local class = require("neap.base.class")
local compiler = require("neap.sequence.compile")
local exact = require("neap.base.exact")
local Node = require("neap.sequence.node")

local LazyGather = class("sequence.lazy_gather", Node)

LazyGather.takes_several = true
LazyGather.chooses = true

-- Returns an index as one of 1..n, or nil and the reason.
local function index_in(i, n)
  if not check.is_integer(i) then
    return nil, "whole number expected, got " .. check.got(i)
  end
  local j = exact.from_start(i, n)
  if j < 1 or j > n or j == math.huge then
    return nil, ("%d is out of range 1..%s"):format(i,
      n == math.huge and "inf" or ("%d"):format(n))
  end
  return j
end

local function checked(i, n)
  local j, why = index_in(i, n)
  if not j then
    error("index: " .. why, 0)
  end
  return j
end

-- sources: what to read, and the indexes.
function LazyGather:emit(g, i, e)
  local at = g:value(self.sources[2], i, e)
  local j = g:name("i")
  g:staged(self, i, "local %s = %s(%s, %s)", j, g:own(checked), at,
    g:constant(self.sources[1].length))
  return g:value(self.sources[1], j, e)
end

function LazyGather:set(i, value, e)
  local at = compiler.compile(self.sources[2])(i, e)
  self.sources[1]:set(checked(at, self.sources[1].length), value, e)
end

function LazyGather:describe()
  return (Node.describe(self):gsub("^lazy_", ""))
end

function LazyGather.stage_kind()
  return "gather"
end

-- The index would have to be computed once more.
function LazyGather:origins(i, e)
  return { { node = self.sources[2], first = i, last = i, epoch = e } }
end

return { class = LazyGather, index_in = index_in }
