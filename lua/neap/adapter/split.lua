-- SPDX-License-Identifier: MIT
--- A sequence in pieces, each a sequence itself.
-- @module neap.adapter.split

local check = require("neap.base.check")
local class = require("neap.base.class")
local epoch = require("neap.adapter.epoch")
local Node = require("neap.sequence.node")
local handle = require("neap.sequence.handle")
local slice = require("neap.adapter.slice")
local traverse = require("neap.base.traverse")

local Split = class("adapter.split", Node)

local function piece(self, i)
  local first, last = self.firsts[i], self.lasts[i]
  local length = last - first + 1
  return slice.node(self.source, length > 0 and first or 1, 1, length,
    self.where)
end

function Split:get(i, e)
  local node = piece(self, i)
  return handle.wrap(e == 1 and node or epoch.node(node, e))
end

--- Stores the items of a sequence in those of piece i.
function Split:set(i, values, e)
  local node = piece(self, i)
  handle.set_several(node, 1, node.length, values, e)
end

function Split:origins(i, e)
  return { {
    node = self.source, first = self.firsts[i], last = self.lasts[i], epoch = e,
  } }
end

-- The items of the longest piece.
function Split:reach()
  local most = 1
  for k, first in ipairs(self.firsts) do
    most = math.max(most, self.lasts[k] - first + 1)
  end
  return most
end

function Split:describe()
  return ("split(%s, %d pieces)"):format(self.source:describe(), self.length)
end

-- -- Edges -------------------------------------------------------------------

local function cut_evenly(n, cuts)
  local size = n / (cuts + 1)
  if size % 1 ~= 0 then
    check.fail(2, ("%d cuts do not divide %d items evenly"):format(cuts, n),
      "list the positions to cut after, as { 10, 20 }, or use batch")
  end
  local positions = {}
  for k = 1, cuts do
    positions[k] = k * size
  end
  return positions
end

local function cut_at(n, positions)
  local firsts, lasts, before = {}, {}, 0
  for k, position in ipairs(positions) do
    if not check.is_integer(position) or position < before or position > n then
      check.fail(2, ("edge %d: whole number %d..%d expected, got %s"):format(k,
        before, n, check.got(position)))
    end
    firsts[k], lasts[k], before = before + 1, position, position
  end
  firsts[#firsts + 1], lasts[#lasts + 1] = before + 1, n
  return firsts, lasts
end

local function take_pairs(n, edges)
  local firsts, lasts = {}, {}
  for k, edge in ipairs(edges) do
    if type(edge) ~= "table" then
      check.fail(2, ("edge %d: {first, last} expected, as edge 1 is, got %s")
        :format(k, check.got(edge)))
    end
    local first, last = edge[1], edge[2]
    if not (check.is_integer(first) and check.is_integer(last) and first >= 1
      and last >= first - 1 and last <= n) then
      check.fail(2, ("edge %d: {first, last} within 1..%d expected, got {%s, "
        .. "%s}"):format(k, n, check.got(first), check.got(last)))
    end
    firsts[k], lasts[k] = first, last
  end
  return firsts, lasts
end

local function read_edges(n, edges)
  if type(edges) == "number" then
    return cut_at(n, cut_evenly(n, check.natural(2, edges)))
  elseif type(edges) ~= "table"
    or #edges == 0 and not traverse.is_empty(edges) then
    check.fail(2, "number or table of edges expected, got "
      .. handle.unfit(edges))
  elseif type(edges[1]) == "table" then
    return take_pairs(n, edges)
  end
  return cut_at(n, edges)
end

--- Returns the source in pieces: views, through which assignments go.
-- @function split
-- @tparam Sequence source with an end
-- @param edges a count of cuts; a list of positions to cut after; or a list of
--   {first, last}
-- @treturn Sequence of sequences
local function split(source, edges)
  source = handle.check_finite(1, source)
  local firsts, lasts = read_edges(source.length, edges)
  return handle.wrap(Split:make({
    source = source, firsts = firsts, lasts = lasts, length = #firsts,
  }))
end

return {
  class = Split, make = split,
  example = [[neap.split(neap.range(5), { 2 })[2]:totable() --> 3, 4, 5]],
}
