-- SPDX-License-Identifier: MIT
--- Random numbers that depend on (seed, epoch, index) alone.
-- A generator is a neap_random of the C library with methods; a draw allocates
-- nothing once it is compiled. No method ends in a tail call of a C function
-- (see luajit.md, *no tail call of C*).
-- @module neap.base.random

local ffi = require("ffi")

local check = require("neap.base.check")
local lib = require("neap.base.lib")
local refuse_operators = require("neap.base.operators")
local suggest = require("neap.base.suggest")

local floor = math.floor
local C = lib.C

local INTEGER_MAX = 2 ^ 53 - 1  -- so that a double holds all between

local Random = {}

-- rng.uniform() for rng:uniform(): C would read what nil points to.
local function check_self(rng)
  if type(rng) ~= "cdata" then
    check.fail_self(rng, "random generator", "rng")
  end
end

local function check_numbers(a, b)
  if type(a) ~= "number" then
    check.fail(2, "number expected, got " .. check.got(a))
  end
  if type(b) ~= "number" then
    check.fail(3, "number expected, got " .. check.got(b))
  end
end

local function fail_integer(first, last)
  check.integer(2, first)
  check.integer(3, last)
  check.fail(3, ("%.0f or more expected, got %.0f"):format(first, last))
end

--- Draws a number from a up to b; from 0 up to 1 unless told.
-- b itself is not drawn, but where the result is rounded to it.
-- @function rng:uniform
-- @tparam[opt=0] number a
-- @tparam[opt=1] number b
function Random:uniform(a, b)
  check_self(self)
  local x = C.neap_random_uniform(self)
  if a == nil and b == nil then
    return x
  end
  check_numbers(a, b)
  return a + (b - a) * x
end

--- Draws a whole number from first to last, each equally likely.
-- @function rng:integer
-- @tparam int first
-- @tparam int last first or more
function Random:integer(first, last)
  check_self(self)
  if not (type(first) == "number" and type(last) == "number"
    and first <= last and first >= -INTEGER_MAX and last <= INTEGER_MAX
    and floor(first) == first and floor(last) == last) then
    fail_integer(first, last)
  end
  local x = tonumber(C.neap_random_integer(self, first, last))
  return x
end

--- Draws a number from the normal distribution.
-- @function rng:normal
-- @tparam[opt=0] number mean
-- @tparam[opt=1] number sd the standard deviation
function Random:normal(mean, sd)
  check_self(self)
  local x = C.neap_random_normal(self)
  if mean == nil and sd == nil then
    return x
  end
  check_numbers(mean, sd)
  return mean + sd * x
end

--- Shuffles an array in place (Fisher and Yates) and returns it.
-- @function rng:shuffle
-- @tparam table t
function Random:shuffle(t)
  check_self(self)
  if type(t) ~= "table" then
    check.fail(2, "table expected, got " .. check.got(t))
  end
  for k = #t, 2, -1 do
    local other = tonumber(C.neap_random_integer(self, 1, k))
    t[k], t[other] = t[other], t[k]
  end
  return t
end

for _, name in ipairs({ "uniform", "integer", "normal", "shuffle" }) do
  check.register(name, Random[name], { is_method = true })
end

setmetatable(Random, {
  __index = function(_, name)
    check.raise(("a random generator has no method '%s'"):format(
      tostring(name)), suggest(tostring(name), Random)
      or "it has uniform, integer, normal and shuffle")
  end,
})

local meta = { __index = Random }
refuse_operators(meta, "a random generator", "rng:uniform() draws a number")
local Generator = ffi.metatype("neap_random", meta)

local random = {}

--- Starts a generator again, as random.new would make it; checks nothing.
function random.reset(rng, seed, epoch, index)
  C.neap_random_init(rng, seed, epoch, index - 1)
end

--- Makes a generator.
-- @function new
-- @tparam int seed
-- @tparam[opt=1] int epoch
-- @tparam[opt=1] int index of an item, from 1
-- @usage local rng = require("neap.base.random").new(42)
function random.new(seed, epoch, index)
  local rng = Generator()
  random.reset(rng, check.integer(1, seed),
    epoch == nil and 1 or check.integer(2, epoch),
    index == nil and 1 or check.integer(3, index))
  return rng
end

check.register("new", random.new)

return random
