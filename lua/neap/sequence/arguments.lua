-- SPDX-License-Identifier: MIT
--- Checks of arguments that are several sequences.
-- @module neap.sequence.arguments

local check = require("neap.base.check")
local handle = require("neap.sequence.handle")
local lib = require("neap.base.lib")

local arguments = {}

--- The most sequences that are read side by side (see luajit.md, *limits of a
-- function*).
arguments.SIDE_BY_SIDE_MAX = 100

local SOURCES_MAX = lib.C.NEAP_SEQ_SOURCES_MAX

--- Checks the number of sequences that concat or interleave gets.
function arguments.check_count(...)
  local count = select("#", ...)
  if count == 0 then
    handle.check(1, nil)
  elseif count > SOURCES_MAX then
    check.fail(SOURCES_MAX + 1, ("%d sequences at most expected, got %d")
      :format(SOURCES_MAX, count))
  end
end

--- Returns the nodes of sequences that are read side by side, and their common
-- length. The first is argument `narg`. An endless one fits any length.
function arguments.agree(narg, ...)
  local count, most = select("#", ...), arguments.SIDE_BY_SIDE_MAX
  if count > most then
    check.fail(narg + most, ("%d sequences at most expected, got %d"):format(
      most, count))
  end
  local nodes, length = {}, math.huge
  for k = 1, count do
    local node = handle.check(narg + k - 1, (select(k, ...)))
    nodes[k] = node
    if node.length ~= math.huge then
      if length ~= math.huge and node.length ~= length then
        check.fail(narg + k - 1, ("%d items expected, got %d: lengths must "
          .. "agree"):format(length, node.length),
          "s:slice(1, n) cuts the longer one")
      end
      length = node.length
    end
  end
  return nodes, length
end

return arguments
