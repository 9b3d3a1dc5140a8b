-- SPDX-License-Identifier: MIT
--- Default seeds of random_maps: no two of a chain draw the same numbers.
--
-- A seed depends on the chain alone, so a chain that is built again, in this
-- process or another, draws the same numbers. A random_map takes a seed that no
-- random_map below it has. If joined sequences have a seed in common, the later
-- one is copied with another seed, since sequences do not change. A node that
-- `keeps_seeds` is not copied: its handle reports its state, or workers have
-- its chain.
-- @module neap.sequence.seeds

local traverse = require("neap.base.traverse")

local seeds = {}

local FREE, KEPT = 1, 2

-- Appends the random_maps below a node, and itself, to the list `found`.
-- found[node] is KEPT or FREE, for each node that was met.
local function collect(node, found, level)
  level = node.keeps_seeds and KEPT or level
  local before = found[node]
  if not node.has_seed_below or before and before >= level then
    return
  end
  found[node] = level
  for _, source in ipairs(node.sources or { node.source }) do
    collect(source, found, level)
  end
  if node.is_seeded and not before then
    found[#found + 1] = node
  end
end

local function first_free(taken, seed)
  while taken[seed] do
    seed = seed + 1
  end
  return seed
end

--- Returns a seed that no random_map of the chain below has.
function seeds.next(source)
  local found, taken = {}, {}
  collect(source, found, FREE)
  for _, node in ipairs(found) do
    taken[node.seed] = true
  end
  return first_free(taken, #found + 1)
end

-- Returns random_map -> new seed, for those that need another seed.
local function collisions(found)
  local taken, moved = {}, {}
  for _, node in ipairs(found) do
    if node.is_given or found[node] == KEPT then
      taken[node.seed] = node
    end
  end
  for _, node in ipairs(found) do
    if not node.is_given and found[node] == FREE then
      local seed = first_free(taken, 1)
      if not taken[node.seed] then
        seed = node.seed
      end
      taken[seed] = node
      moved[node] = seed ~= node.seed and seed or nil
    end
  end
  return moved
end

-- A node over other sources, or with another seed.
local function copy_of(node, changes)
  local copy = traverse.copy(node)
  copy.getter, copy.here = nil, nil
  for _, key in ipairs(traverse.keys(changes)) do
    copy[key] = changes[key]
  end
  return setmetatable(copy, getmetatable(node))
end

local reseed

local function reseed_all(sources, moved, copies)
  local list, is_new = {}, false
  for k, source in ipairs(sources) do
    list[k] = reseed(source, moved, copies)
    is_new = is_new or list[k] ~= source
  end
  return is_new and list or sources
end

-- Returns the node with the seeds of `moved`: a copy, or itself if there are
-- none below.
function reseed(node, moved, copies)
  if not node.has_seed_below or node.keeps_seeds then
    return node
  elseif copies[node] then
    return copies[node]
  end
  local sources = node.sources and reseed_all(node.sources, moved, copies)
  local source = node.source and reseed(node.source, moved, copies)
  local seed = moved[node]
  local copy = node
  if seed or sources ~= node.sources or source ~= node.source then
    copy = copy_of(node, { sources = sources, source = source, seed = seed })
  end
  copies[node] = copy
  return copy
end

--- Returns sources to be joined: no two of their random_maps have the same
-- seed, unless a user gave it.
function seeds.part(sources)
  local found = {}
  for _, source in ipairs(sources) do
    collect(source, found, FREE)
  end
  if #found < 2 then
    return sources
  end
  local moved = collisions(found)
  return traverse.is_empty(moved) and sources
    or reseed_all(sources, moved, {})
end

--- Whether a node that is being made of these fields has seeds below.
function seeds.are_below(fields)
  for _, source in ipairs(fields.sources or { fields.source }) do
    if source.has_seed_below then
      return true
    end
  end
  return false
end

jit.off(true, true) -- cold: it runs once for each chain

return seeds
