-- SPDX-License-Identifier: MIT
--- A function over items and a random generator that depends on the seed, the
-- epoch and the index alone: the same with any number of workers.
-- @module neap.adapter.random_map

local check = require("neap.base.check")
local class = require("neap.base.class")
local context = require("neap.value.context")
local random = require("neap.base.random")
local seeds = require("neap.sequence.seeds")
local Node = require("neap.sequence.node")
local handle = require("neap.sequence.handle")

local RandomMap = class("adapter.random_map", Node)

RandomMap.is_seeded = true

-- The generator of a stage for item i.
local function generator_of(stage, seed, e, i)
  local list = context.generators
  local rng = list[stage]
  if not rng then
    rng = random.new(seed, 1, 1)
    list[stage] = rng
  end
  random.reset(rng, seed, e, i)
  return rng
end

function RandomMap:emit(g, i, e)
  local x, rng = g:value(self.source, i, e), g:name("r")
  g:line("local %s = %s(%s, %s, %s, %s)", rng, g:own(generator_of),
    g:constant(self), g:constant(self.seed), e, i)
  return g:call(self, i, self.f, { x, rng })
end

function RandomMap:describe()
  return ("random_map(f, %s, seed %d)"):format(self.source:describe(),
    self.seed)
end

local OPTIONS = { seed = check.kinds.integer }

--- Returns f(x, rng): rng:uniform(), rng:integer(a, b), rng:normal(),
-- rng:shuffle(t). The generator is valid during the call.
-- @function random_map
-- @tparam function f
-- @tparam Sequence source
-- @tparam[opt] table options {seed = whole number}; by default a different
--   one for each random_map of a chain
-- @treturn Sequence
local function random_map(f, source, options)
  handle.check_function(f)
  source = handle.check(2, source)
  options = check.options(3, options, OPTIONS)
  return handle.wrap(RandomMap:make({
    f = f,
    source = source,
    length = source.length,
    seed = options.seed or seeds.next(source),
    is_given = options.seed ~= nil,
  }))
end

return {
  class = RandomMap, make = random_map, options = OPTIONS,
  function_first = true,
  example = [[neap.random_map(function(x, rng)
    return x + rng:integer(1, 6)
  end, { 10, 20 }, { seed = 1 }):totable() --> 13, 22]],
}
