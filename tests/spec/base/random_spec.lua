-- SPDX-License-Identifier: MIT
local random = require("neap.base.random")

local DRAWS = 100000

-- Standard deviations between the mean of a sample and what it should be.
local function z(sum, count, mean, variance)
  return math.abs(sum / count - mean) / math.sqrt(variance / count)
end

local function draws(rng, count)
  local list = {}
  for k = 1, count do
    list[k] = rng:uniform()
  end
  return list
end

describe("neap.random", function()
  it("draws the same numbers for the same seed, epoch and index", function()
    assert.are.same(draws(random.new(1, 2, 3), 5),
      draws(random.new(1, 2, 3), 5))
    assert.are.same(draws(random.new(7), 5), draws(random.new(7, 1, 1), 5))
  end)

  it("draws other numbers where one of the three differs", function()
    local first = random.new(1, 2, 3):uniform()
    assert.are_not.equal(first, random.new(2, 2, 3):uniform())
    assert.are_not.equal(first, random.new(1, 3, 3):uniform())
    assert.are_not.equal(first, random.new(1, 2, 4):uniform())
  end)

  it("counts items from 1 where the C library counts from 0", function()
    local ffi, lib = require("ffi"), require("neap.base.lib")
    local rng = ffi.new("neap_random")
    lib.C.neap_random_init(rng, 5, 1, 0)
    assert.are.equal(random.new(5, 1, 1):uniform(), rng:uniform())
  end)

  it("resets a generator to any place, a kept normal forgotten", function()
    local rng = random.new(9)
    rng:normal()
    random.reset(rng, 1, 2, 3)
    assert.are.equal(random.new(1, 2, 3):normal(), rng:normal())
  end)

  it("refuses a seed that is no whole number, at the caller's line", function()
    local line = debug.getinfo(1, "l").currentline + 2
    local _, message = pcall(function()
      random.new(1.5)
    end)
    assert.matches(("random_spec.lua:%d: bad argument #1 to 'new'"
      .. " %%(whole number expected, got 1.5%%)"):format(line), message)
    assert.error_matches(function()
      random.new()
    end, "whole number expected, got no value")
  end)
end)

describe("rng:uniform", function()
  it("draws from 0 up to 1", function()
    local rng, sum = random.new(1), 0
    for _ = 1, DRAWS do
      local x = rng:uniform()
      assert(x >= 0 and x < 1)
      sum = sum + x
    end
    assert.is_true(z(sum, DRAWS, 0.5, 1 / 12) < 4.5)
  end)

  it("draws from a up to b", function()
    local rng, sum = random.new(2), 0
    for _ = 1, DRAWS do
      local x = rng:uniform(-3, 5)
      assert(x >= -3 and x < 5)
      sum = sum + x
    end
    assert.is_true(z(sum, DRAWS, 1, 64 / 12) < 4.5)
  end)

  it("refuses one bound alone, and what is no number", function()
    local rng = random.new(1)
    assert.error_matches(function()
      rng:uniform(1)
    end, "bad argument #2 to 'uniform' %(number expected, got no value%)")
    assert.error_matches(function()
      rng:uniform("a", 2)
    end, "bad argument #1 to 'uniform' %(number expected, got \"a\"%)")
  end)
end)

describe("rng:integer", function()
  it("draws every number of a range, both ends included, alike", function()
    local rng, counts = random.new(3), {}
    for _ = 1, DRAWS do
      local x = rng:integer(-1, 3)
      counts[x] = (counts[x] or 0) + 1
    end
    local different = 0
    for x, count in pairs(counts) do
      assert(x >= -1 and x <= 3)
      different = different + 1
      assert.is_true(z(count, DRAWS, 1 / 5, 4 / 25) < 4.5)
    end
    assert.are.equal(5, different)
  end)

  it("answers numbers, as far as these are exact", function()
    local rng = random.new(4)
    local most = 2 ^ 53 - 1
    assert.are.equal("number", type(rng:integer(1, 6)))
    assert.are.equal(most, rng:integer(most, most))
    assert.are.equal(-most, rng:integer(-most, -most))
    local x = rng:integer(-most, most)
    assert.is_true(x >= -most and x <= most and x == math.floor(x))
  end)

  it("refuses an empty range", function()
    assert.error_matches(function()
      random.new(1):integer(10, 5)
    end, "bad argument #2 to 'integer' %(10 or more expected, got 5%)")
  end)

  it("refuses what is not whole, or too large to be exact", function()
    local rng = random.new(1)
    local function refuses(first, last, message)
      assert.error_matches(function()
        rng:integer(first, last)
      end, message)
    end
    refuses(1.5, 2, "#1 to 'integer' %(whole number expected, got 1.5%)")
    refuses(1, 2.5, "#2 to 'integer' %(whole number expected, got 2.5%)")
    refuses(1, nil, "#2 to 'integer' %(whole number expected, got no value%)")
    refuses("1", 2, "#1 to 'integer' %(whole number expected, got \"1\"%)")
    refuses(0, 2 ^ 60, "#2 to 'integer' %(whole number expected")
    refuses(-math.huge, 0, "#1 to 'integer' %(whole number expected")
    refuses(0 / 0, 1, "#1 to 'integer' %(whole number expected")
  end)
end)

describe("rng:normal", function()
  it("has mean 0 and standard deviation 1", function()
    local rng, sum, squares = random.new(5), 0, 0
    for _ = 1, DRAWS do
      local x = rng:normal()
      sum, squares = sum + x, squares + x * x
    end
    assert.is_true(z(sum, DRAWS, 0, 1) < 4.5)
    assert.is_true(z(squares, DRAWS, 1, 2) < 4.5)
  end)

  it("takes a mean and a standard deviation, or neither", function()
    local x = random.new(6):normal()
    assert.are.equal(10 + 2 * x, random.new(6):normal(10, 2))
    assert.error_matches(function()
      random.new(6):normal(10)
    end, "bad argument #2 to 'normal' %(number expected, got no value%)")
  end)
end)

describe("rng:shuffle", function()
  it("permutes an array in place and answers it", function()
    local t = { "a", "b", "c", "d", "e" }
    local shuffled = random.new(7):shuffle(t)
    assert.are.equal(t, shuffled)
    table.sort(t)
    assert.are.same({ "a", "b", "c", "d", "e" }, t)
    assert.are.same({}, random.new(7):shuffle({}))
    assert.are.same({ 1 }, random.new(7):shuffle({ 1 }))
  end)

  it("makes every order equally likely", function()
    local rng, counts = random.new(8), {}
    for _ = 1, 24000 do
      local order = table.concat(rng:shuffle({ 1, 2, 3, 4 }))
      counts[order] = (counts[order] or 0) + 1
    end
    local different = 0
    for _, count in pairs(counts) do
      different = different + 1
      assert.is_true(z(count, 24000, 1 / 24, 23 / 576) < 4.5)
    end
    assert.are.equal(24, different)
  end)

  it("refuses what is no table", function()
    assert.error_matches(function()
      random.new(1):shuffle(3)
    end, "bad argument #1 to 'shuffle' %(table expected, got 3%)")
  end)
end)

describe("a compiled loop over draws", function()
  -- Compiled code that allocates nothing leaves the heap as it was.
  it("allocates nothing", function()
    local rng = random.new(1)
    local function loop(count)
      local sum = 0
      for k = 1, count do
        random.reset(rng, 1, 1, k)
        sum = sum + rng:uniform() + rng:uniform(1, 2) + rng:integer(1, 6)
          + rng:normal() + rng:normal(1, 2)
      end
      return sum
    end
    loop(1000)
    collectgarbage()
    collectgarbage("stop")
    local before = collectgarbage("count")
    loop(200000)
    local grown = collectgarbage("count") - before
    collectgarbage("restart")
    assert.is_true(grown < 64, ("%.0f KiB allocated"):format(grown))
  end)
end)
