-- SPDX-License-Identifier: MIT
local neap = require("neap")
local random = require("neap.random")
local support = dofile("tests/spec/support.lua")

local function draw(_, rng)
  return rng:uniform()
end

describe("neap.random_map", function()
  before_each(support.remember)
  after_each(support.check_leaks)

  it("gives a generator that depends on seed, epoch and index", function()
    local s = neap.random_map(draw, neap.range(9), { seed = 4 })
    for epoch = 1, 3 do
      for i = 1, 9 do
        assert.equal(random.new(4, epoch, i):uniform(), s:epoch(epoch)[i])
      end
    end
  end)

  it("draws the same in any order and any number of times", function()
    local s = neap.random_map(draw, neap.range(20))
    local forward, backward = s:totable(), {}
    for i = 20, 1, -1 do
      backward[i] = s[i]
    end
    assert.same(forward, backward)
    assert.equal(s[7], s[7])
  end)

  it("draws the same however many workers there are", function()
    local s = neap.range(40):random_map(function(x, rng)
      return { x, rng:normal(), rng:integer(1, 6), rng:shuffle({ 1, 2, 3 }) }
    end)
    local wanted = s:epoch(2):totable()
    for _, workers in ipairs({ 0, 1, 2 }) do
      local p = s:prefetch({ workers = workers, chunk = 3 })
      assert.same(wanted, p:epoch(2):totable())
      p:close()
    end
  end)

  it("draws other numbers for each of a chain", function()
    local s = neap.range(5):random_map(draw):random_map(function(x, rng)
      return { x, rng:uniform() }
    end)
    for _, pair in s:each() do
      assert.are_not.equal(pair[1], pair[2])
    end
  end)

  it("has one draw after the other within an item", function()
    local s = neap.random_map(function(_, rng)
      return { rng:uniform(), rng:uniform() }
    end, neap.range(2), { seed = 1 })
    local rng = random.new(1, 1, 2)
    assert.same({ rng:uniform(), rng:uniform() }, s[2])
  end)

  it("is right where it reads itself through another", function()
    local inner = neap.random_map(draw, neap.range(3), { seed = 1 })
    local s = neap.range(3):random_map(function(i, rng)
      local before = rng:uniform()
      return { before, inner[4 - i], rng:uniform() }
    end, { seed = 1 })
    for i = 1, 3 do
      local rng = random.new(1, 1, i)
      assert.same({ rng:uniform(), inner[4 - i], rng:uniform() }, s[i])
    end
  end)

  it("refuses what it does not know", function()
    assert.equal("bad argument #3 to 'random_map' (unknown option 'sed'; known "
      .. "are seed)", support.message(function()
      local _ = neap.random_map(draw, { 1 }, { sed = 1 })
    end))
    assert.equal("bad argument #2 to 'random_map' (option 'seed': whole number "
      .. "expected, got \"x\")", support.message(function()
      local _ = neap.range(2):random_map(draw, { seed = "x" })
    end))
    assert.equal("bad argument #1 to 'random_map' (function expected, got "
      .. "table)", support.message(function()
      local _ = neap.random_map({ 1 }, draw)
    end))
  end)

  it("refuses a dot for a colon", function()
    for _, name in ipairs({ "uniform", "integer", "normal", "shuffle" }) do
      local s = neap.random_map(function(_, rng)
        local x = rng[name]()
        return x
      end, neap.range(1))
      assert.truthy(support.message(function() return s[1] end):find(
        "random generator expected, got nil", 1, true))
    end
  end)
end)
