-- SPDX-License-Identifier: MIT
--- The generated code of maps of native stages: those that follow one another
-- are one pipe, unless their times are measured.
-- @module neap.native.join

local lib = require("neap.base.lib")
local pipe = require("neap.native.pipe")
local Stage = require("neap.native.stage")

local C = lib.C

local STAGES_MAX = 16 -- of a pipe

local join = {}

-- Whether a stage finds all that it reads in what another one makes.
local function fits(after, before)
  return C.neap_pipe_fits(before:open().native, after:open().native) ~= 0
end

-- The maps that the pipe of a node is of, the first one first. A stage that
-- comes again needs its own result until then.
local function maps_of(node, is_timed)
  local list, seen = { node }, { [node.f] = true }
  local source = node.sources[1]
  while not is_timed and #list < STAGES_MAX and source.class_name == "map"
    and Stage.is(source.f) and not seen[source.f]
    and fits(list[1].f, source.f) do
    table.insert(list, 1, source)
    seen[source.f] = true
    source = source.sources[1]
  end
  return list
end

local function raise()
  error(lib.failure(), 0)
end

--- Writes the code of a map whose function is a native stage.
-- @treturn string the name of the local with the item
function join.emit(node, g, i, e)
  local maps = maps_of(node, g.plan)
  local stages = {}
  for k, map in ipairs(maps) do
    stages[k] = map.f:open()
  end
  local x = g:value(maps[1].sources[1], i, e)
  local y, failed = g:name(), g:name("f")
  g:staged(maps[1], i, "local %s, %s = %s(%s, %s, %s)", y, failed,
    g:constant(pipe.make(stages)), x, i, e)
  for k, map in ipairs(maps) do
    g:staged(map, i, "if %s == %d then %s() end", failed, k, g:own(raise))
  end
  return y
end

return join
