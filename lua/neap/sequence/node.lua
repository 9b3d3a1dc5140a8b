-- SPDX-License-Identifier: MIT
--- The base class of nodes: one stage of a chain, an immutable Lua object with
-- a length.
--
-- A class of nodes has some of these:
--   emit(g, i, e)   writes the code for item i (neap.sequence.compile), or
--   get(i, e)       computes item i of epoch e; i is in range
--   set(i, v, e)    stores item i of epoch e where it comes from
--   iterate(options) returns what a `for` wants, if it has its own way
--   describe()      shows itself and its sources
--   origins(i, e)   where item i comes from, for errors
--   reach(), expect_tries(), expect_rereads(): how iterators below are read
--   rewind()        a loop begins; see ends_early
--   native(build)   makes its chain in C, of those of its sources
--                   (neap.native.lower)
--   not_native()    why it cannot, and what to do; nil if it may
-- and the fields `length` (math.huge: endless), `where` it was made, and
--   source, or sources   the nodes below
--   takes_several   an item may need more than one item of a source
--   loops_source    a loop over it is one over its source, which skips as well
--   leaves_out      a skip is below: loops leave out what it marks
--   ends_early      a loop decides how many items there are: `length` at most,
--                   read in order
--   keeps_seeds     joining it with others does not copy it
--   chooses         an item comes from one of the sources
--   draws           its order depends on a seed and the epoch
--   passes_on       its items are its source's
--   is_timed        reports show its time; not that of index arithmetic
--   count_at(stage) lets it count its reads there (neap.adapter.monitor)
-- Two fields belong to this process and are never sent to a worker. They are
-- made when first needed, to keep nodes small:
--   getter          the node's function (neap.sequence.compile)
--   here            a table of other state: items kept, counters, workers
-- @module neap.sequence.node

local check = require("neap.base.check")
local class = require("neap.base.class")
local iteration = require("neap.sequence.iteration")
local seeds = require("neap.sequence.seeds")
local way = require("neap.sequence.way")

local Node = class("sequence.node")

Node.is_timed = true

-- A node is as its sources are, unless its class says otherwise. Absent where
-- it is false, to keep nodes small.
local function inherit(cls, fields, name)
  for _, source in ipairs(fields.sources or { fields.source }) do
    if source[name] and cls[name] == nil then
      fields[name] = true
    end
  end
end

--- Makes a node of checked fields. Evaluates nothing.
function Node:make(fields)
  fields.where = fields.where or check.where()
  if fields.sources and #fields.sources > 1 then
    fields.sources = seeds.part(fields.sources)
  end
  inherit(self, fields, "leaves_out")
  inherit(self, fields, "ends_early")
  if self.is_seeded or seeds.are_below(fields) then
    fields.has_seed_below = true -- else absent, to keep nodes small
  end
  return self:new(fields)
end

--- Returns the node's table `here`; makes it if need be.
function Node:own()
  local here = self.here
  if not here then
    here = {}
    self.here = here
  end
  return here
end

function Node:emit(g, i, e)
  local x = g:name()
  g:staged(self, i, "local %s = %s:get(%s, %s)", x, g:constant(self), i, e)
  return x
end

function Node:set()
  error("cannot assign: the items of " .. self:stage_name()
    .. " are computed, not stored", 0)
end

Node.iterate = iteration.start
Node.way = way

--- The nodes below.
function Node:inputs()
  return self.sources or { self.source }
end

--- How far apart in the source one item and the next begin, in items.
function Node.reach()
  return 1
end

--- Tells the iterators below how often at most an item that raises is read, and
-- the seconds between two reads.
function Node:expect_tries(count, delay)
  for _, source in ipairs(self:inputs()) do
    source:expect_tries(count, delay)
  end
end

--- Tells the iterators below that the last `count` items of this node may be
-- read again.
function Node:expect_rereads(count)
  for _, source in ipairs(self:inputs()) do
    source:expect_rereads(count * self:reach())
  end
end

--- Whether a loop over this node ends where an iterator of unknown size below
-- it ends, or where another loop does. It does not if an item is made of
-- several, which would be lost, or if other sources go on.
function Node:may_end()
  if self.takes_several then
    return false
  end
  for _, source in ipairs(self:inputs()) do
    if (source.length == math.huge or source.ends_early)
      and not source:may_end() then
      return false
    end
  end
  return self.length == math.huge or self.ends_early or false
end

--- A loop over this node begins.
function Node:rewind()
  for _, source in ipairs(self:inputs()) do
    if source.ends_early then
      source:rewind()
    end
  end
end

--- Whether the node's function raises error objects only, so that it may be
-- called without xpcall; see Generator:guarded.
function Node.is_guarded()
  return false
end

-- Whether a stage of that name is in the chain.
local function has_stage(node, name, seen)
  if seen[node] then
    return false
  end
  seen[node] = true
  if node:stage_name() == name then
    return true
  end
  for _, source in ipairs(node:inputs()) do
    if has_stage(source, name, seen) then
      return true
    end
  end
  return false
end

--- Whether an error says that an iterator of unknown size below this node has
-- ended. A function of the chain may read another iterator past its end: then
-- only its item fails.
function Node:is_end(e)
  return e.kind == "end" and (self.length == math.huge or self.ends_early)
    and has_stage(self, e.stage, {})
end

--- What messages call stages of this kind: "map".
function Node:stage_kind()
  return self.class_name
end

--- What messages call the stage: "map (train.lua:12)".
function Node:stage_name()
  return ("%s (%s)"):format(self:stage_kind(), self.where)
end

--- Where item i comes from (see neap.sequence.way): by default, from item i of
-- each source.
function Node:origins(i, e)
  local list = {}
  for k, source in ipairs(self:inputs()) do
    list[k] = { node = source, first = i, last = i, epoch = e }
  end
  return list
end

--- Counts the stages of a class in the chain. A shuffle's default seed depends
-- on the count, so that a shuffle of a shuffle draws differently.
function Node:count_stages(class_name, seen)
  seen = seen or {}
  if seen[self] then
    return 0
  end
  seen[self] = true
  local count = self.class_name == class_name and 1 or 0
  for _, source in ipairs(self:inputs()) do
    count = count + source:count_stages(class_name, seen)
  end
  return count
end

function Node:describe()
  local parts = {}
  for k, source in ipairs(self:inputs()) do
    parts[k] = source:describe()
  end
  return #parts == 0 and self.class_name
    or ("%s(%s)"):format(self.class_name, table.concat(parts, ", "))
end

return Node
