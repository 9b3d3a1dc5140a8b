-- SPDX-License-Identifier: MIT
--- A deterministic mixture of sequences by weight.
-- @module neap.adapter.mix

local ffi = require("ffi")
local check = require("neap.base.check")
local class = require("neap.base.class")
local exact = require("neap.base.exact")
local lib = require("neap.base.lib")
local Index = require("neap.sequence.index")
local handle = require("neap.sequence.handle")

local C = lib.C
local Mix = class("adapter.mix", Index)

Mix.takes_several = true

-- `weights` is a string of doubles, as C wants them.
local function weights_of(node)
  return ffi.cast("const double *", node.weights)
end

function Mix:tree(sources, count)
  return self.build(C.neap_seq_mix, sources, weights_of(self), count, self.seed)
end

function Mix:describe()
  local parts, weights = {}, weights_of(self)
  for k, source in ipairs(self.sources) do
    parts[k] = ("%s at %g"):format(source:describe(), weights[k - 1])
  end
  return ("mix(%s)"):format(table.concat(parts, ", "))
end

-- Returns the length that libneap computes from the sources' lengths.
local function measure(node)
  local count = #node.sources
  local leaves = ffi.new("neap_seq *[?]", count)
  for k, source in ipairs(node.sources) do
    leaves[k - 1] = Index.build(C.neap_seq_leaf, source.length == math.huge
      and C.NEAP_ENDLESS or source.length, 0)
  end
  local tree = node:tree(leaves, count)
  local length = C.neap_seq_length(tree)
  C.neap_seq_free(tree)
  return length == C.NEAP_ENDLESS and math.huge or exact.number(length)
end

local function check_weights(weights, count)
  if type(weights) ~= "table" or #weights ~= count then
    check.fail(2, ("table of %d weights expected, got %s"):format(count,
      type(weights) == "table" and #weights or check.got(weights)))
  end
  for k, weight in ipairs(weights) do
    if type(weight) ~= "number" or not (weight > 0 and weight < math.huge) then
      check.fail(2, ("weight %d: number above 0 expected, got %s"):format(k,
        check.got(weight)))
    end
  end
end

local OPTIONS = { seed = check.kinds.integer }

--- Returns items of several sequences, each in its own order, in proportion
-- to their weights at every prefix; ends where a source is due that has ended.
-- @function mix
-- @tparam table sources
-- @tparam table weights a number above 0 for each
-- @tparam[opt] table options {seed = whole number} which source is first
-- @treturn Sequence a view
local function mix(sources, weights, options)
  if type(sources) ~= "table" or #sources == 0 then
    check.fail(1, "table of sequences expected, got " .. (
      type(sources) == "table" and "an empty one" or check.got(sources)))
  end
  if #sources > C.NEAP_SEQ_SOURCES_MAX then
    check.fail(1, ("%d sequences at most expected, got %d"):format(
      C.NEAP_SEQ_SOURCES_MAX, #sources))
  end
  local nodes = {}
  for k, source in ipairs(sources) do
    nodes[k] = handle.node(source)
    if not nodes[k] then
      check.fail(1, ("sequence expected at position %d, got %s"):format(k,
        handle.unfit(source)))
    end
  end
  check_weights(weights, #nodes)
  options = check.options(3, options, OPTIONS)
  local packed = ffi.new("double[?]", #nodes)
  for k, weight in ipairs(weights) do
    packed[k - 1] = weight
  end
  local node = Mix:make({
    sources = nodes, weights = ffi.string(packed, 8 * #nodes),
    seed = options.seed or 1, length = 0,
  })
  node.length = measure(node)
  return handle.wrap(node)
end

return {
  class = Mix, make = mix, options = OPTIONS, is_function = true,
  example = [[neap.mix({ neap.rep("a", 4), neap.rep("b", 2) },
    { 2, 1 }):totable() --> a, b, a, a, b, a]],
}
