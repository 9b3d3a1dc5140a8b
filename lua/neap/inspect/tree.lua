-- SPDX-License-Identifier: MIT
--- The stages of a chain as a tree, a line each.
-- @module neap.inspect.tree

local traverse = require("neap.base.traverse")

local tree = {}

local function dots()
  return "..."
end

-- What describe() says of a source is another line's.
local function shortened(node)
  return setmetatable({ describe = dots }, { __index = node })
end

-- "batch(..., 64, stacked)": a stage without those below it.
local function name_of(node)
  local copy = setmetatable(traverse.copy(node), getmetatable(node))
  copy.source = node.source and shortened(node.source)
  if node.sources then
    copy.sources = {}
    for k, source in ipairs(node.sources) do
      copy.sources[k] = shortened(source)
    end
  end
  return copy:describe()
end

local function add(list, node, depth)
  list[#list + 1] = {
    node = node, depth = depth, name = name_of(node), where = node.where,
    length = node.length,
  }
  for _, source in ipairs(node:inputs()) do
    add(list, source, depth + 1)
  end
end

--- Returns the stages of a chain, each before those below it: a list of
-- {node =, depth =, name =, where =, length =}.
function tree.list(node)
  local list = {}
  add(list, node, 0)
  return list
end

local function visit(node, f, above, seen)
  if seen[node] then
    return
  end
  seen[node] = true
  f(node, above)
  for _, source in ipairs(node:inputs()) do
    visit(source, f, { node = node, above = above }, seen)
  end
end

--- Calls f(node, above) for each stage of a chain, once; `above` is a list
-- {node =, above =} of the stages that it was reached by, or nil.
function tree.visit(node, f)
  visit(node, f, nil, {})
end

return tree
