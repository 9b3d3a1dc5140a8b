-- SPDX-License-Identifier: MIT
--- What looks wrong with a chain, though it works.
--
-- A doubt is a table of `stage`, `what` and `help`. Each function of DOUBTS
-- looks at one stage: f(node, above, add), see neap.inspect.tree.
-- @module neap.inspect.doubts

local array = require("neap.tensor.array")
local functions = require("neap.inspect.functions")
local iteration = require("neap.sequence.iteration")
local traverse = require("neap.base.traverse")
local tree = require("neap.inspect.tree")
local units = require("neap.base.units")

local LARGE = 8 * 2 ^ 20 -- bytes that each worker gets a copy of

local DOUBTS = {}

-- -- Prefetches --------------------------------------------------------------

local function rearranger(above)
  while above do
    if above.node.tree then
      return above.node
    end
    above = above.above
  end
end

function DOUBTS.prefetch_below(node, above, add)
  if node.class_name ~= "prefetch" then
    return
  end
  local shuffle = rearranger(above)
  add(shuffle and ("%s stands above it and asks for its items in another "
    .. "order; in a worker it computes nothing ahead"):format(
    shuffle:stage_name())
    or "it is not the last stage: in a worker it computes nothing ahead, and "
    .. "its options are not used",
    "rearrange first, and let prefetch be the last stage")
end

-- -- Functions ---------------------------------------------------------------

function DOUBTS.random(node, _, add)
  functions.each(node, function(fn)
    if functions.calls(fn, "math", "random") then
      local info = debug.getinfo(fn, "S")
      add(("the function at %s:%d calls math.random: its items are not the "
        .. "same for each number of workers, nor after a seek"):format(
        info.short_src, info.linedefined),
        "use random_map, and the generator that it passes: rng:uniform()")
    end
  end)
end

function DOUBTS.weight(node, _, add)
  functions.each_held(node, function(what, value)
    local bytes = functions.weight(value)
    if bytes >= LARGE then
      add(("%s holds about %s, of which each worker gets a copy"):format(what,
        units.bytes(bytes)), "put numbers into a tensor, which workers share, "
        .. "or read it from its file in the workers: see on_start")
    end
  end)
end

-- -- Batches -----------------------------------------------------------------

local function is_alike(a, b)
  return array.is(a) and array.is(b) and a.dtype == b.dtype
    and table.concat(a.shape, "x") == table.concat(b.shape, "x")
end

-- The first tensor of an item, and the one at its place in another.
local function tensor_in(a, b)
  if type(a) ~= "table" or type(b) ~= "table" then
    return is_alike(a, b)
  end
  for _, key in ipairs(traverse.keys(a)) do
    if tensor_in(a[key], b[key]) then
      return true
    end
  end
  return false
end

function DOUBTS.unstacked(node, _, add)
  if node.class_name ~= "batch" or node.collate ~= nil or node.length < 1 then
    return
  end
  local ok, x = pcall(iteration.read, node, 1)
  if ok and #x > 1 and tensor_in(x[1], x[2]) then
    add(("its items are lists of %d, with tensors of one shape: each is copied "
      .. "into the slot, and again where they are joined"):format(#x),
      "batch(..., {collate = neap.stack}) builds one tensor in place")
  end
end

-- -- Lengths -----------------------------------------------------------------

function DOUBTS.empty(node, above, add)
  if not above and node.length == 0 then
    add("it has no items", "look at the lengths of the stages below it")
  end
end

-- -- All ---------------------------------------------------------------------

local ORDER = { "empty", "prefetch_below", "random", "weight", "unstacked" }

--- Returns the doubts about a chain: a list.
local function doubts(node)
  local list = {}
  tree.visit(node, function(stage, above)
    for _, name in ipairs(ORDER) do
      DOUBTS[name](stage, above, function(what, help)
        list[#list + 1] = {
          stage = stage:stage_name(), what = what, help = help,
        }
      end)
    end
  end)
  return list
end

return doubts
